"""Reads and writes that fail: nothing is acknowledged falsely, and nobody waits for ever.

Every tenth call on the stores' files fails in turn (BEADFLOW_FAULT_STEP; 1 is all of them, and
faults that stay): an error of the disk, no space, nothing written, no file opened. Where a life
goes on, it answers truthfully; where it ends, it says why.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.power import trace
from tests.power.record import scratch

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(bool(trace.why_not()), reason=f"no I/O faults: {trace.why_not()}"),
]

STEP = int(os.environ.get("BEADFLOW_FAULT_STEP", "10"))
PARTS = 6  # at once: a life with a fault mostly waits


def test_a_call_that_fails_makes_no_answer_false_and_nobody_wait_for_ever() -> None:
    with scratch() as place:
        command = [sys.executable, "-m", "tests.faults.sweep", str(place / "sweep")]
        sweep = subprocess.run(
            [*command, str(STEP), str(PARTS)], stdout=subprocess.PIPE, check=True
        )
    found = [json.loads(line) for line in sweep.stdout.splitlines()]
    for bad in (life for life in found if life["lost"]):
        print(f"{bad['fault']}:", *bad["lost"], sep="\n")
    assert not any(life["lost"] for life in found)
    assert sum(life["met"] for life in found) > 0.8 * len(found)
    assert _lived(found) > 20
    assert not [life["fault"] for life in found if life["status"] and not _said_why(life)]
    print(f"{len(found)} faults, {_lived(found)} lives went on")


def _lived(found: list[dict[str, Any]]) -> int:
    return sum(life["status"] == 0 and life["started"] > 0 for life in found)


def _said_why(life: dict[str, Any]) -> bool:
    """A start that failed ended in an error of the stores, as the command line reports it."""
    last = life["said"].strip().splitlines()[-1]
    named = ("storage.errors.", "actors.errors.StorageFull: ")
    return any(name in life["said"] for name in named) or last.startswith("sqlite3.")
