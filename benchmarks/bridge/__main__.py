"""`python -m benchmarks.bridge`."""

from benchmarks.bridge.rounds import NAME, run
from benchmarks.report import main

if __name__ == "__main__":
    main(NAME, run)
