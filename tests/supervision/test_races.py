"""No ask hangs, whatever it races with. Stock pykka loses some of these."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from random import Random
from typing import ClassVar

import pykka
import pytest
import trio
import trio.lowlevel

from supervision import (
    Actor,
    ActorDeadError,
    ActorRef,
    ActorRestarting,
    Ask,
    AskTimeout,
    ChildRunning,
    ChildSpec,
    MailboxFull,
    Named,
    Reply,
    RestartChild,
    System,
    TerminateChild,
    ask,
    ask_blocking,
    supervisor,
)

from .scale import amount
from .support import (
    AT_ONCE,
    GENEROUS,
    Boom,
    Crash,
    Echo,
    Events,
    Probe,
    Run,
    ThreadProbe,
    probe,
    seeded,
    thread,
)

GONE = (ActorDeadError, ActorRestarting, MailboxFull)

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

ASKS = amount(usual=17_000, soak=400_000)
"""At each kind of actor, half of them from tasks and half from threads."""

ASKING_TASKS = 32
ASKING_THREADS = 4
ROW = 25
"""Asks that a thread sends in a row before it looks at their answers."""

HANG_S = 10.0


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


class LazyProbe(Probe):
    lazy: ClassVar[bool] = True


BUILDS: tuple[Callable[[], Probe | ThreadProbe], ...] = (Probe, LazyProbe, ThreadProbe)


def question(number: int, *, deferred: bool) -> Ask[object]:
    """An ask that is answered with its number: at once, or after a while, or by a crash."""
    if number % 100 == 99:
        return Run(function=explode)
    if deferred and number % 10 == 5:
        return Run(function=partial(answer_later, number))
    return Echo(value=number)


def explode(_actor: object) -> None:
    raise Boom


def answer_later(number: int, actor: Actor) -> object:
    async def wait_a_turn() -> int:
        await trio.lowlevel.checkpoint()
        return number

    return actor.defer(wait_a_turn())


class Askers:
    """Tasks and threads that ask, each so many times, and count what came of it.

    Once an answer is late, nobody asks on: that is enough to fail.
    """

    def __init__(self, target: Named, *, deferred: bool) -> None:
        self.outcomes: Counter[str] = Counter()
        self._target = target
        self._question = partial(question, deferred=deferred)
        self._late = False
        self._by_task = ASKS // 2 // ASKING_TASKS
        self._by_thread = ASKS // 2 // ASKING_THREADS // ROW * ROW
        self._lock = threading.Lock()

    @property
    def asks(self) -> int:
        return self._by_task * ASKING_TASKS + self._by_thread * ASKING_THREADS

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(ASKING_TASKS):
                nursery.start_soon(self._ask)
            for _ in range(ASKING_THREADS):
                nursery.start_soon(trio.to_thread.run_sync, self._ask_from_thread)

    async def _ask(self) -> None:
        for number in range(self._by_task):
            if self._late:
                return
            try:
                answer = await ask(self._target, self._question(number), deadline_s=HANG_S)
            except (*GONE, AskTimeout) as error:
                self._count("task", type(error).__name__)
                with trio.fail_after(HANG_S):
                    while self._target.ref is None:
                        await trio.lowlevel.checkpoint()
            else:
                self._count("task", "answered" if answer == number else "wrong")

    def _ask_from_thread(self) -> None:
        for first in range(0, self._by_thread, ROW):
            row = range(first, first + ROW)
            sent = [(number, self._send(number)) for number in row]
            for number, reply in sent:
                if reply is not None and not self._late:
                    self._wait(number, reply)

    def _send(self, number: int) -> Reply[object] | None:
        give_up_at = time.monotonic() + HANG_S
        while (ref := self._target.ref) is None:
            assert time.monotonic() < give_up_at
            time.sleep(0)  # lets the others run
        try:
            return ref.ask(self._question(number), block=False)
        except GONE as error:
            self._count("thread", type(error).__name__)
            return None

    def _wait(self, number: int, reply: Reply[object]) -> None:
        try:
            answer = reply.get(timeout=HANG_S)
        except (*GONE, pykka.Timeout) as error:
            self._count("thread", type(error).__name__)
        else:
            self._count("thread", "answered" if answer == number else "wrong")

    def _count(self, origin: str, outcome: str) -> None:
        with self._lock:
            self.outcomes[f"{origin} {outcome}"] += 1
            self._late |= outcome in ("AskTimeout", "Timeout")


async def disturb(system: System, random: Random) -> None:
    """Crashes the actor, stops it, takes it away and brings it back, for ever."""
    root, target = system.named("root"), system.named("a")
    while True:
        for _ in range(random.randint(1, 10)):
            await trio.lowlevel.checkpoint()
        with suppress(*GONE, ChildRunning):
            match random.randint(1, 3):
                case 1:
                    target.tell(Crash())
                case 2 if target.ref is not None:
                    target.ref.stop(block=False)
                case _:
                    await ask(root, TerminateChild(id="a"), deadline_s=HANG_S)
                    await ask(root, RestartChild(id="a"), deadline_s=HANG_S)


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns every ten microseconds, so that they meet at every line."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("build", BUILDS)
async def test_no_ask_is_left_without_an_answer_by_stops_crashes_and_restarts(
    build: Callable[[], Probe | ThreadProbe], system: System
) -> None:
    seed = 7
    print(f"seed {seed}, {ASKS} asks")
    spec = ChildSpec(id="a", build=build, name="a")
    await system.start(
        supervisor("root", "one_for_one", [spec], intensity=GENEROUS, backoff=AT_ONCE, name="root")
    )
    askers = Askers(system.named("a"), deferred=build is not ThreadProbe)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(disturb, system, seeded(seed))
        await askers.run()
        nursery.cancel_scope.cancel()

    answers = {"answered", "ActorRestarting", "ActorDeadError"}
    assert {outcome.split()[1] for outcome in askers.outcomes} == answers
    for origin in ("task", "thread"):
        assert askers.outcomes[f"{origin} answered"] > 0
    assert askers.outcomes.total() == askers.asks
