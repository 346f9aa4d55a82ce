"""The deadlines of all asks of one trio run, in one heap.

A cancel scope for each ask costs about as much as the ask (measured, see docs/architecture.md), and
nearly all are answered long before their deadline. So they share one scope in one task, which
sleeps until the earliest. An answered ask leaves its entry where it is; when the entries have
doubled since they were last looked through, those that nobody waits for any more are dropped, which
costs a constant time per ask.
"""

import heapq
import math
from itertools import count
from typing import Any

import trio

from supervision.errors import AskTimeout
from supervision.ref import Target
from supervision.reply import Reply

__all__ = ["Deadlines"]

FEW = 1024
"""Entries that are not worth looking through."""

_current: trio.lowlevel.RunVar["Deadlines"] = trio.lowlevel.RunVar("supervision_deadlines")


class Deadlines:
    """Fails replies that did not come in time. On the trio thread only."""

    __slots__ = ("_enough", "_entries", "_numbers", "_scope")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Reply[Any], Target, type, float]] = []
        self._numbers = count()  # entries of one moment must not compare replies
        self._enough = FEW
        self._scope = trio.CancelScope()

    @classmethod
    def current(cls) -> "Deadlines":
        """Returns those of the running trio loop."""
        try:
            return _current.get()
        except LookupError:
            deadlines = cls()
            _current.set(deadlines)
            trio.lowlevel.spawn_system_task(deadlines._watch, name="deadlines of asks")
            return deadlines

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, reply: Reply[Any], target: Target, message_type: type, deadline_s: float) -> None:
        """Fails the reply with `AskTimeout` in `deadline_s` seconds, unless it is settled then."""
        if deadline_s <= 0:
            reply.fail(AskTimeout(target.label, message_type.__name__, deadline_s))
            return
        entries = self._entries
        if len(entries) >= self._enough:
            self._drop_settled()
            entries = self._entries
        at = trio.current_time() + deadline_s
        entry = (at, next(self._numbers), reply, target, message_type, deadline_s)
        heapq.heappush(entries, entry)
        if at < self._scope.deadline:  # noqa: PLR1730  setting costs, even what it was already
            self._scope.deadline = at

    async def _watch(self) -> None:
        while True:
            with self._scope:
                await trio.sleep_forever()
            self._scope = trio.CancelScope(deadline=self._expire())

    def _expire(self) -> float:
        """Fails what is due; returns when the next is."""
        entries, now = self._entries, trio.current_time()
        while entries and entries[0][0] <= now:
            _, _, reply, target, message_type, deadline_s = heapq.heappop(entries)
            if not reply.settled:
                reply.fail(AskTimeout(target.label, message_type.__name__, deadline_s))
        return entries[0][0] if entries else math.inf

    def _drop_settled(self) -> None:
        self._entries = [entry for entry in self._entries if not entry[2].settled]
        heapq.heapify(self._entries)
        self._enough = max(FEW, 2 * len(self._entries))
