"""How the reconciler's commands change the three databases. Run by their writers."""

import sqlite3
from collections.abc import Mapping

from actors import facts
from actors.coordination import store
from actors.coordination.reconciling.messages import (
    CompleteAssignment,
    CompleteTask,
    DropLease,
    FollowEngine,
    FollowIssue,
    LogReconciled,
    NoteLooked,
    QueueAssignment,
    SetBackFeed,
    SetBackOutbox,
)
from actors.facts import Fact
from actors.writer import Handler
from storage.coordination import divergences, queries
from storage.coordination.queries import Progress
from storage.issues import divergences as issues
from storage.issues import leases
from storage.workflows import divergences as workflows
from storage.workflows import queries as engine

PASSES = "reconciled"
"""The cursor that counts the passes whose fact is logged."""


def follow_engine(connection: sqlite3.Connection, command: FollowEngine) -> bool:
    row = queries.mapping(connection, command.workflow_id)
    if row is None or row["status"] != command.before:
        return False
    reached = Progress(
        command.status,
        None,
        command.completed_at,
        command.error_code,
        command.error_message,
    )
    queries.note_progress(connection, {command.workflow_id: reached})
    return True


def follow_issue(connection: sqlite3.Connection, command: FollowIssue) -> bool:
    return divergences.follow_issue(
        connection,
        workflow_id=command.workflow_id,
        title=command.title,
        priority=command.priority,
        at=command.at,
    )


def queue_assignment(connection: sqlite3.Connection, command: QueueAssignment) -> bool:
    return divergences.queue_assignment(
        connection,
        workflow_id=command.workflow_id,
        agent_type=command.agent_type,
        reason=command.reason,
        at=command.at,
    )


def complete_assignment(connection: sqlite3.Connection, command: CompleteAssignment) -> None:
    queries.complete_assignments(connection, {command.workflow_id: command.at})


def note_looked(connection: sqlite3.Connection, command: NoteLooked) -> None:
    if queries.cursor(connection, command.source) < command.position:
        queries.set_cursor(connection, command.source, command.position)


def set_back_outbox(connection: sqlite3.Connection, command: SetBackOutbox) -> None:
    divergences.set_back(connection, command.source, command.position)


def log_reconciled(connection: sqlite3.Connection, command: LogReconciled) -> None:
    if queries.cursor(connection, PASSES) >= command.number:
        return
    queries.set_cursor(connection, PASSES, command.number)
    data = {
        "found": command.found,
        "repaired": command.repaired,
        "reported": command.reported,
        "codes": list(command.codes),
    }
    fact = Fact(type=facts.STATE_RECONCILED, workflow_id=None, at=command.at, data=data)
    store.log_own(connection, [fact])


def set_back_feed(conn: sqlite3.Connection, command: SetBackFeed) -> None:
    issues.set_back(conn, command.consumer, command.position)


def drop_lease(conn: sqlite3.Connection, command: DropLease) -> None:
    leases.end(conn, command.issue_id)


def complete_task(connection: sqlite3.Connection, command: CompleteTask) -> bool:
    done = workflows.complete_task(
        connection,
        workflow_id=command.workflow_id,
        op=command.op,
        fence=command.fence,
        agent_id=command.agent_id,
        outcome=command.outcome,
        at=command.at,
    )
    if done:
        return True
    row = engine.task(connection, command.workflow_id, command.op)
    if row is None or row.state not in ("done", "consumed"):
        return False
    return (row.fence, row.agent_id) == (command.fence, command.agent_id)


COORDINATION: Mapping[type, Handler] = {
    FollowEngine: follow_engine,
    FollowIssue: follow_issue,
    QueueAssignment: queue_assignment,
    CompleteAssignment: complete_assignment,
    NoteLooked: note_looked,
    SetBackOutbox: set_back_outbox,
    LogReconciled: log_reconciled,
}
BEADS: Mapping[type, Handler] = {SetBackFeed: set_back_feed, DropLease: drop_lease}
TEMPOLITE: Mapping[type, Handler] = {CompleteTask: complete_task}
