"""What is wrong with a file is found, with its place."""

import random
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

import storage.integrity
from storage.database import open_reader, open_writer
from storage.databases import Database, databases
from storage.errors import CannotOpen, DatabaseBusy
from storage.integrity import inspect
from storage.tuning import Tuning
from tests.support.damage import lose_index_entries
from tests.support.golden import golden_file
from tests.support.privileges import bound_by_modes

PAGE = 4096


@pytest.fixture
def engine(tmp_path: Path) -> Database:
    database = databases(tmp_path)[1]
    shutil.copy(golden_file("tempolite", 1), database.path)
    return database


def root_of(database: Database, name: str) -> int:
    with closing(sqlite3.connect(database.path)) as connection:
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        return int(connection.execute(sql, (name,)).fetchone()[0])


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_nothing_is_wrong_with_a_whole_file(engine: Database) -> None:
    assert inspect(engine) == []


def test_a_page_that_was_zeroed_is_reported_with_its_table_and_number(engine: Database) -> None:
    page = root_of(engine, "history_of_workflow")
    overwrite(engine.path, (page - 1) * PAGE, bytes(PAGE))
    found = inspect(engine)
    assert ("history_of_workflow", f"page {page}") in [(f.table, f.place) for f in found]


def test_an_index_that_lacks_a_row_is_reported_by_its_name(engine: Database) -> None:
    lose_index_entries(engine.path, "tasks_ended", "UPDATE tasks SET state = 'done'")
    assert "tasks_ended" in {finding.table for finding in inspect(engine)}


def test_a_file_cut_short_is_reported(engine: Database) -> None:
    with engine.path.open("r+b") as file:
        file.truncate(engine.path.stat().st_size - 2 * PAGE)
    assert inspect(engine)


def test_a_file_that_is_no_database_is_reported(engine: Database) -> None:
    engine.path.write_bytes(b"no database at all, but long enough to be one" * 100)
    (finding,) = inspect(engine)
    assert "not a database" in finding.what


def test_a_missing_file_is_reported_by_its_name(engine: Database) -> None:
    engine.path.unlink()
    (finding,) = inspect(engine)
    assert finding.what == "tempolite.db is missing"


def test_an_empty_file_is_reported_by_its_name(engine: Database) -> None:
    engine.path.write_bytes(b"")
    (finding,) = inspect(engine)
    assert finding.what == "tempolite.db is empty"


def test_a_file_without_tables_is_reported_with_how_to_make_them(engine: Database) -> None:
    engine.path.unlink()
    open_writer(engine.path).close()
    (finding,) = inspect(engine)
    assert (finding.table, finding.what) == (
        "schema_migrations",
        "tempolite.db has no tables: `beadflow db migrate` makes them",
    )


def test_a_file_that_cannot_be_reached_is_no_finding(engine: Database) -> None:
    engine.path.chmod(0)
    refused = pytest.raises(CannotOpen, match=r"tempolite\.db could not be opened")
    with bound_by_modes(), refused:
        inspect(engine)


def test_a_file_that_another_program_holds_is_no_finding(
    engine: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = partial(open_reader, tuning=Tuning(busy_timeout_s=0.0))
    monkeypatch.setattr(storage.integrity, "open_reader", impatient)
    with closing(sqlite3.connect(engine.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseBusy, match=r"tempolite\.db is held by another connection"):
            inspect(engine)


def test_a_schema_that_no_migration_made_is_reported(engine: Database) -> None:
    with closing(open_writer(engine.path)) as connection:
        connection.execute("CREATE TABLE Tasks_old (a)")
        connection.execute("CREATE INDEX mine ON history (at)")
        connection.execute("DROP INDEX tasks_open")
    found = {finding.table: finding.what for finding in inspect(engine)}
    assert found == {
        "Tasks_old": "belongs to no migration",
        "mine": "belongs to no migration",
        "tasks_open": "is missing from the schema",
    }


OF_THE_USER = (
    'CREATE TABLE "visits ""of"" all" (name TEXT PRIMARY KEY, count INTEGER)',
    "CREATE TABLE numbered (n INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT)",
    "CREATE INDEX numbered_by_word ON numbered (word)",
    "CREATE VIEW words AS SELECT word FROM numbered",
    "CREATE VIEW states AS SELECT workflow_id, status FROM instances",
    "INSERT INTO numbered (word) VALUES ('a')",
)


def test_tables_of_the_users_own_beside_the_engines_are_no_fault(engine: Database) -> None:
    with closing(open_writer(engine.path)) as connection:
        for statement in OF_THE_USER:
            connection.execute(statement)
    assert inspect(engine) == []


def test_damage_in_a_table_of_the_users_own_is_found(engine: Database) -> None:
    with closing(open_writer(engine.path)) as connection:
        for statement in OF_THE_USER:
            connection.execute(statement)
    page = root_of(engine, "numbered")
    overwrite(engine.path, (page - 1) * PAGE, bytes(PAGE))
    found = inspect(engine)
    assert ("numbered", f"page {page}") in [(f.table, f.place) for f in found]


@pytest.mark.parametrize("name", ["coordination", "beads"])
def test_the_other_databases_have_no_tables_but_their_own(tmp_path: Path, name: str) -> None:
    (database,) = (d for d in databases(tmp_path) if d.name == name)
    shutil.copy(golden_file(name, 1), database.path)
    with closing(open_writer(database.path)) as connection:
        connection.execute("CREATE TABLE mine (a)")
    (finding,) = inspect(database)
    assert (finding.table, finding.what) == ("mine", "belongs to no migration")


def test_a_newer_schema_is_reported(engine: Database) -> None:
    with closing(open_writer(engine.path)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (99, 'x', 'x', '2030-01-01')")
    (finding,) = inspect(engine)
    assert "use the newer program" in finding.what


@pytest.mark.parametrize("seed", range(40))
def test_damage_anywhere_is_found_or_changes_nothing_and_never_raises(
    engine: Database, seed: int
) -> None:
    chance = random.Random(seed)
    size = engine.path.stat().st_size
    overwrite(engine.path, chance.randrange(size), chance.randbytes(chance.choice([1, 64, PAGE])))
    for finding in inspect(engine):
        assert finding.what


def test_a_table_that_was_altered_is_reported_and_one_that_was_only_rebuilt_is_not(
    engine: Database,
) -> None:
    with closing(open_writer(engine.path)) as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'meta'").fetchone()
        connection.execute(sql.replace("TABLE meta", "TABLE other"))
        connection.execute("DROP TABLE meta")
        connection.execute("ALTER TABLE other RENAME TO meta")
        connection.execute("ALTER TABLE tasks ADD COLUMN mine TEXT")
    found = {finding.table: finding.what for finding in inspect(engine)}
    assert found == {"tasks": "is not as its migration says"}
