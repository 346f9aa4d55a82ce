"""The history of a workflow: what happened to it, in order, and never changed afterwards.

Pure. The engine's writer numbers and stores these events, the workflow's actor answers from them
when it is started again, and the event bus copies them out as facts.

*Own* events come from the workflow's actor, which knows what it has recorded so far. *Outer* events
come from anybody else, at any time: a signal, a pause, a cancellation. So an own event follows the
last own event, whatever came in between.
"""

from dataclasses import dataclass
from enum import StrEnum

from storage import payload


class Kind(StrEnum):
    """What an event of the history says."""

    WORKFLOW_STARTED = "workflow_started"
    WORKFLOW_ACTIVATED = "workflow_activated"
    WORKFLOW_SIGNALED = "workflow_signaled"
    WORKFLOW_CANCEL_REQUESTED = "workflow_cancel_requested"
    WORKFLOW_PAUSED = "workflow_paused"
    WORKFLOW_RESUMED = "workflow_resumed"
    WORKFLOW_RECOVERED = "workflow_recovered"
    WORKFLOW_STALLED = "workflow_stalled"
    WORKFLOW_CONTINUED_AS_NEW = "workflow_continued_as_new"
    WORKFLOW_COMPLETED = "workflow_completed"
    WORKFLOW_COMPLETED_BY_HAND = "workflow_completed_by_hand"
    WORKFLOW_FAILED = "workflow_failed"
    WORKFLOW_CANCELLED = "workflow_cancelled"
    WORKFLOW_TERMINATED = "workflow_terminated"
    WORKFLOW_DEAD_LETTERED = "workflow_dead_lettered"
    WORKFLOW_RETRIED = "workflow_retried"
    ACTIVITY_SCHEDULED = "activity_scheduled"
    ACTIVITY_STARTED = "activity_started"
    ACTIVITY_RETRIED = "activity_retried"
    ACTIVITY_COMPLETED = "activity_completed"
    ACTIVITY_FAILED = "activity_failed"
    TRANSACTION_COMPLETED = "transaction_completed"
    TRANSACTION_FAILED = "transaction_failed"
    SIDE_EFFECT_RECORDED = "side_effect_recorded"
    TIMER_STARTED = "timer_started"
    TIMER_FIRED = "timer_fired"
    SIGNAL_CONSUMED = "signal_consumed"
    GATE_REQUESTED = "gate_requested"
    CHILD_STARTED = "child_started"
    CHILD_COMPLETED = "child_completed"
    CHILD_FAILED = "child_failed"
    BRANCH_CHOSEN = "branch_chosen"
    COMPENSATION_STARTED = "compensation_started"
    OPERATION_CANCELLED = "operation_cancelled"
    VERSION_MARKED = "version_marked"


class Status(StrEnum):
    """Where the engine is with an instance."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STALLED = "stalled"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    DEAD_LETTER = "dead_letter"


CLOSED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.TERMINATED})
"""An instance in one of these does nothing more, unless it has failed and somebody retries it."""

OUTER = frozenset(
    {
        Kind.WORKFLOW_ACTIVATED,
        Kind.WORKFLOW_SIGNALED,
        Kind.WORKFLOW_CANCEL_REQUESTED,
        Kind.WORKFLOW_PAUSED,
        Kind.WORKFLOW_RESUMED,
        Kind.WORKFLOW_COMPLETED_BY_HAND,
        Kind.WORKFLOW_TERMINATED,
        Kind.WORKFLOW_DEAD_LETTERED,
    }
)
"""Kinds that others than the workflow's actor record.

A retry is recorded by others, too, but counts as an own event: what an incarnation from before it
has still to say would follow what no longer counts, and is refused like what any other actor says
that somebody has overtaken.
"""

ENDED_BY_OTHERS = frozenset(
    {
        Kind.WORKFLOW_COMPLETED_BY_HAND,
        Kind.WORKFLOW_TERMINATED,
        Kind.WORKFLOW_DEAD_LETTERED,
    }
)
"""Kinds by which others end a workflow where it stands: its actor's own events do not follow."""

STATUS_AFTER = {
    Kind.WORKFLOW_ACTIVATED: Status.RUNNING,
    Kind.WORKFLOW_PAUSED: Status.PAUSED,
    Kind.WORKFLOW_RESUMED: Status.RUNNING,
    Kind.WORKFLOW_RECOVERED: Status.RUNNING,
    Kind.WORKFLOW_STALLED: Status.STALLED,
    Kind.WORKFLOW_RETRIED: Status.RUNNING,
    Kind.WORKFLOW_COMPLETED: Status.COMPLETED,
    Kind.WORKFLOW_COMPLETED_BY_HAND: Status.COMPLETED,
    Kind.WORKFLOW_FAILED: Status.FAILED,
    Kind.WORKFLOW_CANCELLED: Status.CANCELLED,
    Kind.WORKFLOW_TERMINATED: Status.TERMINATED,
    Kind.WORKFLOW_DEAD_LETTERED: Status.DEAD_LETTER,
}
"""The instance's status once such an event is recorded; other kinds leave it as it is."""


NOTHING = payload.encode(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event that is not stored yet, and so has no number.

    Args:
        kind: see `Kind`.
        op: the operation's strand path, e.g. "3" or "2.0.1"; "" where no operation is meant.
        name: the activity's, signal's or workflow's name.
        payload: stored JSON text (`storage.payload`).
        at: RFC 3339, UTC.
    """

    kind: Kind
    op: str = ""
    name: str = ""
    payload: str = NOTHING
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent(NewEvent):
    """A stored event.

    Args:
        seq: 1, 2, 3 … within its workflow, without a gap.
    """

    seq: int


def idempotency_key(workflow_id: str, op: str) -> str:
    """The same text for each attempt of one step, and for no other step."""
    return f"{workflow_id}/{op}"
