"""Round after round of starts and handoffs, and what they are compared with."""

from dataclasses import asdict
from pathlib import Path

from benchmarks import floor
from benchmarks.bridge import calls
from benchmarks.bridge.size import CLIENTS, SIZES
from benchmarks.report import Report, Samples, Scale

__all__ = ["NAME", "run"]

NAME = "bridge"


def run(scale: Scale, directory: Path) -> Report:
    size = SIZES[scale]
    samples = Samples()
    for number in range(size.rounds):
        place = directory / f"round-{number}"
        place.mkdir()
        samples.add("floor_commits_per_s", floor.commits_per_s(directory, size.floor_commits))
        calls.measure(size, place, samples)
    figures = samples.medians()
    ratios = {
        f"starts_{clients}_vs_raw_writer": round(
            figures[f"starts_{clients}_per_s"] / figures[f"raw_writer_{clients}_starts_per_s"], 4
        )
        for clients in CLIENTS
    }
    return Report(
        name=NAME,
        settings={
            "scale": scale,
            "clients": CLIENTS,
            "journal_mode": "wal",
            "synchronous": "full",
            **asdict(size),
        },
        figures=figures,
        ratios=ratios,
    )
