"""What is asked and written about who works for which workflow.

An assignment is one time that a workflow is with an agent, or waits for one. Its id rises and is
its fence: whoever acts for an assignment that is not the workflow's open one any more is refused.
"""

from dataclasses import dataclass
from typing import Final, Literal

from actors.writer import Command
from supervision import Ask

AssignmentStatus = Literal["queued", "assigned", "completed", "reassigned"]
"""`completed`: the workflow has ended or was handed on. `reassigned`: it was taken away."""

HANDOFF: Final = "handoff"
BY_HAND: Final = "by_hand"
LOST: Final = "lost"
Move = Literal["handoff", "by_hand", "lost"]
"""Why a workflow goes from one agent to another: its work is passed on; somebody decides so; its
agent is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentRecord:
    """One row; times are RFC 3339, UTC.

    Args:
        id: also its fence.
        agent_id: None while it is queued for whichever agent of the type has room first.
        step_number: 1 for the first; rises with each handoff, not when the agent is replaced.
        handoff_from: the agent that had the workflow before, where it was handed on.
        assigned_by: who decided: "beadflow", or a person or agent.
    """

    id: int
    workflow_id: str
    agent_type: str
    agent_id: str | None
    step_number: int
    status: str
    priority: int
    handoff_from: str | None
    assigned_by: str
    reason: str
    created_at: str
    assigned_at: str | None
    completed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentPage:
    """Newest first. `next_cursor` is opaque; None on the last page."""

    records: tuple[AssignmentRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAssignments(Ask[AssignmentPage]):
    """Asked of the manager. Refused with `ValidationError` (limit, cursor).

    Args:
        limit: 1 to 200.
    """

    workflow_id: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    status: str | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignWorkflow(Ask[AssignmentRecord]):
    """Asked of the manager: give a workflow to an agent, by hand. Durable once answered.

    Refused with `NotFound` (workflow, agent), and with `Conflict`: the workflow is over
    (`workflow_closed`), the agent cannot do its work (`wrong_agent_type`), takes no work
    (`agent_draining`, `agent_lost`) or has no room (`agent_busy`).

    Args:
        author: who decides so.
        idempotency_key: the same key with the same request answers the first one's assignment.
    """

    workflow_id: str
    agent_id: str
    reason: str = ""
    author: str = "operator"
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOff(Ask[AssignmentRecord]):
    """Asked of the manager: an agent passes a workflow on to the next one. Durable once answered.

    In one intent: what it hands over is stored as a result, its assignment is completed, the next
    one is made with `handoff_from` and the next step's number, `agent_handoff` is published, the
    workflow gets the signal "agent_handoff", and its issue a comment. Refused as `AssignWorkflow`,
    and with `Conflict` when `from_agent` is not the holder (`not_the_holder`).

    Args:
        to_agent: None takes the least loaded agent of `to_type`.
        to_type: None is the type of `to_agent`; one of the two is given, and both only where they
            agree.
        payload: what is handed over: any JSON, at most 256 KiB; None for nothing.
        assignment_id: the fence of whoever hands on; None is not checked.
    """

    workflow_id: str
    from_agent: str
    to_agent: str | None = None
    to_type: str | None = None
    reason: str = ""
    payload: object = None
    assignment_id: int | None = None
    author: str = "operator"
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveWorkflow(Ask[AssignmentRecord]):
    """Asked of the coordinator, who alone knows who has room: make the workflow another agent's.

    It reserves the new agent, has `MoveAssignment` written, and only then lets go of the old one.
    Refused as `HandOff`.

    Args:
        move_id: names this move; the same twice is one, and it is the id of its intent.
        kind: a handoff makes the next step; the others replace the agent of this one.
        from_agent: who has to be the holder; None is not checked.
        to_agent: None takes the least loaded one of `to_type`.
        allowed: types of agents that may have it; empty for any.
        payload: stored JSON text of what is handed over; None for nothing.
        key: (idempotency key, SHA-256 of the request), written in the same transaction.
    """

    move_id: str
    workflow_id: str
    kind: Move
    from_agent: str | None = None
    to_agent: str | None = None
    to_type: str | None = None
    allowed: tuple[str, ...] = ()
    reason: str = ""
    payload: str | None = None
    assignment_id: int | None = None
    author: str = "beadflow"
    key: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveAssignment(Command[AssignmentRecord]):
    """Written by the coordinator: close the workflow's open assignment and open the next one.

    In one transaction, with all that goes with it in this database: the facts (`agent_handoff` and
    `agent_assigned`), the result that holds the payload (`result_type` "handoff"), the idempotency
    key, and for a handoff its intent, which stays open until the workflow has its signal. The same
    move twice is one. Refused with `Conflict` when the open assignment is another than `fence`.

    Args:
        fence: the id of the open assignment that this decision was made on; None when there is
            none (the first of a workflow that had no agent).
        agent_id: None queues it for its type.
    """

    move_id: str
    workflow_id: str
    kind: Move
    fence: int | None
    agent_type: str
    agent_id: str | None
    reason: str
    payload: str | None
    author: str
    key: tuple[str, str] | None
    at: str
