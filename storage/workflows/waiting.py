"""The SQL of tasks that wait for an agent. It only reads, and from one index alone."""

import sqlite3

_MAY_BEGIN = "state = 'ready' AND agent_type = ? AND (next_at IS NULL OR next_at <= ?)"

LINE = f"""
    SELECT workflow_id, priority, min(created_at) FROM tasks
    WHERE {_MAY_BEGIN} GROUP BY workflow_id, priority"""  # noqa: S608 - constants
FIRST = f"""
    SELECT op, priority, created_at FROM tasks
    WHERE {_MAY_BEGIN} AND workflow_id = ? ORDER BY priority, created_at LIMIT ?"""  # noqa: S608 - constants
DUE = """
    SELECT workflow_id FROM tasks
    WHERE state = 'ready' AND next_at >= ? AND next_at <= ?"""


def line(connection: sqlite3.Connection, agent_type: str, at: str) -> dict[str, tuple[int, str]]:
    """For each workflow that waits for agents of a type: (priority, since when) of the first task.

    One that is to be tried again later is not among them before its time.
    """
    found: dict[str, tuple[int, str]] = {}
    for workflow_id, priority, since in connection.execute(LINE, (agent_type, at)):
        found.setdefault(workflow_id, (priority, since))
    return found


def first(
    connection: sqlite3.Connection, agent_type: str, workflow_id: str, *, at: str, limit: int
) -> list[tuple[str, int, str]]:
    """(operation, priority, since when) of the first tasks of a workflow, in order."""
    rows = connection.execute(FIRST, (agent_type, at, workflow_id, limit))
    return [tuple(row) for row in rows]


def due(connection: sqlite3.Connection, after: str, at: str) -> list[str]:
    """Workflows with tasks that may be tried again since then."""
    return sorted({row[0] for row in connection.execute(DUE, (after, at))})
