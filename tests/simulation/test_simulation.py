"""Whole systems, each with a seed of its own, through crashes of any actor and of the process.

`BEADFLOW_SEED=123 pytest tests/simulation` runs one of them again; with `BEADFLOW_SEEDS=1000` there
are so many.
"""

import os
from pathlib import Path

import pytest

from tests.simulation.invariants import check
from tests.simulation.simulation import simulate

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

SEEDS = range(1, int(os.environ.get("BEADFLOW_SEEDS", "6")) + 1)


def seeds() -> list[int]:
    only = os.environ.get("BEADFLOW_SEED")
    return list(SEEDS) if only is None else [int(only)]


@pytest.mark.parametrize("seed", seeds())
def test_whatever_was_acknowledged_ends_once_and_as_it_must(tmp_path: Path, seed: int) -> None:
    print(f"replay with BEADFLOW_SEED={seed} pytest tests/simulation")
    check(simulate(seed, tmp_path))
