"""Rerun: a recorded history against the code, offline, while nothing happens.

The workflow's function runs from its first line, every recorded operation answers from the history,
and where nothing is recorded any more it stands still: no activity runs, no time passes, nothing is
written. What is found out is whether this code can take the workflow up where it is, or would stall
it; and of one that has ended, whether it would end the same again. A workflow that continued as new
is taken from the beginning of its last run, which is all that a restart looks at.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import trio
from pydantic_core import to_jsonable_python
from trio.testing import wait_all_tasks_blocked

from actors.errors import NotFound, ValidationError
from actors.workflows.activities import encode_result
from actors.workflows.containment import contained
from actors.workflows.context import Context
from actors.workflows.definition import Definitions, WorkflowDefinition
from actors.workflows.document import RecordedWorkflow
from actors.workflows.execution import (
    CancelledError,
    ChildEnd,
    ContinueAsNew,
    Execution,
    HistoryTooLarge,
    Pending,
)
from actors.workflows.history import HistoryEvent, Kind
from actors.workflows.journal import Journal
from actors.workflows.messages import RecordHeartbeat
from actors.workflows.outcome import decisive, failure_of_run
from actors.workflows.replay import SIDE_EFFECT, NonDeterminismError, Recorded, Replay, describe
from actors.workflows.saga import CompensationError
from actors.workflows.steps import ActivityError
from actors.workflows.strand import Strand
from actors.workflows.voiding import in_force
from actors.workflows.waits import ChildError
from storage import payload
from storage.workflows.records import TaskRow

T = TypeVar("T")

PATIENCE_S = 30.0
"""Longer than any replay takes; code that is still busy then does not come to rest."""

SHOWN = 200
"""Characters of a result that a verdict shows."""


class Fit(StrEnum):
    """How a history and the code go together."""

    FITS = "fits"
    DIFFERS = "differs"
    FAILS = "fails"
    UNRUNNABLE = "unrunnable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a rerun has found.

    Args:
        version: of the code that was run.
        run: the number of the run that was looked at.
        events: how many events that run has.
        complete: it fits, the history ends, and the code ends as recorded there.
        what: what is wrong, one sentence; what holds where it fits.
        why: the likely cause; "" where it fits, or where nothing is known of it.
        instead: what to do about it; "" where it fits.
        recorded: what the history holds, where they differ; else "".
        requested: what the code asks for, or does, instead; else "".
        op: the operation that is recorded; "" where there is none.
        seq: the event that recorded it; None where no single one did.
    """

    workflow_id: str
    name: str
    version: int
    run: int
    events: int
    fit: Fit
    what: str
    complete: bool = False
    why: str = ""
    instead: str = ""
    recorded: str = ""
    requested: str = ""
    op: str = ""
    seq: int | None = None


_VERSION_IT = (
    "put the old code back for runs that have passed here: ask ctx.version(...), or register the"
    " changed workflow under a new version"
)
_MEND = "mend the code, or catch the error in the workflow"
_BRING_BACK = "bring the definition back, until no workflow follows it any more"


async def rerun(workflow: RecordedWorkflow, definitions: Definitions) -> Verdict:
    """Run one history against the code of `definitions`. Never raises for what the code does."""
    return await _Rerun(workflow, definitions).verdict()


