"""The bridge's SQL. What writes runs inside the writer's transaction; the rest only reads."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.rows import insert_rows

# What the last assignment says of who has it, or had it last; one that never had any says what it
# was started for.
AGENT_TYPE = """
    coalesce((SELECT a.agent_type FROM agent_assignments a
              WHERE a.workflow_id = m.tempolite_workflow_id ORDER BY a.id DESC LIMIT 1),
             m.agent_type) AS agent_type"""
AGENT_ID = """
    (SELECT a.agent_id FROM agent_assignments a WHERE a.workflow_id = m.tempolite_workflow_id
     ORDER BY a.id DESC LIMIT 1) AS agent_id"""

MAPPING_COLUMNS = f"""
    m.beads_issue_id, m.tempolite_workflow_id, m.workflow_type, m.workflow_version, m.title,
    m.status, m.priority, m.metadata, m.error_code, m.error_message, m.created_at,
    m.started_at, m.completed_at, m.request_sha256,
    coalesce(m.updated_at, m.created_at) AS updated_at, {AGENT_ID}, {AGENT_TYPE},
    (SELECT CASE a.status WHEN 'queued' THEN a.agent_type END FROM agent_assignments a
     WHERE a.workflow_id = m.tempolite_workflow_id ORDER BY a.id DESC LIMIT 1) AS waits_for_agent"""  # noqa: S608 - constants

MAPPING = f"SELECT {MAPPING_COLUMNS} FROM workflow_mappings m WHERE m.tempolite_workflow_id = ?"  # noqa: S608 - constants
MAPPING_OF_KEY = f"SELECT {MAPPING_COLUMNS} FROM workflow_mappings m WHERE m.idempotency_key = ?"  # noqa: S608 - constants
TOLD_OF = """
    SELECT value FROM json_each(?)
    WHERE EXISTS (SELECT 1 FROM events WHERE workflow_id = value)"""
EVENTS_OF_WORKFLOW = """
    SELECT seq, type, workflow_id, issue_id, at, data FROM events
    WHERE workflow_id = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"""
EVENTS_OF_TYPES = """
    SELECT seq, type, workflow_id, issue_id, at, data FROM events
    WHERE seq > ? AND seq <= ? AND type IN (SELECT value FROM json_each(?)) ORDER BY seq"""
EVENTS = """
    SELECT seq, type, workflow_id, issue_id, at, data FROM events
    WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"""
FORGOTTEN = "forgotten"
"""Beside the cursors of the outboxes: the highest number of an event that was archived."""

LOG_BOUNDS = """
    SELECT (SELECT coalesce(max(seq), 0) FROM events) AS last,
           coalesce((SELECT position FROM outbox_cursors WHERE source = ?), 0) AS forgotten"""
ASSIGNED = """
    SELECT id, workflow_id, agent_type, agent_id FROM agent_assignments
    WHERE status = 'assigned' ORDER BY id"""
QUEUED = """
    SELECT workflow_id, agent_type FROM agent_assignments
    WHERE status = 'queued' AND agent_type = ? ORDER BY priority, id LIMIT ?"""
ISSUES_OF = """
    SELECT tempolite_workflow_id, beads_issue_id
    FROM json_each(?) CROSS JOIN workflow_mappings ON tempolite_workflow_id = value"""
WORKFLOWS_OF = """
    SELECT beads_issue_id, tempolite_workflow_id
    FROM json_each(?) CROSS JOIN workflow_mappings ON beads_issue_id = value"""
NOTE_PROGRESS = """
    UPDATE workflow_mappings SET status = value ->> 1,
        started_at = coalesce(started_at, value ->> 2), completed_at = value ->> 3,
        error_code = value ->> 4, error_message = value ->> 5
    FROM json_each(?) WHERE tempolite_workflow_id = value ->> 0"""
COMPLETE_ASSIGNMENTS = """
    UPDATE agent_assignments SET status = 'completed', completed_at = value ->> 1
    FROM json_each(?) WHERE workflow_id = value ->> 0
        AND agent_assignments.status IN ('queued', 'assigned')"""
QUEUE_AGAIN = """
    INSERT INTO agent_assignments
        (workflow_id, agent_type, step_number, status, priority, reason, created_at)
    SELECT a.workflow_id, a.agent_type, a.step_number, 'queued', m.priority, 'retried', :at
    FROM agent_assignments a
    JOIN workflow_mappings m ON m.tempolite_workflow_id = a.workflow_id
    WHERE a.workflow_id = :id
      AND NOT EXISTS (SELECT 1 FROM agent_assignments o
                      WHERE o.workflow_id = :id AND o.status IN ('queued', 'assigned'))
    ORDER BY a.id DESC LIMIT 1"""
INTENTS = "SELECT id, workflow_id, kind, payload FROM intents ORDER BY created_at, id"
TYPES_OF = """
    SELECT agent_type FROM workflow_mappings
    WHERE tempolite_workflow_id = :workflow_id AND agent_type IS NOT NULL
    UNION ALL
    SELECT agent_type FROM agent_assignments
    WHERE workflow_id = :workflow_id AND status IN ('queued', 'assigned')"""
INTENT = "SELECT id, workflow_id, kind, payload FROM intents WHERE id = ?"


def meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def mapping(connection: sqlite3.Connection, workflow_id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(MAPPING, (workflow_id,)).fetchone()
    return row


def mapping_of_key(connection: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(MAPPING_OF_KEY, (key,)).fetchone()
    return row


def insert_mapping(connection: sqlite3.Connection, values: dict[str, Any]) -> None:
    connection.execute(
        "INSERT INTO workflow_mappings (beads_issue_id, tempolite_workflow_id, workflow_type,"
        " workflow_version, title, status, priority, agent_type, metadata, created_at,"
        " idempotency_key, request_sha256) VALUES (:issue_id, :workflow_id, :workflow_type,"
        " :version, :title, :status, :priority, :agent_type, :variables, :at, :idempotency_key,"
        " :request_sha256)",
        values,
    )


def insert_intent(
    connection: sqlite3.Connection,
    *,
    intent_id: str,
    workflow_id: str,
    kind: str,
    payload: str,
    at: str,
) -> None:
    connection.execute(
        "INSERT INTO intents (id, workflow_id, kind, payload, created_at) VALUES (?, ?, ?, ?, ?)",
        (intent_id, workflow_id, kind, payload, at),
    )


def delete_intent(connection: sqlite3.Connection, intent_id: str) -> None:
    connection.execute("DELETE FROM intents WHERE id = ?", (intent_id,))


def insert_assignment(
    connection: sqlite3.Connection,
    *,
    workflow_id: str,
    agent_type: str,
    agent_id: str | None,
    priority: int,
    at: str,
) -> None:
    connection.execute(
        "INSERT INTO agent_assignments (workflow_id, agent_type, agent_id, step_number, status,"
        " priority, created_at, assigned_at) VALUES (?, ?, ?, 1, ?, ?, ?, ?)",
        (
            workflow_id,
            agent_type,
            agent_id,
            "queued" if agent_id is None else "assigned",
            priority,
            at,
            None if agent_id is None else at,
        ),
    )


def assign(connection: sqlite3.Connection, workflow_id: str, agent_id: str, at: str) -> bool:
    """Give a queued assignment its agent; False when it is over or another agent has it."""
    cursor = connection.execute(
        "UPDATE agent_assignments SET status = 'assigned', agent_id = ?,"
        " assigned_at = coalesce(assigned_at, ?)"
        " WHERE workflow_id = ? AND status IN ('queued', 'assigned')"
        " AND coalesce(agent_id, ?) = ?",
        (agent_id, at, workflow_id, agent_id, agent_id),
    )
    return cursor.rowcount == 1


def complete_assignments(connection: sqlite3.Connection, ends: Mapping[str, str]) -> None:
    """Ends are workflow ids, and when each ended."""
    connection.execute(COMPLETE_ASSIGNMENTS, (json.dumps(list(ends.items())),))


def queue_again(connection: sqlite3.Connection, workflow_id: str, at: str) -> None:
    """Have a workflow wait for an agent of the type that it had last, at the same step."""
    connection.execute(QUEUE_AGAIN, {"id": workflow_id, "at": at})


@dataclass(slots=True)
class Progress:
    """Where a mapping has got to. `started_at` only counts the first time; the rest is replaced."""

    status: str
    started_at: str | None = None
    completed_at: str | None = None
    error_code: str | None = None
    error_message: str | None = None


def note_progress(connection: sqlite3.Connection, progress: Mapping[str, Progress]) -> None:
    """Move mappings on, by workflow id."""
    rows = [
        (
            workflow_id,
            found.status,
            found.started_at,
            found.completed_at,
            found.error_code,
            found.error_message,
        )
        for workflow_id, found in progress.items()
    ]
    connection.execute(NOTE_PROGRESS, (json.dumps(rows),))


def insert_results(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Rows: workflow_id, step, result_type, agent_type, agent_id, data, confidence, at."""
    columns = (
        "workflow_id, step, result_type, agent_type, agent_id, result_data, confidence_score,"
        " created_at"
    )
    insert_rows(connection, "workflow_results", columns, rows)


