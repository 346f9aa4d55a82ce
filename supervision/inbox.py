"""The inbox of a thread actor: a deque and a bell, closed without losing an ask.

pykka checks that the actor lives and then puts; a message that lands after the last drain is never
answered. Here the sender looks again *after* it put: when the inbox closed in between, the sender
buries what it finds. A message that landed before the close is found by the closer, one that landed
after it by its sender, so every ask is answered and no lock is taken. It holds at most `bound`
messages; when full it refuses, or has the sender wait in line. Only the line has a lock: whoever
takes messages out and whoever comes to the line both look after the other.

The bell says that there may be something; the thread hears it before it looks, so what was put
while it rang is found. What the trio thread puts rings when that thread comes to rest, so that all
that it had to say is one batch; what another thread puts rings at once.
"""

import queue
import threading
from collections import OrderedDict, deque
from contextlib import suppress

import trio
from pykka._envelope import Envelope

from supervision.bridge import Bridge
from supervision.delivery import Delivery
from supervision.errors import ActorDeadError, MailboxFull
from supervision.line import Place
from supervision.owner import NOBODY, Mourner, Overflow, Owner

__all__ = ["Inbox"]

LET_SPEAK_S = 0.02
"""How long a batch waits at most for those who were answered before it: so long only while the trio
thread has no pause."""


