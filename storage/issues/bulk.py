"""Statements of beads.db that are about many issues at once."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from storage.issues import queries
from storage.issues.jsonl import Row
from storage.rows import insert_rows

LINES: Final = """
SELECT issues.id, line, local FROM json_each(?) AS wanted
CROSS JOIN issues ON issues.id = wanted.value
"""
_COLUMNS: Final = "id, line, title, status, priority, issue_type, assignee, updated_us, local"
_REPLACE: Final = (
    "ON CONFLICT (id) DO UPDATE SET line = excluded.line, title = excluded.title,"
    " status = excluded.status, priority = excluded.priority, issue_type = excluded.issue_type,"
    " assignee = excluded.assignee, updated_us = excluded.updated_us,"
    " local = min(local, excluded.local)"
)


@dataclass(frozen=True, slots=True)
class Line:
    """An issue's line; `local` when it is not published."""

    text: str
    local: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A row to be written, and its entry in the journal.

    Args:
        line: the row, as `jsonl` writes it.
        detail: what the entry says.
        base: the line that was published until now; None for none.
    """

    row: Row
    line: str
    detail: Mapping[str, Any]
    base: str | None
    at: str


def lines_of(conn: sqlite3.Connection, issue_ids: Sequence[str]) -> dict[str, Line]:
    """Give those of these issues that are there."""
    rows = conn.execute(LINES, (json.dumps(issue_ids),))
    return {issue_id: Line(line, bool(local)) for issue_id, line, local in rows}


def insert(conn: sqlite3.Connection, edits: Sequence[Edit]) -> int:
    """Insert issues that are not there; return the number of the last of their entries."""
    _put(conn, edits, "")
    return _record(conn, "created", edits)


def edit(conn: sqlite3.Connection, edits: Sequence[Edit]) -> None:
    """Replace issues, each with its entry, in this order."""
    _put(conn, edits, _REPLACE)
    _record(conn, "changed", edits)


def _put(conn: sqlite3.Connection, edits: Iterable[Edit], ending: str) -> None:
    rows = [
        tuple(queries.columns(e.row, e.line, local=bool(e.row.get("ephemeral"))).values())
        for e in edits
    ]
    insert_rows(conn, "issues", _COLUMNS, rows, ending=ending)


def _record(conn: sqlite3.Connection, kind: str, edits: Sequence[Edit]) -> int:
    rows = [(e.row["id"], kind, queries.detail_text(e.detail), e.base, e.at) for e in edits]
    insert_rows(conn, "journal", "issue_id, kind, detail, base, at", rows)
    return int(conn.execute("SELECT last_insert_rowid()").fetchone()[0])
