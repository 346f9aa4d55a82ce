"""Round after round of all contestants, and the ratios between them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.kernel import bare, crashes, memory, ours, peers, threads
from benchmarks.kernel.counters import BURST
from benchmarks.kernel.size import ASKERS, SIZES
from benchmarks.report import Report, Samples, Scale

__all__ = ["NAME", "run"]

NAME = "kernel"

KINDS: Mapping[str, str] = {
    "ask": f"asks_{ASKERS[-1]}",
    "ask_1": f"asks_{ASKERS[0]}",
    "tell": "tells",
    "spawn": "spawns",
    "restart": "restarts",
}
OTHERS: Mapping[str, str] = {
    "bare_loop": bare.PREFIX,
    "pykka_thread": threads.PREFIX,
    "pykka_thread_served": threads.SERVED,
    **{name: f"{name}_" for name in peers.PEERS},
}


def run(scale: Scale, directory: Path) -> Report:  # noqa: ARG001 - no files are needed
    size = SIZES[scale]
    samples = Samples()
    present = peers.present()
    for _ in range(size.rounds):
        ours.measure(size, samples)
        crashes.measure(size, samples)
        threads.measure(size, samples)
        bare.measure(size, samples)
        peers.measure(size, samples, list(present))
    memory.measure(size, samples)
    figures = samples.medians()
    return Report(
        name=NAME,
        settings={
            "scale": scale,
            "askers": ASKERS,
            "burst": BURST,
            "breadth": crashes.BREADTH,
            "peers": present,
            **asdict(size),
        },
        figures=figures,
        ratios=dict(_ratios(figures)),
    )


def _ratios(figures: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Every rate of ours divided by each other one of its kind that was measured."""
    for other, prefix in OTHERS.items():
        for kind, key in KINDS.items():
            theirs = figures.get(f"{prefix}{key}_per_s")
            if theirs is not None:
                yield f"{kind}_vs_{other}", round(figures[f"{key}_per_s"] / theirs, 3)
