"""`python -m benchmarks.engine`."""

from benchmarks.engine.rounds import NAME, run
from benchmarks.report import main

if __name__ == "__main__":
    main(NAME, run)
