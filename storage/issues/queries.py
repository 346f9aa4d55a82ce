"""The SQL of beads.db, beside the records it fills.

Functions take a connection and never begin or end a transaction: the writer actor does, around a
batch of commands. Those that only read work on a reader as well.

The line of an issue *as last published* is not stored a second time: it is the present line, unless
the journal holds changes above `flushed_seq`, and then the `base` of the oldest of these. A row
adopted from a file that someone else wrote starts again from what that file held.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from storage.issues import instants, jsonl
from storage.issues.jsonl import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    seq: int
    issue_id: str
    kind: str
    detail: Mapping[str, Any]
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What the published file is known to be, and up to which change."""

    flushed_seq: int
    flushed_sha256: str | None
    intended_seq: int
    intended_sha256: str | None
    adopted_sha256: str | None

    @property
    def known(self) -> frozenset[str]:
        """Hashes of files that hold nothing this database has not taken in."""
        hashes = (self.flushed_sha256, self.intended_sha256, self.adopted_sha256)
        return frozenset(sha256 for sha256 in hashes if sha256 is not None)


LIST_BY_STATUS: Final = (
    "SELECT line FROM issues WHERE status = :status ORDER BY updated_us DESC, id LIMIT :limit"
)
LIST_ALL: Final = "SELECT line FROM issues ORDER BY updated_us DESC, id LIMIT :limit"

_PUT = """
INSERT INTO issues (id, line, title, status, priority, issue_type, assignee, updated_us, local)
VALUES (:id, :line, :title, :status, :priority, :issue_type, :assignee, :updated_us, :local)
ON CONFLICT (id) DO UPDATE SET line = excluded.line, title = excluded.title,
    status = excluded.status, priority = excluded.priority, issue_type = excluded.issue_type,
    assignee = excluded.assignee, updated_us = excluded.updated_us,
    local = min(local, excluded.local)
"""
_PUBLISHED_LINE = """
SELECT base FROM journal WHERE seq = coalesce(
    (SELECT max(seq) FROM journal, publication
        WHERE issue_id = :id AND seq > flushed_seq AND kind IN ('adopted', 'removed')),
    (SELECT min(seq) FROM journal, publication WHERE issue_id = :id AND seq > flushed_seq))
"""
# "not indexed": SQLite would read the whole index by issue to save the sorting of a few ids.
_CHANGED_SINCE = """
SELECT DISTINCT issue_id FROM journal NOT INDEXED
WHERE seq > (SELECT flushed_seq FROM publication)
"""
_BELOW = """
SELECT id FROM issues WHERE id > :first AND id < :last
UNION ALL SELECT issue_id FROM journal WHERE issue_id > :first AND issue_id < :last
"""
_CREATED_BELOW = """
SELECT id FROM issues WHERE id > :first AND id < :last AND :key = (
    SELECT json_extract(detail, '$.key') FROM journal
    WHERE issue_id = id AND kind = 'created' ORDER BY seq DESC LIMIT 1)
"""
_CREATION_KEY = """
SELECT json_extract(detail, '$.key') FROM journal
WHERE issue_id = ? AND kind = 'created' ORDER BY seq DESC LIMIT 1
"""
_CREATION_REQUEST = """
SELECT json_extract(detail, '$.asked') FROM journal
WHERE issue_id = ? AND kind = 'created' ORDER BY seq DESC LIMIT 1
"""
_LATELY_CREATED = """
SELECT issue_id FROM journal
WHERE seq > (SELECT max(seq) FROM journal) - :most
    AND kind = 'created' AND json_extract(detail, '$.key') = :key
"""
_CARRIED_OUT = """
SELECT seq FROM (
    SELECT seq, detail FROM journal WHERE issue_id = :id ORDER BY seq DESC LIMIT :most) AS lately
WHERE json_extract(detail, '$.request') = :request
"""
_OPERATIONS = """
SELECT issue_id, json_extract(detail, '$.request') FROM journal WHERE seq >= ? ORDER BY seq
"""
_LINES_WITH = "SELECT line FROM issues WHERE instr(line, ?) > 0"
_ALL_EDGES = """
SELECT issues.id, json_extract(edge.value, '$.depends_on_id')
FROM issues, json_each(line, '$.dependencies') AS edge
"""
_LOOK_BACK = 2000
"""How many changes of one issue are searched for a request that comes again: it does so within
seconds, and a writer has at most some hundred commands waiting."""
_MARK_FLUSHED = """
UPDATE publication SET flushed_seq = :seq, flushed_sha256 = :sha256, adopted_sha256 = NULL
WHERE flushed_seq <= :seq
"""
_FORGET_BASES = """
UPDATE journal SET base = NULL WHERE seq > (SELECT flushed_seq FROM publication) AND seq <= :seq
"""
_PLACE: Final = "file:"
IS_FEED: Final = "consumer NOT GLOB 'file:*'"
"""Of a cursor: it counts events of the log, not changes that a published file holds."""
_ADVANCE = """
INSERT INTO cursors (consumer, position) VALUES (:consumer, :position)
ON CONFLICT (consumer) DO UPDATE SET position = excluded.position
WHERE excluded.position > position
"""


