"""The engine's SQL. What writes runs inside the writer's transaction; the rest only reads."""

import sqlite3
from collections.abc import Iterable, Sequence

from storage.workflows.records import HistoryRow, InstanceRow, MessageRow, TaskRow, Ties

_INSTANCE = (
    "workflow_id, name, version, status, input, recoveries, parked, run, run_seq,"
    " parent_id, parent_op, on_parent_close"
)
_TASK = (
    "workflow_id, op, agent_type, activity, input, policy, state, attempt, fence, agent_id,"
    " outcome, next_at, start_by, close_by"
)

OUTBOX = """
    SELECT position, workflow_id, seq, kind, op, name, payload, at
    FROM history WHERE position > ? ORDER BY position LIMIT ?"""
HISTORY = """
    SELECT position, workflow_id, seq, kind, op, name, payload, at
    FROM history WHERE workflow_id = ? ORDER BY seq"""
SIZES = """
    SELECT seq, length(CAST(payload AS BLOB)) AS size FROM history
    WHERE workflow_id = ? AND seq > ? ORDER BY seq LIMIT ?"""
STRETCH = """
    SELECT seq, kind, op, name, payload, at FROM history
    WHERE workflow_id = ? AND seq > ? AND seq <= ? ORDER BY seq"""
STATUS = "SELECT status FROM instances WHERE workflow_id = ?"
VIEW = """
    SELECT workflow_id, name, version, status, input, created_at, updated_at, parent_id
    FROM instances WHERE workflow_id = ?"""
FAILURE = """
    SELECT payload FROM history
    WHERE workflow_id = ?
      AND kind IN ('workflow_failed', 'workflow_stalled', 'workflow_dead_lettered')
    ORDER BY seq DESC LIMIT 1"""
RUN = """
    SELECT seq, kind, op, name, payload, at
    FROM history WHERE workflow_id = ? AND seq >= ? ORDER BY seq"""
RUN_BEGIN = f"{RUN} LIMIT ?"
# The payloads only of some kinds, given as a JSON array; null is what stands for nothing.
SKELETON = """
    SELECT seq, kind, op, name,
           CASE WHEN seq = :first OR kind IN (SELECT value FROM json_each(:told))
                THEN payload ELSE '[1,null]' END AS payload, at
    FROM history WHERE workflow_id = :id AND seq >= :first ORDER BY seq"""
SPAN = """
    SELECT seq, kind, op, name, payload, at
    FROM history WHERE workflow_id = ? AND seq BETWEEN ? AND ? ORDER BY seq"""
SEGMENTS = """
    SELECT first_seq, last_seq, body FROM segments
    WHERE workflow_id = ? AND first_seq >= ? ORDER BY first_seq"""
# Fields are parted by character 31 and events by 30, which JSON text never holds. Nothing where the
# payloads are too large to be kept twice. In the index's order, which is looked at on reading.
PACKED = """
    SELECT CASE WHEN sum(length(payload)) <= ? THEN
        '1' || char(30) || group_concat(
            seq || char(31) || kind || char(31) || op || char(31) || name || char(31)
                || payload || char(31) || at, char(30))
    END AS body
    FROM history WHERE workflow_id = ? AND seq BETWEEN ? AND ?"""
AFTER = """
    SELECT seq, kind, op, name, payload FROM history
    WHERE workflow_id = ? AND seq > ? ORDER BY seq"""
OUTER_AFTER = """
    SELECT seq, kind, payload FROM history
    WHERE workflow_id = ? AND seq > ?
      AND kind IN ('workflow_cancel_requested', 'workflow_paused', 'workflow_resumed',
                   'workflow_terminated', 'workflow_dead_lettered', 'workflow_signaled',
                   'workflow_completed_by_hand', 'workflow_retried')
    ORDER BY seq"""
LAST_EVENT = """
    SELECT seq, kind, payload FROM history WHERE workflow_id = ? ORDER BY seq DESC LIMIT 1"""
