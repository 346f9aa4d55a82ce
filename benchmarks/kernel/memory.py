"""What one idle actor costs in resident memory: a fresh process for each kind, `idle.py`.

A process of its own, because memory that another measurement gave back would be used again and hide
what this one takes.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.kernel.kinds import Kind
from benchmarks.kernel.size import Size
from benchmarks.report import Samples

__all__ = ["measure"]

ROOM = Path(__file__).parents[2]


def measure(size: Size, samples: Samples) -> None:
    """Adds the bytes of one actor of each kind."""
    for kind in Kind:
        count = size.idle_threads if kind is Kind.THREAD else size.idle
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.kernel.idle", kind, str(count)],
            cwd=ROOM,
            check=True,
            capture_output=True,
            text=True,
        )
        samples.add(kind, int(done.stdout))
