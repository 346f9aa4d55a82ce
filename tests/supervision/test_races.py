"""No ask hangs, whatever it races with. Stock pykka loses some of these."""

import threading
from contextlib import suppress
from functools import partial

import pytest
import trio
import trio.lowlevel

from supervision import (
    ActorDeadError,
    ActorRef,
    ActorRestarting,
    ChildSpec,
    MailboxFull,
    System,
    ask,
    ask_blocking,
    supervisor,
)

from .support import AT_ONCE, GENEROUS, Crash, Echo, Events, Probe, ThreadProbe, probe, thread

GONE = (ActorDeadError, ActorRestarting, MailboxFull)


def hammer(ref: ActorRef, go: threading.Barrier, answered: list[int]) -> None:
    """Asks until refused; every ask it got rid of must come to an end."""
    go.wait()
    count = 0
    while True:
        try:
            replies = [ref.ask(Echo(), block=False) for _ in range(20)]
        except GONE:
            break
        for reply in replies:
            with suppress(*GONE):
                reply.get(timeout=10)
            count += 1
    answered.append(count)


@pytest.mark.parametrize("build", [Probe, ThreadProbe])
async def test_thousands_of_asks_from_threads_racing_with_a_stop_are_all_answered(
    build: type[Probe] | type[ThreadProbe],
) -> None:
    answered = list[int]()

    for _ in range(20):
        async with System.open() as system:
            await system.start(ChildSpec(id="a", build=build, name="a"))
            ref = system.named("a").ref
            assert ref is not None
            go = threading.Barrier(5)

            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(trio.to_thread.run_sync, partial(hammer, ref, go, answered))
                await trio.to_thread.run_sync(go.wait)
                for _ in range(20):
                    await ask(ref, Echo())
                await system.stop()
    assert len(answered) == 80
    assert sum(answered) > 0


@pytest.mark.parametrize("make", [probe, thread])
async def test_asks_from_tasks_racing_with_crashes_are_all_answered(
    system: System, make: object
) -> None:
    spec: ChildSpec = make()  # type: ignore[operator]
    await system.start(
        supervisor("root", "one_for_one", [spec], intensity=GENEROUS, backoff=AT_ONCE)
    )
    target = system.named("probe")
    outcomes: dict[str, int] = {}

    async def asker() -> None:
        for _ in range(200):
            try:
                await ask(target, Echo(), deadline_s=10)
                outcome = "answered"
            except GONE as error:
                outcome = type(error).__name__
                await trio.lowlevel.checkpoint()
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

    async def breaker() -> None:
        while True:
            with suppress(*GONE):
                target.tell(Crash())
            for _ in range(5):
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(breaker)
        async with trio.open_nursery() as askers:
            for _ in range(20):
                askers.start_soon(asker)
        nursery.cancel_scope.cancel()
    assert sum(outcomes.values()) == 4000
    assert outcomes.get("answered", 0) > 0


async def test_blocking_asks_between_threads_racing_with_a_stop_end(
    system: System, events: Events
) -> None:
    await system.start(supervisor("root", "one_for_one", [thread("a"), thread("b")]))
    b = system.named("b")
    ended = list[str]()

    def chat() -> None:
        while True:
            try:
                ask_blocking(b, Echo(), deadline_s=10)
            except GONE:
                ended.append("x")
                return

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(trio.to_thread.run_sync, chat)
        for _ in range(50):
            await ask(b, Echo())
        await system.stop()
    assert len(ended) == 4
