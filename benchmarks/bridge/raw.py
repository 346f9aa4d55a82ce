"""Bare `sqlite3` with the rows of a start: as fast as starts can be made durable here.

The three databases have their schemas and indexes, and the connections are the program's own kind
(write-ahead log, `synchronous=FULL`). The rows are those of a start that was really made, under
other ids. So many starts as there are clients are one transaction in each database, one database
after the other, as the bridge has to commit them; nothing is looked up, checked, published or
answered.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.served import Served
from storage.database import open_writer
from storage.migrate import migrate
from storage.rows import insert_rows

__all__ = ["Template", "starts_per_s", "template_of"]

ORDER = ("coordination", "beads", "tempolite")
"""The first commit, then the two of the second."""

_KEYS = {"agent_assignments": "id", "journal": "seq", "history": "position"}
"""What SQLite numbers by itself."""

_ROWS: Mapping[str, Mapping[str, str]] = {
    "coordination": {
        "workflow_mappings": "SELECT * FROM workflow_mappings WHERE tempolite_workflow_id = :w",
        "agent_assignments": "SELECT * FROM agent_assignments WHERE workflow_id = :w",
    },
    "beads": {
        "issues": "SELECT * FROM issues WHERE id = :i",
        "journal": "SELECT * FROM journal WHERE issue_id = :i ORDER BY seq LIMIT 1",
    },
    "tempolite": {
        "instances": "SELECT * FROM instances WHERE workflow_id = :w",
        "history": "SELECT * FROM history WHERE workflow_id = :w ORDER BY seq LIMIT 1",
    },
}


@dataclass(frozen=True, slots=True)
class Template:
    """The rows of one start.

    Args:
        rows: (database, table, columns, values) of each.
        schemas: each database's directory of migrations.
    """

    workflow_id: str
    issue_id: str
    rows: tuple[tuple[str, str, tuple[str, ...], tuple[Any, ...]], ...]
    schemas: Mapping[str, Any]

    def of(self, database: str, numbers: Sequence[int]) -> Iterator[tuple[str, str, list[Any]]]:
        """(table, columns, rows) of some starts in one database."""
        for place, table, columns, values in self.rows:
            if place == database:
                rows = [[self._renamed(value, number) for value in values] for number in numbers]
                yield table, ", ".join(columns), rows

    def _renamed(self, value: Any, number: int) -> Any:
        if not isinstance(value, str):
            return value
        text = value.replace(self.workflow_id, f"{self.workflow_id}-{number}")
        return text.replace(self.issue_id, f"{self.issue_id}-{number}")


def template_of(running: Served, workflow_id: str, issue_id: str) -> Template:
    """Take the rows of a start that was made."""
    stores = {name: getattr(running.stores, name) for name in ORDER}
    named = {"w": workflow_id, "i": issue_id}
    rows = []
    for database, tables in _ROWS.items():
        for table, statement in tables.items():
            row = stores[database].inline.execute(statement, named).fetchone()
            kept = [name for name in row.keys() if name != _KEYS.get(table)]  # noqa: SIM118 - a Row
            rows.append((database, table, tuple(kept), tuple(row[name] for name in kept)))
    rows.append(_intent(rows, workflow_id))
    schemas = {name: readers.schema for name, readers in stores.items()}
    return Template(workflow_id, issue_id, tuple(rows), schemas)


def _intent(rows: Sequence[Any], workflow_id: str) -> Any:
    """An open intent holds the issue and the variables, and is deleted soon."""
    held = sum(
        len(value)
        for _, table, _, values in rows
        for value in values
        if table == "issues" and isinstance(value, str)
    )
    columns = ("id", "workflow_id", "kind", "payload", "created_at")
    values = (workflow_id, workflow_id, "start", "x" * held, "2026-01-01T00:00:00.000000Z")
    return "coordination", "intents", columns, values


def starts_per_s(directory: Path, template: Template, *, starts: int, at_once: int) -> float:
    """Write the rows of so many starts, and see that they are there."""
    directory.mkdir()
    batches = [range(first, min(first + at_once, starts)) for first in range(0, starts, at_once)]
    made = {name: [list(template.of(name, batch)) for batch in batches] for name in ORDER}
    with ExitStack() as stack:
        connections = {
            name: stack.enter_context(closing(_opened(directory, name, template))) for name in ORDER
        }
        began = perf_counter()
        for number in range(len(batches)):
            for name in ORDER:
                _write(connections[name], made[name][number])
        seconds = perf_counter() - began
        (there,) = connections["tempolite"].execute("SELECT count(*) FROM instances").fetchone()
        assert there == starts
    return starts / seconds


def _opened(directory: Path, name: str, template: Template) -> sqlite3.Connection:
    connection = open_writer(directory / f"{name}.db")
    migrate(connection, template.schemas[name])
    return connection


def _write(connection: sqlite3.Connection, tables: Sequence[tuple[str, str, list[Any]]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for table, columns, rows in tables:
        insert_rows(connection, table, columns, rows)
    connection.execute("COMMIT")
