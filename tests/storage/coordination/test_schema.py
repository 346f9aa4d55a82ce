"""The schema of the bridge's database, and how its questions are answered."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from storage.coordination import listing, queries
from storage.database import open_writer
from storage.migrate import migrate, rollback

SCHEMA = resources.files("storage.coordination") / "schema"
TABLES = {
    "meta",
    "workflow_mappings",
    "agent_assignments",
    "agents",
    "artifacts",
    "idempotency_keys",
    "workflow_results",
    "intents",
    "events",
    "outbox_cursors",
    "api_keys",
    "token_families",
    "refresh_tokens",
    "audit",
    "audit_head",
}


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "coordination.db")) as opened:
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


@pytest.mark.parametrize(
    ("sql", "parameters", "index"),
    [
        (queries.ASSIGNED, (), "agent_assignments_assigned"),
        (queries.QUEUED, ("a", 10), "agent_assignments_queued"),
        (queries.EVENTS, (0, 10, 10), "INTEGER PRIMARY KEY"),
        (queries.EVENTS_OF_WORKFLOW, ("w", 0, 10, 10), "events_of_workflow"),
    ],
)
def test_what_is_asked_often_never_reads_what_is_over(
    conn: sqlite3.Connection, sql: str, parameters: tuple[object, ...], index: str
) -> None:
    migrate(conn, SCHEMA)
    plan = [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    assert index in plan[0]


def test_a_list_of_workflows_is_read_in_its_order_without_sorting(
    conn: sqlite3.Connection,
) -> None:
    migrate(conn, SCHEMA)
    nothing = dict.fromkeys(("status", "type", "since", "before_at", "before_id"))
    plan = conn.execute(f"EXPLAIN QUERY PLAN {listing.MAPPINGS}", {**nothing, "limit": 1})
    steps = [row["detail"] for row in plan]
    assert any("workflow_mappings_newest" in step for step in steps)
    assert not any("TEMP B-TREE" in step for step in steps)


def test_one_workflow_has_one_issue_and_one_issue_one_workflow(conn: sqlite3.Connection) -> None:
    migrate(conn, SCHEMA)
    values = {
        "issue_id": "x-1",
        "workflow_id": "w-1",
        "workflow_type": "t",
        "version": 1,
        "title": "T",
        "status": "active",
        "priority": 2,
        "agent_type": None,
        "variables": "",
        "at": "t",
        "idempotency_key": None,
        "request_sha256": "",
    }
    queries.insert_mapping(conn, values)
    for other in ({"issue_id": "x-2"}, {"workflow_id": "w-2"}):
        with pytest.raises(sqlite3.IntegrityError):
            queries.insert_mapping(conn, {**values, **other})
