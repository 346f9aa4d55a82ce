"""Thespian and Xoscar, measured where they are installed; the project depends on neither."""

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from benchmarks.kernel.size import Size
from benchmarks.report import Samples

__all__ = ["PEERS", "measure", "present"]

PEERS = ("thespian", "xoscar")
ROOM = Path(__file__).parents[2]


def present() -> dict[str, str]:
    """Which of them can be imported, and their versions."""
    return {name: version(name) for name in PEERS if find_spec(name) is not None}


def measure(size: Size, samples: Samples, names: Sequence[str]) -> None:
    """Adds one round of each of them, `peer.py`."""
    amounts = [str(amount) for amount in (size.asks, size.tells, size.spawns)]
    for name in names:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.kernel.peer", name, *amounts],
            cwd=ROOM,
            check=True,
            capture_output=True,
            text=True,
        )
        for key, value in json.loads(done.stdout.splitlines()[-1]).items():
            samples.add(f"{name}_{key}", value)
