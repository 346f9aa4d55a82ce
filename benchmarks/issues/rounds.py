"""Round after round at each number of issues, and what is compared between them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import trio

from benchmarks import floor
from benchmarks.issues import calls, shape
from benchmarks.issues.size import SIZES, Size, label
from benchmarks.report import Report, Samples, Scale

__all__ = ["NAME", "run"]

NAME = "issues"
BD: Mapping[str, tuple[float, float]] = {
    "ready_10k_s": (0.39, 0.72),
    "list_10k_s": (0.92, 0.92),
    "show_10k_s": (0.51, 0.51),
    "create_10k_s": (0.59, 0.67),
    "update_10k_s": (0.48, 0.66),
    "close_10k_s": (0.48, 0.66),
    "import_10k_s": (86.6, 86.6),
}
"""What bd v0.49.6 took, from least to most, as it was recorded on a machine of two cores: a process
for each command, 10,000 rows with 5,000 edges."""


def run(scale: Scale, directory: Path) -> Report:
    size = SIZES[scale]
    samples = Samples()
    files = {count: shape.file_of(count) for count in size.issues}
    for number in range(size.rounds):
        for count in size.issues:
            samples.add("floor_commits_per_s", floor.commits_per_s(directory, size.floor_commits))
            place = directory / f"round-{number}-{count}"
            trio.run(calls.measure, size, label(count), place, files[count], samples)
    figures = samples.medians()
    return Report(
        name=NAME,
        settings={
            "scale": scale,
            "journal_mode": "wal",
            "synchronous": "full",
            **asdict(size),
            "file_bytes": [len(files[count]) for count in size.issues],
            "bd_v0_49_6": {key: list(span) for key, span in BD.items()},
        },
        figures=figures,
        ratios={key: round(value, 4) for key, value in _ratios(size, figures)},
    )


def _ratios(size: Size, figures: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    few, many = map(label, size.issues)
    for kind in calls.KINDS:
        ours = figures[f"{kind}_{many}_p50_ms"] / figures[f"{kind}_{few}_p50_ms"]
        yield f"{kind}_{many}_vs_{few}", ours
