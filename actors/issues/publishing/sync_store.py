"""How a merge with another clone enters beads.db: by its writer, inside its transaction."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from actors.errors import Conflict
from actors.issues.merging.collisions import different
from actors.issues.publishing.meeting import settle
from actors.issues.publishing.sync_messages import AdoptMerge
from actors.issues.writing import entries, moving
from actors.writer import Handler
from storage.issues import jsonl, leases, queries
from storage.issues.jsonl import Row


def adopt_merge(conn: sqlite3.Connection, command: AdoptMerge) -> int:
    made = {issue_id: line for issue_id, _, line in command.rows}
    moved = [names for names in command.moved if _is_to_move(conn, names[0], made)]
    for old, new in moved:
        leases.move_with_those_below(conn, old, new)
    adopted = sum([_adopt(conn, *row, command.at) for row in command.rows])
    if moved:
        seen = made.keys()
        others = {*queries.local_ids(conn), *queries.changed_after(conn, command.seq)} - seen
        for old, new in moved:
            moving.follow(conn, {old: new}, others, command.at)
    return adopted


def _is_to_move(conn: sqlite3.Connection, old: str, made: Mapping[str, str | None]) -> bool:
    """Whether the issue is not away yet: a command may come twice."""
    here, there = _parsed(queries.get_line(conn, old)), _parsed(made.get(old))
    return here is None or there is None or different(here, there)


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
