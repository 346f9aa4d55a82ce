"""The working copy: rows, journal, and what is published."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import open_writer
from storage.issues import jsonl, queries
from storage.issues.jsonl import Row
from storage.migrate import migrate, rollback

SCHEMA = Path(queries.__file__).with_name("schema")


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_writer(tmp_path / "beads.db")
    migrate(connection, SCHEMA)
    yield connection
    connection.close()


def row(issue_id: str = "x-1", **more: object) -> Row:
    at = "2026-01-01T00:00:00Z"
    return {"id": issue_id, "title": "T", "created_at": at, "updated_at": at, **more}


def change(conn: sqlite3.Connection, new: Row, base: Row | None) -> int:
    """Store a row with its journal entry, as the writer does."""
    queries.put_row(conn, new)
    return queries.append_journal(
        conn, new["id"], "changed", detail={}, base=base and jsonl.encode_text(base), at="2026"
    )


def test_the_schema_goes_up_and_down(conn: sqlite3.Connection) -> None:
    rollback(conn, SCHEMA, to=0)
    migrate(conn, SCHEMA)
    assert not queries.is_journaled(conn)


def test_lines_come_in_the_order_of_their_bytes(conn: sqlite3.Connection) -> None:
    for issue_id in ("bd-a.2", "bd-é", "bd-a.10", "bd-Z", "bd-a"):
        queries.put_row(conn, row(issue_id))
    ids = [jsonl.parse(line)["id"] for line in queries.all_lines(conn)]
    assert ids == ["bd-Z", "bd-a", "bd-a.10", "bd-a.2", "bd-é"]


def test_lists_are_sorted_by_instant_whatever_the_zone(conn: sqlite3.Connection) -> None:
    queries.put_row(conn, row("x-1", updated_at="2026-01-01T09:00:00+02:00", status="open"))
    queries.put_row(conn, row("x-2", updated_at="2026-01-01T08:00:00Z", status="open"))
    queries.put_row(conn, row("x-3", updated_at="2026-01-02T08:00:00Z", status="closed"))
    found = conn.execute(queries.LIST_BY_STATUS, {"status": "open", "limit": 9}).fetchall()
    assert [jsonl.parse(line)["id"] for (line,) in found] == ["x-2", "x-1"]


def test_the_published_line_is_the_one_before_the_first_change_since_the_flush(
    conn: sqlite3.Connection,
) -> None:
    old, mid, new = row(), row(notes="mid"), row(notes="new")
    queries.mark_flushed(conn, change(conn, old, None), "hash")
    change(conn, mid, old)
    change(conn, new, mid)
    assert queries.published_line(conn, "x-1") == jsonl.encode_text(old)
    assert queries.published_lines(conn) == {"x-1": jsonl.encode_text(old)}


def test_a_flush_in_the_middle_moves_the_published_line_to_its_place(
    conn: sqlite3.Connection,
) -> None:
    old, mid, new = row(), row(notes="mid"), row(notes="new")
    change(conn, old, None)
    middle = change(conn, mid, old)
    change(conn, new, mid)
    queries.mark_flushed(conn, middle, "hash")
    assert queries.published_line(conn, "x-1") == jsonl.encode_text(mid)


def test_an_issue_that_was_never_flushed_is_not_published(conn: sqlite3.Connection) -> None:
    change(conn, row(), None)
    assert queries.published_line(conn, "x-1") is None
    assert queries.published_lines(conn) == {}


def test_an_older_mark_does_not_take_a_newer_one_back(conn: sqlite3.Connection) -> None:
    queries.mark_flushed(conn, 5, "new")
    queries.mark_flushed(conn, 3, "old")
    known = queries.publication(conn)
    assert (known.flushed_seq, known.flushed_sha256) == (5, "new")


def test_bases_are_forgotten_once_they_are_flushed(conn: sqlite3.Connection) -> None:
    seq = change(conn, row(notes="b"), row(notes="a"))
    queries.mark_flushed(conn, seq, "hash")
    assert conn.execute("SELECT count(*) FROM journal WHERE base IS NOT NULL").fetchone()[0] == 0


def test_the_journal_is_read_on_from_a_position(conn: sqlite3.Connection) -> None:
    seqs = [change(conn, row(f"x-{n}"), None) for n in range(5)]
    entries = queries.read_journal(conn, seqs[1], 2)
    assert [(entry.seq, entry.issue_id) for entry in entries] == [
        (seqs[2], "x-2"),
        (seqs[3], "x-3"),
    ]


def test_a_cursor_only_goes_forward(conn: sqlite3.Connection) -> None:
    assert queries.cursor(conn, "bridge") == 0
    queries.advance_cursor(conn, "bridge", 7)
    queries.advance_cursor(conn, "bridge", 4)
    assert queries.cursor(conn, "bridge") == 7


def test_a_line_of_the_file_is_stored_as_its_row_is(conn: sqlite3.Connection) -> None:
    """`put_line` looks at less, and stores the same."""
    odd = '{"id":"bd-1","metadata":{"n":' + "9" * 400 + ',"f":1.50,"e":1e300},"ephemeral":true}'
    made = row("bd-1") | jsonl.parse(odd)
    line = jsonl.encode_text(made)
    stored = []
    for put in (
        lambda: queries.put_row(conn, made, from_file=True),
        lambda: queries.put_line(conn, line),
    ):
        put()
        stored.append(tuple(conn.execute("SELECT * FROM issues").fetchone()))
        queries.delete_row(conn, "bd-1")
    assert stored[0] == stored[1]
