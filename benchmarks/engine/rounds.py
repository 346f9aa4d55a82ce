"""Round after round of the engine and of what it is compared with, and the ratios between them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.engine import growth, lives, raw, roads
from benchmarks.engine.peers import JOURNALS, Dbos
from benchmarks.engine.size import DIRECT, MANAGER, PEER, SIZES, STEPS, Size
from benchmarks.report import Report, Samples, Scale

__all__ = ["NAME", "run"]

NAME = "engine"


def run(scale: Scale, directory: Path) -> Report:
    size = SIZES[scale]
    samples = Samples()
    dbos = Dbos.found(size)
    for number in range(size.rounds):
        place = directory / f"round-{number}"
        place.mkdir()
        samples.add("raw_batched_rows_per_s", raw.rows_per_s(place, size.raw_rows))
        roads.measure(size, place, samples)
        dbos.measure(size, place, samples)
    lives.measure(size, directory, samples)
    growth.measure(size, directory, samples)
    figures = samples.medians()
    return Report(
        name=NAME,
        settings={
            "scale": scale,
            "steps": STEPS,
            "in_flight": DIRECT,
            "in_flight_manager": MANAGER,
            "in_flight_dbos": PEER,
            "journal_mode": "wal",
            "synchronous": "full",
            **asdict(size),
            "peers": dbos.described,
            "without_peers": dbos.why_not,
        },
        figures=figures,
        ratios={key: round(value, 4) for key, value in _ratios(size, figures)},
    )


def _ratios(size: Size, figures: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    for path, numbers in (("direct", DIRECT), ("manager", MANAGER)):
        for in_flight in numbers:
            rate = figures[f"{path}_{in_flight}_workflows_per_s"]
            yield f"{path}_{in_flight}_workflows_to_floor", rate / figures["floor_commits_per_s"]
    yield (
        "steps_vs_raw_batched",
        figures["direct_64_rows_per_s"] / figures["raw_batched_rows_per_s"],
    )
    few, many = (figures[f"after_{count}_finished_workflows_per_s"] for count in size.finished)
    yield f"after_{size.finished[1]}_vs_{size.finished[0]}_finished", many / few
    for peer in JOURNALS.values():
        if f"{peer}_single_p50_s" in figures:
            for in_flight in PEER:
                ours, theirs = (f"{who}_{in_flight}_steps_per_s" for who in ("direct", peer))
                yield f"steps_{in_flight}_vs_{peer}", figures[ours] / figures[theirs]
            latency = figures["single_p50_s"] / figures[f"{peer}_single_p50_s"]
            yield f"latency_p50_vs_{peer}", latency
