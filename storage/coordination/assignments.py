"""The SQL of assignments: which agent has a workflow, and which agents had it before.

What writes runs inside the writer's transaction; the rest only reads.
"""

import sqlite3
from typing import Any

_COLUMNS = """
    id, workflow_id, agent_type, agent_id, step_number, status, priority, handoff_from,
    assigned_by, reason, created_at, assigned_at, completed_at"""

OPEN = f"""
    SELECT {_COLUMNS} FROM agent_assignments
    WHERE workflow_id = ? AND status IN ('queued', 'assigned')"""  # noqa: S608 - constants
LAST = f"""
    SELECT {_COLUMNS} FROM agent_assignments
    WHERE workflow_id = ? ORDER BY id DESC LIMIT 1"""  # noqa: S608 - constants
# What is assigned is little, what an agent has had before may be much: so not by its index.
HELD_BY = """
    SELECT id, workflow_id, agent_type, agent_id
    FROM agent_assignments INDEXED BY agent_assignments_assigned
    WHERE agent_id = ? AND status = 'assigned' ORDER BY id"""
CLOSE = """
    UPDATE agent_assignments SET status = ?, completed_at = ?
    WHERE id = ? AND status IN ('queued', 'assigned')"""

# Lists, newest first. What narrows most is found by its index; the rest is looked at row by row.
_REST = """
      AND (:agent_id IS NULL OR agent_id = :agent_id)
      AND (:agent_type IS NULL OR agent_type = :agent_type)
      AND (:status IS NULL OR status = :status)
    ORDER BY id DESC LIMIT :limit"""
_LISTED = f"SELECT {_COLUMNS} FROM agent_assignments WHERE id < :before"  # noqa: S608 - constants

ALL = f"{_LISTED} {_REST}"
OF_WORKFLOW = f"{_LISTED} AND workflow_id = :workflow_id {_REST}"
OF_AGENT = f"{_LISTED} AND agent_id = :agent_id {_REST}"
ASSIGNED = f"{_LISTED} AND status = 'assigned' {_REST}"
QUEUED = f"{_LISTED} AND status = 'queued' {_REST}"

WAITING = """
    SELECT workflow_id, priority, created_at FROM agent_assignments
    WHERE status = 'queued' AND agent_type = ? AND priority = ? ORDER BY id LIMIT ?"""


def waiting(
    connection: sqlite3.Connection, agent_type: str, limit: int
) -> list[tuple[str, int, str]]:
    """(workflow, priority, since when) of those that wait for an agent, oldest first in each.

    Args:
        connection: a read-only one.
        agent_type: of the agent.
        limit: at most so many of each priority; -1 for all.
    """
    return [
        tuple(row)
        for priority in range(5)
        for row in connection.execute(WAITING, (agent_type, priority, limit))
    ]


def open_of(connection: sqlite3.Connection, workflow_id: str) -> sqlite3.Row | None:
    """The assignment that is in force, or waits for an agent."""
    row: sqlite3.Row | None = connection.execute(OPEN, (workflow_id,)).fetchone()
    return row


def held_by(connection: sqlite3.Connection, agent_id: str) -> list[sqlite3.Row]:
    """The assignments in force that an agent has, oldest first."""
    return connection.execute(HELD_BY, (agent_id,)).fetchall()


def last_of(connection: sqlite3.Connection, workflow_id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(LAST, (workflow_id,)).fetchone()
    return row


def close(connection: sqlite3.Connection, assignment_id: int, *, status: str, at: str) -> None:
    connection.execute(CLOSE, (status, at, assignment_id))


def insert(connection: sqlite3.Connection, values: dict[str, Any]) -> int:
    """Answers its id. Values are those of a record without `id` and `completed_at`."""
    cursor = connection.execute(
        "INSERT INTO agent_assignments (workflow_id, agent_type, agent_id, step_number, status,"
        " priority, handoff_from, assigned_by, reason, created_at, assigned_at) VALUES"
        " (:workflow_id, :agent_type, :agent_id, :step_number, :status, :priority, :handoff_from,"
        " :assigned_by, :reason, :created_at, :assigned_at)",
        values,
    )
    return int(cursor.lastrowid or 0)