class _Halted(Execution):
    """An execution that stands still where nothing is recorded any more.

    A strand that differs stands still, too, so that all of them are looked at: which one differs
    first is chance, and the verdict must not be.

    Args:
        ended: the event by which the code itself has ended this run; None while it has not.
    """

    ended: HistoryEvent | None = None

    def __init__(self, **given: Any) -> None:
        """Takes what an execution takes."""
        super().__init__(**given)
        self.beyond: dict[str, str] = {}
        self.differing: list[NonDeterminismError] = []
        self._astray: set[Strand] = set()

    @property
    def next(self) -> str:
        """What the code asks for that is not recorded; "" where it asks for nothing more."""
        return self.beyond[min(self.beyond, key=_in_order)] if self.beyond else ""

    def differ(self, error: NonDeterminismError) -> None:
        """Say that the current strand is no longer on the recorded way."""
        if not self.is_astray:
            self.differing.append(error)
            self._astray.add(Strand.current())

    @property
    def is_astray(self) -> bool:
        strand: Strand | None = Strand.current()
        while strand is not None and strand not in self._astray:
            strand = strand.parent
        return strand is not None

    def take(self, what: str, name: str = "") -> tuple[str, Recorded | None]:
        op = Strand.current().peek_op()
        if self.is_astray:
            return Strand.current().next_op(), None
        try:
            return super().take(what, name)
        except NonDeterminismError as error:
            self.differ(error)
            return op, None

    async def carry_out(self, op: str, pending: Pending, work: Callable[[], Awaitable[T]]) -> T:
        """Never do the work, and so never answer."""
        del work
        await self.halt(op, pending.what, pending.name)
        raise AssertionError("what stands still has gone on")

    async def halt(self, op: str, what: str, name: str) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()  # another branch has won
        strand = Strand.current()
        if not strand.has_lost:
            self.reach(op, describe(what, name, op))
        await self.freeze(strand)

    def reach(self, op: str, asked_for: str) -> None:
        """Say that the code asks for something that is not recorded."""
        if self.is_astray:
            return
        if self.ended is None:
            self.beyond[op] = asked_for
            return
        if self.ended.kind is Kind.WORKFLOW_FAILED:
            code = payload.decode(self.ended.payload)["code"]
            if code == "history_too_large":
                raise HistoryTooLarge("as recorded")
        self.differ(
            NonDeterminismError(
                self.workflow_id,
                f"{_END_WORDS[self.ended.kind]} of the workflow",
                asked_for,
                cause="a step was added, or the code took another way",
                seq=self.ended.seq,
            )
        )


class _Compared(Replay):
    """A replay whose execution is told of what differs, not the code."""

    differ: Callable[[NonDeterminismError], None]

    def fork(self, op: str) -> None:
        try:
            super().fork(op)
        except NonDeterminismError as error:
            self.differ(error)


def _in_order(op: str) -> tuple[int, ...]:
    return tuple(int(number) for number in op.replace("~", ".").split("."))


class _Silent(Journal):
    """A journal that keeps nothing."""

    def __init__(self, execution: Callable[[], _Halted]) -> None:
        """Nothing of the real one's is needed."""
        self._execution = execution

    @property
    def count(self) -> int:
        return 0

    def append(self, kind: Kind, *, op: str = "", name: str = "", **unused: Any) -> None:
        del unused
        if kind is Kind.SIDE_EFFECT_RECORDED:
            self._execution().reach(op, describe(SIDE_EFFECT, name, op))
        elif kind is Kind.BRANCH_CHOSEN:
            self._execution().reach(op, f"the end of the first branch at {op}")

    async def barrier(self) -> None:
        """All that is recorded here is as durable as it will ever be."""


class _Nowhere:
    """Surroundings in which nothing happens."""

    def __init__(self, at: str) -> None:
        self._now = datetime.fromisoformat(at)

    def now(self) -> datetime:
        return self._now

    def offer_task(self) -> None:
        """There is no agent."""

    def withdraw_task(self, op: str) -> None:
        """There is no agent."""

    def task_outcome(self, op: str) -> TaskRow | None:
        del op
        return None

    def child_end(self, workflow_id: str) -> ChildEnd | None:
        del workflow_id
        return None

    async def news(self) -> None:
        await trio.sleep_forever()

    def idle(self) -> None:
        """It may wait as long as it likes."""

    def heartbeat(self, command: RecordHeartbeat) -> None:
        """No attempt is made."""

    def last_heartbeat(self, op: str) -> str | None:
        del op
        return None

    def log(self, message: str, level: str) -> None:
        """There is no log."""


class _HaltedContext(Context):
    """A context whose side effects have no effect."""

    __slots__ = ()
    _execution: _Halted

    async def side_effect(self, produce: Callable[[], T]) -> T:
        op = Strand.current().peek_op()
        if self._execution.is_astray or not self._execution.replay.is_recorded(op):
            await self._execution.halt(op, SIDE_EFFECT, "")
        return await super().side_effect(produce)