def get_line(conn: sqlite3.Connection, issue_id: str) -> str | None:
    return _text(conn.execute("SELECT line FROM issues WHERE id = ?", (issue_id,)))


def put_row(conn: sqlite3.Connection, row: Row, *, from_file: bool = False) -> str:
    """Insert or replace an issue; return the line it is published as.

    A new ephemeral one stays local and is not published, until it is ephemeral no more. One that is
    in the file (`from_file`) stays published: other clones have it.
    """
    line = jsonl.encode_text(row)
    local = bool(row.get("ephemeral")) and not from_file
    conn.execute(_PUT, columns(row, line, local=local))
    return line


def put_line(conn: sqlite3.Connection, line: str) -> None:
    """Insert or replace an issue of the file, whose line is as `jsonl` writes it.

    As `put_row`, but several times faster: nothing is looked at twice.
    """
    conn.execute(_PUT, columns(jsonl.parse_stored(line), line, local=False))


def columns(row: Row, line: str, *, local: bool) -> dict[str, Any]:
    """What is stored of an issue, in the order of the table."""
    return {
        "id": row["id"],
        "line": line,
        "title": row.get("title") or "",
        "status": row.get("status") or "open",
        "priority": row.get("priority") or 0,
        "issue_type": row.get("issue_type") or "task",
        "assignee": row.get("assignee") or "",
        "updated_us": instants.to_ns(row.get("updated_at") or instants.ZERO) // 1000,
        "local": int(local),
    }


def delete_row(conn: sqlite3.Connection, issue_id: str) -> None:
    conn.execute("DELETE FROM issues WHERE id = ?", (issue_id,))


def all_lines(conn: sqlite3.Connection) -> list[str]:
    """Return what is published, every line in the order of the file: ids compared byte by byte."""
    sql = "SELECT line FROM issues WHERE local = 0 ORDER BY id"
    return [line for (line,) in conn.execute(sql)]


def lines_by_id(conn: sqlite3.Connection) -> dict[str, str]:
    """Return the lines of what is published."""
    return {row[0]: row[1] for row in conn.execute("SELECT id, line FROM issues WHERE local = 0")}


def shared_line(conn: sqlite3.Connection, issue_id: str) -> str | None:
    """Return the line of an issue as others may see it: None for one that is local."""
    return _text(conn.execute("SELECT line FROM issues WHERE id = ? AND local = 0", (issue_id,)))


def is_local(conn: sqlite3.Connection, issue_id: str) -> bool:
    """Return whether an issue is here and is not published."""
    sql = "SELECT EXISTS (SELECT 1 FROM issues WHERE id = ? AND local = 1)"
    return bool(conn.execute(sql, (issue_id,)).fetchone()[0])


def local_ids(conn: sqlite3.Connection) -> list[str]:
    return [issue_id for (issue_id,) in conn.execute("SELECT id FROM issues WHERE local = 1")]


def changed_after(conn: sqlite3.Connection, seq: int) -> set[str]:
    sql = "SELECT issue_id FROM journal NOT INDEXED WHERE seq > ?"
    return {issue_id for (issue_id,) in conn.execute(sql, (seq,))}


def all_ids(conn: sqlite3.Connection) -> list[str]:
    return [issue_id for (issue_id,) in conn.execute("SELECT id FROM issues ORDER BY id")]