WAITING_MESSAGES = """
    SELECT position, message_id, name, payload FROM inbox
    WHERE workflow_id = ? AND consumed_by IS NULL AND position > ? ORDER BY position"""
DUE = """
    SELECT workflow_id FROM instances
    WHERE status = 'running' AND parked = 1 AND wake_at IS NOT NULL AND wake_at <= ?
    ORDER BY wake_at LIMIT ?"""
NEXT_WAKE = """
    SELECT min(wake_at) FROM instances
    WHERE status = 'running' AND parked = 1 AND wake_at IS NOT NULL"""
TIES = """
    SELECT (SELECT parent_id FROM instances WHERE workflow_id = :id),
           EXISTS (SELECT 1 FROM instances WHERE parent_id = :id),
           EXISTS (SELECT 1 FROM tasks WHERE workflow_id = :id),
           EXISTS (SELECT 1 FROM heartbeats WHERE workflow_id = :id)"""
LIVE_CHILDREN = """
    SELECT workflow_id, status, on_parent_close FROM instances
    WHERE parent_id = ?
      AND status IN ('queued', 'running', 'paused', 'stalled', 'dead_letter')"""
CHILDREN = "SELECT workflow_id FROM instances WHERE parent_id = ?"
# The words of the index of live ones.
_IS_LIVE = "status IN ('queued', 'running', 'stalled') AND parked = 0"
_RUNNING = f"{_IS_LIVE} AND status = 'running'"
LIVE = f"SELECT {_INSTANCE} FROM instances WHERE {_IS_LIVE} ORDER BY created_at"  # noqa: S608 - constants
INSTANCE = f"SELECT {_INSTANCE} FROM instances WHERE workflow_id = ?"  # noqa: S608 - constants
TASK = f"SELECT {_TASK} FROM tasks WHERE workflow_id = ? AND op = ?"  # noqa: S608 - constants
OPEN_TASKS = f"SELECT {_TASK} FROM tasks WHERE state IN ('ready', 'running') ORDER BY created_at"  # noqa: S608 - constants
LATE_TO_START = f"""
    SELECT {_TASK} FROM tasks WHERE state = 'ready' AND attempt = 0 AND start_by <= ?"""  # noqa: S608 - constants
LATE_TO_CLOSE = f"SELECT {_TASK} FROM tasks WHERE state = 'ready' AND close_by <= ?"  # noqa: S608 - constants
NEXT_RETRY = "SELECT min(next_at) FROM tasks WHERE state = 'ready' AND next_at > ?"
NEXT_START_BY = """
    SELECT min(start_by) FROM tasks WHERE state = 'ready' AND attempt = 0 AND start_by > ?"""
NEXT_CLOSE_BY = "SELECT min(close_by) FROM tasks WHERE state = 'ready' AND close_by > ?"
OPEN_TYPES = """
    SELECT agent_type FROM tasks
    WHERE workflow_id = ? AND state IN ('ready', 'running')"""
ENDED_TASKS = "SELECT workflow_id, op FROM tasks WHERE state IN ('done', 'failed')"
START_TASK = f"""
    UPDATE tasks SET state = 'running', attempt = attempt + 1, fence = fence + 1, agent_id = ?,
        updated_at = ?, next_at = NULL
    WHERE workflow_id = ? AND op = ? AND fence = ? AND state IN ('ready', 'running')
    RETURNING {_TASK}"""  # noqa: S608 - constants


def history_row(row: sqlite3.Row) -> HistoryRow:
    return HistoryRow._make(row)


def instance(connection: sqlite3.Connection, workflow_id: str) -> InstanceRow | None:
    row = connection.execute(INSTANCE, (workflow_id,)).fetchone()
    return InstanceRow(**dict(row)) if row else None


def status(connection: sqlite3.Connection, workflow_id: str) -> str | None:
    row = connection.execute(
        "SELECT status FROM instances WHERE workflow_id = ?", (workflow_id,)
    ).fetchone()
    return row[0] if row else None


