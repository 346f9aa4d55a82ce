"""Inline reads whose errors name the file."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.database import open_writer
from storage.errors import CannotOpen, Corrupt, DatabaseFailure
from storage.inline import open_inline

PAGE_BYTES = 4096


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """A database whose first rows can be read, and whose last cannot."""
    path = tmp_path / "torn.db"
    with closing(open_writer(path)) as db:
        db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        db.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 2000) for n in range(40)])
    data = bytearray(path.read_bytes())
    data[-PAGE_BYTES:] = b"\xff" * PAGE_BYTES
    path.write_bytes(data)
    return path


@pytest.fixture
def reader(torn: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_inline(torn)) as connection:
        yield connection


@pytest.mark.parametrize(
    "read",
    [
        lambda rows: rows.fetchall(),
        lambda rows: rows.fetchmany(40),
        lambda rows: [*rows],
        lambda rows: [rows.fetchone() for _ in range(40)],
    ],
    ids=["fetchall", "fetchmany", "iteration", "fetchone"],
)
def test_damage_met_at_a_later_row_names_the_file(
    reader: sqlite3.Connection, torn: Path, read: Callable[[sqlite3.Cursor], object]
) -> None:
    rows = reader.execute("SELECT * FROM t")
    with pytest.raises(Corrupt) as met:
        read(rows)
    assert met.value.path == torn
    assert str(torn) in str(met.value)


def test_damage_met_at_the_first_row_names_the_file(reader: sqlite3.Connection, torn: Path) -> None:
    with pytest.raises(Corrupt, match=r"torn\.db"):
        reader.execute("SELECT * FROM t WHERE a = 39")


def test_a_statement_that_is_refused_names_the_file(reader: sqlite3.Connection, torn: Path) -> None:
    with pytest.raises(DatabaseFailure, match=r"torn\.db.*readonly"):
        reader.execute("CREATE TABLE u (a)")
    with pytest.raises(DatabaseFailure, match=r"torn\.db.*no such table"):
        reader.execute("SELECT * FROM missing")


def test_rows_come_by_name_and_a_query_ends_as_any_other(reader: sqlite3.Connection) -> None:
    row = reader.execute("SELECT a FROM t WHERE a = ?", (1,)).fetchone()
    assert row["a"] == 1
    assert reader.execute("SELECT a FROM t WHERE a = 1 AND b = ''").fetchone() is None
    assert [*reader.execute("SELECT a FROM t WHERE a = 1 AND b = ''")] == []


def test_a_file_that_is_missing_or_no_database_is_refused_when_it_is_opened(
    tmp_path: Path,
) -> None:
    with pytest.raises(CannotOpen, match=r"nothing\.db"):
        open_inline(tmp_path / "nothing.db")
    (tmp_path / "text.db").write_text("no database at all" * 100)
    with pytest.raises(Corrupt, match=r"text\.db"):
        open_inline(tmp_path / "text.db")
