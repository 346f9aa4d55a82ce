"""The mailbox of a task actor: a deque, and a task that sleeps beside it.

It holds at most `bound` messages; its policy when full is to refuse (`MailboxFull`). Control
messages have a queue of their own, which overtakes and is never bounded: a supervisor must get
through exactly when the actor has too much to do. Once sealed it refuses at once; once closed it
holds nothing.

All state belongs to the trio thread, so there is no lock. What other threads put crosses the bridge
and is judged on arrival, which is why an ask that races with the actor's end is always answered.
A bare deque beats trio's memory channel by far here: a send on a channel is a checkpoint.
"""

import threading
from collections import deque

import trio
from pykka._envelope import Envelope

from supervision.bridge import Bridge
from supervision.delivery import Delivery
from supervision.errors import ActorDeadError, ActorRestarting, MailboxFull
from supervision.owner import NOBODY, Owner

__all__ = ["Mailbox"]


class Mailbox:
    """What waits for one task actor. It satisfies pykka's inbox protocol."""

    __slots__ = (
        "_bridge",
        "_crossing",
        "_mourner",
        "_overflowing",
        "_owner",
        "_parked",
        "_sealed",
        "bound",
        "control",
        "queue",
        "refused",
    )

    def __init__(self) -> None:
        self.queue: deque[Delivery] = deque()
        self.control: deque[object] = deque()
        self.bound = 0
        self.refused = 0
        self._owner: Owner = NOBODY
        self._overflowing = False
        self._bridge: Bridge | None = None
        self._crossing: deque[Delivery] = deque()
        self._parked: trio.lowlevel.Task | None = None
        self._sealed = True
        self._mourner: type[ActorDeadError | ActorRestarting] | None = None

    def open(self, owner: Owner, bridge: Bridge, bound: int) -> None:
        """Begins to accept messages; on the trio thread."""
        self._owner = owner
        self._bridge = bridge
        self.bound = bound
        self._sealed = False

    @property
    def path(self) -> str:
        return self._owner.path

    def __len__(self) -> int:
        return len(self.queue) + len(self._crossing)

    def empty(self) -> bool:
        return not self.queue

    def get(self) -> Delivery:
        """Takes the oldest message; IndexError when there is none."""
        return self.queue.popleft()

    def put(self, envelope: Envelope[object], /) -> None:
        """Accepts a message from any thread, in the sender's order.

        Threads that send at the same moment may pass the bound by one message each.

        Raises:
            MailboxFull: it holds as many messages as it may.
            ActorDeadError: the actor has ended, or is about to.
        """
        bridge = self._bridge
        if self._sealed or bridge is None:
            raise ActorDeadError(f"{self.path} is gone: {_kind(envelope)} was not delivered")
        if len(self.queue) + len(self._crossing) >= self.bound:
            raise self._full(envelope)
        delivery = envelope if isinstance(envelope, Delivery) else _deliver(envelope)
        if threading.get_ident() == bridge.thread_id:
            self.queue.append(delivery)
            if self._parked is not None:
                self.wake()
        else:
            self._cross(bridge, delivery)

    def put_unbounded(self, delivery: Delivery) -> None:
        """Accepts a message of the kernel in order, full or not; on the trio thread."""
        if not self._sealed:
            self.queue.append(delivery)
            self.wake()

    def put_control(self, message: object) -> None:
        """Accepts a message that overtakes all others; on the trio thread."""
        self.control.append(message)
        self.wake()

    def _full(self, envelope: Envelope[object]) -> MailboxFull:
        self.refused += 1
        if not self._overflowing:
            self._overflowing = True
            self._owner.overflowed(self.bound)
        text = f"{self.path} already has {self.bound} messages waiting"
        return MailboxFull(f"{text}: {_kind(envelope)} was not taken")

    def seal(self) -> None:
        """Refuses every further message; those that wait stay."""
        self._sealed = True

    def close(self, error: type[ActorDeadError | ActorRestarting]) -> list[Delivery]:
        """Ends it for good: fails every waiting ask; returns what was told in vain."""
        self._sealed = True
        self._mourner = error
        left = list(self.queue)
        self.queue.clear()
        for delivery in left:
            self._bury(delivery, error)
        return [delivery for delivery in left if delivery.reply_to is None]

    async def park(self) -> None:
        """Sleeps until something is put; cancellable."""
        self._overflowing = False
        self._parked = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._unpark)

    def wake(self) -> None:
        """Wakes the sleeping actor, if it sleeps."""
        task = self._parked
        if task is not None:
            self._parked = None
            trio.lowlevel.reschedule(task)

    def _unpark(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._parked = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _cross(self, bridge: Bridge, delivery: Delivery) -> None:
        self._crossing.append(delivery)
        try:
            bridge.call(self._arrive)
        except trio.RunFinishedError as gone:
            text = f"{self.path} is gone with its loop: {_kind(delivery)} was not delivered"
            raise ActorDeadError(text) from gone

    def _arrive(self) -> None:
        delivery = self._crossing.popleft()
        if self._mourner is not None:
            self._bury(delivery, self._mourner)
        else:
            self.queue.append(delivery)
            self.wake()

    def _bury(self, delivery: Delivery, error: type[ActorDeadError | ActorRestarting]) -> None:
        delivery.refuse(error(f"{self.path} has ended: {_kind(delivery)} never ran"))


def _deliver(envelope: Envelope[object]) -> Delivery:
    return Delivery(envelope.message, envelope.reply_to)


def _kind(envelope: Envelope[object]) -> str:
    return type(envelope.message).__name__
