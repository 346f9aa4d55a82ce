"""`python -m benchmarks.issues`."""

from benchmarks.issues.rounds import NAME, run
from benchmarks.report import main

if __name__ == "__main__":
    main(NAME, run)