def why_stalled(connection: sqlite3.Connection, workflow_id: str) -> str | None:
    """The payload by which an instance is stalled; None when it is not."""
    if status(connection, workflow_id) != "stalled":
        return None
    row = connection.execute(FAILURE, (workflow_id,)).fetchone()
    return row[0] if row else None


def live_instances(connection: sqlite3.Connection) -> list[InstanceRow]:
    return [InstanceRow(**dict(row)) for row in connection.execute(LIVE)]


def task(connection: sqlite3.Connection, workflow_id: str, op: str) -> TaskRow | None:
    row = connection.execute(TASK, (workflow_id, op)).fetchone()
    return TaskRow(**dict(row)) if row else None


def open_tasks(connection: sqlite3.Connection) -> list[TaskRow]:
    return [TaskRow(**dict(row)) for row in connection.execute(OPEN_TASKS)]


def open_types(connection: sqlite3.Connection, workflow_id: str) -> set[str]:
    """The types of agents that it waits for now."""
    return {row["agent_type"] for row in connection.execute(OPEN_TYPES, (workflow_id,))}


def late_tasks(connection: sqlite3.Connection, at: str) -> list[TaskRow]:
    """Those that no agent does, and that have waited too long for it."""
    found = {}
    for sql in (LATE_TO_CLOSE, LATE_TO_START):
        for row in connection.execute(sql, (at,)):
            found[row["workflow_id"], row["op"]] = TaskRow(**dict(row))
    return list(found.values())


def next_task_at(connection: sqlite3.Connection, at: str) -> str | None:
    """The first moment after `at` when one may be tried again or has waited too long."""
    moments = [
        connection.execute(sql, (at,)).fetchone()[0]
        for sql in (NEXT_RETRY, NEXT_START_BY, NEXT_CLOSE_BY)
    ]
    return min((moment for moment in moments if moment is not None), default=None)


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
    priority: int = 2,
) -> bool:
    """Insert unless the workflow is there; False when it was."""
    cursor = connection.execute(
        "INSERT INTO instances (workflow_id, name, version, status, input, created_at, updated_at,"
        " priority) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (workflow_id, name, version, status, input, at, at, priority),
    )
    return cursor.rowcount == 1


def insert_child(
    connection: sqlite3.Connection,
    *,
    workflow_id: str,
    name: str,
    version: int,
    status: str,
    input: str,  # noqa: A002 - the column's name
    at: str,
    parent: tuple[str, str, str],
) -> bool:
    """Insert a child, as urgent as its parent, unless it is there; False when it was.

    `parent` is (parent's id, its operation, what becomes of this one when the parent closes).
    """
    cursor = connection.execute(
        "INSERT INTO instances (workflow_id, name, version, status, input, created_at, updated_at,"
        " parent_id, parent_op, on_parent_close, priority)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " coalesce((SELECT priority FROM instances WHERE workflow_id = ?), 2))"
        " ON CONFLICT DO NOTHING",
        (workflow_id, name, version, status, input, at, at, *parent, parent[0]),
    )
    return cursor.rowcount == 1


def set_input(connection: sqlite3.Connection, workflow_id: str, text: str, at: str) -> None:
    connection.execute(
        "UPDATE instances SET input = ?, updated_at = ? WHERE workflow_id = ?",
        (text, at, workflow_id),
    )


def set_priority(connection: sqlite3.Connection, workflow_id: str, priority: int) -> None:
    """Change the priority of an instance, and of those of its tasks that are not over."""
    connection.execute(
        "UPDATE instances SET priority = ? WHERE workflow_id = ?", (priority, workflow_id)
    )
    connection.execute(
        "UPDATE tasks SET priority = ? WHERE workflow_id = ? AND state IN ('ready', 'running')",
        (priority, workflow_id),
    )


def unpark(connection: sqlite3.Connection, workflow_id: str) -> None:
    """It has to be run again, also when whoever should be told never hears of it."""
    connection.execute(
        "UPDATE instances SET parked = 0, wake_at = NULL WHERE workflow_id = ? AND parked = 1",
        (workflow_id,),
    )


