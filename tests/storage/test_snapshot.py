"""A snapshot is one moment of all three databases, whoever writes meanwhile."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import storage.snapshot
from storage.database import open_writer
from storage.databases import databases
from storage.errors import CannotOpen, DatabaseBusy
from storage.snapshot import snapshot


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for database in databases(tmp_path):
        with closing(open_writer(database.path)) as connection:
            connection.execute("CREATE TABLE t (n INTEGER)")
            connection.execute("INSERT INTO t VALUES (0)")
    return tmp_path


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT max(n) FROM t").fetchone()[0])


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Somebody counts up in all three, each time in coordination first and last."""
    stop, began = threading.Event(), threading.Event()

    def write() -> None:
        paths = {database.name: database.path for database in databases(home)}
        with (
            closing(open_writer(paths["coordination"])) as first,
            closing(open_writer(paths["tempolite"])) as second,
            closing(open_writer(paths["beads"])) as third,
        ):
            number = 0
            while not stop.is_set():
                number += 1
                for connection in (first, second, third, first):
                    connection.execute("INSERT INTO t VALUES (?)", (number,))
                began.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert began.wait(20)
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_others_are_never_seen_ahead_of_what_coordination_has_taken_in(home: Path) -> None:
    """Each round is: coordination begins n, tempolite, beads, coordination has it all."""
    with writing(home):
        for _ in range(30):
            with snapshot(home) as held:
                coordination = count(held["coordination"])
                rows = held["coordination"].execute(
                    "SELECT count(*) FROM t WHERE n = ?", (coordination,)
                )
                whole = rows.fetchone()[0] == 2
                others = {count(held["tempolite"]), count(held["beads"])}
                # Within a round the others may be at this number or at the one before it.
                assert others <= ({coordination} if whole else {coordination, coordination - 1})


def test_a_commit_between_two_beginnings_is_noticed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the second try tempolite and beads would be seen ahead of coordination."""
    begin, begun = storage.snapshot._begin, []

    def begin_late(connection: sqlite3.Connection) -> None:
        if len(begun) == 1:
            for database in databases(home):
                with closing(open_writer(database.path)) as writer:
                    writer.execute("INSERT INTO t VALUES (7)")
        begun.append(connection)
        begin(connection)

    monkeypatch.setattr(storage.snapshot, "_begin", begin_late)
    with snapshot(home) as held:
        assert [count(connection) for connection in held.values()] == [7, 7, 7]
    assert len(begun) == 6


def test_what_is_committed_later_is_not_seen(home: Path) -> None:
    with snapshot(home) as held, closing(open_writer(home / "beads.db")) as writer:
        writer.execute("INSERT INTO t VALUES (7)")
        assert count(held["beads"]) == 0


def test_a_missing_database_is_named(home: Path) -> None:
    (home / "tempolite.db").unlink()
    with pytest.raises(CannotOpen, match=r"tempolite\.db"), snapshot(home):
        pass


def test_a_database_that_never_stands_still_is_given_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(10_000))
    monkeypatch.setattr(storage.snapshot, "_version", lambda _: next(numbers))
    monkeypatch.setattr(storage.snapshot, "_PAUSE_S", 0.0)
    with pytest.raises(DatabaseBusy, match="faster than it can be read"), snapshot(home):
        pass
