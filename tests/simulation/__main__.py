"""`python -m tests.simulation SEED`: run one simulation and print what its trace comes to."""

import hashlib
import sys
import tempfile
from pathlib import Path

from tests.simulation.simulation import simulate

with tempfile.TemporaryDirectory() as directory:
    trace = simulate(int(sys.argv[1]), Path(directory)).trace
print(hashlib.sha256(repr(trace.plain()).encode()).hexdigest())