def park(connection: sqlite3.Connection, workflow_id: str, wake_at: str | None) -> bool:
    """Let a running workflow wait as its row; False when it does not run."""
    cursor = connection.execute(
        "UPDATE instances SET parked = 1, wake_at = ? WHERE workflow_id = ? AND status = 'running'",
        (wake_at, workflow_id),
    )
    return cursor.rowcount == 1


def unpark_due(connection: sqlite3.Connection, until: str, limit: int) -> list[str]:
    """Wake those whose time has come, the earliest first; answers who they are."""
    due = [row[0] for row in connection.execute(DUE, (until, limit))]
    for workflow_id in due:
        unpark(connection, workflow_id)
    return due


def next_wake(connection: sqlite3.Connection) -> str | None:
    row = connection.execute(NEXT_WAKE).fetchone()
    return row[0] if row else None


def live_children(connection: sqlite3.Connection, parent_id: str) -> list[tuple[str, str, str]]:
    """(workflow id, status, policy) of each child that is not closed."""
    return [(row[0], row[1], row[2]) for row in connection.execute(LIVE_CHILDREN, (parent_id,))]


def children(connection: sqlite3.Connection, parent_id: str) -> list[str]:
    """All children, the closed ones too."""
    return [row[0] for row in connection.execute(CHILDREN, (parent_id,))]


def children_with_status(connection: sqlite3.Connection, parent_id: str) -> dict[str, str]:
    """{child's id: status}, the closed ones too."""
    rows = connection.execute(
        "SELECT workflow_id, status FROM instances WHERE parent_id = ?", (parent_id,)
    )
    return {row[0]: row[1] for row in rows}


def children_of(connection: sqlite3.Connection, parent_id: str, op: str) -> list[str]:
    """The children that one operation has started."""
    rows = connection.execute(
        "SELECT workflow_id FROM instances WHERE parent_id = ? AND parent_op = ?", (parent_id, op)
    )
    return [row[0] for row in rows]


def begin_run(
    connection: sqlite3.Connection,
    workflow_id: str,
    *,
    version: int,
    input: str,  # noqa: A002 - the column's name
    seq: int,
) -> None:
    connection.execute(
        "UPDATE instances SET version = ?, input = ?, run = run + 1, run_seq = ?"
        " WHERE workflow_id = ?",
        (version, input, seq, workflow_id),
    )


def insert_message(
    connection: sqlite3.Connection,
    workflow_id: str,
    message: tuple[str, str, str, str],
) -> bool:
    """Message is (message_id, name, payload, at); False when it is there already."""
    cursor = connection.execute(
        "INSERT INTO inbox (workflow_id, message_id, name, payload, at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (workflow_id, *message),
    )
    return cursor.rowcount == 1


def message(
    connection: sqlite3.Connection, workflow_id: str, message_id: str
) -> tuple[str, str] | None:
    """(name, payload) of a message that was taken; the payload is "" once it is consumed."""
    row = connection.execute(
        "SELECT name, payload FROM inbox WHERE workflow_id = ? AND message_id = ?",
        (workflow_id, message_id),
    ).fetchone()
    return (row[0], row[1]) if row else None


def replace_message(connection: sqlite3.Connection, workflow_id: str, name: str, kind: str) -> None:
    """Have messages of a name, whose ids begin with `kind`, wait no more: a newer one comes."""
    connection.execute(
        "UPDATE inbox SET consumed_by = 'replaced', payload = '' WHERE workflow_id = ?"
        " AND consumed_by IS NULL AND name = ? AND substr(message_id, 1, length(?)) = ?",
        (workflow_id, name, kind, kind),
    )


def count_messages(connection: sqlite3.Connection, workflow_id: str) -> int:
    row = connection.execute(
        "SELECT count(*) FROM inbox WHERE workflow_id = ? AND consumed_by IS NULL", (workflow_id,)
    ).fetchone()
    return int(row[0])


