"""The process that starts so many idle actors of one kind, and says by how much it grew.

    python -m benchmarks.kernel.idle KIND COUNT

prints resident bytes for each actor. All that an actor needs is counted: its spec, its id, its
place in the registry, and of a thread's stack what was touched. Works on Linux only.
"""

import gc
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, NoReturn

import trio

from benchmarks.kernel.counters import GET, Counter, Get, LoopCounter, ThreadCounter
from benchmarks.kernel.kinds import Kind
from benchmarks.kernel.observer import Observer
from supervision import (
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    ExitReason,
    StartChild,
    System,
    ask,
    supervisor,
)
from supervision.life import Life

WARM_UP = 100
"""Actors started before: the first of a kind pays for what is loaded once."""

STARTERS = 64
DEADLINE_S = 60.0

Start = Callable[[range], Awaitable[None]]


class Sleeper(Counter):
    """Begins with its first message."""

    lazy: ClassVar[bool] = True


async def _unsupervised(build: type[Counter], count: int) -> None:
    async with System.open(on_event=Observer()) as system:
        await system.start(ChildSpec(id="root", build=Counter))

        async def start(numbers: range) -> None:
            for number in numbers:
                spec = ChildSpec(id=str(number), build=build)
                life = system.launch(spec, parent="", supervised=False, on_exit=_ended)
            await life.up()
            await _greet(life.ref)

        _leave_with(await _grown_by(start, count))


async def _supervised(build: type[Counter], count: int) -> None:
    async with System.open(on_event=Observer()) as system:
        pool = ChildSpec(id="pool", name="pool", build=DynamicSupervisor)
        await system.start(supervisor("root", "one_for_one", [pool]))

        async def start(numbers: range) -> None:
            left = iter(numbers)

            async def starter() -> None:
                ref = None
                for number in left:
                    spec = ChildSpec(id=str(number), build=build)
                    ref = await ask(
                        system.named("pool"), StartChild(spec=spec), deadline_s=DEADLINE_S
                    )
                await _greet(ref)

            async with trio.open_nursery() as nursery:
                for _ in range(STARTERS):
                    nursery.start_soon(starter)

        _leave_with(await _grown_by(start, count))


async def _bare_loops(count: int) -> None:
    async with trio.open_nursery() as nursery:

        async def start(numbers: range) -> None:
            loops = [LoopCounter() for _ in numbers]
            for loop in loops:
                nursery.start_soon(loop.run)
            assert await loops[-1].ask(None) == 1

        _leave_with(await _grown_by(start, count))


async def _pykka_threads(count: int) -> None:
    async def start(numbers: range) -> None:
        refs = [ThreadCounter.start() for _ in numbers]
        assert refs[-1].ask(GET) == 0

    _leave_with(await _grown_by(start, count))


async def _grown_by(start: Start, count: int) -> float:
    """Starts so many actors; returns by how many bytes each made the process grow."""
    await start(range(WARM_UP))
    before = await _settled_bytes()
    await start(range(WARM_UP, WARM_UP + count))
    return (await _settled_bytes() - before) / count


async def _settled_bytes() -> int:
    for _ in range(3):  # what the last ones still had to do is done
        await trio.lowlevel.checkpoint()
    gc.collect()
    return _resident_bytes()


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def _greet(ref: ActorRef | None) -> None:
    """Sees that the one started last is really there."""
    if ref is not None:
        assert await ask(ref, Get(), deadline_s=DEADLINE_S) == 0


def _leave_with(grown: float) -> NoReturn:
    """Says what was found and is gone: stopping them all would take longer than all the rest."""
    print(round(grown), flush=True)
    os._exit(0)


def _ended(_life: Life, _reason: ExitReason) -> None:
    """Nobody supervises these."""


KINDS: dict[str, Callable[[int], Awaitable[None]]] = {
    Kind.LAZY: partial(_unsupervised, Sleeper),
    Kind.LAZY_SUPERVISED: partial(_supervised, Sleeper),
    Kind.EAGER: partial(_unsupervised, Counter),
    Kind.EAGER_SUPERVISED: partial(_supervised, Counter),
    Kind.BARE_LOOP: _bare_loops,
    Kind.THREAD: _pykka_threads,
}


if __name__ == "__main__":
    trio.run(KINDS[sys.argv[1]], int(sys.argv[2]))
