"""Look-ups answer as a pool does: all rows of a query, or a failure that names it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.database import open_writer
from storage.errors import Corrupt, QueryFailed
from storage.inline import open_inline
from storage.lookups import Lookups

PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "some.db"
    with closing(open_writer(path)) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT) STRICT")
        connection.execute("INSERT INTO notes VALUES (1, 'one'), (2, 'two')")
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_inline(path)) as opened:
        yield opened


async def test_rows_are_found_and_each_query_is_observed(
    path: Path, reader: sqlite3.Connection
) -> None:
    seen: list[tuple[str, str, bool]] = []
    lookups = Lookups(reader, path, "some", lambda *what: seen.append((*what[:2], what[2] >= 0)))
    rows = await lookups.fetch("note", "SELECT text FROM notes WHERE id = ?", (2,))
    assert [row["text"] for row in rows] == ["two"]
    assert seen == [("some", "note", True)]


async def test_a_statement_that_fails_names_itself_and_the_file(
    path: Path, reader: sqlite3.Connection
) -> None:
    lookups = Lookups(reader, path, "some", lambda *_: None)
    with pytest.raises(QueryFailed, match="the query nonsense on some failed") as failed:
        await lookups.fetch("nonsense", "SELECT * FROM nothing")
    assert str(path) in str(failed.value.__cause__)


async def test_damage_is_known_as_damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\xff" * PAGE)
    with closing(open_inline(path)) as reader:
        lookups = Lookups(reader, path, "some", lambda *_: None)
        with pytest.raises(QueryFailed) as failed:
            await lookups.fetch("notes", "SELECT * FROM notes")
        assert isinstance(failed.value.__cause__, Corrupt)