def waiting_messages(
    connection: sqlite3.Connection, workflow_id: str, after: int
) -> list[MessageRow]:
    rows = connection.execute(WAITING_MESSAGES, (workflow_id, after))
    return [MessageRow(**dict(row)) for row in rows]


def consume_message(
    connection: sqlite3.Connection, workflow_id: str, message_id: str, op: str
) -> None:
    connection.execute(
        "UPDATE inbox SET consumed_by = ?, payload = '' WHERE workflow_id = ? AND message_id = ?",
        (op, workflow_id, message_id),
    )


def restore_message(connection: sqlite3.Connection, workflow_id: str, op: str, seq: int) -> None:
    """Let the signal wait again that an operation has consumed, as the event `seq` records it."""
    connection.execute(
        "UPDATE inbox SET consumed_by = NULL, payload ="
        " (SELECT payload FROM history WHERE workflow_id = ? AND seq = ?)"
        " WHERE workflow_id = ? AND consumed_by = ?",
        (workflow_id, seq, workflow_id, op),
    )


def set_heartbeat(
    connection: sqlite3.Connection, workflow_id: str, values: tuple[str, int, str, str]
) -> None:
    """Values are (op, attempt, details, at)."""
    connection.execute(
        "INSERT INTO heartbeats (workflow_id, op, attempt, details, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (workflow_id, op) DO UPDATE SET attempt = excluded.attempt,"
        " details = excluded.details, at = excluded.at",
        (workflow_id, *values),
    )


def has_heartbeats(connection: sqlite3.Connection, workflow_id: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM heartbeats WHERE workflow_id = ? LIMIT 1", (workflow_id,)
    ).fetchone()
    return row is not None


def heartbeat(connection: sqlite3.Connection, workflow_id: str, op: str) -> str | None:
    """The stored details of the last heartbeat; None when there was none."""
    row = connection.execute(
        "SELECT details FROM heartbeats WHERE workflow_id = ? AND op = ?", (workflow_id, op)
    ).fetchone()
    return row[0] if row else None


def delete_heartbeat(connection: sqlite3.Connection, workflow_id: str, op: str) -> None:
    connection.execute("DELETE FROM heartbeats WHERE workflow_id = ? AND op = ?", (workflow_id, op))


def ties(connection: sqlite3.Connection, workflow_id: str) -> Ties:
    """What hangs on a workflow that closes, in one look."""
    return Ties(*connection.execute(TIES, {"id": workflow_id}).fetchone())


def delete_waits(connection: sqlite3.Connection, workflow_id: str) -> None:
    """A closed workflow takes no messages and no outcomes any more."""
    connection.execute("DELETE FROM heartbeats WHERE workflow_id = ?", (workflow_id,))
    connection.execute(
        "UPDATE tasks SET state = 'cancelled', input = '', outcome = NULL"
        " WHERE workflow_id = ? AND state IN ('ready', 'running', 'done', 'failed')",
        (workflow_id,),
    )


def cancel_task(connection: sqlite3.Connection, workflow_id: str, op: str, at: str) -> None:
    """Nobody wants its outcome any more; one that was handed out is refused when it comes."""
    connection.execute(
        "UPDATE tasks SET state = 'cancelled', input = '', outcome = NULL, updated_at = ?"
        " WHERE workflow_id = ? AND op = ? AND state IN ('ready', 'running', 'done', 'failed')",
        (at, workflow_id, op),
    )


def last_position(connection: sqlite3.Connection) -> int:
    """The end of the outbox, 0 when nothing ever happened."""
    row = connection.execute("SELECT max(position) FROM history").fetchone()
    return int(row[0] or 0)


def workflow_ids(connection: sqlite3.Connection) -> set[str]:
    """Give every workflow that was ever made here, but for the children of others.

    Also asked of a database that an older program has left, which knows no children.
    """
    columns = {row[1] for row in connection.execute("PRAGMA table_info (instances)")}
    only = " WHERE parent_id IS NULL" if "parent_id" in columns else ""
    rows = connection.execute(f"SELECT workflow_id FROM instances{only}")  # noqa: S608 - constants
    return {row[0] for row in rows}


