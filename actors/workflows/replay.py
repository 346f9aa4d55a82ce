"""Replay: what the history already answers, and where the code no longer asks for it.

Pure. Execution is memoisation over the history: the workflow's function runs again from its first
line, and every operation that is recorded answers from here instead of from the world. Operation
ids are strand paths, so that branches that run at once find their own records although trio
shuffles its tasks on purpose.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from actors.workflows.history import HistoryEvent, Kind
from actors.workflows.strand import forks_above
from storage import payload

ACTIVITY = "activity"
TRANSACTION = "transaction"
SIDE_EFFECT = "side effect"
TIMER = "timer"
SIGNAL = "signal"
GATE = "gate"
CHILD = "child workflow"
FIRST = "first-of"
SAGA = "compensation"

_OPENS = {
    Kind.ACTIVITY_SCHEDULED: ACTIVITY,
    Kind.ACTIVITY_STARTED: ACTIVITY,
    Kind.ACTIVITY_RETRIED: ACTIVITY,
    Kind.TIMER_STARTED: TIMER,
    Kind.GATE_REQUESTED: GATE,
    Kind.CHILD_STARTED: CHILD,
}
_CLOSES = {
    Kind.ACTIVITY_COMPLETED: ACTIVITY,
    Kind.ACTIVITY_FAILED: ACTIVITY,
    Kind.TRANSACTION_COMPLETED: TRANSACTION,
    Kind.TRANSACTION_FAILED: TRANSACTION,
    Kind.SIDE_EFFECT_RECORDED: SIDE_EFFECT,
    Kind.TIMER_FIRED: TIMER,
    Kind.SIGNAL_CONSUMED: SIGNAL,
    Kind.CHILD_COMPLETED: CHILD,
    Kind.CHILD_FAILED: CHILD,
    Kind.BRANCH_CHOSEN: FIRST,
    Kind.COMPENSATION_STARTED: SAGA,
    Kind.OPERATION_CANCELLED: "",
}
"""Kinds that record an operation of the workflow's function, and what kind of operation it was."""


class NonDeterminismError(BaseException):
    """The code and the history disagree. Not an `Exception`: a workflow must not swallow it.

    Args:
        workflow_id: whose history.
        recorded: what the history holds, e.g. "activity 'fetch' at 2".
        requested: what the code asked for instead.
        cause: what probably was changed.
        op: the operation that is recorded; "" where none is.
        seq: the event that recorded it; None where no single one did.
    """

    def __init__(
        self,
        workflow_id: str,
        recorded: str,
        requested: str,
        *,
        cause: str = "",
        op: str = "",
        seq: int | None = None,
    ) -> None:
        where = "" if seq is None else f" (event {seq})"
        why = f"; {cause}" if cause else ""
        super().__init__(
            f"workflow {workflow_id}: the history records {recorded}{where},"
            f" the code asks for {requested}{why}"
        )
        self.workflow_id = workflow_id
        self.recorded = recorded
        self.requested = requested
        self.cause = cause
        self.op = op
        self.seq = seq


@dataclass(slots=True)
class Recorded:
    """What is recorded of one operation.

    Args:
        what: "activity", "timer" … as above.
        name: the activity's or signal's name; "" for what has none.
        opened: the event that began it: scheduled, or started. None when nothing had to say so.
        retried: its last failed attempt that is not final.
        outcome: the event that ended it, None while it is open.
        seq: its first event.
    """

    what: str
    name: str
    seq: int
    opened: HistoryEvent | None = None
    retried: HistoryEvent | None = None
    outcome: HistoryEvent | None = None

    def describe(self, op: str) -> str:
        return describe(self.what, self.name, op)


