"""Facts: what happened, in the words that streams, logs, metrics and the bridge share.

The bus numbers them; their order is the order in which they were logged. A fact that comes from an
outbox is never lost and never doubled. Notes (progress, log lines, the start of an attempt) do not
come from an outbox: they are kept too, but a crash may lose the last of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

WORKFLOW_QUEUED: Final = "workflow_queued"
WORKFLOW_STARTED: Final = "workflow_started"
WORKFLOW_STALLED: Final = "workflow_stalled"
WORKFLOW_RESUMED: Final = "workflow_resumed"
WORKFLOW_PAUSED: Final = "workflow_paused"
WORKFLOW_UPDATED: Final = "workflow_updated"
WORKFLOW_SIGNALED: Final = "workflow_signaled"
WORKFLOW_CANCEL_REQUESTED: Final = "workflow_cancel_requested"
WORKFLOW_CONTINUED_AS_NEW: Final = "workflow_continued_as_new"
WORKFLOW_CANCELLED: Final = "workflow_cancelled"
WORKFLOW_TERMINATED: Final = "workflow_terminated"
WORKFLOW_COMPLETED: Final = "workflow_completed"
WORKFLOW_FAILED: Final = "workflow_failed"
WORKFLOW_DEAD_LETTERED: Final = "workflow_dead_lettered"
WORKFLOW_RETRIED: Final = "workflow_retried"
STEP_SCHEDULED: Final = "step_scheduled"
STEP_STARTED: Final = "step_started"
STEP_PROGRESS: Final = "step_progress"
STEP_COMPLETED: Final = "step_completed"
STEP_FAILED: Final = "step_failed"
STEP_RETRIED: Final = "step_retried"
STEP_CANCELLED: Final = "step_cancelled"
TIMER_STARTED: Final = "timer_started"
TIMER_FIRED: Final = "timer_fired"
SIGNAL_CONSUMED: Final = "signal_consumed"
GATE_REQUESTED: Final = "gate_requested"
GATE_OPENED: Final = "gate_opened"
GATE_ANSWERED: Final = "gate_answered"
GATE_WITHDRAWN: Final = "gate_withdrawn"
CHILD_STARTED: Final = "child_started"
CHILD_COMPLETED: Final = "child_completed"
CHILD_FAILED: Final = "child_failed"
COMPENSATION_STARTED: Final = "compensation_started"
AGENT_ASSIGNED: Final = "agent_assigned"
AGENT_HANDOFF: Final = "agent_handoff"
AGENT_REGISTERED: Final = "agent_registered"
AGENT_UNREGISTERED: Final = "agent_unregistered"
AGENT_DRAINING: Final = "agent_draining"
AGENT_DRAINED: Final = "agent_drained"
AGENT_ACTIVATED: Final = "agent_activated"
RESULT_STORED: Final = "result_stored"
ARTIFACT_STORED: Final = "artifact_stored"
AGENT_LOST: Final = "agent_lost"
AGENT_RECOVERED: Final = "agent_recovered"
USAGE_RECORDED: Final = "usage_recorded"
LOG: Final = "log"
CIRCUIT_OPENED: Final = "circuit_opened"
CIRCUIT_HALF_OPENED: Final = "circuit_half_opened"
CIRCUIT_CLOSED: Final = "circuit_closed"
LAGGED: Final = "lagged"
ISSUE_CREATED: Final = "issue_created"
ISSUE_UPDATED: Final = "issue_updated"
ISSUE_CLOSED: Final = "issue_closed"

STATE_RECONCILED: Final = "state_reconciled"

ENDS: Final = frozenset(
    {
        WORKFLOW_COMPLETED,
        WORKFLOW_FAILED,
        WORKFLOW_CANCELLED,
        WORKFLOW_TERMINATED,
        WORKFLOW_DEAD_LETTERED,
    }
)
"""After one of these the workflow does nothing more unless somebody asks it to."""


_NO_DATA: Final[Mapping[str, Any]] = {}

# These are named tuples because every event makes one of each: a frozen dataclass takes three times
# as long to make.


class Result(NamedTuple):
    """A result that goes with a fact but is not part of it.

    Args:
        step: the operation's id; "output" for the workflow's own result.
        result_type: the activity's name, or "output".
        value: stored JSON text (`storage.payload`).
        confidence_score: 0.0 to 1.0, None where the result states none.
    """

    step: str
    result_type: str
    agent_type: str | None
    agent_id: str | None
    value: str
    confidence_score: float | None


class Fact(NamedTuple):
    """Something that happened.

    Args:
        type: one of the names of this module.
        workflow_id: None when no workflow is meant.
        at: RFC 3339, UTC.
        data: small JSON; what each type holds is listed in docs/events.md.
        issue_id: None where the bus is to fill it in from the workflow's mapping.
    """

    type: str
    workflow_id: str | None
    at: str
    data: Mapping[str, Any] = _NO_DATA
    issue_id: str | None = None
    result: Result | None = None


class LoggedFact(NamedTuple):
    """A fact with its number in the event log."""

    seq: int
    type: str
    workflow_id: str | None
    issue_id: str | None
    at: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsLogged:
    """Told to the bus's followers after each commit of the event log, in order of `seq`."""

    facts: tuple[LoggedFact, ...]
