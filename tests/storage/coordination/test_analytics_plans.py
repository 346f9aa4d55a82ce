"""How SQLite answers what analytics asks: along an index, over the period and no further."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from storage.coordination import analytics
from storage.database import open_writer
from storage.migrate import migrate

WALKS = (
    "SEARCH m USING COVERING INDEX workflow_mappings_newest (created_at>? AND created_at<?)",
    "SEARCH m USING INDEX workflow_mappings_newest (created_at>? AND created_at<?)",
    "SEARCH m USING COVERING INDEX workflow_mappings_ended (completed_at>? AND completed_at<?)",
    "SEARCH m USING INDEX workflow_mappings_ended (completed_at>? AND completed_at<?)",
    "SEARCH a USING COVERING INDEX agent_assignments_of_workflow (workflow_id=?)",
    "SEARCH events USING COVERING INDEX events_counted (type=? AND at>? AND at<?)",
    "SEARCH events USING INDEX events_counted (type=? AND at>? AND at<?)",
    "SEARCH agent_assignments USING INDEX agent_assignments_ended (completed_at>?)",
    "SEARCH workflow_mappings USING COVERING INDEX workflow_mappings_of_status (status=?)",
)
IN_FORCE = "SCAN agent_assignments USING INDEX agent_assignments_assigned"
"""An index of assignments in force, which are few."""
TABLES = re.compile(r"(SEARCH|SCAN) (m|a|events|agent_assignments|workflow_mappings)\b")


def statements() -> Iterator[tuple[str, str]]:
    for name, value in vars(analytics).items():
        if name.startswith(("_", "AGENT_")) or not name.isupper():
            continue  # a part of statements
        if isinstance(value, Mapping):
            yield from ((f"{name}[{key}]", text) for key, text in value.items())
        else:
            yield name, value


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("plans") / "c.db"
    with closing(open_writer(path)) as connection:
        migrate(connection, resources.files("storage.coordination") / "schema")
        yield connection


def test_every_question_walks_an_index_over_its_period(conn: sqlite3.Connection) -> None:
    span = {"since": "a", "until": "b", "end": "b"}
    found = dict(statements())
    assert len(found) > 30
    for name, sql in found.items():
        steps = [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", span)]
        walks = [step for step in steps if TABLES.match(step)]
        assert walks, name
        assert set(walks) <= {*WALKS, IN_FORCE}, (name, walks)


def test_what_ended_is_counted_without_its_documents(conn: sqlite3.Connection) -> None:
    for group in ("", "type", "status", "priority", "minute", "hour", "day"):
        sql = f"EXPLAIN QUERY PLAN {analytics.ENDED[group]}"
        steps = conn.execute(sql, {"since": "", "until": ""})
        assert any("COVERING INDEX workflow_mappings_ended" in row["detail"] for row in steps)