@dataclass(slots=True)
class Replay:
    """The recorded operations of one run of a workflow, consumed as its function asks for them.

    Args:
        taken: ids of children that the run has started, and that a retry has made it forget.
    """

    workflow_id: str
    _recorded: dict[str, Recorded] = field(default_factory=dict)
    _forks: dict[str, str] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _left: int = 0
    _versions: dict[str, int] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()

    @classmethod
    def of(cls, workflow_id: str, events: Iterable[HistoryEvent]) -> Self:
        replay = cls(workflow_id)
        for event in events:
            replay.add(event)
        replay._left = len(replay._recorded)
        return replay

    def add(self, event: HistoryEvent) -> None:
        kind = event.kind
        if kind is Kind.VERSION_MARKED:
            self._versions[event.name] = payload.decode(event.payload)["version"]
            return
        what = _OPENS.get(kind) or _CLOSES.get(kind)
        if what is None:
            return
        record = self._recorded.get(event.op)
        if record is None:
            if not what:
                what = payload.decode(event.payload)["what"]
            record = self._recorded[event.op] = Recorded(what, event.name, event.seq)
            for fork in forks_above(event.op):
                self._forks.setdefault(fork, event.op)
        if kind is Kind.ACTIVITY_RETRIED:
            record.retried = event
        elif kind in _OPENS:
            record.opened = event
        else:
            record.outcome = event

    def take(self, op: str, what: str, name: str = "") -> Recorded | None:
        """What is recorded for `op`, None when the code is at its frontier.

        Raises:
            NonDeterminismError: something else is recorded there.
        """
        record = self._recorded.get(op)
        if record is not None:
            if op not in self._asked:
                self._asked.add(op)
                self._left -= 1
            if (record.what, record.name) != (what, name):
                raise self._differs(op, describe(what, name, op), _changed(record, what))
        if what is not FIRST and op in self._forks:
            cause = "branches were replaced by a single operation"
            raise self._differs(self._forks[op], describe(what, name, op), cause)
        return record

    def fork(self, op: str) -> None:
        """Say that the code runs branches at `op`.

        Raises:
            NonDeterminismError: an operation is recorded there.
        """
        if op in self._recorded:
            cause = "a single operation was replaced by branches"
            raise self._differs(op, f"branches at {op}", cause)

    def abandon(self, strand: str) -> None:
        """Say that a branch has lost: what it has recorded is not asked for any more."""
        prefix = f"{strand}."
        for op in self._recorded.keys() - self._asked:
            if op.startswith(prefix):
                self._asked.add(op)
                self._left -= 1

    def is_recorded(self, op: str) -> bool:
        """Whether an operation, or branches, are recorded there."""
        return op in self._recorded or op in self._forks

    def is_open(self, op: str) -> bool:
        """Whether it is recorded that an operation has begun, and not that it has ended."""
        record = self._recorded.get(op)
        return record is not None and record.outcome is None

    def version(self, change: str) -> int | None:
        """The version that is marked for a change, None where none is."""
        return self._versions.get(change)

    def mark(self, change: str, version: int) -> None:
        self._versions[change] = version

    def _differs(self, recorded: str, requested: str, cause: str) -> NonDeterminismError:
        record = self._recorded[recorded]
        return NonDeterminismError(
            self.workflow_id,
            record.describe(recorded),
            requested,
            cause=cause,
            op=recorded,
            seq=record.seq,
        )

    @property
    def behind(self) -> bool:
        """Whether recorded operations are left that the code has not asked for yet."""
        return self._left > 0

    def close(self, asked_for: str = "its end") -> None:
        """Say that the function has ended, or asks for nothing more that may be recorded.

        Raises:
            NonDeterminismError: recorded operations are left that it no longer asks for.
        """
        if self._left:
            left = min(self._recorded.keys() - self._asked, key=lambda op: self._recorded[op].seq)
            raise self._differs(left, asked_for, "a step was removed, or is now behind a condition")


def describe(what: str, name: str, op: str) -> str:
    return f"{what} {name!r} at {op}" if name else f"{what} at {op}"


def _changed(record: Recorded, what: str) -> str:
    if record.what == what:
        return f"the {what} was renamed or replaced, or the order of the steps was changed"
    return "a step was added, removed or moved before this place"
