"""Rows of beads.db, written together with what the journal says about them.

For all handlers of the issues' commands; inside the writer's transaction.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

from actors.errors import NotFound, ValidationError
from actors.issues import gates, issue
from storage.issues import jsonl, queries
from storage.issues.jsonl import Row

PRIVATE: Final = frozenset({"request", "key", "asked", "gate"})
"""What an entry's detail says for this room only; not part of any event."""


def find(conn: sqlite3.Connection, issue_id: str) -> Row | None:
    line = queries.get_line(conn, issue_id)
    return None if line is None else jsonl.parse(line)


def need(conn: sqlite3.Connection, issue_id: str) -> Row:
    """Return an issue's row.

    Raises:
        NotFound: there is none.
    """
    row = find(conn, issue_id)
    if row is None:
        raise NotFound(f"there is no issue {issue_id}")
    return row


def put(conn: sqlite3.Connection, row: Row) -> str:
    """Store a row; return its line.

    Raises:
        ValidationError: it cannot be written.
    """
    try:
        return queries.put_row(conn, row)
    except UnicodeEncodeError as err:
        raise no_unicode(row["id"]) from err


def no_unicode(issue_id: str) -> ValidationError:
    return ValidationError(
        f"issue {issue_id} holds text that is no Unicode (half of a surrogate pair)",
        field="row",
        value=issue_id,
    )


def record(
    conn: sqlite3.Connection, before: Row | None, after: Row, *, at: str, **said: str
) -> tuple[Row, int]:
    """Store a row and the journal's entry of its change; return it as stored, and its number.

    `said` is kept in the entry: who asked, and by which request or key.
    """
    base = None if before is None else queries.shared_line(conn, before["id"])
    put(conn, after)
    stored = jsonl.shape(after)
    seq = queries.append_journal(
        conn,
        after["id"],
        "created" if before is None else "changed",
        detail=detail(before or {}, stored) | said,
        base=base,
        at=at,
    )
    return stored, seq


def put_changed(
    conn: sqlite3.Connection,
    before: Row,
    after: Row,
    at: str,
    *,
    request: str = "",
) -> int | None:
    """Store a changed row with its journal entry; None, and no entry, when nothing differs.

    The entry's base is what was published until now: nothing, for an issue that was local.
    `queries.carried_out` knows the change by its `request`.
    """
    base, there = queries.shared_line(conn, before["id"]), queries.get_line(conn, before["id"])
    if after is before or put(conn, after) == there:
        return None
    said = detail(before, after) | ({"request": request} if request else {})
    return queries.append_journal(conn, before["id"], "changed", detail=said, base=base, at=at)


def detail(before: Row, after: Row) -> dict[str, object]:
    gate = gates.told(before, after)
    return {
        **({"gate": gate} if gate else {}),
        "fields": sorted(_differing(before, after)),
        **({"priority": after["priority"]} if _has_new(before, after, "priority") else {}),
        "status": after.get("status"),
        "status_before": before.get("status"),
        "title": after.get("title") or before.get("title"),
        "workflow_id": (issue.work_of(after) or issue.work_of(before)).get("workflow_id"),
    }


def _has_new(before: Row, after: Row, name: str) -> bool:
    return name in after and before.get(name) != after[name]


def _differing(before: Row, after: Row) -> Iterable[str]:
    return (name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
