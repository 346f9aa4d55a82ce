"""A database is rewritten without the room that deleted rows have left."""

import shutil
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from storage.database import open_writer
from storage.databases import Database, databases
from storage.errors import Corrupt, DatabaseBusy
from storage.integrity import inspect
from storage.migrate import migrate
from storage.tuning import Tuning
from storage.vacuum import vacuum
from tests.support.damage import lose_index_entries
from tests.support.golden import golden_file


@pytest.fixture
def bridge(tmp_path: Path) -> Database:
    database = databases(tmp_path)[0]
    shutil.copy(golden_file("coordination", 1), database.path)
    with closing(open_writer(database.path)) as connection:
        migrate(connection, database.schema)
    return database


def test_the_room_of_deleted_rows_is_given_back_and_numbers_stay(bridge: Database) -> None:
    with closing(open_writer(bridge.path)) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)"
            " INSERT INTO events SELECT i, 'x', NULL, NULL, '', '{}' FROM n"
        )
        connection.execute("DELETE FROM events WHERE seq BETWEEN 1000 AND 3999")
    before, after = vacuum(bridge)
    assert after < before
    assert bridge.path.stat().st_size == after
    assert not bridge.log.exists()
    assert inspect(bridge) == []
    with closing(open_writer(bridge.path)) as connection:
        assert connection.execute("SELECT max(seq) FROM events").fetchone()[0] == 4000


def test_a_database_that_is_none_is_refused(bridge: Database) -> None:
    bridge.path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(Corrupt):
        vacuum(bridge)


def test_a_database_with_a_damaged_index_is_left_as_it_is(bridge: Database) -> None:
    lose_index_entries(
        bridge.path, "workflow_mappings_of_status", "UPDATE workflow_mappings SET status = 'other'"
    )
    before = bridge.path.read_bytes()
    with pytest.raises(Corrupt, match="missing from index workflow_mappings_of_status"):
        vacuum(bridge)
    assert bridge.path.read_bytes() == before


def test_a_database_that_somebody_writes_is_left_alone(
    bridge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = Tuning(busy_timeout_s=0.01)
    monkeypatch.setattr("storage.vacuum.open_writer", partial(open_writer, tuning=patience))
    with closing(open_writer(bridge.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy):
            vacuum(bridge)