class Inbox:
    """What waits for one thread actor. It satisfies pykka's inbox protocol."""

    def __init__(self) -> None:
        self._queue: deque[Delivery | None] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._spoken = threading.Event()
        self._rung = False
        self._booked = False  # to ring when the trio thread comes to rest
        self._more = False  # the last batch was full: look again without a bell
        self._bridge: Bridge | None = None
        self._line: OrderedDict[Place, None] = OrderedDict()
        self._lock = threading.Lock()
        self._owner: Owner = NOBODY
        self._overflow: Overflow = "refuse"
        self._overflowing = False
        self._sealed = True
        self._mourner: Mourner | None = None
        self.bound = 0
        self.refused = 0
        self.ended = False

    def open(
        self,
        owner: Owner,
        bound: int,
        overflow: Overflow = "refuse",
        bridge: Bridge | None = None,
    ) -> None:
        """Begins to accept messages; without a bridge each rings at once."""
        self._bridge = bridge
        self._owner = owner
        self._overflow = overflow
        self.bound = bound
        self._sealed = False

    @property
    def path(self) -> str:
        return self._owner.path

    def __len__(self) -> int:
        waiting = len(self._queue)
        return max(0, waiting - 1) if self._sealed else waiting  # the seal is no message

    def empty(self) -> bool:
        return not self._queue

    def get(self) -> Delivery:
        """Waits for the oldest message; ActorDeadError when the inbox ended instead."""
        for delivery in self.take(1):
            return delivery
        raise ActorDeadError(f"{self.path} is gone: no message is left")

    def take(self, most: int) -> list[Delivery]:
        """Waits until something is there and takes up to `most`; may be empty once sealed."""
        batch = self._take(most)
        if self._line:
            self._admit()
        return batch

    def let_speak(self) -> None:
        """Waits for what those who were just answered have to say, when somebody else waits.

        Taken at once, what came meanwhile would be a batch of its own, and so would be what they
        send: two halves that follow each other for ever, with twice the transactions. The trio
        thread is at their answers now, and rings when it comes to rest.
        """
        bridge = self._bridge
        if bridge is None or self._sealed:
            return
        self._spoken.clear()
        with suppress(trio.RunFinishedError):
            bridge.call(bridge.at_rest, self._spoken.set)
            self._spoken.wait(LET_SPEAK_S)

    def _take(self, most: int) -> list[Delivery]:
        batch: list[Delivery] = []
        if not self._more:
            self._hear()
        self._more = False
        while len(batch) < most:
            try:
                item = self._queue.popleft()
            except IndexError:
                self._overflowing = False
                if batch:
                    return batch
                self._hear()  # it rang for what an earlier look had found
                continue
            if item is None:
                self.ended = True
                return batch
            batch.append(item)
        self._more = True
        return batch

    def _hear(self) -> None:
        self._bell.get()
        self._rung = False  # before the look: who saw it set had put before

    def _ring(self) -> None:
        if not self._rung:
            self._rung = True
            self._bell.put(None)

    def _ring_at_rest(self) -> None:
        self._booked = False
        self._ring()

    def _announce(self) -> None:
        if self._rung:
            return
        bridge = self._bridge
        if bridge is None or threading.get_ident() != bridge.thread_id:
            self._ring()
        elif not self._booked:
            self._booked = True
            bridge.at_rest(self._ring_at_rest)

    def put(self, envelope: Envelope[object], /) -> None:
        """Accepts a message from any thread.

        Senders that put at the same moment may pass the bound by one message each.

        Raises:
            MailboxFull: it holds as many messages as it may.
            ActorDeadError: the actor has ended, or is about to.
        """
        if self._sealed:
            kind = type(envelope.message).__name__
            raise ActorDeadError(f"{self.path} is gone: {kind} was not delivered")
        if len(self._queue) >= self.bound:
            raise self._full(envelope)
        if isinstance(envelope, Delivery):
            self.put_unbounded(envelope)
        else:
            self.put_unbounded(Delivery(envelope.message, envelope.reply_to))

    def line_up(self, place: Place) -> None:
        """Has a message wait for room, from any thread; only after `put` found none.

        Raises:
            MailboxFull: the policy is to refuse.
        """
        if self._overflow == "refuse":
            raise self._no_room(place.delivery)
        with self._lock:
            self._line[place] = None
            place.stand(self._leave_line)
        self._admit()
        if self._mourner is not None:
            self._dissolve(self._mourner)

    def put_unbounded(self, delivery: Delivery) -> None:
        """Accepts a message in order, full or not; one that comes too late is failed at once."""
        self._queue.append(delivery)
        self._announce()
        if self._mourner is not None:
            for letter in self._bury(self._mourner):
                self._owner.lost(letter)

    def seal(self) -> None:
        """Refuses every further message, and lets the thread see the end of what was accepted."""
        self._sealed = True
        self._queue.append(None)
        self._ring()

    def drain(self) -> list[Delivery]:
        """Takes all that is there, without waiting."""
        left: list[Delivery] = []
        while True:
            try:
                item = self._queue.popleft()
            except IndexError:
                return left
            if item is not None:
                left.append(item)

    def close(self, error: Mourner) -> list[Delivery]:
        """Ends it for good: fails every waiting ask; returns what was told in vain."""
        self._sealed = True
        self._mourner = error
        self.ended = True
        self._dissolve(error)
        return self._bury(error)

    def _admit(self) -> None:
        while not self._sealed and len(self._queue) < self.bound:
            with self._lock:
                if not self._line:
                    return
                place, _ = self._line.popitem(last=False)
            if place.take():
                self.put_unbounded(place.delivery)
                place.admitted()

    def _leave_line(self, place: Place) -> None:
        with self._lock:
            self._line.pop(place, None)
        self.turned_away()

    def _dissolve(self, error: Mourner) -> None:
        with self._lock:
            left, self._line = self._line, OrderedDict()
        for place in left:
            kind = type(place.delivery.message).__name__
            place.refuse(error(f"{self.path} has ended: {kind} never ran"))

    def turned_away(self) -> None:
        """Counts a message that found no room; a full inbox begins an overflow."""
        self.refused += 1
        if not self._overflowing:
            self._overflowing = True
            self._owner.overflowed(self.bound)

    def _full(self, envelope: Envelope[object]) -> MailboxFull:
        if self._overflow == "refuse":
            self.turned_away()
        return self._no_room(envelope)

    def _no_room(self, envelope: Envelope[object]) -> MailboxFull:
        kind = type(envelope.message).__name__
        text = f"{self.path} already has {self.bound} messages waiting: {kind} was not taken"
        return MailboxFull(text)

    def _bury(self, error: Mourner) -> list[Delivery]:
        left = self.drain()
        self._queue.append(None)  # a thread that was given up and comes back must find an end
        self._ring()
        for delivery in left:
            kind = type(delivery.message).__name__
            delivery.refuse(error(f"{self.path} has ended: {kind} never ran"))
        return [delivery for delivery in left if delivery.reply_to is None]
