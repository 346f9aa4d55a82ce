"""How much is measured."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.report import Scale

__all__ = ["CLIENTS", "SIZES", "Size"]

CLIENTS = (1, 16, 64)
"""How many ask at once, each waiting for its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured, and how often.

    Args:
        starts: at each number of clients; of the bare connections as many.
        handoffs: at each number of clients.
        warm_up: starts, or handoffs, before that.
        rounds: how often all of this is done.
        floor_commits: of the bare connection, in each round.
    """

    starts: tuple[int, ...]
    handoffs: tuple[int, ...]
    warm_up: int
    rounds: int
    floor_commits: int


SIZES: Mapping[Scale, Size] = {
    Scale.FULL: Size(
        starts=(300, 1500, 3000),
        handoffs=(300, 1500, 3000),
        warm_up=64,
        rounds=3,
        floor_commits=2000,
    ),
    Scale.QUICK: Size(
        starts=(60, 300, 640), handoffs=(60, 300, 640), warm_up=16, rounds=1, floor_commits=500
    ),
    Scale.SMOKE: Size(
        starts=(3, 16, 64), handoffs=(3, 16, 64), warm_up=2, rounds=1, floor_commits=50
    ),
}
