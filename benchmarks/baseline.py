"""All benchmarks in one object, to keep beside a version and compare the next one with.

Each of them runs at its quick size; `--quick` only sees that all of them run.
"""

from pathlib import Path

from benchmarks import actors, writes
from benchmarks.engine import rounds as engine
from benchmarks.report import Report, Scale, main

NAME = "baseline"
PARTS = {part.NAME: part.run for part in (engine, actors, writes)}
SMALLER = {Scale.FULL: Scale.QUICK, Scale.QUICK: Scale.SMOKE, Scale.SMOKE: Scale.SMOKE}


def run(scale: Scale, directory: Path) -> Report:
    reports = {}
    for name, part in PARTS.items():
        place = directory / name
        place.mkdir()
        reports[name] = part(SMALLER[scale], place)
    return Report(
        name=NAME,
        settings={name: report.settings for name, report in reports.items()},
        figures={name: report.figures for name, report in reports.items()},
        ratios={name: report.ratios for name, report in reports.items()},
    )


if __name__ == "__main__":
    main(NAME, run)
