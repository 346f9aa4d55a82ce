"""The floor, measured."""

from time import perf_counter

import trio

from benchmarks import load
from benchmarks.kernel.arrivals import Arrivals
from benchmarks.kernel.counters import BURST, LoopCounter
from benchmarks.kernel.size import ASKERS, Size
from benchmarks.machine import frozen_heap
from benchmarks.report import Samples

__all__ = ["PREFIX", "measure"]

PREFIX = "bare_loop_"


def measure(size: Size, samples: Samples) -> None:
    """Adds one round."""
    trio.run(_measure, size, samples)


async def _measure(size: Size, samples: Samples) -> None:
    async with trio.open_nursery() as nursery:
        loop = LoopCounter()
        nursery.start_soon(loop.run)
        with frozen_heap():
            for askers in ASKERS:
                timing = await load.call(loop.ask, calls=size.asks, callers=askers)
                samples.add(f"{PREFIX}asks_{askers}_per_s", timing.per_s)
            samples.add(f"{PREFIX}tells_per_s", await _tells_per_s(loop, size))
            samples.add(f"{PREFIX}spawns_per_s", await _spawns_per_s(nursery, size.spawns))
        nursery.cancel_scope.cancel()


async def _tells_per_s(loop: LoopCounter, size: Size) -> float:
    before = len(ASKERS) * size.asks
    bursts = size.tells // BURST
    message = object()
    started = perf_counter()
    for _ in range(bursts):
        for _ in range(BURST):
            loop.tell(message)
        hits = await loop.ask(message)
    seconds = perf_counter() - started
    assert hits == before + size.tells + bursts
    return size.tells / seconds


async def _spawns_per_s(nursery: trio.Nursery, spawns: int) -> float:
    arrivals = Arrivals(spawns)
    started = perf_counter()
    for _ in range(spawns):
        nursery.start_soon(LoopCounter(arrivals).run)
    await arrivals.wait()
    return spawns / (perf_counter() - started)