def set_status(connection: sqlite3.Connection, workflow_id: str, status: str, at: str) -> None:
    connection.execute(
        "UPDATE instances SET status = ?, updated_at = ?, parked = 0, wake_at = NULL"
        " WHERE workflow_id = ?",
        (status, at, workflow_id),
    )


def last_seq(connection: sqlite3.Connection, workflow_id: str) -> int:
    row = connection.execute(
        "SELECT max(seq) FROM history WHERE workflow_id = ?", (workflow_id,)
    ).fetchone()
    return int(row[0] or 0)


def events_after(
    connection: sqlite3.Connection, workflow_id: str, seq: int
) -> list[tuple[int, str, str, str, str]]:
    """(seq, kind, op, name, payload) of each event after a number."""
    return [tuple(row) for row in connection.execute(AFTER, (workflow_id, seq))]


def requests_after(
    connection: sqlite3.Connection, workflow_id: str, seq: int
) -> list[tuple[int, str, str]]:
    """(seq, kind, payload) of each event after a number by which others asked for something."""
    return [tuple(row) for row in connection.execute(OUTER_AFTER, (workflow_id, seq))]


def first_payload(connection: sqlite3.Connection, workflow_id: str) -> str | None:
    """What the event by which a history begins says; None when there is none."""
    row = connection.execute(
        "SELECT payload FROM history WHERE workflow_id = ? AND seq = 1", (workflow_id,)
    ).fetchone()
    return row[0] if row else None


def has_event(connection: sqlite3.Connection, workflow_id: str, kind: str, after: int) -> bool:
    """Whether a history holds an event of that kind after a number. Reads no payload."""
    row = connection.execute(
        "SELECT 1 FROM history WHERE workflow_id = ? AND seq > ? AND kind = ? LIMIT 1",
        (workflow_id, after, kind),
    ).fetchone()
    return row is not None


def last_of_kind(
    connection: sqlite3.Connection, workflow_id: str, kind: str, after: int = 0
) -> tuple[str, str] | None:
    """(at, payload) of the last event of a kind, and after a number; None when there is none."""
    row = connection.execute(
        "SELECT at, payload FROM history WHERE workflow_id = ? AND seq > ? AND kind = ?"
        " ORDER BY seq DESC LIMIT 1",
        (workflow_id, after, kind),
    ).fetchone()
    return (row[0], row[1]) if row else None


def last_seq_of_kind(connection: sqlite3.Connection, workflow_id: str, kind: str) -> int:
    """The number of the last event of a kind; 0 when there is none. Reads no payload."""
    row = connection.execute(
        "SELECT seq FROM history WHERE workflow_id = ? AND kind = ? ORDER BY seq DESC LIMIT 1",
        (workflow_id, kind),
    ).fetchone()
    return row[0] if row else 0


def outcome_of_child(connection: sqlite3.Connection, workflow_id: str, op: str) -> int | None:
    """The event by which a workflow has recorded the end of a child; None when there is none."""
    row = connection.execute(
        "SELECT seq FROM history WHERE workflow_id = ? AND op = ?"
        " AND kind IN ('child_completed', 'child_failed') LIMIT 1",
        (workflow_id, op),
    ).fetchone()
    return row[0] if row else None


def last_event(connection: sqlite3.Connection, workflow_id: str) -> tuple[int, str, str]:
    """(seq, kind, payload) of a history's end; (0, "", "") when there is none."""
    row = connection.execute(LAST_EVENT, (workflow_id,)).fetchone()
    return (row[0], row[1], row[2]) if row else (0, "", "")


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


def insert_segment(
    connection: sqlite3.Connection, workflow_id: str, place: tuple[int, int], body: bytes
) -> None:
    """Place is (first number, last number); the same twice is once."""
    connection.execute(
        "INSERT INTO segments (workflow_id, first_seq, last_seq, body) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (workflow_id, *place, body),
    )


