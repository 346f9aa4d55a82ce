"""The workflow actor: one running instance.

The function runs in a task of its own, so that the actor answers while an activity takes its time.
Started again, it loads its history and runs the function from the first line; every recorded
operation answers at once. An exception in the function is a failed workflow, not a crash; a
history it cannot write is a crash, and its supervisor starts it again from what is stored.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import trio

from actors.agents.messages import TaskReady
from actors.bus import log_line, tell_bus
from actors.clock import Clock, rfc3339
from actors.errors import NotFound, ValidationError
from actors.hints import hint
from actors.workflows import history
from actors.workflows.activities import encode_failure, encode_result, failure_of
from actors.workflows.containment import contained
from actors.workflows.context import ActivityError, Context
from actors.workflows.definition import ActivityFailure, Definitions, WorkflowDefinition
from actors.workflows.history import HistoryEvent, Kind, Status
from actors.workflows.journal import Journal
from actors.workflows.messages import (
    AppendHistory,
    DescribeWorkflow,
    TaskEnded,
    WorkflowView,
)
from actors.workflows.replay import NonDeterminismError, Replay
from actors.workflows.strand import Strand
from actors.writer import Settle, persist
from storage import payload
from storage.pool import ReadPool
from storage.workflows import queries
from storage.workflows.records import InstanceRow, TaskRow
from supervision import Actor, Named

INLINE_EVENTS = 100
"""Histories up to this length are read on the trio thread: about 0.3 ms, less than a hop costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """What every workflow actor is given.

    Args:
        reader: one read-only connection for short look-ups by key, on the trio thread.
        pool: read-only connections off the trio thread, for long histories.
    """

    definitions: Definitions
    writer: Named
    coordinator: Named
    bus: Named
    reader: sqlite3.Connection
    pool: ReadPool
    clock: Clock


class _Unrunnable(Exception):  # noqa: N818 - a state
    """The code that started this workflow is gone, or no longer takes what it was given."""