def is_journaled(conn: sqlite3.Connection) -> bool:
    """Return whether all that comes in from now on is in the journal.

    It is once anything is, or once a whole file has been taken in; the rows of that first file are
    what is published, and no news.
    """
    sql = (
        "SELECT EXISTS (SELECT 1 FROM journal)"
        " OR (SELECT flushed_sha256 IS NOT NULL FROM publication)"
    )
    return bool(conn.execute(sql).fetchone()[0])


def last_row(conn: sqlite3.Connection) -> int:
    """Return a number that grows with every row that comes in."""
    return int(conn.execute("SELECT coalesce(max(rowid), 0) FROM issues").fetchone()[0])


def append_journal(
    conn: sqlite3.Connection,
    issue_id: str,
    kind: str,
    *,
    detail: Mapping[str, Any],
    base: str | None,
    at: str,
) -> int:
    """Record a change; return its sequence number."""
    text = detail_text(detail)
    sql = "INSERT INTO journal (issue_id, kind, detail, base, at) VALUES (?, ?, ?, ?, ?)"
    return conn.execute(sql, (issue_id, kind, text, base, at)).lastrowid or 0


def detail_text(detail: Mapping[str, Any]) -> str:
    return json.dumps(detail, ensure_ascii=False, sort_keys=True)


def read_journal(conn: sqlite3.Connection, after: int, limit: int) -> list[JournalEntry]:
    """Return up to `limit` changes above position `after`, in commit order."""
    sql = "SELECT seq, issue_id, kind, detail, at FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"
    return [
        JournalEntry(seq=seq, issue_id=issue_id, kind=kind, detail=json.loads(detail), at=at)
        for seq, issue_id, kind, detail, at in conn.execute(sql, (after, limit))
    ]


def last_seq(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0])


def last_seq_of(conn: sqlite3.Connection, issue_id: str) -> int:
    sql = "SELECT coalesce(max(seq), 0) FROM journal WHERE issue_id = ?"
    return int(conn.execute(sql, (issue_id,)).fetchone()[0])


def published_line(conn: sqlite3.Connection, issue_id: str) -> str | None:
    """Return the issue as the published file last known to us holds it (see the module)."""
    found = conn.execute(_PUBLISHED_LINE, {"id": issue_id}).fetchone()
    return found[0] if found is not None else shared_line(conn, issue_id)


def published_lines(conn: sqlite3.Connection) -> dict[str, str]:
    """Return every issue as last published, by id."""
    lines = lines_by_id(conn)
    for (issue_id,) in conn.execute(_CHANGED_SINCE).fetchall():
        line = published_line(conn, issue_id)
        if line is None:
            lines.pop(issue_id, None)
        else:
            lines[issue_id] = line
    return lines


def ids_below(conn: sqlite3.Connection, parent: str) -> set[str]:
    """Return all ids that begin with this one and a dot, those of issues long removed too."""
    return {issue_id for (issue_id,) in conn.execute(_BELOW, _range(parent))}


def created_below(conn: sqlite3.Connection, parent: str, key: str) -> str | None:
    """Return the child that was created with this key."""
    return _text(conn.execute(_CREATED_BELOW, {**_range(parent), "key": key}))


def _range(parent: str) -> dict[str, str]:
    return {"first": f"{parent}.", "last": f"{parent}/"}  # "/" follows "." in ASCII


def creation_key(conn: sqlite3.Connection, issue_id: str) -> str | None:
    """Return what the request that created an issue was called; None where nobody said."""
    return _text(conn.execute(_CREATION_KEY, (issue_id,)))


def creation_request(conn: sqlite3.Connection, issue_id: str) -> str | None:
    """Return the digest of the request that created an issue; None where it had none."""
    return _text(conn.execute(_CREATION_REQUEST, (issue_id,)))


def lately_created(conn: sqlite3.Connection, key: str) -> str | None:
    """Return the issue that was created with this key, if it was lately."""
    return _text(conn.execute(_LATELY_CREATED, {"key": key, "most": _LOOK_BACK}))


def carried_out(conn: sqlite3.Connection, issue_id: str, request: str) -> int | None:
    """Return the number of the change that a request made to an issue, if it did lately."""
    found = conn.execute(
        _CARRIED_OUT, {"id": issue_id, "request": request, "most": _LOOK_BACK}
    ).fetchone()
    return int(found[0]) if found is not None else None


