"""A damaged beads.db is put aside, and says what went with it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage import aside
from storage.database import open_writer
from storage.databases import Database, databases
from storage.issues import leases, queries
from storage.issues.leases import Lease
from storage.migrate import migrate

EARLY, LATE = "2026-01-01T00:00:00.000000Z", "2026-01-01T00:30:00.000000Z"


@pytest.fixture
def beads(tmp_path: Path) -> Database:
    return databases(tmp_path / "data")[-1]


@pytest.fixture
def conn(beads: Database) -> Iterator[sqlite3.Connection]:
    """Three issues: x-1 is claimed, x-2 is in no file yet, x-3 is a wisp."""
    with closing(open_writer(beads.path)) as opened:
        migrate(opened, beads.schema)
        for number in (1, 2, 3):
            row = {"id": f"x-{number}", "status": "in_progress", "assignee": "ada"}
            queries.put_row(opened, row | {"ephemeral": number == 3})
            queries.append_journal(opened, row["id"], "created", detail={}, base=None, at=EARLY)
            if number == 1:
                queries.mark_flushed(opened, 1, "sha")
        lease = Lease(
            issue_id="x-1",
            holder="ada",
            home="here",
            token=1,
            request="r",
            claimed_at=EARLY,
            expires_at=LATE,
        )
        leases.take(opened, lease)
        yield opened


def test_what_was_in_no_file_is_told(conn: sqlite3.Connection, beads: Database) -> None:
    conn.close()
    path = aside.put_aside(beads)
    assert beads.is_absent
    assert path.name == "beads.db.damaged-1"
    told = aside.Remains(path=path, claims=("x-1",), wisps=("x-3",), changes=("x-2",))
    assert aside.remains_of(path) == told


def test_a_log_that_holds_the_last_changes_goes_with_its_database(
    conn: sqlite3.Connection, beads: Database, tmp_path: Path
) -> None:
    crashed = databases(tmp_path / "crashed")[-1]
    crashed.path.parent.mkdir()
    for file in beads.files:
        crashed.path.with_name(file.name).write_bytes(file.read_bytes())
    assert aside.remains_of(aside.put_aside(crashed)).claims == ("x-1",)
    assert not crashed.log.exists()
    del conn


def test_each_gets_a_number_of_its_own_and_nothing_is_overwritten(beads: Database) -> None:
    beads.path.parent.mkdir()
    for number in range(1, 12):
        beads.path.write_bytes(b"%d" % number)
        beads.log.touch()
        aside.put_aside(beads)
    found = aside.put_aside_before(beads)
    assert [path.read_bytes() for path in found] == [b"%d" % n for n in range(1, 12)]


def test_what_cannot_be_read_is_told_as_that(beads: Database) -> None:
    beads.path.parent.mkdir()
    beads.path.write_bytes(b"rubbish" * 1000)
    path = aside.put_aside(beads)
    told = aside.Remains(path=path, claims=None, wisps=None, changes=None)
    assert aside.remains_of(path) == told


@pytest.mark.parametrize(("content", "can"), [(None, False), (b"", False), (b"{}\n", True)])
def test_a_database_is_rebuilt_from_a_file_with_anything_in_it(
    tmp_path: Path, content: bytes | None, can: bool
) -> None:
    published = tmp_path / ".beads" / "issues.jsonl"
    published.parent.mkdir()
    if content is not None:
        published.write_bytes(content)
    assert aside.can_rebuild(published) is can