def cursor(connection: sqlite3.Connection, source: str) -> int:
    row = connection.execute(
        "SELECT position FROM outbox_cursors WHERE source = ?", (source,)
    ).fetchone()
    return int(row[0]) if row else 0


def set_cursor(connection: sqlite3.Connection, source: str, position: int) -> None:
    connection.execute(
        "INSERT INTO outbox_cursors (source, position) VALUES (?, ?)"
        " ON CONFLICT (source) DO UPDATE SET position = excluded.position",
        (source, position),
    )


def insert_events(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Rows: seq, type, workflow_id, issue_id, at, data."""
    insert_rows(connection, "events", "seq, type, workflow_id, issue_id, at, data", rows)


def last_event(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT max(seq) FROM events").fetchone()
    return int(row[0] or 0)


def workflow_ids(connection: sqlite3.Connection) -> set[str]:
    """Give every workflow that was ever decided here."""
    rows = connection.execute("SELECT tempolite_workflow_id FROM workflow_mappings")
    return {row[0] for row in rows}


def told_of(connection: sqlite3.Connection, workflow_ids: Sequence[str]) -> set[str]:
    """Give those of these workflows that the event log has said anything of."""
    rows = connection.execute(TOLD_OF, (json.dumps(workflow_ids),))
    return {row[0] for row in rows}


def issues_of(connection: sqlite3.Connection, workflow_ids: Sequence[str]) -> dict[str, str]:
    """The issue of each workflow that has one."""
    rows = connection.execute(ISSUES_OF, (json.dumps(workflow_ids),))
    return {row[0]: row[1] for row in rows}


def workflows_of(connection: sqlite3.Connection, issue_ids: Sequence[str]) -> dict[str, str]:
    """The workflow of each issue that has one."""
    rows = connection.execute(WORKFLOWS_OF, (json.dumps(issue_ids),))
    return {row[0]: row[1] for row in rows}
