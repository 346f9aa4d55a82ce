"""The schema of the engine's database, and how its questions are answered."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from storage.database import open_writer
from storage.migrate import applied, migrate, rollback
from storage.workflows import queries, waiting

SCHEMA = resources.files("storage.workflows") / "schema"

TABLES = {"meta", "instances", "history", "tasks", "inbox", "heartbeats", "segments"}


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "tempolite.db")) as opened:
        yield opened


def objects(conn: sqlite3.Connection) -> set[tuple[str, str]]:
    rows = conn.execute("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
    return {tuple(row) for row in rows} - {("table", "schema_migrations")}


def test_the_schema_goes_up_and_down_and_up_again(conn: sqlite3.Connection) -> None:
    migrate(conn, SCHEMA)
    made = objects(conn)
    assert {name for kind, name in made if kind == "table"} == TABLES
    rollback(conn, SCHEMA, to=0)
    assert objects(conn) == set()
    migrate(conn, SCHEMA)
    assert objects(conn) == made


def test_going_up_twice_changes_nothing(conn: sqlite3.Connection) -> None:
    assert migrate(conn, SCHEMA)
    assert migrate(conn, SCHEMA) == []


@pytest.mark.parametrize(
    ("sql", "parameters", "index"),
    [
        (queries.LIVE, (), "instances_live"),
        (queries.OPEN_TASKS, (), "tasks_open"),
        (waiting.LINE, ("a", "t"), "COVERING INDEX tasks_ready (agent_type=?)"),
        (waiting.FIRST, ("a", "t", "w", 1), "COVERING INDEX tasks_ready (agent_type=? AND "),
        (waiting.DUE, ("s", "t"), "tasks_retried (next_at>? AND next_at<?)"),
        (queries.ENDED_TASKS, (), "tasks_ended"),
        (queries.HISTORY, ("w",), "history_of_workflow"),
        (queries.DUE, ("t", 10), "instances_asleep (wake_at>? AND wake_at<?)"),
        (queries.NEXT_WAKE, (), "instances_asleep"),
        (queries.LIVE_CHILDREN, ("w",), "instances_children (parent_id=?)"),
        (queries.CHILDREN, ("w",), "instances_children (parent_id=?)"),
        (queries.WAITING_MESSAGES, ("w", 0), "inbox_waiting (workflow_id=? AND position>?)"),
        (queries.OUTER_AFTER, ("w", 1), "history_of_workflow (workflow_id=? AND seq>?)"),
        (queries.AFTER, ("w", 1), "history_of_workflow (workflow_id=? AND seq>?)"),
        (queries.RUN, ("w", 1), "history_of_workflow (workflow_id=? AND seq>?)"),
        (queries.LAST_EVENT, ("w",), "history_of_workflow"),
        (queries.OUTBOX, (0, 10), "INTEGER PRIMARY KEY"),
    ],
)
def test_what_is_asked_often_never_reads_what_is_over(
    conn: sqlite3.Connection, sql: str, parameters: tuple[object, ...], index: str
) -> None:
    migrate(conn, SCHEMA)
    plan = [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    assert index in plan[0]
    assert not any("TEMP B-TREE" in step for step in plan)


@pytest.mark.parametrize(
    ("table", "column"), [("instances", "status"), ("tasks", "state"), ("history", "payload")]
)
def test_a_value_that_cannot_be_is_not_stored(
    conn: sqlite3.Connection, table: str, column: str
) -> None:
    migrate(conn, SCHEMA)
    rows = {
        "instances": {
            "workflow_id": "w",
            "name": "n",
            "version": 1,
            "status": "running",
            "input": "",
            "created_at": "t",
            "updated_at": "t",
        },
        "tasks": {
            "workflow_id": "w",
            "op": "1",
            "agent_type": "a",
            "activity": "x",
            "input": "",
            "policy": "",
            "state": "ready",
            "created_at": "t",
            "updated_at": "t",
        },
        "history": {"workflow_id": "w", "seq": 1, "kind": "k", "payload": "", "at": "t"},
    }
    row = rows[table]
    wrong = {**row, column: None if table == "history" else "sleepy"}
    names = ", ".join(row)
    sql = f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608
    with pytest.raises(sqlite3.IntegrityError):
        conn.execute(sql, tuple(wrong.values()))
    conn.execute(sql, tuple(row.values()))


# --- between the first schema and the second

FIRST = {
    "instances": ("queued", "running", "stalled", "completed", "failed", "dead_letter"),
    "tasks": ("ready", "running", "done", "failed", "consumed"),
}
"""The statuses that the first schema knows."""
LATER = {
    "paused": "running",
    "cancelled": "failed",
    "terminated": "failed",
}
"""What the first schema calls those that it does not know."""


def to_first(conn: sqlite3.Connection) -> None:
    """Bring the schema to its first version, with a row in every status."""
    migrate(conn, SCHEMA)
    rollback(conn, SCHEMA, to=1)
    for status in FIRST["instances"]:
        conn.execute(
            "INSERT INTO instances (workflow_id, name, version, status, input, recoveries,"
            " created_at, updated_at) VALUES (?, 'n', 3, ?, '[1,{}]', 2, 't1', 't2')",
            (f"w-{status}", status),
        )
    for state in FIRST["tasks"]:
        conn.execute(
            "INSERT INTO tasks VALUES ('w-running', ?, 'a', 'dig', '[1,1]', '[1,{}]', ?, 2, 3,"
            " 'a-1', NULL, 't1', 't2')",
            (state, state),
        )


def contents(conn: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    tables = [name for kind, name in objects(conn) if kind == "table"]
    return {
        table: [tuple(row) for row in conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]  # noqa: S608
        for table in tables
    }


def test_rows_in_every_status_come_to_the_second_schema_as_they_are_and_back(
    conn: sqlite3.Connection,
) -> None:
    to_first(conn)
    before, made = contents(conn), objects(conn)
    migrate(conn, SCHEMA)
    after = contents(conn)
    for table in ("instances", "tasks"):
        width = len(before[table][0])
        assert [row[:width] for row in after[table]] == before[table]
    assert {row[-8:] for row in after["instances"]} == {(0, None, 1, 1, None, None, None, 2)}
    assert after["inbox"] == after["heartbeats"] == after["segments"] == []
    rollback(conn, SCHEMA, to=1)
    assert (contents(conn), objects(conn)) == (before, made)


def test_what_the_first_schema_does_not_know_becomes_what_comes_nearest(
    conn: sqlite3.Connection,
) -> None:
    migrate(conn, SCHEMA)
    for status in (*FIRST["instances"], *LATER):
        queries.insert_child(
            conn,
            workflow_id=f"w-{status}",
            name="n",
            version=1,
            status=status,
            input="",
            at="t",
            parent=("w-running", "1", "cancel"),
        )
    queries.insert_task(conn, ("w-running", "1", "a", "dig", "", "", "t8", "t9", "t"))
    queries.cancel_task(conn, "w-running", "1", "t")
    queries.park(conn, "w-running", "t9")
    queries.insert_message(conn, "w-running", ("m", "go", "", "t"))
    queries.set_heartbeat(conn, "w-running", ("1", 1, "", "t"))
    rollback(conn, SCHEMA, to=1)
    rows = conn.execute("SELECT workflow_id, status FROM instances").fetchall()
    kept = {status: status for status in FIRST["instances"]}
    assert {row[0].removeprefix("w-"): row[1] for row in rows} == kept | LATER
    assert [row[0] for row in conn.execute("SELECT state FROM tasks")] == ["consumed"]
    migrate(conn, SCHEMA)
    assert applied(conn)[-1].version == 3
