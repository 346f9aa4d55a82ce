"""What task actors do per second, beside bare trio: asks, tells and starts.

The bare counterpart does the same work without a mailbox, a name, a deadline or a supervisor: a
request and its reply over memory channels, a send on a memory channel, a task in a nursery.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import trio

from benchmarks import load
from benchmarks.machine import as_served
from benchmarks.report import Report, Samples, Scale, main
from supervision import (
    Actor,
    Ask,
    ChildSpec,
    DynamicSupervisor,
    Named,
    StartChild,
    System,
    ask,
    supervisor,
)

NAME = "actors"
ASKERS = (1, 64)
BURST = 1000
"""Tells sent before the teller waits for the actor to catch up."""

KINDS = (*(f"asks_{askers}" for askers in ASKERS), "tells", "starts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured, and how often."""

    asks: int
    tells: int
    starts: int
    rounds: int


SIZES: Mapping[Scale, Size] = {
    Scale.FULL: Size(asks=50_000, tells=200_000, starts=5000, rounds=5),
    Scale.QUICK: Size(asks=5000, tells=30_000, starts=500, rounds=3),
    Scale.SMOKE: Size(asks=200, tells=2000, starts=50, rounds=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Ask[int]):
    """Answer how many hits there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Count one."""


class Counter(Actor):
    mailbox_bound = 2 * BURST

    def __init__(self) -> None:
        super().__init__()
        self._hits = 0

    async def on_receive(self, message: object) -> object:
        match message:
            case Count():
                return self._hits
            case Hit():
                self._hits += 1
                return None
            case _:
                return await super().on_receive(message)


def run(scale: Scale, directory: Path) -> Report:  # noqa: ARG001 - no files are needed
    size = SIZES[scale]
    samples = Samples()
    for _ in range(size.rounds):
        trio.run(_measure_bare, size, samples)
        trio.run(_measure_actors, size, samples)
    figures = samples.medians()
    return Report(
        name=NAME,
        settings={"scale": scale, "askers": ASKERS, "burst": BURST, **asdict(size)},
        figures=figures,
        ratios={
            f"{kind}_to_bare": round(figures[f"{kind}_per_s"] / figures[f"bare_{kind}_per_s"], 3)
            for kind in KINDS
        },
    )


async def _measure_actors(size: Size, samples: Samples) -> None:
    specs = [
        ChildSpec(id="counter", name="counter", build=Counter),
        ChildSpec(id="pool", name="pool", build=DynamicSupervisor),
    ]
    async with System.open() as system:
        await system.start(supervisor("root", "one_for_one", specs))
        counter, pool = system.named("counter"), system.named("pool")
        with as_served():
            for askers in ASKERS:
                timing = await load.call(
                    lambda _: ask(counter, Count()), calls=size.asks, callers=askers
                )
                samples.add(f"asks_{askers}_per_s", timing.per_s)
            samples.add("tells_per_s", await _tells_per_s(counter, size.tells))
            timing = await load.call(partial(_start, pool), calls=size.starts, callers=1)
            samples.add("starts_per_s", timing.per_s)


async def _tells_per_s(counter: Named, tells: int) -> float:
    message = Hit()
    started = perf_counter()
    for _ in range(tells // BURST):
        for _ in range(BURST):
            counter.tell(message)
        handled = await ask(counter, Count())
    seconds = perf_counter() - started
    assert handled == tells
    return tells / seconds


async def _start(pool: Named, number: int) -> None:
    await ask(pool, StartChild(spec=ChildSpec(id=str(number), build=Counter)))


async def _measure_bare(size: Size, samples: Samples) -> None:
    async with trio.open_nursery() as nursery:
        requests, inbox = trio.open_memory_channel[trio.MemorySendChannel[int]](BURST)
        nursery.start_soon(_answer, inbox)
        with as_served():
            for askers in ASKERS:
                timing = await load.call(
                    partial(_request, requests), calls=size.asks, callers=askers
                )
                samples.add(f"bare_asks_{askers}_per_s", timing.per_s)
            samples.add("bare_tells_per_s", await _sends_per_s(size.tells))
            timing = await load.call(lambda _: nursery.start(_sleep), calls=size.starts, callers=1)
            samples.add("bare_starts_per_s", timing.per_s)
        nursery.cancel_scope.cancel()


async def _answer(inbox: trio.MemoryReceiveChannel[trio.MemorySendChannel[int]]) -> None:
    async for reply in inbox:
        reply.send_nowait(0)


async def _request(
    requests: trio.MemorySendChannel[trio.MemorySendChannel[int]], _number: int
) -> int:
    reply, answer = trio.open_memory_channel[int](1)
    await requests.send(reply)
    return await answer.receive()


async def _sends_per_s(sends: int) -> float:
    send, receive = trio.open_memory_channel[int](BURST)
    received = 0

    async def count() -> None:
        nonlocal received
        async for _ in receive:
            received += 1

    started = perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        with send:
            for number in range(sends):
                await send.send(number)
    seconds = perf_counter() - started
    assert received == sends
    return sends / seconds


async def _sleep(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    task_status.started()
    await trio.sleep_forever()


if __name__ == "__main__":
    main(NAME, run)
