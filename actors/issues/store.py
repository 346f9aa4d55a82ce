"""How the issues' commands change beads.db. Run by its writer, inside the writer's transaction.

Every command may come twice, since a writer that died may have committed before it answered; the
second time changes nothing and answers the same. Each change leaves the row, its journal entry and
(where an event asked for it) the feed's cursor in one transaction.
"""

import sqlite3
from collections.abc import Mapping
from typing import Final

from actors.errors import Conflict
from actors.issues import following, issue
from actors.issues.merging.merge import merge
from actors.issues.messages import (
    Adopted,
    AdoptRows,
    Created,
    CreateIssue,
    IssueId,
    MarkFlushed,
    MarkFlushIntent,
)
from actors.issues.writing import editor, entries, moving
from actors.writer import Handler
from storage.issues import instants, jsonl, queries
from storage.issues.jsonl import Row


def create_issue(conn: sqlite3.Connection, command: CreateIssue) -> Created:
    issue.check(command.row)
    issue_id = IssueId(command.row["id"])
    line = queries.get_line(conn, issue_id)
    if line is not None:
        _require_same_creation(jsonl.parse(line), command)
        return Created(issue_id=issue_id, seq=queries.last_seq_of(conn, issue_id))
    entries.put(conn, command.row)
    seq = queries.append_journal(
        conn,
        issue_id,
        "created",
        detail=entries.detail({}, command.row),
        base=None,
        at=command.row["created_at"],
    )
    return Created(issue_id=issue_id, seq=seq)


def _require_same_creation(there: Row, command: CreateIssue) -> None:
    if command.key and issue.work_of(there).get("workflow_id") == command.key:
        return
    mine = command.row
    same_author = (there.get("created_by") or "") == (mine.get("created_by") or "")
    if same_author and _instant(there) == _instant(mine):
        return
    raise Conflict(f"another issue has the id {mine['id']}; ask the tracker for a new one")


def _instant(row: Row) -> int:
    return instants.to_ns(row.get("created_at") or instants.ZERO)


def adopt_rows(conn: sqlite3.Connection, command: AdoptRows) -> Adopted:
    """Merge another writer's rows into the database.

    A database that held nothing before takes them as they are, without a journal: they are the
    published file, and no news. Where the file gives an id to another issue than the one here, ours
    moves to another id first.
    """
    if not queries.is_journaled(conn):
        for _issue_id, line in command.rows:
            if line is not None:
                queries.put_line(conn, line)
        if not command.more:
            queries.mark_flushed(conn, 0, command.file_sha256)
        return Adopted(changed=len(command.rows), removed=0)
    rows = moving.read_as_here(conn, command.rows)
    moving.make_room(conn, rows, command.at)
    outcomes = [_adopt(conn, issue_id, line, command.at) for issue_id, line in rows]
    if not command.more:
        queries.mark_adopted(conn, command.file_sha256)
    return Adopted(changed=outcomes.count("adopted"), removed=outcomes.count("removed"))


def _adopt(conn: sqlite3.Connection, issue_id: str, theirs: str | None, at: str) -> str | None:
    """Merge one row; return the kind of its journal entry, or None when there was nothing to take.

    The entry's base is what the other writer's file held, since that is now what is published.
    """
    base, ours = queries.published_line(conn, issue_id), queries.get_line(conn, issue_id)
    if theirs == base or _is_old_news(base, theirs):
        return None
    sides = (jsonl.parse(line) if line is not None else None for line in (base, ours, theirs))
    merged = merge(*sides)
    if merged is None:
        queries.delete_row(conn, issue_id)
    else:
        queries.put_row(conn, merged, from_file=theirs is not None)
    kind = "adopted" if merged is not None else "removed"
    detail = entries.detail(jsonl.parse(ours) if ours is not None else {}, merged or {})
    queries.append_journal(conn, issue_id, kind, detail=detail, base=theirs, at=at)
    return kind


def _is_old_news(base: str | None, theirs: str | None) -> bool:
    """Whether the row is merely behind: another work tree's, or of an older file checked out.

    One with an earlier `updated_at` than the published one is one that was published before. Rows
    that are missing from such a file are not told here: whoever compared it left them out.
    """
    if base is None or theirs is None:
        return False
    return _updated(theirs) < _updated(base)


def _updated(line: str) -> int:
    return instants.to_ns(jsonl.parse(line).get("updated_at") or instants.ZERO)


def mark_flush_intent(conn: sqlite3.Connection, command: MarkFlushIntent) -> None:
    queries.mark_intent(conn, command.seq, command.sha256)


def mark_flushed(conn: sqlite3.Connection, command: MarkFlushed) -> None:
    queries.mark_flushed(conn, command.seq, command.sha256)
    if command.place is not None:
        queries.mark_placed(conn, command.place, command.seq)


HANDLERS: Final[Mapping[type, Handler]] = {
    CreateIssue: create_issue,
    AdoptRows: adopt_rows,
    MarkFlushIntent: mark_flush_intent,
    MarkFlushed: mark_flushed,
    **following.HANDLERS,
    **editor.HANDLERS,
}
