"""How much is measured."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.report import Scale

__all__ = ["SIZES", "Size", "label"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured, and how often.

    Args:
        issues: in the file, fewest first; each number is measured by itself.
        reads: of each kind, one after another.
        writes: the same.
        rounds: how often all of this is done.
        floor_commits: of the bare connection, beside each number of issues.
    """

    issues: tuple[int, int]
    reads: int
    writes: int
    rounds: int
    floor_commits: int


SIZES: Mapping[Scale, Size] = {
    Scale.FULL: Size(
        issues=(10_000, 100_000), reads=500, writes=1000, rounds=3, floor_commits=2000
    ),
    Scale.QUICK: Size(issues=(10_000, 100_000), reads=100, writes=200, rounds=1, floor_commits=500),
    Scale.SMOKE: Size(issues=(200, 600), reads=5, writes=4, rounds=1, floor_commits=50),
}


def label(issues: int) -> str:
    """Name a number of issues as the figures do: 10k for ten thousand."""
    thousands, rest = divmod(issues, 1000)
    return str(issues) if rest else f"{thousands}k"
