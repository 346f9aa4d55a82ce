"""How a merge with another clone enters beads.db: by its writer, inside its transaction."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from actors.errors import Conflict
from actors.issues.merging.collisions import different
from actors.issues.publishing.meeting import settle
from actors.issues.publishing.sync_messages import AdoptMerge
from actors.issues.writing import entries
from actors.writer import Handler
from storage.issues import jsonl, queries
from storage.issues.jsonl import Row


def adopt_merge(conn: sqlite3.Connection, command: AdoptMerge) -> int:
    adopted = (_adopt(conn, *row, command.at) for row in command.rows)
    return sum(adopted)


def _adopt(
    conn: sqlite3.Connection, issue_id: str, seen: str | None, made: str | None, at: str
) -> bool:
    """Take in one row. The published file does not change by this, so neither does its base."""
    ours = queries.get_line(conn, issue_id)
    if ours == made:
        return False
    base, mine, theirs = _parsed(seen), _parsed(ours), _parsed(made)
    if ours != seen and mine and theirs and different(mine, theirs):
        raise Conflict(f"issue {issue_id} was changed while it got another id; merge anew")
    merged = theirs if ours == seen else settle(base, mine, theirs)
    before = queries.published_line(conn, issue_id)
    if merged is None:
        queries.delete_row(conn, issue_id)
    elif queries.put_row(conn, merged, from_file=made is not None) == ours:
        return False
    queries.append_journal(
        conn,
        issue_id,
        "removed" if merged is None else "adopted",
        detail=entries.detail(mine or {}, merged or {}),
        base=before,
        at=at,
    )
    return True


def _parsed(line: str | None) -> Row | None:
    return None if line is None else jsonl.parse(line)


HANDLERS: Final[Mapping[type, Handler]] = {AdoptMerge: adopt_merge}
