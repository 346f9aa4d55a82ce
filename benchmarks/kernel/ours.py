"""Messages and starts: every ask with a deadline, every mailbox with a bound, and an observer."""

from functools import partial
from time import perf_counter

import trio

from benchmarks import load
from benchmarks.kernel.arrivals import Arrivals
from benchmarks.kernel.counters import BURST, Counter, Get, Hit
from benchmarks.kernel.observer import Observer
from benchmarks.kernel.size import ASKERS, Size
from benchmarks.machine import frozen_heap
from benchmarks.report import Samples
from supervision import (
    ChildSpec,
    DynamicSupervisor,
    ExitReason,
    Named,
    StartChild,
    System,
    ask,
    supervisor,
)
from supervision.life import Life

__all__ = ["measure"]


def measure(size: Size, samples: Samples) -> None:
    """Adds one round."""
    for part in (_messages, _spawns, _supervised_spawns):
        trio.run(part, size, samples)


# --- messages ---


async def _messages(size: Size, samples: Samples) -> None:
    async with System.open(on_event=Observer()) as system:
        await system.start(supervisor("root", "one_for_one", [_named("counter")]))
        counter = system.named("counter")
        with frozen_heap():
            for askers in ASKERS:
                timing = await load.call(
                    lambda _: ask(counter, Get()), calls=size.asks, callers=askers
                )
                samples.add(f"asks_{askers}_per_s", timing.per_s)
            samples.add("tells_per_s", await _tells_per_s(counter, size.tells))


async def _tells_per_s(counter: Named, tells: int) -> float:
    message = Hit()
    started = perf_counter()
    for _ in range(tells // BURST):
        for _ in range(BURST):
            counter.tell(message)
        handled = await ask(counter, Get())
    seconds = perf_counter() - started
    assert handled == tells
    return tells / seconds


# --- starts ---


async def _spawns(size: Size, samples: Samples) -> None:
    """Without a supervisor, as the others start theirs: until all have run `on_start`."""
    async with System.open(on_event=Observer()) as system:
        await system.start(_named("root"))
        arrivals = Arrivals(size.spawns)
        build = partial(Counter, arrivals)
        with frozen_heap():
            started = perf_counter()
            lives = [
                system.launch(
                    ChildSpec(id=str(number), build=build),
                    parent="",
                    supervised=False,
                    on_exit=_ended,
                )
                for number in range(size.spawns)
            ]
            await arrivals.wait()
            samples.add("spawns_per_s", size.spawns / (perf_counter() - started))
        for life in lives:
            life.request_stop("shutdown")
        for life in lives:
            await life.stopped()


async def _supervised_spawns(size: Size, samples: Samples) -> None:
    """Asked of a dynamic supervisor, which answers once the child is up."""
    observer = Observer()
    async with System.open(on_event=observer) as system:
        pool = ChildSpec(id="pool", name="pool", build=DynamicSupervisor)
        await system.start(supervisor("root", "one_for_one", [pool]))
        start = partial(_start, system.named("pool"))
        with frozen_heap():
            timing = await load.call(start, calls=size.spawns, callers=ASKERS[-1])
        samples.add("supervised_spawns_per_s", timing.per_s)
        assert observer.counts["actor.started"] == size.spawns + 2


async def _start(pool: Named, number: int) -> None:
    await ask(pool, StartChild(spec=ChildSpec(id=str(number), build=Counter)))


def _named(name: str) -> ChildSpec:
    return ChildSpec(id=name, name=name, build=Counter)


def _ended(_life: Life, _reason: ExitReason) -> None:
    """Nobody supervises these."""
