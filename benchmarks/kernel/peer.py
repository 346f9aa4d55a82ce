"""The process in which Thespian or Xoscar is measured, where it is installed.

    python -m benchmarks.kernel.peer NAME ASKS TELLS SPAWNS

prints one JSON object of figures. A process of its own, because the program's own event loop policy
makes asyncio several times slower than it is by itself.

Thespian's `simpleSystemBase` runs the actor inside the call that sends to it: nobody ever waits for
anybody, so it has one asker, and no tells that could wait. Its other bases make a process of each
actor. Xoscar runs on asyncio; its actors live in one pool of this process.
"""

import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from time import perf_counter
from typing import Any

ASKERS = (1, 64)
BURST = 1000

Figures = dict[str, float]


def _thespian(asks: int, _tells: int, spawns: int) -> Figures:
    thespian: Any = import_module("thespian.actors")

    class Counter(thespian.Actor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._hits = 0

        def receiveMessage(self, _message: object, sender: Any) -> None:  # noqa: N802
            self.send(sender, self._hits)

    system = thespian.ActorSystem("simpleSystemBase")
    try:
        counter = system.createActor(Counter)
        gc.freeze()
        started = perf_counter()
        for _ in range(asks):
            assert system.ask(counter, "get", 5) == 0
        asked = perf_counter()
        for _ in range(spawns):
            system.createActor(Counter)
        spawned = perf_counter()
    finally:
        system.shutdown()
    return {"asks_1_per_s": asks / (asked - started), "spawns_per_s": spawns / (spawned - asked)}


def _xoscar(asks: int, tells: int, spawns: int) -> Figures:
    return asyncio.run(_on_asyncio(import_module("xoscar"), asks, tells, spawns))


async def _on_asyncio(xoscar: Any, asks: int, tells: int, spawns: int) -> Figures:
    class Counter(xoscar.Actor):  # type: ignore[misc]
        def __init__(self) -> None:
            self._hits = 0

        async def get(self) -> int:
            return self._hits

        async def hit(self) -> None:
            self._hits += 1

    pool = await xoscar.create_actor_pool("127.0.0.1:0", n_process=0)
    address = pool.external_address
    figures = {}
    try:
        counter = await xoscar.create_actor(Counter, address=address, uid="counter")
        gc.freeze()
        for askers in ASKERS:
            figures[f"asks_{askers}_per_s"] = await _asks_per_s(counter.get, asks, askers)
        started = perf_counter()
        for _ in range(tells // BURST):
            for _ in range(BURST):
                await counter.hit.tell()
            handled = await counter.get()
        told = perf_counter()
        assert handled == tells
        for number in range(spawns):
            await xoscar.create_actor(Counter, address=address, uid=str(number))
        spawned = perf_counter()
    finally:
        await pool.stop()
    rates = {"tells_per_s": tells / (told - started), "spawns_per_s": spawns / (spawned - told)}
    return figures | rates


async def _asks_per_s(ask: Callable[[], Awaitable[object]], asks: int, askers: int) -> float:
    left = iter(range(asks))

    async def asker() -> None:
        for _ in left:
            await ask()

    started = perf_counter()
    await asyncio.gather(*(asker() for _ in range(askers)))
    return asks / (perf_counter() - started)


PEERS: Mapping[str, Callable[[int, int, int], Figures]] = {"thespian": _thespian, "xoscar": _xoscar}


if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](*map(int, sys.argv[2:]))), flush=True)