class WorkflowActor(Actor):
    """Runs one instance until it ends.

    Args:
        workflow_id: the instance; its row and its history are stored already.
        parts: see `EngineParts`.
        restarted: an incarnation before this one crashed, and events that it sent to the writer may
            not be in the history yet. Run on without them, their steps would be done again.
    """

    mailbox_bound = 1000

    def __init__(self, *, workflow_id: str, parts: EngineParts, restarted: bool = False) -> None:
        super().__init__()
        self._workflow_id = workflow_id
        self._parts = parts
        self._restarted = restarted
        self._ended_tasks = trio.lowlevel.ParkingLot()
        self._context: Context
        self._journal: Journal
        self._signature: dict[str, str] = {}

    async def on_start(self) -> None:
        if self._restarted:
            await persist(self._parts.writer, Settle())
        row = queries.instance(self._parts.reader, self._workflow_id)
        if row is None or row.status not in (Status.RUNNING, Status.STALLED):
            self.stop()
            return
        events = await self._load()
        self._journal = Journal(
            workflow_id=self._workflow_id,
            last_seq=events[-1].seq,
            write=self._write,
            clock=self._parts.clock,
        )
        self._signature = _signature(events)
        replay = Replay.of(self._workflow_id, events)
        self._context = Context(
            self._workflow_id,
            payload.decode(events[0].payload)["issue_id"],
            replay,
            self._journal,
            self,
            row.status == Status.STALLED,
        )
        self.spawn(self._journal.run)
        self.spawn(self._run, row, replay)

    async def on_receive(self, message: object) -> object:
        match message:
            case TaskEnded():
                self._ended_tasks.unpark_all()
            case DescribeWorkflow():
                return self._describe()
            case _:
                return await super().on_receive(message)
        return None

    def _describe(self) -> WorkflowView:
        return WorkflowView(
            workflow_id=self._workflow_id,
            waiting_for=self._context.waiting_for,
            events=self._journal.last_seq,
        )

    async def _run(self, row: InstanceRow, replay: Replay) -> None:
        Strand.enter()
        try:
            definition, arguments = self._prepare(row)
            with contained():
                output = await definition.function(self._context, *arguments)
            replay.close()
            text = encode_result(output, "the workflow's output", **self._signature)
        except (Exception, SystemExit, NonDeterminismError, BaseExceptionGroup) as error:  # noqa: BLE001 - user code's boundary
            self._break_off(row, _reason(error), replay)
        else:
            self._journal.append(Kind.WORKFLOW_COMPLETED, name=row.name, payload=text)
        await self._journal.barrier()
        self.stop()

    def _break_off(self, row: InstanceRow, error: BaseException, replay: Replay) -> None:
        """What the function raised is what became of the workflow, not a crash of its actor."""
        match error:
            case NonDeterminismError():
                self._stall(row, "non_determinism", str(error))
            case _Unrunnable():
                self._stall(row, "definition_changed", str(error))
            case Exception() | SystemExit() if replay.behind:
                what = f"{type(error).__name__}: {error}"
                text = f"the code raised {what}, before it asked for all that the history records"
                self._stall(row, "non_determinism", text)
            case Exception() | SystemExit():
                text = encode_failure(_failure(error))
                self._journal.append(Kind.WORKFLOW_FAILED, name=row.name, payload=text)
            case _:
                raise error

    def _prepare(self, row: InstanceRow) -> tuple[WorkflowDefinition, tuple[Any, ...]]:
        """The code to run and what to run it with; both were there when the workflow started."""
        try:
            definition = self._parts.definitions.get(row.name, row.version)
            value = definition.parse(payload.decode(row.input))
        except (NotFound, ValidationError) as error:
            raise _Unrunnable(error.message) from error
        return definition, (value,) if definition.takes_input else ()

    def _stall(self, row: InstanceRow, code: str, message: str) -> None:
        """Say so once; a stalled workflow that is tried again and stalls again is no news."""
        if not self._context.stalled:
            text = payload.encode({"code": code, "message": payload.plain_text(message)})
            self._journal.append(Kind.WORKFLOW_STALLED, name=row.name, payload=text)

    async def _load(self) -> list[HistoryEvent]:
        last = queries.last_seq(self._parts.reader, self._workflow_id)
        if last <= INLINE_EVENTS:
            rows = self._parts.reader.execute(queries.HISTORY, (self._workflow_id,)).fetchall()
        else:
            rows = await self._parts.pool.fetch("history", queries.HISTORY, (self._workflow_id,))
        return [_event(row) for row in rows]

    async def _write(self, command: AppendHistory) -> None:
        await persist(self._parts.writer, command)

    # What the context needs of us (`Surroundings`).

    def offer_task(self) -> None:
        hint(self._parts.coordinator, TaskReady(workflow_id=self._workflow_id))

    async def task_outcome(self, op: str) -> TaskRow:
        while True:
            row = queries.task(self._parts.reader, self._workflow_id, op)
            if row is not None and row.state in ("done", "failed"):
                return row
            await self._ended_tasks.park()

    def log(self, message: str, level: str) -> None:
        line = log_line(
            workflow_id=self._workflow_id,
            source="workflow",
            level=level,
            message=message,
            at=rfc3339(self._parts.clock()),
        )
        tell_bus(self._parts.bus, line)


def _signature(events: Sequence[HistoryEvent]) -> dict[str, str]:
    """{"agent_id": the agent this workflow was given}, or nothing where it has none."""
    given = (Kind.WORKFLOW_STARTED, Kind.WORKFLOW_ACTIVATED)
    bodies = (payload.decode(event.payload) or {} for event in events if event.kind in given)
    agents = [body["agent_id"] for body in bodies if body.get("agent_id")]
    return {"agent_id": agents[-1]} if agents else {}


def _event(row: sqlite3.Row) -> HistoryEvent:
    return HistoryEvent(
        seq=row["seq"],
        kind=history.Kind(row["kind"]),
        op=row["op"],
        name=row["name"],
        payload=row["payload"],
        at=row["at"],
    )


def _failure(error: BaseException) -> ActivityFailure:
    if isinstance(error, ActivityError):
        return ActivityFailure(error.code, str(error))
    return failure_of(error)


def _reason(error: BaseException) -> BaseException:
    """What a nursery of the workflow's own has wrapped, when that decides what becomes of it."""
    for kind in (NonDeterminismError, SystemExit):
        found: BaseException | None = None
        if isinstance(error, BaseExceptionGroup):
            found = error.subgroup(kind)
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        if found is not None:
            return found
    return error
