"""The mailbox of a task actor: a deque, and a task that sleeps beside it.

It holds at most `bound` messages. Its policy when full is to refuse (`MailboxFull`), or to have the
sender wait in line for room. Control messages have a queue of their own, which overtakes and is
never bounded: a supervisor must get through exactly when the actor has too much to do. Once sealed
it refuses at once; once closed it holds nothing.

All state belongs to the trio thread, so there is no lock. What other threads put crosses the bridge
and is judged on arrival, which is why an ask that races with the actor's end is always answered.
A bare deque beats trio's memory channel by far here: a send on a channel is a checkpoint. An empty
deque takes 624 bytes, so each is made when it is first needed; before its first message, a mailbox
whose actor is asleep has none.
"""

import threading
from collections import OrderedDict, deque
from typing import Any, Protocol

import trio
from pykka._envelope import Envelope

from supervision.bridge import Bridge
from supervision.delivery import Delivery
from supervision.errors import ActorDeadError, MailboxFull
from supervision.line import Place
from supervision.owner import NOBODY, Mourner, Overflow, Owner

__all__ = ["Mailbox"]

_NONE: Any = ()  # stands for a container that is not there yet
_CROSSINGS = threading.Lock()  # two threads that are the first to cross must share one queue


class Sleeper(Protocol):
    """An actor whose task begins with its first message."""

    def awaken(self) -> None: ...


