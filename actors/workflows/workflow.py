"""The workflow actor: one running instance.

The function runs in a task of its own, so that the actor answers while an activity takes its time.
Started again, it loads its history and runs the function from the first line; every recorded
operation answers at once. An exception in the function is a failed workflow, not a crash; a
history it cannot write is a crash, and its supervisor starts it again from what is stored.

What others ask of the workflow is in its rows before its actor hears of it, so a message to the
actor only says: look. A workflow that waits for long stops its actor and waits as its row.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import trio
from pydantic_core import to_jsonable_python

from actors.agents.messages import TaskWithdrawn
from actors.clock import rfc3339
from actors.errors import Conflict, NotFound, ValidationError
from actors.hints import hint
from actors.workflows import segments
from actors.workflows.activities import encode_failure, encode_result
from actors.workflows.causes import causes_of
from actors.workflows.containment import contain
from actors.workflows.context import Context, answer_query
from actors.workflows.definition import WorkflowDefinition
from actors.workflows.execution import (
    CancelledError,
    ContinueAsNew,
    Execution,
)
from actors.workflows.history import CLOSED, ENDED_BY_OTHERS, Kind, Status
from actors.workflows.journal import Journal
from actors.workflows.loading import Loaded, load_short
from actors.workflows.messages import (
    Appended,
    AppendHistory,
    DescribeWorkflow,
    Launch,
    Look,
    NewRun,
    Park,
    QueryWorkflow,
    RunTransaction,
    TaskEnded,
    Transacted,
    Unpark,
    WakeAt,
    WorkflowView,
)
from actors.workflows.outcome import decisive, failure_of_run, stalled
from actors.workflows.outside import Outside
from actors.workflows.parts import EngineParts
from actors.workflows.replay import NonDeterminismError, Replay
from actors.workflows.segments import Segments
from actors.workflows.strand import Strand
from actors.writer import Settle, persist
from storage import payload
from storage.workflows import queries
from storage.workflows.records import InstanceRow
from supervision import Actor

PARK_AFTER_S = 5.0
"""How long a workflow that only waits keeps its actor."""

SUSPECT_PARK_S = 0.05
"""The same after a bad end: what only waits shall not be counted among what may have caused it."""


_State = tuple[Execution, int, tuple[str, ...]]
"""By which one wait is told from the next."""


@dataclass(frozen=True, slots=True)
class _Rested:
    """To itself: time has passed since it did nothing but wait."""


class _Unrunnable(Exception):  # noqa: N818 - a state
    """The code that started this workflow is gone, or no longer takes what it was given."""


def _led_to(error: BaseException) -> dict[str, list[str]]:
    """What a failed workflow's history says for a retry."""
    causes = causes_of(error)
    since = {"since": list(causes.since)} if causes.since else {}
    return {"failed": list(causes.failed), **since}


