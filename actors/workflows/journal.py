"""The journal of one live workflow: records its events, and says when they are durable.

A result has to be durable before the workflow's next effect, not before its next line. So `append`
returns at once, and whoever is about to cause an effect, or to wait, has what has gathered stored
in one command at the `barrier`. A three-step workflow waits for four commits, not for five,
and shares each with every other workflow.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio

from actors.clock import Clock, rfc3339
from actors.workflows.history import NOTHING, Kind, NewEvent
from actors.workflows.messages import (
    Appended,
    AppendHistory,
    NewChild,
    NewRun,
    NewTask,
    RunTransaction,
    Transacted,
)

C = TypeVar("C")
T = TypeVar("T")

Write = Callable[[AppendHistory], Awaitable[Appended]]
Transact = Callable[[RunTransaction], Awaitable[Transacted]]

PATIENCE_S = 5.0
"""How long a transaction is waited for although whoever asked for it is to stop."""


class _Batch:
    """What one command carries: events, and seldom something that goes with them."""

    __slots__ = ("beside", "events", "is_stored", "run")

    def __init__(self) -> None:
        self.events: list[NewEvent] = []
        self.beside: dict[str, list[Any]] = {}
        self.run: NewRun | None = None
        self.is_stored = False

    def add(self, what: str, value: object) -> None:
        """Add to a field of the command."""
        self.beside.setdefault(what, []).append(value)

    def command(self, workflow_id: str, after: int, *, is_progress: bool) -> AppendHistory:
        beside: dict[str, Any] = {what: tuple(values) for what, values in self.beside.items()}
        return AppendHistory(
            workflow_id=workflow_id,
            after=after,
            events=tuple(self.events),
            run=self.run,
            is_progress=is_progress,
            **beside,
        )


class Journal:
    """Appends to one history, from one workflow actor.

    Args:
        workflow_id: whose history.
        after: the number of its last own event that is stored.
        count: how many events its present run has.
        write: stores one command; returns when it is durable, raises when it cannot be made so.
        transact: runs one transaction of the workflow's.
        told: called with the workflows that have to be run or told because of what was stored.
        broken: called when the history cannot be written; nothing more is durable then.
        clock: stamps the events.
        has_recoveries: bad ends of the process are counted against it.
    """

    def __init__(
        self,
        *,
        workflow_id: str,
        after: int,
        count: int,
        write: Write,
        transact: Transact,
        told: Callable[[tuple[str, ...]], None],
        broken: Callable[[Exception], None],
        clock: Clock,
        has_recoveries: bool = False,
    ) -> None:
        self._workflow_id = workflow_id
        self._write = write
        self._transact = transact
        self._told = told
        self._broken = broken
        self._clock = clock
        self._has_recoveries = has_recoveries
        self._after = after
        self._appended = count
        self._before = 0
        self._batch = _Batch()
        self._sent: _Batch | None = None
        self._writing = False
        self._waiting = trio.lowlevel.ParkingLot()

    @property
    def count(self) -> int:
        """How many events this run has, those that are not durable yet included."""
        return self._appended - self._before

    def begin_run(self) -> None:
        """Count from here: the last event is the first of a new run."""
        self._before = self._appended - 1

    @property
    def last_seq(self) -> int:
        """The number of the last own event that is durable."""
        return self._after

    def append(
        self,
        kind: Kind,
        *,
        op: str = "",
        name: str = "",
        payload: str = NOTHING,
        task: NewTask | None = None,
        child: NewChild | None = None,
        run: NewRun | None = None,
        message_id: str | None = None,
        consumes_task: bool = False,
        cancels_task: bool = False,
        cancels_child: bool = False,
        ends_heartbeat: bool = False,
    ) -> None:
        """Record one event; it is durable once a later `barrier` has returned."""
        batch = self._batch
        self._appended += 1
        batch.events.append(
            NewEvent(kind=kind, op=op, name=name, payload=payload, at=rfc3339(self._clock()))
        )
        if task is not None:
            batch.add("tasks", task)
        if child is not None:
            batch.add("children", child)
        if run is not None:
            batch.run = run
        if message_id is not None:
            batch.add("messages", (message_id, op))
        if consumes_task:
            batch.add("consumed", op)
        if cancels_task:
            batch.add("cancelled", op)
        if cancels_child:
            batch.add("cancelled_children", op)
        if ends_heartbeat:
            batch.add("heartbeats", op)

    @property
    def is_behind(self) -> bool:
        """Whether something is appended that is not durable yet."""
        return self._sent is not None or bool(self._batch.events)

    async def barrier(self) -> None:
        """Wait until everything appended so far is durable. Cancelling it loses nothing.

        Whoever comes first stores what all have appended; the others wait for it. No failure is
        raised here, in the middle of a workflow's own code: its actor is told, and nobody who waits
        goes on.
        """
        batch = self._batch if self._batch.events else self._sent
        while batch is not None and not batch.is_stored:
            if self._writing:
                await self._waiting.park()
            else:
                await self._flush()

    async def _flush(self) -> None:
        if self._sent is None:
            self._sent, self._batch = self._batch, _Batch()
        batch = self._sent
        command = batch.command(self._workflow_id, self._after, is_progress=self._has_recoveries)
        done = await self._send(self._write, command)
        self._has_recoveries = False
        self._sent = None
        self._after = done.seq
        batch.is_stored = True
        if done.woken:
            self._told(done.woken)

    async def _send(self, send: Callable[[C], Awaitable[T]], command: C) -> T:
        """Send a command that others may wait for, too.

        When the branch that sends it is cancelled, whoever comes next sends the same again: twice
        is once.
        """
        self._writing = True
        try:
            return await send(command)
        except Exception as error:
            self._broken(error)
            await trio.sleep_forever()
            raise
        finally:
            self._writing = False
            self._waiting.unpark_all()

    async def transaction(
        self, op: str, name: str, function: Callable[[Any, Any], Any], value: Any
    ) -> Transacted:
        """Run a function in the transaction that records its result; durable on return."""
        await self.barrier()
        while self._writing or self._batch.events:  # another branch was faster
            if self._writing:
                await self._waiting.park()
            await self.barrier()
        request = RunTransaction(
            workflow_id=self._workflow_id,
            after=self._after,
            op=op,
            name=name,
            function=function,
            value=value,
            at=rfc3339(self._clock()),
        )
        while True:
            # Cut off here, nobody would know whether it ran; it takes no long time.
            with trio.move_on_after(PATIENCE_S, shield=True):
                done = await self._send(self._transact, request)
                self._after = done.seq
                self._appended += 1
                return done
            await trio.lowlevel.checkpoint_if_cancelled()
