"""The schema of the engine's database, and how its questions are answered."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from storage.database import open_writer
from storage.migrate import migrate, rollback
from storage.workflows import queries

SCHEMA = resources.files("storage.workflows") / "schema"


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
    assert {"meta", "instances", "history", "tasks"} <= {name for _, name in made}
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
        (queries.READY_TASKS, ("a", 10), "tasks_ready"),
        (queries.ENDED_TASKS, (), "tasks_ended"),
        (queries.HISTORY, ("w",), "history_of_workflow"),
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
