"""How assignments change in the coordination database. Run by its writer, inside its transaction.

A move closes one assignment and opens the next, with all that follows from it here: never is a
workflow with two agents, and never is it half handed on.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from actors import facts
from actors.agents.messages import AssignQueued
from actors.coordination import repeats
from actors.coordination.assignment_messages import HANDOFF, AssignmentRecord, MoveAssignment
from actors.coordination.results.names import HANDED_OVER
from actors.coordination.store import log_own
from actors.errors import Conflict, NotFound
from actors.facts import Fact, Result
from actors.writer import Handler
from storage import payload
from storage.coordination import assignments, queries

STALE: Final = "assignment_changed"
"""The code of a refusal: the decision was made on an assignment that is over."""

ENDED: Final = frozenset({"completed", "failed", "cancelled", "terminated", "dead_letter"})
"""What mappings say of workflows that nobody works for."""


def move_key(move_id: str, key: tuple[str, str] | None) -> tuple[str, str]:
    """Under which key a move is written down. No request can come with a line break in its key."""
    return key or (f"move\n{move_id}", "")


def move_assignment(connection: sqlite3.Connection, command: MoveAssignment) -> AssignmentRecord:
    key, sha256 = move_key(command.move_id, command.key)
    known = repeats.known(connection, key, sha256)
    if known is not None:
        return AssignmentRecord(**known)
    mapping = queries.mapping(connection, command.workflow_id)
    if mapping is None:
        raise NotFound(f"there is no workflow {command.workflow_id}")
    if mapping["status"] in ENDED:
        raise closed(command.workflow_id, mapping["status"])
    before = assignments.open_of(connection, command.workflow_id)
    if command.fence != (None if before is None else before["id"]):
        raise Conflict(
            f"workflow {command.workflow_id} is not with the agent it was with when this was"
            " decided",
            code=STALE,
        )
    record = _open_next(connection, command, mapping, before)
    found = list(_facts(command, record, mapping, before))
    log_own(connection, found)
    if command.kind == HANDOFF:
        queries.insert_intent(
            connection,
            intent_id=command.move_id,
            workflow_id=command.workflow_id,
            kind="handoff",
            payload=payload.encode(_to_signal(command, record, mapping)),
            at=command.at,
        )
    repeats.remember(connection, key, sha256, answer=asdict(record), at=command.at)
    return record


def assign_queued(connection: sqlite3.Connection, command: AssignQueued) -> bool:
    row = assignments.open_of(connection, command.workflow_id)
    if row is None or not queries.assign(
        connection, command.workflow_id, command.agent_id, command.at
    ):
        return False
    if command.announced and row["status"] == "queued":
        record = AssignmentRecord(**{**dict(row), "agent_id": command.agent_id})
        log_own(connection, [assigned(record, command.at)])
    return True


def closed(workflow_id: str, status: str) -> Conflict:
    """Nobody is given a workflow that has ended."""
    return Conflict(
        f"workflow {workflow_id} is over: it is {status}",
        code="workflow_closed",
        hint="only a workflow that goes on can be given to an agent",
    )


def _open_next(
    connection: sqlite3.Connection,
    command: MoveAssignment,
    mapping: sqlite3.Row,
    before: sqlite3.Row | None,
) -> AssignmentRecord:
    handed_on = command.kind == HANDOFF
    last = before or assignments.last_of(connection, command.workflow_id)
    if before is not None:
        status = "completed" if handed_on else "reassigned"
        assignments.close(connection, before["id"], status=status, at=command.at)
    step = 1 if last is None else last["step_number"] + handed_on
    giver = None if last is None else last["agent_id" if handed_on else "handoff_from"]
    values: dict[str, Any] = {
        "workflow_id": command.workflow_id,
        "agent_type": command.agent_type,
        "agent_id": command.agent_id,
        "step_number": step,
        "status": "queued" if command.agent_id is None else "assigned",
        "priority": mapping["priority"],
        "handoff_from": giver,
        "assigned_by": command.author,
        "reason": command.reason,
        "created_at": command.at,
        "assigned_at": None if command.agent_id is None else command.at,
    }
    return AssignmentRecord(id=assignments.insert(connection, values), completed_at=None, **values)


def _facts(
    command: MoveAssignment,
    record: AssignmentRecord,
    mapping: sqlite3.Row,
    before: sqlite3.Row | None,
) -> Iterator[Fact]:
    if command.kind == HANDOFF:
        yield _handoff(command, record, None if before is None else before["agent_type"])
    if record.agent_id is None:
        data = {
            "type": mapping["workflow_type"],
            "version": mapping["workflow_version"],
            "agent_type": record.agent_type,
            "reason": command.reason,
        }
        yield Fact(facts.WORKFLOW_QUEUED, command.workflow_id, command.at, data)
    else:
        yield assigned(record, command.at)


def _handoff(command: MoveAssignment, record: AssignmentRecord, giver_type: str | None) -> Fact:
    data = {
        "from_agent": record.handoff_from,
        "to_agent": record.agent_id,
        "to_type": record.agent_type,
        "step_number": record.step_number,
        "reason": command.reason,
        "assignment_id": record.id,
    }
    given = command.payload
    result = None
    if given is not None:
        result = Result(HANDED_OVER, HANDED_OVER, giver_type, record.handoff_from, given, None)
    return Fact(facts.AGENT_HANDOFF, command.workflow_id, command.at, data, result=result)


def assigned(record: AssignmentRecord, at: str) -> Fact:
    """The fact that an agent has a workflow now."""
    data = {
        "agent_id": record.agent_id,
        "agent_type": record.agent_type,
        "assignment_id": record.id,
        "step_number": record.step_number,
        "reason": record.reason,
    }
    return Fact(facts.AGENT_ASSIGNED, record.workflow_id, at, data)


def _to_signal(
    command: MoveAssignment, record: AssignmentRecord, mapping: sqlite3.Row
) -> dict[str, Any]:
    """What the workflow is told. `payload` is stored JSON text, or null."""
    return {
        "workflow_id": command.workflow_id,
        "from_agent": record.handoff_from,
        "to_agent": record.agent_id,
        "to_type": record.agent_type,
        "step_number": record.step_number,
        "assignment_id": record.id,
        "issue_id": mapping["beads_issue_id"],
        "reason": command.reason,
        "payload": command.payload,
        "at": command.at,
    }


HANDLERS: Mapping[type, Handler] = {
    AssignQueued: assign_queued,
    MoveAssignment: move_assignment,
}