class Mailbox:
    """What waits for one task actor. It satisfies pykka's inbox protocol."""

    __slots__ = (
        "_bridge",
        "_crossing",
        "_mourner",
        "_overflow",
        "_overflowing",
        "_owner",
        "_parked",
        "_sealed",
        "_sleeper",
        "bound",
        "control",
        "line",
        "queue",
        "refused",
    )

    def __init__(self) -> None:
        self.queue: deque[Delivery] = _NONE
        self.control: deque[object] = _NONE
        self.line: OrderedDict[Place, None] = _NONE
        self.bound = 0
        self.refused = 0
        self._crossing: deque[Delivery] = _NONE
        self._owner: Owner = NOBODY
        self._overflow: Overflow = "refuse"
        self._overflowing = False
        self._bridge: Bridge | None = None
        self._parked: trio.lowlevel.Task | None = None
        self._sleeper: Sleeper | None = None
        self._sealed = True
        self._mourner: Mourner | None = None

    def open(self, owner: Owner, bridge: Bridge, bound: int, overflow: Overflow = "refuse") -> None:
        """Begins to accept messages; on the trio thread."""
        self._owner = owner
        self._bridge = bridge
        self._overflow = overflow
        self.bound = bound
        self.queue = deque()
        self._sealed = False

    def open_asleep(
        self, owner: Owner, bridge: Bridge, bound: int, overflow: Overflow, sleeper: Sleeper
    ) -> None:
        """Begins to accept messages; the first one awakens the sleeper. On the trio thread."""
        self._owner = owner
        self._bridge = bridge
        self._overflow = overflow
        self.bound = bound
        self._sleeper = sleeper

    @property
    def path(self) -> str:
        return self._owner.path

    @property
    def asleep(self) -> bool:
        return self._sleeper is not None

    @property
    def parked(self) -> bool:
        """Whether the actor's loop sleeps here."""
        return self._parked is not None

    def __len__(self) -> int:
        return len(self.queue) + len(self._crossing)

    def empty(self) -> bool:
        return not self.queue

    def get(self) -> Delivery:
        """Takes the oldest message; IndexError when there is none."""
        return self.queue.popleft()

    def take(self, most: int) -> list[Delivery]:
        """Takes up to `most` of what waits."""
        queue = self.queue
        batch = [queue.popleft() for _ in range(min(most, len(queue)))]
        if self.line:
            self.admit()
        return batch

    def put(self, envelope: Envelope[object], /) -> None:
        """Accepts a message from any thread, in the sender's order.

        Threads that send at the same moment may pass the bound by one message each.

        Raises:
            MailboxFull: it holds as many messages as it may.
            ActorDeadError: the actor has ended, or is about to.
        """
        bridge = self._bridge
        if bridge is None or (self._sealed and self._sleeper is None):
            raise ActorDeadError(f"{self.path} is gone: {_kind(envelope)} was not delivered")
        if len(self.queue) + len(self._crossing) >= self.bound:
            raise self._full(envelope)
        delivery = envelope if isinstance(envelope, Delivery) else _deliver(envelope)
        if threading.get_ident() == bridge.thread_id:
            if self._sleeper is not None:
                self._awaken()
            self.queue.append(delivery)
            if self._parked is not None:
                self.wake()
        else:
            self._cross(bridge, delivery)

    def line_up(self, place: Place) -> None:
        """Has a message wait for room, from any thread; only after `put` found none.

        Raises:
            MailboxFull: the policy is to refuse.
        """
        bridge = self._bridge
        if self._overflow == "refuse" or bridge is None:
            raise self._no_room(place.delivery)
        if threading.get_ident() == bridge.thread_id:
            self._stand_in_line(place)
        else:
            self._call(bridge, place.delivery, self._stand_in_line, place)

    def admit(self) -> None:
        """Takes from the line what there is room for; nothing once sealed."""
        while self.line and not self._sealed and len(self) < self.bound:
            place, _ = self.line.popitem(last=False)
            if place.take():
                self.queue.append(place.delivery)
                place.admitted()
                self.wake()

    def put_unbounded(self, delivery: Delivery) -> None:
        """Accepts a message of the kernel in order, full or not; on the trio thread."""
        if self._sleeper is not None:
            self._awaken()
        if not self._sealed:
            self.queue.append(delivery)
            self.wake()

    def put_control(self, message: object) -> None:
        """Accepts a message that overtakes all others; on the trio thread."""
        if self.control is _NONE:
            self.control = deque()
        self.control.append(message)
        self.wake()

    def seal(self) -> None:
        """Refuses every further message; those that wait stay."""
        self._sealed = True

    def close(self, error: Mourner) -> list[Delivery]:
        """Ends it for good: fails every waiting ask; returns what was told in vain."""
        self._sealed = True
        self._sleeper = None
        self._mourner = error
        if not self.queue and not self.line:
            return []
        left, self.queue = list(self.queue), deque()
        for delivery in left:
            self._bury(delivery, error)
        for place in list(self.line):
            place.refuse(error(f"{self.path} has ended: {_kind(place.delivery)} never ran"))
        self.line = _NONE
        return [delivery for delivery in left if delivery.reply_to is None]

    async def park(self) -> None:
        """Sleeps until something is put; cancellable."""
        self._overflowing = self._overflowing and bool(self.queue)
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

    def _awaken(self) -> None:
        sleeper, self._sleeper = self._sleeper, None
        self.queue = deque()
        self._sealed = False
        if sleeper is not None:
            sleeper.awaken()

    def turned_away(self) -> None:
        """Counts a message that found no room; a full mailbox begins an overflow."""
        self.refused += 1
        if not self._overflowing:
            self._overflowing = True
            self._owner.overflowed(self.bound)

    def _full(self, envelope: Envelope[object]) -> MailboxFull:
        if self._overflow == "refuse":
            self.turned_away()
        return self._no_room(envelope)

    def _no_room(self, envelope: Envelope[object]) -> MailboxFull:
        text = f"{self.path} already has {self.bound} messages waiting"
        return MailboxFull(f"{text}: {_kind(envelope)} was not taken")

    def _stand_in_line(self, place: Place) -> None:
        if self._mourner is not None:
            place.refuse(self._mourner(f"{self.path} has ended: {_kind(place.delivery)} never ran"))
            return
        if self.line is _NONE:
            self.line = OrderedDict()
        self.line[place] = None
        place.stand(self._leave_line)
        self.admit()  # what crossed may find room meanwhile

    def _leave_line(self, place: Place) -> None:
        bridge = self._bridge
        if bridge is None or threading.get_ident() == bridge.thread_id:
            self._forget(place)
        else:
            self._call(bridge, place.delivery, self._forget, place)

    def _forget(self, place: Place) -> None:
        self.turned_away()
        if self.line:
            self.line.pop(place, None)

    def _cross(self, bridge: Bridge, delivery: Delivery) -> None:
        if self._crossing is _NONE:
            with _CROSSINGS:
                if self._crossing is _NONE:
                    self._crossing = deque()
        self._crossing.append(delivery)
        self._call(bridge, delivery, self._arrive)

    def _call(self, bridge: Bridge, delivery: Delivery, function: Any, *args: object) -> None:
        try:
            bridge.call(function, *args)
        except trio.RunFinishedError as gone:
            text = f"{self.path} is gone with its loop: {_kind(delivery)} was not delivered"
            raise ActorDeadError(text) from gone

    def _arrive(self) -> None:
        delivery = self._crossing.popleft()
        if self._mourner is not None:
            self._bury(delivery, self._mourner)
            if delivery.reply_to is None:
                self._owner.lost(delivery)
            return
        if self._sleeper is not None:
            self._awaken()
        self.queue.append(delivery)
        self.wake()

    def _bury(self, delivery: Delivery, error: Mourner) -> None:
        delivery.refuse(error(f"{self.path} has ended: {_kind(delivery)} never ran"))


def _deliver(envelope: Envelope[object]) -> Delivery:
    return Delivery(envelope.message, envelope.reply_to)


def _kind(envelope: Envelope[object]) -> str:
    return type(envelope.message).__name__