def delete_segments(connection: sqlite3.Connection, workflow_id: str) -> None:
    connection.execute("DELETE FROM segments WHERE workflow_id = ?", (workflow_id,))


def note_progress(connection: sqlite3.Connection, workflow_id: str) -> None:
    """A workflow that gets further is not what kills the process: forget earlier recoveries."""
    connection.execute(
        "UPDATE instances SET recoveries = 0 WHERE workflow_id = ? AND recoveries <> 0",
        (workflow_id,),
    )


def insert_task(connection: sqlite3.Connection, values: Sequence[str | None]) -> None:
    """Values: workflow_id, op, agent_type, activity, input, policy, start_by, close_by, at.

    It is as urgent as its workflow. One that is over begins anew, with a new fence.
    """
    *fields, at = values
    connection.execute(
        "INSERT INTO tasks (workflow_id, op, agent_type, activity, input, policy, start_by,"
        " close_by, state, created_at, updated_at, priority)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'ready', ?, ?,"
        " coalesce((SELECT priority FROM instances WHERE workflow_id = ?), 2))"
        " ON CONFLICT (workflow_id, op) DO UPDATE SET agent_type = excluded.agent_type,"
        " activity = excluded.activity, input = excluded.input, policy = excluded.policy,"
        " start_by = excluded.start_by, close_by = excluded.close_by, next_at = NULL,"
        " state = 'ready', attempt = 0, fence = fence + 1, agent_id = NULL, outcome = NULL,"
        " created_at = excluded.created_at, updated_at = excluded.updated_at,"
        " priority = excluded.priority"
        " WHERE tasks.state IN ('consumed', 'cancelled')",
        (*fields, at, at, fields[0]),
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
    next_at: str | None,
    at: str,
) -> bool:
    """Close the attempt that holds `fence`; False when another attempt or the end overtook it."""
    cursor = connection.execute(
        "UPDATE tasks SET state = ?, outcome = ?, next_at = ?, updated_at = ?"
        " WHERE workflow_id = ? AND op = ? AND fence = ? AND state = 'running'",
        (state, outcome, next_at, at, workflow_id, op, fence),
    )
    return cursor.rowcount == 1


def give_up_task(
    connection: sqlite3.Connection, *, workflow_id: str, op: str, fence: int, outcome: str, at: str
) -> bool:
    """End one that waits; False when it was taken, or is over."""
    cursor = connection.execute(
        "UPDATE tasks SET state = 'failed', outcome = ?, next_at = NULL, updated_at = ?"
        " WHERE workflow_id = ? AND op = ? AND fence = ? AND state = 'ready'",
        (outcome, at, workflow_id, op, fence),
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


def count_trial(connection: sqlite3.Connection, at: str, tried: str, suspect: int) -> None:
    """The same, where the last life ended while it tried suspects: the others did not run.

    `tried` is a JSON array of workflow ids; a suspect has at least `suspect` recoveries.
    """
    connection.execute(
        f"UPDATE instances SET recoveries = recoveries + 1, updated_at = ? WHERE {_RUNNING}"  # noqa: S608 - constants
        " AND (recoveries < ? OR workflow_id IN (SELECT value FROM json_each(?)))",
        (at, suspect, tried),
    )


def has_suspects(connection: sqlite3.Connection, suspect: int) -> bool:
    row = connection.execute(
        f"SELECT 1 FROM instances WHERE {_RUNNING} AND recoveries >= ? LIMIT 1",  # noqa: S608 - constants
        (suspect,),
    ).fetchone()
    return row is not None


def poisoned(connection: sqlite3.Connection, limit: int) -> list[str]:
    rows = connection.execute(
        f"SELECT workflow_id FROM instances WHERE {_RUNNING} AND recoveries > ?",  # noqa: S608 - constants
        (limit,),
    )
    return [row[0] for row in rows]
