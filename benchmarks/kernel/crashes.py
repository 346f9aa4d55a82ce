"""Crashes: how long until the next incarnation answers, and how well one can look on meanwhile."""

from functools import partial
from itertools import cycle, islice
from random import Random
from time import perf_counter

import trio

from benchmarks import load
from benchmarks.kernel.counters import Counter, Fall, Get
from benchmarks.kernel.observer import Observer
from benchmarks.kernel.size import Size
from benchmarks.load import Timing
from benchmarks.machine import frozen_heap
from benchmarks.report import Samples
from supervision import (
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Named,
    StartChild,
    System,
    ask,
    supervisor,
)

__all__ = ["BREADTH", "measure"]

BREADTH = 100
"""Children that a snapshot shows of each supervisor: what the API shows unless it is asked."""

DRIVERS = 64
"""Tasks that crash children at the same time, each its own."""

ENDLESS = Intensity(restarts=1_000_000, period_s=1.0)
AT_ONCE = Backoff(initial_s=0.0)
MS = 1000


def measure(size: Size, samples: Samples) -> None:
    """Adds one round."""
    for part in (_restarts, _storm):
        trio.run(part, size, samples)


async def _restarts(size: Size, samples: Samples) -> None:
    """One child of a static supervisor, one crash after another."""
    observer = Observer()
    children = [_named("child")]
    async with System.open(on_event=observer) as system:
        await system.start(
            supervisor("root", "one_for_one", children, intensity=ENDLESS, backoff=AT_ONCE)
        )
        crash = partial(_crash, observer, system.named("child"), "root/child")
        with frozen_heap():
            timing = await load.call(lambda _: crash(), calls=size.restarts, callers=1)
    assert observer.counts["actor.crashed"] == size.restarts
    samples.add("restarts_per_s", timing.per_s)
    _add_percentiles(samples, "restart", timing)


async def _storm(size: Size, samples: Samples) -> None:
    """Many children of a dynamic supervisor, many crashes at a time, and somebody who looks on."""
    observer = Observer()
    build = partial(DynamicSupervisor, ENDLESS, AT_ONCE)
    pool = ChildSpec(id="pool", name="pool", build=build)
    names = [str(number) for number in range(size.children)]
    drivers = min(DRIVERS, size.children)
    looks: list[float] = []

    async with System.open(on_event=observer, random=Random(1)) as system:
        await system.start(supervisor("root", "one_for_one", [pool]))
        for name in names:
            await ask(system.named("pool"), StartChild(spec=_named(name)))

        async def drive(first: int) -> None:
            for name in islice(cycle(names[first::drivers]), size.storm // drivers):
                await _crash(observer, system.named(name), f"root/pool/{name}")

        with frozen_heap():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_look_on, system, looks)
                started = perf_counter()
                async with trio.open_nursery() as driven:
                    for first in range(drivers):
                        driven.start_soon(drive, first)
                seconds = perf_counter() - started
                nursery.cancel_scope.cancel()
    crashes = size.storm // drivers * drivers
    assert observer.counts["actor.crashed"] == crashes
    samples.add("storm_restarts_per_s", crashes / seconds)
    _add_percentiles(samples, "snapshot", Timing(seconds=seconds, each_s=tuple(looks)))


async def _crash(observer: Observer, child: Named, path: str) -> None:
    """Crashes the child, and asks its next incarnation as soon as there is one."""
    up = observer.next_start(path)
    child.tell(Fall())
    await up.wait()
    await ask(child, Get())


async def _look_on(system: System, looks: list[float]) -> None:
    """Takes snapshots; waiting for a turn of the loop is part of what one takes."""
    while True:
        began = perf_counter()
        await trio.lowlevel.checkpoint()
        found = system.snapshot(breadth=BREADTH)
        looks.append(perf_counter() - began)
        assert found is not None


def _add_percentiles(samples: Samples, what: str, timing: Timing) -> None:
    for percent in (50, 99):
        samples.add(f"{what}_p{percent}_ms", timing.percentile_s(percent) * MS)


def _named(name: str) -> ChildSpec:
    return ChildSpec(id=name, name=name, build=Counter)
