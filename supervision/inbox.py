"""The inbox of a thread actor: a `SimpleQueue` that can be closed without losing an ask.

pykka checks that the actor lives and then puts; a message that lands after the last drain is never
answered. Here the sender looks again *after* it put: when the inbox closed in between, the sender
buries what it finds. A message that landed before the close is found by the closer, one that landed
after it by its sender, so every ask is answered and no lock is taken. It holds at most `bound`
messages; its policy when full is to refuse.
"""

import queue

from pykka._envelope import Envelope

from supervision.delivery import Delivery
from supervision.errors import ActorDeadError, ActorRestarting, MailboxFull
from supervision.owner import NOBODY, Owner

__all__ = ["Inbox"]


class Inbox:
    """What waits for one thread actor. It satisfies pykka's inbox protocol."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self.bound = 0
        self.refused = 0
        self._owner: Owner = NOBODY
        self._overflowing = False
        self._sealed = True
        self._mourner: type[ActorDeadError | ActorRestarting] | None = None
        self.ended = False

    def open(self, owner: Owner, bound: int) -> None:
        """Begins to accept messages."""
        self._owner = owner
        self.bound = bound
        self._sealed = False

    @property
    def path(self) -> str:
        return self._owner.path

    def __len__(self) -> int:
        return self._queue.qsize()

    def empty(self) -> bool:
        return self._queue.empty()

    def get(self) -> Delivery:
        """Waits for the oldest message; ActorDeadError when the inbox ended instead."""
        for delivery in self.take(1):
            return delivery
        raise ActorDeadError(f"{self.path} is gone: no message is left")

    def take(self, most: int) -> list[Delivery]:
        """Waits until something is there and takes up to `most`; may be empty once sealed."""
        batch: list[Delivery] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == most:
                return batch
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                self._overflowing = False
                return batch
        self.ended = True
        return batch

    def put(self, envelope: Envelope[object], /) -> None:
        """Accepts a message from any thread.

        Senders that put at the same moment may pass the bound by one message each.

        Raises:
            MailboxFull: it holds as many messages as it may.
            ActorDeadError: the actor has ended, or is about to.
        """
        kind = type(envelope.message).__name__
        if self._sealed:
            raise ActorDeadError(f"{self.path} is gone: {kind} was not delivered")
        if self._queue.qsize() >= self.bound:
            raise self._full(kind)
        self.put_unbounded(Delivery(envelope.message, envelope.reply_to))

    def _full(self, kind: str) -> MailboxFull:
        self.refused += 1
        if not self._overflowing:
            self._overflowing = True
            self._owner.overflowed(self.bound)
        text = f"{self.path} already has {self.bound} messages waiting: {kind} was not taken"
        return MailboxFull(text)

    def put_unbounded(self, delivery: Delivery) -> None:
        """Accepts a message in order, full or not; one that comes too late is failed at once."""
        self._queue.put(delivery)
        if self._mourner is not None:
            self._bury(self._mourner)

    def seal(self) -> None:
        """Refuses every further message, and lets the thread see the end of what was accepted."""
        self._sealed = True
        self._queue.put(None)

    def drain(self) -> list[Delivery]:
        """Takes all that is there, without waiting."""
        left: list[Delivery] = []
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return left
            if item is not None:
                left.append(item)

    def close(self, error: type[ActorDeadError | ActorRestarting]) -> list[Delivery]:
        """Ends it for good: fails every waiting ask; returns what was told in vain."""
        self._sealed = True
        self._mourner = error
        self.ended = True
        return self._bury(error)

    def _bury(self, error: type[ActorDeadError | ActorRestarting]) -> list[Delivery]:
        left = self.drain()
        self._queue.put(None)  # a thread that was given up and comes back must find an end
        for delivery in left:
            kind = type(delivery.message).__name__
            delivery.refuse(error(f"{self.path} has ended: {kind} never ran"))
        return [delivery for delivery in left if delivery.reply_to is None]
