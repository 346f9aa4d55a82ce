import errno
import os
import re
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.database import _use_write_ahead_log, open_reader, open_writer
from storage.errors import (
    CannotOpen,
    Corrupt,
    DatabaseBusy,
    DatabaseFailure,
    DiskFull,
    ReadOnly,
    RepositoryMismatch,
    UnsafePath,
    database_failure,
)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def pragma(conn: sqlite3.Connection, name: str) -> object:
    (value,) = conn.execute(f"PRAGMA {name}").fetchone()
    return value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("cache_size", 10_000),
        ("temp_store", 2),
        ("mmap_size", 268_435_456),
        ("wal_autocheckpoint", 1000),
        ("busy_timeout", 5000),
    ],
)
def test_a_writer_has_the_pragma(tmp_path: Path, name: str, value: object) -> None:
    conn = open_writer(tmp_path / "x.db")
    assert pragma(conn, name) == value
    conn.close()


def test_the_file_and_its_log_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.db"
    conn = open_writer(path)
    conn.execute("CREATE TABLE t (a)")
    assert [mode_of(p) for p in sorted(path.parent.iterdir())] == [0o600, 0o600, 0o600]
    assert mode_of(path.parent) == 0o700
    conn.close()


def test_a_file_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.touch(0o644)
    open_writer(path).close()
    assert mode_of(path) == 0o600


def test_a_symbolic_link_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x.db").symlink_to(tmp_path / "canary")
    with pytest.raises(UnsafePath, match=r"x\.db"):
        open_writer(tmp_path / "x.db")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("opener", [open_writer, open_reader])
def test_a_file_that_is_no_database_is_named(
    tmp_path: Path, opener: Callable[[Path], sqlite3.Connection]
) -> None:
    path = tmp_path / "x.db"
    path.write_text("this is not a database, and long enough to be taken for one" * 20)
    with pytest.raises(Corrupt, match=r"x\.db"):
        opener(path)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotOpen, match="file"):
        open_writer(tmp_path / "file" / "x.db")


def test_a_reader_of_a_missing_file_does_not_make_it(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen):
        open_reader(tmp_path / "x.db")
    assert not (tmp_path / "x.db").exists()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "x.db")
    writer.execute("CREATE TABLE t (a)")
    reader = open_reader(tmp_path / "x.db")
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("INSERT INTO t VALUES (1)")
    reader.close()
    writer.close()


def test_a_reader_sees_what_was_committed_after_it_was_opened(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "x.db")
    writer.execute("CREATE TABLE t (a)")
    reader = open_reader(tmp_path / "x.db")
    writer.execute("INSERT INTO t VALUES (7)")
    assert reader.execute("SELECT a FROM t").fetchone()["a"] == 7
    reader.close()
    writer.close()


def test_a_reader_opens_a_database_that_was_closed_cleanly(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "x.db")
    writer.execute("CREATE TABLE t (a)")
    writer.close()
    reader = open_reader(tmp_path / "x.db")
    assert reader.execute("SELECT count(*) FROM t").fetchone()[0] == 0
    reader.close()


def test_a_path_with_the_signs_of_a_uri_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory#b%20c" / "ü x.db"
    writer = open_writer(path)
    writer.execute("CREATE TABLE t (a)")
    assert path.exists()
    open_reader(path).close()
    writer.close()


def test_a_connection_may_move_to_another_thread(tmp_path: Path) -> None:
    conn = open_writer(tmp_path / "x.db")
    thread = threading.Thread(target=lambda: conn.execute("CREATE TABLE t (a)"))
    thread.start()
    thread.join()
    assert conn.execute("SELECT count(*) FROM t").fetchone()[0] == 0
    conn.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, DiskFull),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, DatabaseBusy),
        (sqlite3.SQLITE_LOCKED, DatabaseBusy),
        (sqlite3.SQLITE_CORRUPT_VTAB, Corrupt),
        (sqlite3.SQLITE_NOTADB, Corrupt),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, CannotOpen),
        (sqlite3.SQLITE_READONLY_DIRECTORY, ReadOnly),
        (sqlite3.SQLITE_IOERR_FSYNC, DatabaseFailure),
    ],
)
def test_what_sqlite_reports_has_a_type_and_names_the_file(
    code: int, kind: type[DatabaseFailure]
) -> None:
    error = sqlite3.OperationalError("something")
    error.sqlite_errorcode = code
    found = database_failure("x.db", error)
    assert type(found) is kind
    assert "x.db" in str(found)


def test_a_file_system_without_a_write_ahead_log_is_refused(tmp_path: Path) -> None:
    conn = sqlite3.connect(":memory:")
    with pytest.raises(DatabaseFailure, match="no write-ahead log"):
        _use_write_ahead_log(conn, tmp_path / "x.db")
    conn.close()


def test_a_store_of_another_repository_names_both() -> None:
    error = RepositoryMismatch("/a/.git", "/b/.git")
    assert "/a/.git" in str(error)
    assert "/b/.git" in str(error)


def test_the_way_to_a_new_file_is_synced_up_to_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a" / "b" / "x.db"
    synced = recorded_syncs(monkeypatch)
    open_writer(path).close()
    assert {path.parent, path.parent.parent, tmp_path, *tmp_path.parents} <= set(synced)


def test_the_way_to_an_empty_file_is_synced_since_its_maker_may_have_been_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.db"
    path.touch(0o600)
    synced = recorded_syncs(monkeypatch)
    open_writer(path).close()
    assert {tmp_path, tmp_path.parent} <= set(synced)
    synced.clear()
    open_writer(path).close()
    assert synced == []


def test_a_way_that_cannot_be_synced_is_no_way_to_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CannotOpen, match=re.escape(str(tmp_path / "x.db"))):
        open_writer(tmp_path / "x.db")


@pytest.mark.parametrize("opened", [open_writer, open_reader])
def test_a_schema_that_is_no_text_is_damage(
    tmp_path: Path, opened: Callable[[Path], sqlite3.Connection]
) -> None:
    path = tmp_path / "x.db"
    conn = open_writer(path)
    conn.execute("CREATE TABLE a_table_with_a_name (a)")
    conn.close()
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE a_table", b"CREATE TABLE\xeb_table"))
    with pytest.raises(Corrupt, match=r"x\.db.*schema"):
        opened(path)


def recorded_syncs(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    synced: list[Path] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return synced
