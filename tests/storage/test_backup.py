"""A backup is one moment of all that is stored, whole or not there at all."""

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
import trio

from beadflow import Context, activity, workflow
from storage import durable
from storage.backup import take
from storage.database import open_writer
from storage.databases import databases
from storage.errors import BackupFailed, CannotOpen, DatabaseFailure, DiskFull, database_failure
from storage.home import DataDir
from storage.invariants import broken
from storage.issues.file import PUBLISHED
from storage.migrate import migrate
from storage.restore import restore, verify
from storage.snapshot import snapshot
from tests.support.golden import golden_file
from tests.support.world import git_repository, running_system

ROUNDS = 6


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    for database in databases(home):
        shutil.copy(golden_file(database.name, 1), database.path)
        with closing(open_writer(database.path)) as connection:
            migrate(connection, database.schema)
    return home


def hidden(place: Path) -> list[str]:
    return [path.name for path in place.iterdir() if "partial" in path.name]


def test_a_backup_holds_each_file_alone_and_is_for_its_owner_alone(
    home: Path, tmp_path: Path
) -> None:
    published = tmp_path / "issues.jsonl"
    published.write_bytes(b'{"id":"x-1"}\n')
    taken = take(home, published, tmp_path / "deep" / "b", program="1")
    target = tmp_path / "deep" / "b"
    names = {"beads.db", "coordination.db", "issues.jsonl", "tempolite.db"}
    assert set(taken.files) == names
    assert {path.name for path in target.iterdir()} == {*names, "manifest.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in target.iterdir()} == {0o600}
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert verify(target) == taken
    assert taken.home.startswith("home-")
    assert taken.positions["history"] > 0


def test_a_backup_without_a_published_file_is_whole(home: Path, tmp_path: Path) -> None:
    take(home, tmp_path / "none", tmp_path / "b", program="1")
    assert "issues.jsonl" not in verify(tmp_path / "b").files


def test_an_empty_directory_is_taken_and_one_that_holds_something_is_not(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    take(home, tmp_path / "none", tmp_path / "empty", program="1")
    with pytest.raises(BackupFailed, match="never overwritten"):
        take(home, tmp_path / "none", tmp_path / "empty", program="1")
    with pytest.raises(BackupFailed, match="never overwritten"):
        take(home, tmp_path / "none", home, program="1")


def test_a_damaged_database_is_refused_with_its_place_and_nothing_is_left(
    home: Path, tmp_path: Path
) -> None:
    with closing(open_writer(home / "tempolite.db")) as connection:
        connection.execute("CREATE INDEX mine ON history (at)")
    with pytest.raises(BackupFailed, match=r"tempolite\.db is damaged \(mine: belongs to no"):
        take(home, tmp_path / "none", tmp_path / "b", program="1")
    assert not (tmp_path / "b").exists()
    assert hidden(tmp_path) == []


def test_databases_that_no_restore_would_take_are_refused_and_nothing_is_left(
    home: Path, tmp_path: Path
) -> None:
    with closing(open_writer(home / "beads.db")) as connection:
        connection.execute("UPDATE cursors SET position = 1000000")
    with pytest.raises(BackupFailed, match=r"contradict each other \(beads\.db: cursors "):
        take(home, tmp_path / "none", tmp_path / "b", program="1")
    assert not (tmp_path / "b").exists()
    assert hidden(tmp_path) == []


def test_a_pipe_for_the_issues_file_is_refused_and_not_waited_for(
    home: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "issues.jsonl")
    with pytest.raises(OSError, match=r"no regular file.*issues\.jsonl"):
        take(home, tmp_path / "issues.jsonl", tmp_path / "b", program="1")
    assert hidden(tmp_path) == []


def test_a_missing_database_is_refused(home: Path, tmp_path: Path) -> None:
    (home / "beads.db").unlink()
    with pytest.raises(CannotOpen, match=r"beads\.db"):
        take(home, tmp_path / "none", tmp_path / "b", program="1")
    assert hidden(tmp_path) == []


def test_a_backup_that_cannot_be_written_leaves_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(durable, "sync", fail)
    with pytest.raises(DiskFull, match="No space left"):
        take(home, tmp_path / "none", tmp_path / "b", program="1")
    assert not (tmp_path / "b").exists()
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("error", [sqlite3.OperationalError, OSError])
def test_what_fails_in_the_hidden_directory_names_the_backup(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(path: Path) -> None:
        if error is OSError:
            raise OSError(5, "Input/output error", str(path))
        raise database_failure(path, sqlite3.OperationalError("disk I/O error"))

    monkeypatch.setattr(durable, "sync", fail)
    with pytest.raises((DatabaseFailure, OSError), match=r"/b/coordination\.db"):
        take(home, tmp_path / "none", tmp_path / "b", program="1")
    assert hidden(tmp_path) == []


@activity
async def own(number: int) -> int:
    return number


@workflow
async def busy(ctx: Context) -> str:
    for number in range(5):
        await ctx.activity(own, number)
    return "done"


async def test_backups_of_a_system_at_work_are_consistent_and_go_on_where_they_were_taken(
    repo: Path, tmp_path: Path
) -> None:
    backups = [tmp_path / f"backup-{number}" for number in range(ROUNDS)]
    async with running_system(repo, workflows=[busy]) as running:
        directory = running.world.data.path
        async with trio.open_nursery() as nursery:

            async def keep_busy() -> None:
                while True:
                    await running.start("busy")

            nursery.start_soon(keep_busy)
            for backup in backups:
                await trio.to_thread.run_sync(
                    lambda to: take(directory, repo / PUBLISHED, to, program="1"), backup
                )
            nursery.cancel_scope.cancel()
    positions = [verify(backup).positions["events"] for backup in backups]
    assert positions == sorted(positions)
    assert positions[-1] > positions[0], "nothing was written meanwhile"
    for backup in backups:
        with snapshot(backup) as held:
            assert broken(held) == []
    other = git_repository(tmp_path / "other")
    with DataDir.resolve(other) as data:
        restore(data, backups[-1], verify(backups[-1]), other / PUBLISHED, force=True)
    async with running_system(other, workflows=[busy]) as running:
        sql = "SELECT tempolite_workflow_id FROM workflow_mappings"
        known = [row[0] for row in running.stores.coordination.inline.execute(sql)]
        assert known
        assert {record.status for record in await running.ended(*known)} == {"completed"}
