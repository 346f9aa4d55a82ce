"""Callers: so many tasks that do one thing after another, and how long each time took."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter

import trio


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What a number of calls took.

    Args:
        seconds: from the first call's begin to the last one's end.
        each_s: every call by itself.
    """

    seconds: float
    each_s: tuple[float, ...]

    @property
    def per_s(self) -> float:
        return len(self.each_s) / self.seconds

    def percentile_s(self, percent: int) -> float:
        return quantiles(self.each_s, n=100, method="inclusive")[percent - 1]


async def call(one: Callable[[int], Awaitable[object]], *, calls: int, callers: int) -> Timing:
    """Make calls number 0, 1, 2 … from so many tasks at once; each waits for its own."""
    numbers = iter(range(calls))
    each_s: list[float] = []

    async def caller() -> None:
        for number in numbers:
            began = perf_counter()
            await one(number)
            each_s.append(perf_counter() - began)

    started = perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(caller)
    return Timing(seconds=perf_counter() - started, each_s=tuple(each_s))
