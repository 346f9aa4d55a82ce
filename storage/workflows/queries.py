"""The engine's SQL. What writes runs inside the writer's transaction; the rest only reads."""

import sqlite3
from collections.abc import Iterable, Sequence

from storage.workflows.records import HistoryRow, InstanceRow, TaskRow

_INSTANCE = "workflow_id, name, version, status, input, recoveries"
_TASK = (
    "workflow_id, op, agent_type, activity, input, policy, state, attempt, fence, agent_id, outcome"
)

OUTBOX = """
    SELECT position, workflow_id, seq, kind, op, name, payload, at
    FROM history WHERE position > ? ORDER BY position LIMIT ?"""
HISTORY = """
    SELECT position, workflow_id, seq, kind, op, name, payload, at
    FROM history WHERE workflow_id = ? ORDER BY seq"""
_IS_LIVE = "status IN ('queued', 'running', 'stalled')"  # the words of the index of live ones
_RUNNING = f"{_IS_LIVE} AND status = 'running'"
LIVE = f"SELECT {_INSTANCE} FROM instances WHERE {_IS_LIVE} ORDER BY created_at"  # noqa: S608 - constants
INSTANCE = f"SELECT {_INSTANCE} FROM instances WHERE workflow_id = ?"  # noqa: S608 - constants
TASK = f"SELECT {_TASK} FROM tasks WHERE workflow_id = ? AND op = ?"  # noqa: S608 - constants
OPEN_TASKS = f"SELECT {_TASK} FROM tasks WHERE state IN ('ready', 'running') ORDER BY created_at"  # noqa: S608 - constants
READY_TASKS = f"""
    SELECT {_TASK} FROM tasks WHERE state = 'ready' AND agent_type = ?
      AND (SELECT status FROM instances i WHERE i.workflow_id = tasks.workflow_id) = 'running'
    ORDER BY created_at LIMIT ?"""  # noqa: S608 - constants
ENDED_TASKS = "SELECT workflow_id, op FROM tasks WHERE state IN ('done', 'failed')"
START_TASK = f"""
    UPDATE tasks SET state = 'running', attempt = attempt + 1, fence = fence + 1, agent_id = ?,
        updated_at = ?
    WHERE workflow_id = ? AND op = ? AND fence = ? AND state IN ('ready', 'running')
    RETURNING {_TASK}"""  # noqa: S608 - constants


def history_row(row: sqlite3.Row) -> HistoryRow:
    return HistoryRow(**dict(row))


def instance(connection: sqlite3.Connection, workflow_id: str) -> InstanceRow | None:
    row = connection.execute(INSTANCE, (workflow_id,)).fetchone()
    return InstanceRow(**dict(row)) if row else None


def status(connection: sqlite3.Connection, workflow_id: str) -> str | None:
    row = connection.execute(
        "SELECT status FROM instances WHERE workflow_id = ?", (workflow_id,)
    ).fetchone()
    return row[0] if row else None


def live_instances(connection: sqlite3.Connection) -> list[InstanceRow]:
    return [InstanceRow(**dict(row)) for row in connection.execute(LIVE)]


def task(connection: sqlite3.Connection, workflow_id: str, op: str) -> TaskRow | None:
    row = connection.execute(TASK, (workflow_id, op)).fetchone()
    return TaskRow(**dict(row)) if row else None


def open_tasks(connection: sqlite3.Connection) -> list[TaskRow]:
    return [TaskRow(**dict(row)) for row in connection.execute(OPEN_TASKS)]


def ready_tasks(connection: sqlite3.Connection, agent_type: str, limit: int) -> list[TaskRow]:
    """Tasks of workflows that run: one that has ended or stalled wants nothing done."""
    rows = connection.execute(READY_TASKS, (agent_type, limit))
    return [TaskRow(**dict(row)) for row in rows]


