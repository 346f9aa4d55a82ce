"""The history of a workflow: what happened to it, in order, and never changed afterwards.

Pure. The engine's writer stores these events, the workflow's actor answers from them when it is
started again, and the event bus copies them out as facts.
"""

from dataclasses import dataclass
from enum import StrEnum

from storage import payload


class Kind(StrEnum):
    """What an event of the history says."""

    WORKFLOW_STARTED = "workflow_started"
    WORKFLOW_ACTIVATED = "workflow_activated"
    ACTIVITY_SCHEDULED = "activity_scheduled"
    ACTIVITY_COMPLETED = "activity_completed"
    ACTIVITY_FAILED = "activity_failed"
    SIDE_EFFECT_RECORDED = "side_effect_recorded"
    WORKFLOW_STALLED = "workflow_stalled"
    WORKFLOW_COMPLETED = "workflow_completed"
    WORKFLOW_FAILED = "workflow_failed"
    WORKFLOW_DEAD_LETTERED = "workflow_dead_lettered"


class Status(StrEnum):
    """Where the engine is with an instance."""

    QUEUED = "queued"
    RUNNING = "running"
    STALLED = "stalled"
    COMPLETED = "completed"
    FAILED = "failed"
    DEAD_LETTER = "dead_letter"


OPERATIONS = frozenset(
    {
        Kind.ACTIVITY_SCHEDULED,
        Kind.ACTIVITY_COMPLETED,
        Kind.ACTIVITY_FAILED,
        Kind.SIDE_EFFECT_RECORDED,
    }
)
"""Kinds that record an operation of the workflow's function, and so take part in replay."""

STATUS_AFTER = {
    Kind.WORKFLOW_ACTIVATED: Status.RUNNING,
    Kind.WORKFLOW_STALLED: Status.STALLED,
    Kind.WORKFLOW_COMPLETED: Status.COMPLETED,
    Kind.WORKFLOW_FAILED: Status.FAILED,
    Kind.WORKFLOW_DEAD_LETTERED: Status.DEAD_LETTER,
}
"""The instance's status once such an event is recorded; other kinds leave it as it is."""


NOTHING = payload.encode(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """One event.

    Args:
        seq: 1, 2, 3 … within its workflow, without a gap.
        kind: see `Kind`.
        op: the operation's strand path, e.g. "3" or "2.0.1"; "" where no operation is meant.
        name: the activity's or workflow's name.
        payload: stored JSON text (`storage.payload`).
        at: RFC 3339, UTC.
    """

    seq: int
    kind: Kind
    op: str = ""
    name: str = ""
    payload: str = NOTHING
    at: str


def idempotency_key(workflow_id: str, op: str) -> str:
    """The same text for each attempt of one step, and for no other step."""
    return f"{workflow_id}/{op}"
