"""Databases that were lost are noticed by what the others rely on, and nothing is made for them."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.agreement import _coordination, is_new, refuse_incomplete, refuse_strangers
from storage.database import open_writer
from storage.databases import databases
from storage.errors import DatabaseMissing, SchemaError, StorageError, StoresDisagree, StoresLost
from storage.migrate import migrate
from tests.support.golden import golden_file

SAID = {"missing": "is missing", "empty": "is empty", "without tables": "has no tables"}
FORGET = {
    "coordination": "DELETE FROM workflow_mappings; DELETE FROM events",
    "tempolite": "DELETE FROM history",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A set that has seen some life, at an older schema."""
    for database in databases(tmp_path):
        shutil.copy(golden_file(database.name, 1), database.path)
    return tmp_path


def lose(path: Path, how: str) -> None:
    path.unlink()
    if how == "empty":
        path.touch()
    elif how == "without tables":
        open_writer(path).close()


def files(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in directory.glob("*.db")}


def test_a_whole_set_is_refused_nothing(home: Path) -> None:
    refuse_incomplete(home)
    refuse_strangers(home)


@pytest.mark.parametrize("how", ["missing", "empty", "without tables"])
@pytest.mark.parametrize("name", ["coordination", "tempolite"])
def test_a_lost_database_is_named_and_not_made(home: Path, name: str, how: str) -> None:
    lose(home / f"{name}.db", how)
    before = files(home)
    for refuse in (refuse_incomplete, refuse_strangers):
        with pytest.raises(StoresDisagree, match=rf"/{name}\.db {SAID[how]}, and .* relies on it"):
            refuse(home)
    assert files(home) == before


@pytest.mark.parametrize("name", ["coordination", "tempolite"])
def test_a_database_of_another_time_is_named(home: Path, name: str) -> None:
    """Forgetting what the other one has heard of is what an older copy looks like."""
    with closing(open_writer(home / f"{name}.db")) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.executescript(FORGET[name])
    for refuse in (refuse_incomplete, refuse_strangers):
        with pytest.raises(StoresDisagree, match=rf"/{name}\.db is older than"):
            refuse(home)


def test_a_row_that_is_missing_is_not_taken_for_another_time(home: Path) -> None:
    """The log tells of each workflow, so its row was there."""
    with closing(open_writer(home / "coordination.db")) as connection:
        (first,) = connection.execute(
            "SELECT min(tempolite_workflow_id) FROM workflow_mappings"
        ).fetchone()
        connection.execute(
            "DELETE FROM workflow_mappings WHERE tempolite_workflow_id = ?", (first,)
        )
    refuse_incomplete(home)
    refuse_strangers(home)


def test_a_database_that_never_heard_of_a_workflow_is_of_another_time(home: Path) -> None:
    with closing(open_writer(home / "coordination.db")) as connection:
        (last,) = connection.execute(
            "SELECT max(tempolite_workflow_id) FROM workflow_mappings"
        ).fetchone()
        connection.execute("DELETE FROM workflow_mappings WHERE tempolite_workflow_id = ?", (last,))
        connection.execute("DELETE FROM events WHERE workflow_id = ?", (last,))
    for refuse in (refuse_incomplete, refuse_strangers):
        with pytest.raises(StoresDisagree, match=r"/coordination\.db is older than"):
            refuse(home)


def test_what_is_written_meanwhile_is_not_taken_for_another_time(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After coordination.db was asked, a server starts a workflow."""

    def asked(connection: sqlite3.Connection) -> tuple[int, set[str], int]:
        answer = _coordination(connection)
        with closing(open_writer(home / "tempolite.db")) as writer:
            writer.execute(
                "INSERT INTO instances VALUES ('new', 'w', 1, 'queued', '{}', 0, '2030', '2030')"
            )
        return answer

    open_writer(home / "tempolite.db").close()  # gives it the log that lets both at it
    monkeypatch.setattr("storage.agreement._coordination", asked)
    refuse_incomplete(home)


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_lost_issues_database_is_told_with_how_it_comes_back(home: Path, how: str) -> None:
    lose(home / "beads.db", how)
    refuse_strangers(home)
    with pytest.raises(DatabaseMissing, match=r"`beadflow up` rebuilds it from the issues' file"):
        refuse_incomplete(home)


@pytest.mark.parametrize("how", ["missing", "empty"])
@pytest.mark.parametrize("left", ["tempolite.db-wal", "archive/x", "backups/x", "replaced-x/x"])
def test_what_is_left_beside_three_lost_databases_betrays_them(
    home: Path, how: str, left: str
) -> None:
    for database in databases(home):
        lose(database.path, how)
    assert is_new(home)
    refuse_strangers(home)
    (home / left).parent.mkdir(exist_ok=True)
    (home / left).touch()
    assert not is_new(home)
    for refuse in (refuse_incomplete, refuse_strangers):
        with pytest.raises(StoresLost, match=rf"left: {left.removesuffix('x')}\)"):
            refuse(home)


def test_what_a_first_start_left_that_was_cut_off_is_not_taken_for_lost(tmp_path: Path) -> None:
    coordination, tempolite, _ = databases(tmp_path)
    with closing(open_writer(coordination.path)) as connection:
        migrate(connection, coordination.schema)
    open_writer(tempolite.path).close()
    refuse_strangers(tmp_path)
    with pytest.raises(DatabaseMissing, match=r"beads\.db is missing"):
        refuse_incomplete(tmp_path)


def test_a_newer_database_is_refused_as_that_and_not_as_lost(home: Path) -> None:
    with closing(open_writer(home / "beads.db")) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (99, 'x', 'x', '2030-01-01')")
    with pytest.raises(SchemaError, match="use the newer program"):
        refuse_strangers(home)


def test_a_survivor_that_cannot_be_read_is_named(home: Path) -> None:
    lose(home / "coordination.db", "missing")
    (home / "tempolite.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(StorageError, match=r"tempolite\.db is damaged, or no SQLite database"):
        refuse_incomplete(home)
