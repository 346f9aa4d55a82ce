"""A simulation is its seed: it runs the same way again, in this process or in another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.simulation import simulate

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times


@pytest.mark.parametrize("seed", range(1, 4))
def test_the_same_seed_gives_the_same_run(tmp_path: Path, seed: int) -> None:
    one = simulate(seed, tmp_path / "one").trace
    other = simulate(seed, tmp_path / "other").trace
    assert one.first_difference(other) is None
    assert one.lifecycle
    assert one.log
    assert one.ledger
    assert one.rows
    assert one.lines
    assert one.issues


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    one = simulate(1, tmp_path / "one").trace
    other = simulate(2, tmp_path / "other").trace
    assert one.lifecycle != other.lifecycle
    assert one.log != other.log
    assert one.issues != other.issues


def test_a_run_does_not_depend_on_the_process_it_runs_in() -> None:
    """Text hashes differently in every process, so the order of a set does."""
    digests = {digest(seed=3, hash_seed=hash_seed) for hash_seed in ("1", "2")}
    assert len(digests) == 1


def digest(seed: int, hash_seed: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", str(seed)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
    )
    return done.stdout
