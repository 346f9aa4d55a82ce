"""Messages that an actor sends itself for later: Erlang's `send_after`, one heap for all actors.

A sleeping task for each costs about as much as starting an actor. So all that is to be sent later
shares one task, which sleeps until the first of it is due.
"""

import heapq
import math
from itertools import count

import trio

from supervision.errors import ActorDeadError, MailboxFull
from supervision.ref import ActorRef

__all__ = ["AGAIN_S", "Later"]

AGAIN_S = 1.0
"""When a message is tried again that found the mailbox full."""

_current: trio.lowlevel.RunVar["Later"] = trio.lowlevel.RunVar("supervision_later")


class Later:
    """Tells actors something when its time has come. On the trio thread only."""

    __slots__ = ("_entries", "_numbers", "_scope")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, ActorRef, object]] = []
        self._numbers = count()  # entries of one moment must not compare messages
        self._scope = trio.CancelScope()

    @classmethod
    def current(cls) -> "Later":
        """Returns that of the running trio loop."""
        try:
            return _current.get()
        except LookupError:
            later = cls()
            _current.set(later)
            trio.lowlevel.spawn_system_task(later._watch, name="messages for later")
            return later

    def __len__(self) -> int:
        return len(self._entries)

    def send(self, seconds: float, ref: ActorRef, message: object) -> None:
        """Tells it in so many seconds, unless that incarnation has ended by then."""
        at = trio.current_time() + seconds
        heapq.heappush(self._entries, (at, next(self._numbers), ref, message))
        if at < self._scope.deadline:  # noqa: PLR1730  setting costs, even what it was already
            self._scope.deadline = at

    async def _watch(self) -> None:
        while True:
            with self._scope:
                await trio.sleep_forever()
            self._scope = trio.CancelScope(deadline=self._send_due())

    def _send_due(self) -> float:
        """Sends what is due; returns when the next is."""
        entries, now = self._entries, trio.current_time()
        while entries and entries[0][0] <= now:
            _, _, ref, message = heapq.heappop(entries)
            try:
                ref.tell(message)
            except MailboxFull:
                heapq.heappush(entries, (now + AGAIN_S, next(self._numbers), ref, message))
            except ActorDeadError:
                pass  # it was the actor's own affair
        return entries[0][0] if entries else math.inf
