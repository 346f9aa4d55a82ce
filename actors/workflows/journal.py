"""The journal of one live workflow: records its events, and says when they are durable.

A result has to be durable before the workflow's next effect, not before its next line. So `append`
returns at once, what has gathered since goes to the writer in one command, and whoever is about to
cause an effect waits at the `barrier`. A three-step workflow waits for four commits, not for five,
and shares each with every other workflow.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

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

Write = Callable[[AppendHistory], Awaitable[Appended]]
Transact = Callable[[RunTransaction], Awaitable[Transacted]]

TRANSACTION_S = 5.0
"""How long a transaction is waited for although whoever asked for it is to stop."""


@dataclass(slots=True)
class _Batch:
    """What the next command will carry."""

    events: list[NewEvent] = field(default_factory=list)
    tasks: list[NewTask] = field(default_factory=list)
    consumed: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)
    heartbeats: list[str] = field(default_factory=list)
    children: list[NewChild] = field(default_factory=list)
    cancelled_children: list[str] = field(default_factory=list)
    run: NewRun | None = None

    def command(self, workflow_id: str, after: int) -> AppendHistory:
        return AppendHistory(
            workflow_id=workflow_id,
            after=after,
            events=tuple(self.events),
            tasks=tuple(self.tasks),
            consumed=tuple(self.consumed),
            cancelled=tuple(self.cancelled),
            messages=tuple(self.messages),
            heartbeats=tuple(self.heartbeats),
            children=tuple(self.children),
            cancelled_children=tuple(self.cancelled_children),
            run=self.run,
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
        clock: stamps the events.
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
        clock: Clock,
    ) -> None:
        self._workflow_id = workflow_id
        self._write = write
        self._transact = transact
        self._told = told
        self._clock = clock
        self._after = after
        self._appended = count
        self._durable = count
        self._before = 0
        self._batch = _Batch()
        self._turn = trio.Lock()
        self._waiting = trio.lowlevel.ParkingLot()
        self._work = trio.Event()

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
            batch.tasks.append(task)
        if child is not None:
            batch.children.append(child)
        if run is not None:
            batch.run = run
        if message_id is not None:
            batch.messages.append((message_id, op))
        if consumes_task:
            batch.consumed.append(op)
        if cancels_task:
            batch.cancelled.append(op)
        if cancels_child:
            batch.cancelled_children.append(op)
        if ends_heartbeat:
            batch.heartbeats.append(op)
        self._work.set()

    async def barrier(self) -> None:
        """Wait until everything appended so far is durable. Cancelling it loses nothing."""
        wanted = self._appended
        while self._durable < wanted:
            await self._waiting.park()

    async def transaction(
        self, op: str, name: str, function: Callable[[Any, Any], Any], value: Any
    ) -> Transacted:
        """Run a function in the transaction that records its result; durable on return."""
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
            await self.barrier()
            async with self._turn:
                if self._batch.events:
                    continue  # another branch has recorded something meanwhile: that goes first
                # Cut off here, nobody would know whether it ran; it takes no long time.
                with trio.move_on_after(TRANSACTION_S, shield=True):
                    done = await self._transact(replace(request, after=self._after))
                    self._after = done.seq
                    self._appended += 1
                    self._durable += 1
                    return done
            await trio.lowlevel.checkpoint()

    async def run(self) -> None:
        """Store what is appended, for as long as the workflow's actor lives.

        Raises:
            Conflict: another incarnation has gone on with this history, or somebody has ended it.
            DatabaseError: the events could not be written for a reason that is ours.
        """
        while True:
            await self._work.wait()
            self._work = trio.Event()
            async with self._turn:
                await self._flush()

    async def _flush(self) -> None:
        batch, self._batch = self._batch, _Batch()
        if not batch.events:
            return
        done = await self._write(batch.command(self._workflow_id, self._after))
        self._after = done.seq
        self._durable += len(batch.events)
        self._waiting.unpark_all()
        if done.woken:
            self._told(done.woken)