def lines_naming(conn: sqlite3.Connection, issue_id: str) -> list[str]:
    """Return the lines with an edge to an issue. Reads all lines: they have no index by edges."""
    found = conn.execute(_LINES_WITH, (_said("depends_on_id", issue_id),))
    return [line for (line,) in found]


def lines_with_reference(conn: sqlite3.Connection, external_ref: str) -> list[str]:
    """Return the lines with this external_ref. Reads all lines."""
    found = conn.execute(_LINES_WITH, (_said("external_ref", external_ref),))
    return [line for (line,) in found]


def _said(name: str, value: str) -> str:
    # Also found in other objects of a line: the caller looks at what it parses.
    return f'"{name}":{jsonl.spell(value)}'


def all_edges(conn: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return every issue that has an edge, with the edge's target. Reads all lines."""
    return [(source, target) for source, target in conn.execute(_ALL_EDGES) if target is not None]


def changed_with(conn: sqlite3.Connection, issue_id: str, request: str) -> list[str]:
    """Return what a request changed, from this issue on: its entries follow each other."""
    first = carried_out(conn, issue_id, request)
    changed: list[str] = []
    for found, said in conn.execute(_OPERATIONS, (first,)) if first is not None else ():
        if said != request:
            break
        changed.append(found)
    return changed


def has_status(conn: sqlite3.Connection, status: str) -> bool:
    sql = "SELECT EXISTS (SELECT 1 FROM issues WHERE status = ?)"
    return bool(conn.execute(sql, (status,)).fetchone()[0])


def has_type(conn: sqlite3.Connection, issue_type: str) -> bool:
    """Return whether any issue is of this type. Reads all rows: types have no index."""
    sql = "SELECT EXISTS (SELECT 1 FROM issues WHERE issue_type = ?)"
    return bool(conn.execute(sql, (issue_type,)).fetchone()[0])


def publication(conn: sqlite3.Connection) -> Publication:
    row = conn.execute("SELECT * FROM publication").fetchone()
    return Publication(**{name: row[name] for name in Publication.__dataclass_fields__})


def mark_intent(conn: sqlite3.Connection, seq: int, sha256: str) -> None:
    sql = "UPDATE publication SET intended_seq = ?, intended_sha256 = ?"
    conn.execute(sql, (seq, sha256))


def mark_flushed(conn: sqlite3.Connection, seq: int, sha256: str) -> None:
    """Record that the file holds every change up to `seq`; an older mark changes nothing."""
    conn.execute(_FORGET_BASES, {"seq": seq})
    conn.execute(_MARK_FLUSHED, {"seq": seq, "sha256": sha256})


def mark_adopted(conn: sqlite3.Connection, sha256: str) -> None:
    conn.execute("UPDATE publication SET adopted_sha256 = ?", (sha256,))


def cursor(conn: sqlite3.Connection, consumer: str) -> int:
    """Return the last position of that feed whose event has been applied here."""
    sql = "SELECT position FROM cursors WHERE consumer = ?"
    row = conn.execute(sql, (consumer,)).fetchone()
    return int(row[0]) if row is not None else 0


def last_applied(conn: sqlite3.Connection) -> int:
    """Return the last event that was applied here, of whichever consumer; 0 when none was."""
    sql = f"SELECT coalesce(max(position), 0) FROM cursors WHERE {IS_FEED}"  # noqa: S608 - constant
    return int(conn.execute(sql).fetchone()[0])


def placed(conn: sqlite3.Connection, place: str) -> int | None:
    """Return the last change that the file at this place has held; None where none was written."""
    sql = "SELECT position FROM cursors WHERE consumer = ?"
    row = conn.execute(sql, (_PLACE + place,)).fetchone()
    return int(row[0]) if row is not None else None


def mark_placed(conn: sqlite3.Connection, place: str, seq: int) -> None:
    """Record that the file at this place holds every change up to `seq`: each work tree has one."""
    advance_cursor(conn, _PLACE + place, seq)


def advance_cursor(conn: sqlite3.Connection, consumer: str, position: int) -> None:
    conn.execute(_ADVANCE, {"consumer": consumer, "position": position})


def _text(found: sqlite3.Cursor) -> str | None:
    row = found.fetchone()
    return row[0] if row is not None else None
