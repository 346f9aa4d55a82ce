"""Tells a difference in speed from noise. Pure.

A machine that does other things too makes some runs slow and none fast, so medians are compared,
and their uncertainty comes from the median absolute deviation, which a few slow runs do not move.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

from actors.agents.poc.messages import Comparison, Difference, Timing

_SIGMA: Final = 1.4826  # of a normal distribution, per median absolute deviation
_OF_MEDIAN: Final = 1.2533  # its standard error, per that of the mean
_SURE: Final = 3.0  # standard errors that a difference has to exceed


def timing(seconds: Sequence[float]) -> Timing:
    """Sum up the runs of one benchmark at one commit; there is at least one."""
    middle = median(seconds)
    deviation = median(abs(one - middle) for one in seconds)
    return Timing(median_s=middle, mad_s=deviation, runs=len(seconds))


def compare(
    name: str, base: Sequence[float], head: Sequence[float], *, tolerance: float
) -> Comparison:
    """Say whether head takes longer or less long than base.

    Args:
        name: of the benchmark.
        base: seconds of its runs there.
        head: seconds of its runs there.
        tolerance: a relative difference up to this is none.
    """
    before, after = timing(base), timing(head)
    ratio = after.median_s / before.median_s if before.median_s > 0 else 1.0
    bound = max(tolerance, _SURE * math.hypot(_uncertainty(before), _uncertainty(after)))
    return Comparison(
        name=name,
        base=before,
        head=after,
        ratio=round(ratio, 4),
        bound=round(bound, 4),
        difference=_difference(ratio, bound),
    )


def _difference(ratio: float, bound: float) -> Difference:
    if ratio > 1 + bound:
        return Difference.REGRESSION
    if ratio < 1 / (1 + bound):
        return Difference.IMPROVEMENT
    return Difference.NONE


def _uncertainty(of: Timing) -> float:
    """The standard error of a median, relative to it."""
    if of.median_s <= 0:
        return 0.0
    return _OF_MEDIAN * _SIGMA * of.mad_s / math.sqrt(of.runs) / of.median_s