def ended_tasks(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(workflow id, operation) of every outcome that no history holds yet."""
    return [(row[0], row[1]) for row in connection.execute(ENDED_TASKS)]


def insert_instance(
    connection: sqlite3.Connection,
    *,
    workflow_id: str,
    name: str,
    version: int,
    status: str,
    input: str,  # noqa: A002 - the column's name
    at: str,
) -> bool:
    """Insert unless the workflow is there; False when it was."""
    cursor = connection.execute(
        "INSERT INTO instances (workflow_id, name, version, status, input, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (workflow_id, name, version, status, input, at, at),
    )
    return cursor.rowcount == 1


def last_position(connection: sqlite3.Connection) -> int:
    """The end of the outbox, 0 when nothing ever happened."""
    row = connection.execute("SELECT max(position) FROM history").fetchone()
    return int(row[0] or 0)


def workflow_ids(connection: sqlite3.Connection) -> set[str]:
    """Give every workflow that was ever made here."""
    return {row[0] for row in connection.execute("SELECT workflow_id FROM instances")}


def set_status(connection: sqlite3.Connection, workflow_id: str, status: str, at: str) -> None:
    connection.execute(
        "UPDATE instances SET status = ?, updated_at = ? WHERE workflow_id = ?",
        (status, at, workflow_id),
    )


def last_seq(connection: sqlite3.Connection, workflow_id: str) -> int:
    row = connection.execute(
        "SELECT max(seq) FROM history WHERE workflow_id = ?", (workflow_id,)
    ).fetchone()
    return int(row[0] or 0)


def stored_events(
    connection: sqlite3.Connection, workflow_id: str, first: int, last: int
) -> list[tuple[int, str, str, str, str]]:
    rows = connection.execute(
        "SELECT seq, kind, op, name, payload FROM history"
        " WHERE workflow_id = ? AND seq BETWEEN ? AND ? ORDER BY seq",
        (workflow_id, first, last),
    )
    return [tuple(row) for row in rows]


def insert_events(
    connection: sqlite3.Connection,
    workflow_id: str,
    events: Iterable[tuple[int, str, str, str, str, str]],
) -> None:
    """Events are (seq, kind, op, name, payload, at)."""
    connection.executemany(
        "INSERT INTO history (workflow_id, seq, kind, op, name, payload, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        ((workflow_id, *event) for event in events),
    )


def note_progress(connection: sqlite3.Connection, workflow_id: str) -> None:
    """A workflow that gets further is not what kills the process: forget earlier recoveries."""
    connection.execute(
        "UPDATE instances SET recoveries = 0 WHERE workflow_id = ? AND recoveries <> 0",
        (workflow_id,),
    )


def insert_task(connection: sqlite3.Connection, values: Sequence[str]) -> None:
    """Values: workflow_id, op, agent_type, activity, input, policy, at."""
    *fields, at = values
    connection.execute(
        "INSERT INTO tasks (workflow_id, op, agent_type, activity, input, policy, state,"
        " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, 'ready', ?, ?) ON CONFLICT DO NOTHING",
        (*fields, at, at),
    )


def consume_task(connection: sqlite3.Connection, workflow_id: str, op: str, at: str) -> None:
    """The history holds the outcome now: keep the row as a trace, without its bulk."""
    connection.execute(
        "UPDATE tasks SET state = 'consumed', input = '', outcome = NULL, updated_at = ?"
        " WHERE workflow_id = ? AND op = ?",
        (at, workflow_id, op),
    )


def start_task(
    connection: sqlite3.Connection,
    *,
    workflow_id: str,
    op: str,
    agent_id: str,
    fence: int,
    at: str,
) -> TaskRow | None:
    """Hand an open task to an agent: one attempt more, a new fence.

    None when it is not open, or no longer at this fence.
    """
    row = connection.execute(START_TASK, (agent_id, at, workflow_id, op, fence)).fetchone()
    return TaskRow(**dict(row)) if row else None


def end_attempt(
    connection: sqlite3.Connection,
    *,
    workflow_id: str,
    op: str,
    fence: int,
    state: str,
    outcome: str | None,
    at: str,
) -> bool:
    """Close the attempt that holds `fence`; False when another attempt or the end overtook it."""
    cursor = connection.execute(
        "UPDATE tasks SET state = ?, outcome = ?, updated_at = ?"
        " WHERE workflow_id = ? AND op = ? AND fence = ? AND state = 'running'",
        (state, outcome, at, workflow_id, op, fence),
    )
    return cursor.rowcount == 1


def meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def count_recovery(connection: sqlite3.Connection, at: str) -> None:
    """Every instance that was live when the last life ended uncleanly has one recovery more."""
    connection.execute(
        f"UPDATE instances SET recoveries = recoveries + 1, updated_at = ? WHERE {_RUNNING}",  # noqa: S608 - constants
        (at,),
    )


def poisoned(connection: sqlite3.Connection, limit: int) -> list[str]:
    rows = connection.execute(
        f"SELECT workflow_id FROM instances WHERE {_RUNNING} AND recoveries > ?",  # noqa: S608 - constants
        (limit,),
    )
    return [row[0] for row in rows]
