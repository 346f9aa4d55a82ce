"""Replay: what the history already answers, and where the code no longer asks for it.

Pure. Execution is memoisation over the history: the workflow's function runs again from its first
line, and every operation that is recorded answers from here instead of from the world. Operation
ids are strand paths, so that branches that run at once find their own records although trio
shuffles its tasks on purpose.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.workflows.history import OPERATIONS, HistoryEvent, Kind
from actors.workflows.strand import gathers_above


class NonDeterminismError(BaseException):
    """The code and the history disagree. Not an `Exception`: a workflow must not swallow it.

    Args:
        workflow_id: whose history.
        recorded: what the history holds, e.g. "activity 'fetch' at 2".
        requested: what the code asked for instead.
    """

    def __init__(self, workflow_id: str, recorded: str, requested: str) -> None:
        super().__init__(
            f"workflow {workflow_id}: the history records {recorded}, the code asks for {requested}"
        )
        self.recorded = recorded
        self.requested = requested


@dataclass(slots=True)
class Recorded:
    """What is recorded of one operation.

    Args:
        what: "activity" or "side effect".
        name: the activity's name; "" for a side effect.
        scheduled: an agent's task row exists for it.
        outcome: the event that ended it, None while it is open.
    """

    what: str
    name: str
    scheduled: bool = False
    outcome: HistoryEvent | None = None

    def describe(self, op: str) -> str:
        return _describe(self.what, self.name, op)


@dataclass(slots=True)
class Replay:
    """The recorded operations of one workflow, consumed as its function asks for them."""

    workflow_id: str
    _recorded: dict[str, Recorded] = field(default_factory=dict)
    _gathers: dict[str, str] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, workflow_id: str, events: Iterable[HistoryEvent]) -> "Replay":
        replay = cls(workflow_id)
        for event in events:
            if event.kind in OPERATIONS:
                replay._add(event)
        return replay

    def _add(self, event: HistoryEvent) -> None:
        for gather in gathers_above(event.op):
            self._gathers.setdefault(gather, event.op)
        what = "side effect" if event.kind is Kind.SIDE_EFFECT_RECORDED else "activity"
        record = self._recorded.setdefault(event.op, Recorded(what, event.name))
        if event.kind is Kind.ACTIVITY_SCHEDULED:
            record.scheduled = True
        else:
            record.outcome = event

    def take(self, op: str, what: str, name: str = "") -> Recorded | None:
        """What is recorded for `op`, None when the code is at its frontier.

        Raises:
            NonDeterminismError: something else is recorded there.
        """
        self._asked.add(op)
        record = self._recorded.get(op)
        if record is not None and (record.what, record.name) != (what, name):
            raise self._differs(op, _describe(what, name, op))
        if op in self._gathers:
            raise self._differs(self._gathers[op], _describe(what, name, op))
        return record

    def fork(self, op: str) -> None:
        """Say that the code runs branches at `op`.

        Raises:
            NonDeterminismError: an operation is recorded there.
        """
        if op in self._recorded:
            raise self._differs(op, f"branches at {op}")

    def _differs(self, recorded: str, requested: str) -> NonDeterminismError:
        described = self._recorded[recorded].describe(recorded)
        return NonDeterminismError(self.workflow_id, described, requested)

    @property
    def behind(self) -> bool:
        """Whether recorded operations are left that the code has not asked for yet."""
        return not self._recorded.keys() <= self._asked

    def close(self) -> None:
        """Say that the function has ended.

        Raises:
            NonDeterminismError: recorded operations are left that it no longer asks for.
        """
        left = sorted(self._recorded.keys() - self._asked)
        if left:
            raise self._differs(left[0], "its end")


def _describe(what: str, name: str, op: str) -> str:
    return f"{what} {name!r} at {op}" if name else f"{what} at {op}"
