"""The SQL of agents' rows. What writes runs inside the writer's transaction; the rest only reads.

An agent of the settings has a row once something was said of it; one that was registered by request
has one as long as it is there, and afterwards one that says "unregistered", so that its name is not
made up again.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_COLUMNS = (
    "agent_id, agent_type, origin, status, config, max_workload, reason, registered_at, drained_at,"
    " seen_at, lease_expires_at"
)

AGENTS = f"SELECT {_COLUMNS} FROM agents ORDER BY agent_id"  # noqa: S608 - constants
AGENT = f"SELECT {_COLUMNS} FROM agents WHERE agent_id = ?"  # noqa: S608 - constants

# What is assigned is little, what ever was with an agent may be much: so not by the agent's index.
OPEN_OF_AGENT = """
    SELECT id, workflow_id FROM agent_assignments INDEXED BY agent_assignments_assigned
    WHERE status = 'assigned' AND agent_id = ? ORDER BY id"""

_TAKE_AWAY = """
    UPDATE agent_assignments SET status = 'reassigned', completed_at = :at
    WHERE id IN (SELECT id FROM agent_assignments INDEXED BY agent_assignments_assigned
                 WHERE status = 'assigned' AND agent_id = :agent_id)
    RETURNING workflow_id, agent_type, step_number, priority, handoff_from"""

_QUEUE_AGAIN = """
    INSERT INTO agent_assignments (workflow_id, agent_type, agent_id, step_number, status, priority,
                                   handoff_from, assigned_by, reason, created_at)
    VALUES (?, ?, NULL, ?, 'queued', ?, ?, ?, ?, ?)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """One row; `config` is stored JSON text, times are RFC 3339, UTC."""

    agent_id: str
    agent_type: str
    origin: str
    status: str
    config: str
    max_workload: int | None
    reason: str
    registered_at: str
    drained_at: str | None
    seen_at: str | None
    lease_expires_at: str | None


def every(connection: sqlite3.Connection) -> list[AgentRow]:
    return [_row(row) for row in connection.execute(AGENTS)]


def find(connection: sqlite3.Connection, agent_id: str) -> AgentRow | None:
    row = connection.execute(AGENT, (agent_id,)).fetchone()
    return None if row is None else _row(row)


def _row(row: sqlite3.Row) -> AgentRow:
    return AgentRow(**dict(row))


def put(connection: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    """Make the row of an agent, or make it anew.

    Args:
        connection: the writer's.
        values: agent_id, agent_type, origin, status, config, max_workload, at.
    """
    connection.execute(
        "INSERT INTO agents (agent_id, agent_type, origin, status, config, max_workload,"
        " registered_at) VALUES (:agent_id, :agent_type, :origin, :status, :config, :max_workload,"
        " :at)"
        " ON CONFLICT (agent_id) DO UPDATE SET agent_type = excluded.agent_type,"
        " origin = excluded.origin, status = excluded.status, config = excluded.config,"
        " max_workload = excluded.max_workload, reason = '',"
        " registered_at = excluded.registered_at, drained_at = NULL, seen_at = NULL,"
        " lease_expires_at = NULL",
        values,
    )


def set_status(connection: sqlite3.Connection, agent_id: str, status: str, reason: str) -> None:
    """Say what an agent is now; what it was drained or seen last is over with that."""
    connection.execute(
        "UPDATE agents SET status = ?, reason = ?, drained_at = NULL, lease_expires_at = NULL"
        " WHERE agent_id = ?",
        (status, reason, agent_id),
    )


def set_drained(connection: sqlite3.Connection, agent_id: str, at: str) -> None:
    connection.execute("UPDATE agents SET drained_at = ? WHERE agent_id = ?", (at, agent_id))


def set_config(
    connection: sqlite3.Connection, agent_id: str, config: str, max_workload: int | None
) -> None:
    connection.execute(
        "UPDATE agents SET config = ?, max_workload = ? WHERE agent_id = ?",
        (config, max_workload, agent_id),
    )


def take_away(
    connection: sqlite3.Connection, agent_id: str, *, author: str, reason: str, at: str
) -> list[str]:
    """Close every open assignment of an agent and queue its workflow for another of the type.

    Answers the workflows.
    """
    taken = connection.execute(_TAKE_AWAY, {"agent_id": agent_id, "at": at}).fetchall()
    for row in taken:
        connection.execute(_QUEUE_AGAIN, (*tuple(row), author, reason, at))
    return sorted(row["workflow_id"] for row in taken)


def open_of_agent(connection: sqlite3.Connection, agent_id: str) -> list[tuple[int, str]]:
    """(id, workflow id) of what is assigned to an agent, oldest first."""
    rows = connection.execute(OPEN_OF_AGENT, (agent_id,))
    return [(row["id"], row["workflow_id"]) for row in rows]
