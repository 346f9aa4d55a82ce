"""Far more messages than anybody can handle: each is handled or refused, and nothing piles up."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import pytest
import trio

from supervision import (
    Actor,
    ActorDeadError,
    ActorRef,
    BlockingActor,
    ChildSpec,
    DeadLetters,
    MailboxFull,
    MailboxOverflow,
    System,
    supervisor,
)

from .census import resident_bytes
from .scale import amount
from .support import Events

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

SENDERS = 8
MESSAGES = amount(usual=200_000, soak=1_000_000)
ENDLESS = sys.maxsize
"""Who stopped by itself before a stop gets in, on a busy machine, would meet no dead actor."""

BOUND = 1000
BURST = 4
"""What a task sends before it lets others run."""

LOOK = 1000
"""Messages between two looks of a sender at the memory."""

ENOUGH = 10
"""Messages that find nobody, after which a sender sends no more."""

HANG_S = 60.0
GROWTH_BYTES = 32 * 2**20

Kind = Literal["task", "thread"]
KINDS: tuple[Kind, ...] = ("task", "thread")


@dataclass(frozen=True, slots=True)
class Numbered:
    """The sender's message of this number."""

    sender: int
    number: int


class Record:
    """What has been handled, by sender; only its actor writes it."""

    def __init__(self) -> None:
        self.counts = [0] * SENDERS
        self.sums = [0] * SENDERS
        self.last = [-1] * SENDERS
        self.disorder: list[str] = []

    def take(self, message: Numbered) -> None:
        sender, number = message.sender, message.number
        if number <= self.last[sender]:
            self.disorder.append(f"{number} of {sender} came after {self.last[sender]}")
        self.last[sender] = number
        self.counts[sender] += 1
        self.sums[sender] += number


class SlowTask(Actor):
    """Lets everybody else run before each message."""

    mailbox_bound: ClassVar[int] = BOUND

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    async def on_receive(self, message: object) -> object:
        match message:
            case Numbered():
                await trio.lowlevel.checkpoint()
                self._record.take(message)
                return None
            case _:
                return await super().on_receive(message)


class SlowThread(BlockingActor):
    """Gives its turn away before each message."""

    mailbox_bound: ClassVar[int] = BOUND

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def on_receive(self, message: object) -> object:
        match message:
            case Numbered():
                time.sleep(0)
                self._record.take(message)
                return None
            case _:
                return super().on_receive(message)


class Sender:
    """Sends its messages, and keeps account of those that were not taken.

    Attributes:
        full: how many found no room, and the sum of their numbers.
        gone: the same of those that found nobody.
        deepest: most messages it saw waiting.
        most_bytes: most memory it saw in use.
    """

    def __init__(self, target: ActorRef, sender: int, messages: int) -> None:
        self.full = (0, 0)
        self.gone = (0, 0)
        self.deepest = 0
        self.most_bytes = 0
        self.sent = 0
        self._target = target
        self._sender = sender
        self._messages = messages

    def run_in_thread(self) -> None:
        while self._has_more():
            self._send()

    async def run_in_task(self) -> None:
        while self._has_more():
            self._send()
            if self.sent % BURST == 0:
                await trio.lowlevel.checkpoint()

    def _has_more(self) -> bool:
        return self.sent < self._messages and self.gone[0] < ENOUGH

    def _send(self) -> None:
        number = self.sent
        self.sent += 1
        try:
            self._target.tell(Numbered(self._sender, number))
        except MailboxFull:
            count, total = self.full
            self.full = (count + 1, total + number)
        except ActorDeadError:
            count, total = self.gone
            self.gone = (count + 1, total + number)
        if number % LOOK == 0:
            self.deepest = max(self.deepest, len(self._target.actor_inbox))
            self.most_bytes = max(self.most_bytes, resident_bytes())


class Flood:
    """An actor of one kind, and senders of another."""

    def __init__(self, kind: Kind, record: Record) -> None:
        build: Callable[[], Actor | BlockingActor]
        build = partial(SlowTask if kind == "task" else SlowThread, record)
        self.spec = ChildSpec(id="slow", name="slow", build=build, restart="temporary")
        self.senders: list[Sender] = []

    async def start(self, system: System) -> ActorRef:
        await system.start(supervisor("root", "one_for_one", [self.spec]))
        ref = system.named("slow").ref
        assert ref is not None
        return ref

    async def send(self, ref: ActorRef, origin: Kind, messages: int) -> None:
        """Sends all of it, and returns when the last message is sent."""
        self.senders = [Sender(ref, number, messages // SENDERS) for number in range(SENDERS)]
        async with trio.open_nursery() as nursery:
            for sender in self.senders:
                if origin == "task":
                    nursery.start_soon(sender.run_in_task)
                else:
                    nursery.start_soon(trio.to_thread.run_sync, sender.run_in_thread)

    async def taken(self, system: System) -> None:
        """Waits until nothing waits; the last message may be in progress."""
        with trio.fail_after(HANG_S):
            while True:
                seen = system.snapshot("root/slow")
                assert seen is not None
                if seen.handled + self.refused == self.sent:
                    return
                await trio.sleep(0.002)  # a loop that never rests starves the thread it waits for

    @property
    def sent(self) -> int:
        return sum(sender.sent for sender in self.senders)

    @property
    def refused(self) -> int:
        return sum(sender.full[0] for sender in self.senders)

    @property
    def gone(self) -> int:
        return sum(sender.gone[0] for sender in self.senders)


@pytest.mark.parametrize("origin", KINDS)
@pytest.mark.parametrize("kind", KINDS)
async def test_in_an_overload_each_message_is_handled_or_refused_in_order_and_nothing_piles_up(
    kind: Kind, origin: Kind, system: System, events: Events
) -> None:
    record = Record()
    flood = Flood(kind, record)
    ref = await flood.start(system)
    before = resident_bytes()

    await flood.send(ref, origin, MESSAGES)
    await flood.taken(system)
    await system.stop()

    each = MESSAGES // SENDERS
    for number, sender in enumerate(flood.senders):
        count, total = sender.full
        assert record.counts[number] + count == each
        assert record.sums[number] + total == each * (each - 1) // 2  # the same ones, none twice
        assert sender.gone == (0, 0)
    assert record.disorder == []
    assert flood.refused > 0
    assert sum(record.counts) >= BOUND
    assert max(sender.deepest for sender in flood.senders) <= BOUND + SENDERS
    assert max(sender.most_bytes for sender in flood.senders) - before <= GROWTH_BYTES
    assert len(events.of(MailboxOverflow)) <= sum(record.counts)


@pytest.mark.parametrize("origin", KINDS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_stop_in_an_overload_gets_in_at_once_and_every_message_is_accounted_for(
    kind: Kind, origin: Kind, system: System, events: Events
) -> None:
    record = Record()
    flood = Flood(kind, record)
    ref = await flood.start(system)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood.send, ref, origin, ENDLESS)
        await events.wait_for(MailboxOverflow)
        before = sum(record.counts)
        stopped = ref.stop(block=False)
        with trio.fail_after(HANG_S):
            assert await stopped
        after = sum(record.counts) - before

    dead = sum(event.count for event in events.of(DeadLetters) if isinstance(event, DeadLetters))
    assert sum(record.counts) + flood.refused + flood.gone + dead == flood.sent
    assert flood.gone == SENDERS * ENOUGH
    assert record.disorder == []
    if kind == "task":
        assert after <= 1  # the one in progress
    else:
        assert after <= BOUND + SENDERS + SlowThread.batch_bound  # what it had accepted