class WorkflowActor(Actor):
    """Runs one instance until it ends, or waits as its row.

    Args:
        workflow_id: the instance; its row and its history are stored already.
        parts: see `EngineParts`.
        restarted: an incarnation before this one crashed, and events that it sent to the writer may
            not be in the history yet. Run on without them, their steps would be done again.
        loaded: what is stored of it, where nobody has run it since that was read.
    """

    mailbox_bound = 1000

    def __init__(
        self,
        *,
        workflow_id: str,
        parts: EngineParts,
        restarted: bool = False,
        loaded: Loaded | None = None,
    ) -> None:
        super().__init__()
        self._loaded = loaded
        self._workflow_id = workflow_id
        self._parts = parts
        self._restarted = restarted
        self._outside = Outside(workflow_id, parts, self._idle)
        self._row: InstanceRow
        self._origin: dict[str, Any] = {}
        self._execution: Execution
        self._journal: Journal
        self._segments: Segments
        self._packed_seq = 0
        self._seen_seq = 0
        self._seen_position = 0
        self._resting: _State | None = None
        self._leaving = False
        self._why_stalled: str | None = None

    async def on_start(self) -> None:
        if self._restarted:
            await persist(self._parts.writer, Settle())
        loaded = self._loaded or await self._load()
        if loaded is None:
            self._leave()
            return
        self._loaded = None
        self._row = row = loaded.row
        self._seen_seq = loaded.last_seq
        self._journal = Journal(
            workflow_id=self._workflow_id,
            after=loaded.own_seq,
            count=loaded.count,
            write=self._write,
            transact=self._transact,
            told=self._tell,
            broken=self._break,
            clock=self._parts.clock,
            has_recoveries=row.recoveries > 0,
        )
        self._segments = Segments(
            self._workflow_id,
            max(self._packed_seq, row.run_seq - 1),
            pool=self._parts.pool,
            writer=self._parts.writer,
        )
        self._origin = loaded.origin
        self._execution = self._begin(
            loaded.replay,
            stalled=row.status == Status.STALLED,
            recovered=loaded.is_visited
            and queries.has_heartbeats(self._parts.reader, self._workflow_id),
        )
        self._execution.cancel_reason = loaded.cancel_reason
        if loaded.is_visited:
            self._take_messages()
        self.spawn(self._run)

    async def on_receive(self, message: object) -> object:
        match message:
            case Look():
                return self._look()
            case TaskEnded():
                self._outside.tell()
            case _Rested():
                self.spawn(self._rested)
            case QueryWorkflow():
                return self.defer(self._query(message))
            case DescribeWorkflow():
                return self._describe()
            case _:
                return await super().on_receive(message)
        return None

    def _describe(self) -> WorkflowView:
        pending = self._execution.pending.items()
        return WorkflowView(
            workflow_id=self._workflow_id,
            waiting_for=tuple(f"{op} {found.name or found.what}" for op, found in pending),
            events=self._journal.count,
        )

    async def _query(self, query: QueryWorkflow) -> Any:
        """From the state that the function is in once all of it is durable that led there."""
        await self._execution.live.wait()
        while self._journal.is_behind:  # also what is appended while we wait may be told
            await self._journal.barrier()
        if self._why_stalled is not None:
            raise stalled(self._workflow_id, self._why_stalled)
        return answer_query(self._execution, query.name, query.argument)

    # What others have asked for.

    def _look(self) -> bool:
        """Take up what is new in the rows. Answers False when this actor is about to stop."""
        if self._leaving:
            return False
        for seq, kind, text in queries.requests_after(
            self._parts.reader, self._workflow_id, self._seen_seq
        ):
            self._seen_seq = seq
            match kind:
                case Kind.WORKFLOW_CANCEL_REQUESTED:
                    self._execution.cancel(payload.decode(text)["reason"])
                case Kind.WORKFLOW_PAUSED:
                    self._execution.pause()
                    self._idle()
                case Kind.WORKFLOW_RESUMED:
                    self._execution.resume()
                case Kind.WORKFLOW_RETRIED:
                    self._leave()
                    return False  # another one takes up what was retried
                case _ if kind in ENDED_BY_OTHERS:
                    self._leave()
        self._take_messages()
        self._outside.tell()
        return True

    def _take_messages(self) -> None:
        found = queries.waiting_messages(self._parts.reader, self._workflow_id, self._seen_position)
        for message in found:
            self._seen_position = message.position
            self._execution.deliver(message)

    def _leave(self) -> None:
        self._leaving = True
        self.stop()

    # The function, run after run.

    def _begin(
        self, replay: Replay, *, stalled: bool = False, recovered: bool = False
    ) -> Execution:
        return Execution(
            workflow_id=self._workflow_id,
            issue_id=self._origin["issue_id"],
            generation=self._origin["generation"],
            run=self._row.run,
            replay=replay,
            journal=self._journal,
            surroundings=self._outside,
            definitions=self._parts.definitions,
            recovered=recovered,
            stalled=stalled,
        )

    async def _run(self) -> None:
        while await self._run_once():
            pass
        await self._journal.barrier()
        if self._why_stalled is not None:
            await self._end_if_cancelled()
        self._leave()

    async def _end_if_cancelled(self) -> None:
        """A stalled workflow that is to end has no code that could clean up: it ends at once.

        That was asked for before it stalled; one that has stalled is ended by the request itself.
        """
        if self._look() and (reason := self._execution.cancel_reason) is not None:
            self._append_cancelled(reason)
            await self._journal.barrier()

    async def _run_once(self) -> bool:
        """Run the function to its end. Answers whether it continues as new."""
        execution = self._execution
        execution.enter(Strand.enter(self._row.run))
        again = False
        try:
            definition, arguments = self._prepare()
            output = await self._call(definition, arguments)
            execution.replay.close()
            await execution.unpaused()
            text = encode_result(output, "the workflow's output", **self._signature())
        except ContinueAsNew as ended:
            again = await self._continue(ended)
        except (
            Exception,  # noqa: BLE001 - user code's boundary
            SystemExit,
            NonDeterminismError,
            CancelledError,
            BaseExceptionGroup,
        ) as error:
            await self._break_off(decisive(error))
        else:
            self._journal.append(Kind.WORKFLOW_COMPLETED, name=self._row.name, payload=text)
        execution.live.set()
        return again

    async def _call(self, definition: WorkflowDefinition, arguments: tuple[Any, ...]) -> Any:
        try:
            return await definition.function(Context(self._execution), *arguments)
        except Exception:
            raise
        except BaseException as error:
            contain(error)
            raise

    async def _break_off(self, error: BaseException) -> None:
        """What the function raised is what became of the workflow, not a crash of its actor."""
        name, replay = self._row.name, self._execution.replay
        match error:
            case NonDeterminismError():
                self._stall("non_determinism", str(error))
            case _Unrunnable():
                self._stall("definition_changed", str(error))
            case Exception() | SystemExit() | CancelledError() if replay.behind:
                what = f"{type(error).__name__}: {error}"
                text = f"the code raised {what}, before it asked for all that the history records"
                self._stall("non_determinism", text)
            case CancelledError():
                self._append_cancelled(error.reason)
            case Exception() | SystemExit():
                await self._execution.unpaused()
                text = encode_failure(failure_of_run(error), **_led_to(error))
                self._journal.append(Kind.WORKFLOW_FAILED, name=name, payload=text)
            case _:
                raise error

    async def _continue(self, ended: ContinueAsNew) -> bool:
        """Close this run and open the next one, in one transaction."""
        try:
            self._execution.replay.close()
            await self._execution.unpaused()
            definition = self._parts.definitions.get(self._row.name)
            plain = to_jsonable_python({} if ended.variables is None else ended.variables)
            definition.parse(plain)
            variables = payload.encode(plain)
        except (Exception, NonDeterminismError) as error:  # noqa: BLE001 - what user code has given
            await self._break_off(error)
            return False
        reason = self._execution.cancel_reason
        body = {**self._origin, "version": definition.version, "run": self._row.run + 1}
        if reason is not None:
            body["cancel_reason"] = reason
        self._journal.append(
            Kind.WORKFLOW_CONTINUED_AS_NEW,
            name=self._row.name,
            payload=payload.encode(body),
            run=NewRun(version=definition.version, variables=variables),
        )
        await self._journal.barrier()
        self._journal.begin_run()
        row = queries.instance(self._parts.reader, self._workflow_id)
        assert row is not None  # noqa: S101 - for mypy: it is there for as long as it runs
        waiting, paused = self._execution.signals, self._execution.paused
        self._row = row
        self._segments.begin_run(row.run_seq)
        self._execution = self._begin(Replay(self._workflow_id))
        self._execution.signals, self._execution.paused = waiting, paused
        self._execution.cancel_reason = reason
        return True

    def _prepare(self) -> tuple[WorkflowDefinition, tuple[Any, ...]]:
        """The code to run and what to run it with; both were there when the workflow started."""
        try:
            definition = self._parts.definitions.get(self._row.name, self._row.version)
            value = definition.parse(payload.decode(self._row.input))
        except (NotFound, ValidationError) as error:
            raise _Unrunnable(error.message) from error
        return definition, (value,) if definition.takes_input else ()

    def _append_cancelled(self, reason: str) -> None:
        text = payload.encode({"reason": payload.short_text(reason)})
        self._journal.append(Kind.WORKFLOW_CANCELLED, name=self._row.name, payload=text)

    def _stall(self, code: str, message: str) -> None:
        """Say so once; a stalled workflow that is tried again and stalls again is no news."""
        self._why_stalled = payload.short_text(message)
        if not self._execution.stalled:
            text = payload.encode({"code": code, "message": payload.short_text(message)})
            self._journal.append(Kind.WORKFLOW_STALLED, name=self._row.name, payload=text)

    def _signature(self) -> dict[str, str]:
        """{"agent_id": the agent this workflow was given}, or nothing where it has none."""
        agent_id = self._origin["agent_id"]
        return {} if agent_id is None else {"agent_id": agent_id}

    # Waiting as a row.

    def _idle(self) -> None:
        """Hear that the function may be doing nothing but wait."""
        if self._parts.parks and self._resting is None and self._execution.resting:
            self._resting = self._state()
            after_s = SUSPECT_PARK_S if self._row.recoveries else PARK_AFTER_S
            self.send_after(after_s, _Rested())

    async def _rested(self) -> None:
        """Stop, when it has only waited since."""
        try:
            if self._resting == self._state() and self._is_far() and not self._leaving:
                await self._park()
        finally:
            self._resting = None
        if not self._leaving:
            self._idle()

    def _state(self) -> _State:
        return self._execution, self._execution.begun, tuple(self._execution.pending)

    def _is_far(self) -> bool:
        """Whether no timer ends so soon that it is not worth it."""
        wake_at = self._execution.wake_at
        return wake_at is None or wake_at - self._outside.now() > timedelta(seconds=PARK_AFTER_S)

    async def _park(self) -> None:
        await self._journal.barrier()
        if not self._execution.resting:
            return  # what was stored has let it go on, and a row without a wait is never woken
        state, wake_at = self._state(), self._execution.wake_at
        if self._execution.paused:
            self._leave()  # a paused workflow is not run, whatever its row says of waiting
            return
        command = Park(
            workflow_id=self._workflow_id,
            seq=self._seen_seq,
            position=self._seen_position,
            wake_at=None if wake_at is None else rfc3339(wake_at),
            children=self._execution.children,
        )
        if not await persist(self._parts.writer, command):
            self._look()
        elif state == self._state() and self._has_seen(command):
            self._leave()
            if command.wake_at is not None:
                hint(self._parts.timers, WakeAt(at=command.wake_at))
        else:
            await persist(self._parts.writer, Unpark(workflow_id=self._workflow_id))

    def _has_seen(self, command: Park) -> bool:
        """Whether nothing was taken up since."""
        return (self._seen_seq, self._seen_position) == (command.seq, command.position)

    # Its rows.

    async def _load(self) -> Loaded | None:
        """None when there is nothing to run."""
        row = queries.instance(self._parts.reader, self._workflow_id)
        if row is None or row.status not in (Status.RUNNING, Status.STALLED):
            return None
        short = load_short(self._parts.reader, row)
        if short is not None:
            return short
        parameters = (self._workflow_id, row.run_seq)
        events, self._packed_seq = await segments.load(self._parts.pool, *parameters)
        return Loaded.of(row, events)

    def _grown(self, last: int) -> None:
        """Hear how long the history is now."""
        if self._segments.is_due(last):
            self.spawn(self._segments.make, last)

    async def _write(self, command: AppendHistory) -> Appended:
        try:
            appended = await persist(self._parts.writer, command)
        except Conflict:
            await self._yield_to_the_end()
            raise
        for op in command.cancelled:
            hint(self._parts.coordinator, TaskWithdrawn(workflow_id=self._workflow_id, op=op))
        self._grown(appended.seq)
        return appended

    async def _transact(self, command: RunTransaction) -> Transacted:
        try:
            transacted = await persist(self._parts.writer, command)
        except Conflict:
            await self._yield_to_the_end()
            raise
        self._grown(transacted.seq)
        return transacted

    async def _yield_to_the_end(self) -> None:
        """A history that somebody has ended takes no more events, and that is in order."""
        row = queries.instance(self._parts.reader, self._workflow_id)
        if row is None or row.status in (*CLOSED, Status.DEAD_LETTER):
            self._leave()
            await trio.sleep_forever()

    def _break(self, error: Exception) -> None:
        """A history that cannot be written is a crash."""

        async def crash() -> None:
            raise error

        self.spawn(crash)

    def _tell(self, workflow_ids: tuple[str, ...]) -> None:
        for workflow_id in workflow_ids:
            if workflow_id != self._workflow_id:
                hint(self._parts.dispatcher, Launch(workflow_id=workflow_id))
