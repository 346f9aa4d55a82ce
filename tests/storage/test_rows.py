"""Many rows, few statements."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from storage.rows import insert_rows


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.execute("CREATE TABLE things (name TEXT UNIQUE, size INTEGER)")
        yield opened


@pytest.mark.parametrize("count", [0, 1, 3, 4, 63, 64, 65, 149, 1000])
def test_every_row_is_inserted_once_and_in_order(conn: sqlite3.Connection, count: int) -> None:
    rows = [(f"thing {number}", number) for number in range(count)]
    insert_rows(conn, "things", "name, size", rows)
    assert conn.execute("SELECT name, size FROM things ORDER BY rowid").fetchall() == rows


def test_149_rows_take_five_statements(conn: sqlite3.Connection) -> None:
    told: list[str] = []
    conn.set_trace_callback(told.append)
    insert_rows(conn, "things", "name, size", [(str(number), number) for number in range(149)])
    inserts = [text for text in told if text.startswith("INSERT")]
    assert len(inserts) == len([64, 64, 16, 4, 1])


def test_an_ending_says_what_becomes_of_rows_that_are_there(conn: sqlite3.Connection) -> None:
    insert_rows(conn, "things", "name, size", [("a", 1)])
    insert_rows(conn, "things", "name, size", [("a", 2), ("b", 3)], ending="ON CONFLICT DO NOTHING")
    assert conn.execute("SELECT name, size FROM things").fetchall() == [("a", 1), ("b", 3)]