_END_WORDS = {
    Kind.WORKFLOW_COMPLETED: "the completion",
    Kind.WORKFLOW_FAILED: "the failure",
    Kind.WORKFLOW_CANCELLED: "the cancellation",
}


class _Rerun:
    """One rerun: what it needs, and what the function came to."""

    def __init__(self, workflow: RecordedWorkflow, definitions: Definitions) -> None:
        self._workflow = workflow
        self._definitions = definitions
        self._events = tuple(in_force(workflow.last_run))
        self._ended = _own_end(self._events)
        self._is_over = False
        self._is_judged = False
        self._output: Any = None
        self._error: BaseException | None = None
        replay = _Compared.of(workflow.workflow_id, self._events)
        self._execution = _Halted(
            workflow_id=workflow.workflow_id,
            issue_id=str(payload.decode(self._events[0].payload).get("issue_id") or ""),
            run=workflow.run,
            replay=replay,
            journal=_Silent(lambda: self._execution),
            surroundings=_Nowhere(self._events[-1].at),
            definitions=definitions,
        )
        self._execution.ended = self._ended
        replay.differ = self._execution.differ

    async def verdict(self) -> Verdict:
        try:
            definition = self._definitions.get(self._workflow.name, self._workflow.version)
            value = definition.parse(self._workflow.input)
        except NotFound as error:
            return self._unrunnable(error.message, "its definition was removed, or renamed")
        except ValidationError as error:
            return self._unrunnable(error.message, "its variables' model was changed")
        arguments = (value,) if definition.takes_input else ()
        with trio.move_on_after(PATIENCE_S) as patience:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run, definition, arguments)
                await wait_all_tasks_blocked()
                found = self._found()
                self._is_judged = True
                nursery.cancel_scope.cancel()
        if patience.cancelled_caught:
            return self._fails(f"the code did not come to rest within {PATIENCE_S:g} s")
        return found

    async def _run(self, definition: WorkflowDefinition, arguments: tuple[Any, ...]) -> None:
        self._execution.enter(Strand.enter(self._workflow.run))
        try:
            with contained():
                context = _HaltedContext(self._execution)
                self._output = await definition.function(context, *arguments)
        except trio.Cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - user code's boundary
            if not self._is_judged:  # else it is the code's way of being stopped
                self._error = decisive(error)
        self._is_over = True

    # What it came to.

    def _found(self) -> Verdict:
        execution, replay = self._execution, self._execution.replay
        if execution.differing:
            return self._differs(min(execution.differing, key=lambda error: error.seq or 0))
        if not self._is_over and not execution.next:
            return self._fails(
                "the code waits for something that is not its context",
                instead="let it wait with ctx.sleep(...), ctx.signal(...) or in an activity",
            )
        try:
            replay.close(self._asked_for())
            if isinstance(self._error, NonDeterminismError):
                raise self._error
        except NonDeterminismError as error:
            return self._differs(error)
        if execution.next:
            return self._fits(f"fits so far; next is {execution.next}")
        if self._ended is not None:
            return self._compare(self._ended)
        return self._goes_on_to_end()

    def _asked_for(self) -> str:
        """What the code did instead of asking for all that is recorded."""
        if not self._is_over:
            return self._execution.next
        if self._error is None or isinstance(self._error, ContinueAsNew):
            return "its end"
        return f"its end: it raises {_named(self._error)}"

    def _goes_on_to_end(self) -> Verdict:
        """The history has no end yet, and the code asks for nothing more."""
        match self._error:
            case None:
                return self._fits("fits so far; then it completes")
            case ContinueAsNew():
                return self._fits("fits so far; then it continues as new")
            case CancelledError():
                return self._fits("fits so far; then it is cancelled")
            case ActivityError() | ChildError() | CompensationError():
                return self._fits(f"fits so far; then it fails with {_named(self._error)}")
            case error:
                return self._fails(f"the code raises {_named(error)}, the history does not end so")

    def _compare(self, ended: HistoryEvent) -> Verdict:
        """The ends: as recorded, and of the code."""
        output = payload.decode(ended.payload)
        match ended.kind, self._error:
            case Kind.WORKFLOW_COMPLETED, None:
                return self._compare_output(ended, output["result"])
            case Kind.WORKFLOW_CANCELLED, CancelledError():
                return self._fits("fits and was cancelled", complete=True)
            case Kind.WORKFLOW_FAILED, error if (code := self._failure_code(error)) is not None:
                if code == output["code"]:
                    return self._fits(f"fits and failed with {code}", complete=True)
                return self._fails(
                    f"the code fails with {code}, recorded is a failure with {output['code']}"
                )
            case _:
                return self._fails(f"recorded is {_END_WORDS[ended.kind]}, the code {self._end()}")

    def _failure_code(self, error: BaseException | None) -> str | None:
        """The code that the workflow would fail with; None where it would not."""
        if isinstance(error, CancelledError):
            return None
        try:
            if error is None:
                encode_result(self._output, "the workflow's output")
                return None
            if isinstance(error, ContinueAsNew):
                variables = {} if error.variables is None else error.variables
                definition = self._definitions.get(self._workflow.name)
                definition.parse(to_jsonable_python(variables))
                return None
        except Exception as failure:  # noqa: BLE001 - what user code has given
            error = failure
        return failure_of_run(error).code

    def _compare_output(self, ended: HistoryEvent, recorded: Any) -> Verdict:
        code = self._failure_code(None)
        if code is not None:
            return self._fails(f"the code fails with {code}, recorded is the completion")
        text = encode_result(self._output, "the workflow's output")
        found = payload.decode(text)["result"]
        if found == recorded:
            return self._fits("fits and completed", complete=True)
        return self._differs(
            NonDeterminismError(
                self._workflow.workflow_id,
                f"the output {_shown(recorded)}",
                f"the output {_shown(found)}",
                cause="the code makes something else of the same results",
                seq=ended.seq,
            )
        )

    def _end(self) -> str:
        match self._error:
            case None:
                return "completes"
            case ContinueAsNew():
                return "continues as new"
            case CancelledError():
                return "ends as cancelled"
            case error:
                return f"raises {_named(error)}"

    # Verdicts.

    def _fits(self, what: str, *, complete: bool = False) -> Verdict:
        return self._judged(Fit.FITS, what, complete=complete)

    def _fails(self, what: str, *, instead: str = _MEND) -> Verdict:
        seq = None if self._ended is None else self._ended.seq
        return self._judged(Fit.FAILS, what, instead=instead, seq=seq)

    def _unrunnable(self, what: str, why: str) -> Verdict:
        return self._judged(Fit.UNRUNNABLE, what, why=why, instead=_BRING_BACK)

    def _differs(self, error: NonDeterminismError) -> Verdict:
        return self._judged(
            Fit.DIFFERS,
            f"the history records {error.recorded}, the code asks for {error.requested}",
            why=error.cause,
            instead=_VERSION_IT,
            recorded=error.recorded,
            requested=error.requested,
            op=error.op,
            seq=error.seq,
        )

    def _judged(self, fit: Fit, what: str, **more: Any) -> Verdict:
        return Verdict(
            workflow_id=self._workflow.workflow_id,
            name=self._workflow.name,
            version=self._workflow.version,
            run=self._workflow.run,
            events=len(self._events),
            fit=fit,
            what=what,
            **more,
        )


def _own_end(events: tuple[HistoryEvent, ...]) -> HistoryEvent | None:
    """The event by which the code has ended a run; None where it has not, or somebody else did."""
    last = events[-1]
    if last.kind in (Kind.WORKFLOW_COMPLETED, Kind.WORKFLOW_FAILED):
        return last
    if last.kind is not Kind.WORKFLOW_CANCELLED:
        return None
    asked = "cancel_reason" in payload.decode(events[0].payload)
    stalled = False
    for event in events:
        asked = asked or event.kind is Kind.WORKFLOW_CANCEL_REQUESTED
        if event.kind in (Kind.WORKFLOW_STALLED, Kind.WORKFLOW_RECOVERED):
            stalled = event.kind is Kind.WORKFLOW_STALLED
    return last if asked and not stalled else None


def _named(error: BaseException) -> str:
    return _shown(f"{type(error).__name__}: {error}", plain=True)


def _shown(value: Any, *, plain: bool = False) -> str:
    text = value if plain else payload.encode(value)[3:-1]
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
