"""The timers: wake the workflows that wait as rows for a moment that has come.

The rows are the truth; here is only the next moment. The wall clock is looked at every second,
because it may jump, and stands still while the machine is suspended: what has become due meanwhile
is late, and fires once.
"""

import sqlite3
from datetime import datetime

import trio

from actors.clock import Clock, rfc3339
from actors.hints import hint
from actors.workflows.messages import Launch, WakeAt, WakeDue
from actors.writer import persist
from storage.workflows import queries
from supervision import Actor, Named

LOOK_S = 1.0
BATCH = 500
"""Workflows woken in one transaction: after a long stop, nobody else waits for all of them."""


class Timers(Actor):
    """See the module.

    Args:
        reader: a read-only connection for short look-ups on the trio thread.
        drives_all: False leaves workflows alone that this process did not start.
    """

    mailbox_bound = 100_000

    def __init__(
        self,
        *,
        writer: Named,
        dispatcher: Named,
        reader: sqlite3.Connection,
        clock: Clock,
        drives_all: bool = True,
    ) -> None:
        super().__init__()
        self._writer = writer
        self._dispatcher = dispatcher
        self._reader = reader
        self._clock = clock
        self._drives_all = drives_all
        self._next: str | None = None
        self._sooner = trio.Event()

    async def on_start(self) -> None:
        if self._drives_all:
            self._next = queries.next_wake(self._reader)
            self.spawn(self._watch)

    async def on_receive(self, message: object) -> object:
        match message:
            case WakeAt(at=at):
                self._hear(at)
            case _:
                return await super().on_receive(message)
        return None

    async def _watch(self) -> None:
        while True:
            self._sooner = trio.Event()
            if self._next is None:
                await self._sooner.wait()
                continue
            left = datetime.fromisoformat(self._next) - self._clock()
            if left.total_seconds() > 0:
                with trio.move_on_after(min(left.total_seconds(), LOOK_S)):
                    await self._sooner.wait()
            else:
                await self._wake()

    async def _wake(self) -> None:
        until = rfc3339(self._clock())
        self._next = None
        woken = await persist(self._writer, WakeDue(until=until, limit=BATCH))
        for workflow_id in woken:
            hint(self._dispatcher, Launch(workflow_id=workflow_id))
        self._hear(queries.next_wake(self._reader))

    def _hear(self, at: str | None) -> None:
        """Take up a moment that may come before the one that is waited for."""
        if at is not None and (self._next is None or at < self._next):
            self._next = at
            self._sooner.set()
