"""How much is measured."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.report import Scale

__all__ = ["DIRECT", "MANAGER", "PEER", "SIZES", "STEPS", "Size"]

STEPS = 3

DIRECT = (1, 16, 64, 256, 1000)
MANAGER = (1, 16, 64, 256)
PEER = (1, 64)
"""How many workflows are in flight: through the engine alone, through the manager, in DBOS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured, and how often.

    Args:
        direct: workflows at each number in flight.
        manager: the same through the manager.
        peer: the same in DBOS; 0 leaves it out.
        singles: workflows of one step, one at a time; in DBOS as many.
        rounds: how often all of this is done.
        floor_commits: of the bare connection, in each round.
        raw_rows: of the bare connection with a hundred rows in a transaction, in each round.
        recovered: workflows in flight when the process is killed.
        steps: of one long workflow.
        waiting: workflows that wait for a signal.
        finished: workflows that have ended before, fewest first.
    """

    direct: tuple[int, ...]
    manager: tuple[int, ...]
    peer: tuple[int, ...]
    singles: int
    rounds: int
    floor_commits: int
    raw_rows: int
    recovered: tuple[int, ...]
    steps: int
    waiting: int
    finished: tuple[int, int]


SIZES: Mapping[Scale, Size] = {
    Scale.FULL: Size(
        direct=(350, 1500, 3000, 3000, 4000),
        manager=(350, 1000, 1000, 1000),
        peer=(150, 150),
        singles=200,
        rounds=3,
        floor_commits=2000,
        raw_rows=50_000,
        recovered=(200, 10_000),
        steps=10_000,
        waiting=100_000,
        finished=(1000, 100_000),
    ),
    Scale.QUICK: Size(
        direct=(40, 120, 300, 300, 1000),
        manager=(40, 120, 250, 300),
        peer=(20, 64),
        singles=40,
        rounds=1,
        floor_commits=500,
        raw_rows=5000,
        recovered=(50, 200),
        steps=200,
        waiting=500,
        finished=(100, 1000),
    ),
    Scale.SMOKE: Size(
        direct=(3, 5, 5, 5, 5),
        manager=(3, 5, 5, 5),
        peer=(0, 0),
        singles=3,
        rounds=1,
        floor_commits=50,
        raw_rows=200,
        recovered=(2, 5),
        steps=10,
        waiting=3,
        finished=(2, 5),
    ),
}
