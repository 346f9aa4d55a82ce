"""How much is measured: every contestant gets the same amount, so that none profits by its size."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.report import Scale

__all__ = ["ASKERS", "SIZES", "Size"]

ASKERS = (1, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured, and how often.

    Args:
        asks: by all askers together, in each round.
        tells: in each round.
        spawns: actors started in each round.
        restarts: crashes in each round, one after another.
        storm: crashes in each round, of many children at a time.
        children: of which so many children are there.
        idle: actors whose memory is measured, once.
        idle_threads: the same for actors that are threads.
        rounds: how often all of it is measured but the memory.
    """

    asks: int
    tells: int
    spawns: int
    restarts: int
    storm: int
    children: int
    idle: int
    idle_threads: int
    rounds: int


SIZES: Mapping[Scale, Size] = {
    Scale.FULL: Size(
        asks=20_000,
        tells=50_000,
        spawns=2000,
        restarts=2000,
        storm=3000,
        children=1000,
        idle=100_000,
        idle_threads=2000,
        rounds=5,
    ),
    Scale.QUICK: Size(
        asks=5000,
        tells=20_000,
        spawns=500,
        restarts=500,
        storm=500,
        children=200,
        idle=5000,
        idle_threads=500,
        rounds=3,
    ),
    Scale.SMOKE: Size(
        asks=128,
        tells=2000,
        spawns=20,
        restarts=10,
        storm=40,
        children=20,
        idle=1000,
        idle_threads=20,
        rounds=1,
    ),
}
