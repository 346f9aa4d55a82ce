"""The databases of a data directory, and whose they are."""

import random
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import structlog.testing

from actors.coordination.store import claim_home
from actors.issues.issue import new_issue
from actors.issues.messages import ApplyChange, ChangeLabels, CreateIssue, GetIssue, SetStatus
from actors.stores import Stores, open_stores
from actors.writer import write
from beadflow import Context, workflow
from storage.coordination import queries
from storage.database import open_reader, open_writer
from storage.databases import databases
from storage.errors import (
    Corrupt,
    DatabaseFailure,
    RepositoryCopied,
    RepositoryMismatch,
    StorageError,
    StoresDisagree,
)
from storage.home import DataDir
from storage.migrate import migrate
from storage.tuning import Tuning
from tests.support.damage import lose_index_entries
from tests.support.world import git_repository, running_system

AT, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


@asynccontextmanager
async def opened(repo: Path, data: Path | None = None, seed: int = 1) -> AsyncIterator[Stores]:
    with DataDir.resolve(repo, data) as held:
        async with open_stores(held, chance=random.Random(seed), observe=lambda *_: None) as stores:
            yield stores


async def test_the_first_start_makes_three_databases_and_names_the_installation(
    repo: Path,
) -> None:
    async with opened(repo) as stores:
        assert stores.identity.home.startswith("home-")
        for readers in (stores.coordination, stores.tempolite, stores.beads):
            assert readers.path.exists()
            assert readers.inline.execute("SELECT 1").fetchone()[0] == 1
            rows = await readers.pool.fetch("version", "SELECT max(version) FROM schema_migrations")
            assert rows[0][0] >= 1


async def test_stores_that_are_opened_inline_start_no_thread(repo: Path) -> None:
    before = threading.active_count()
    with DataDir.resolve(repo) as held:
        opening = open_stores(held, chance=random.Random(1), observe=lambda *_: None, inline=True)
        async with opening as stores:
            for readers in (stores.coordination, stores.tempolite, stores.beads):
                await readers.pool.fetch("version", "SELECT max(version) FROM schema_migrations")
            assert threading.active_count() == before


async def test_an_installation_keeps_its_name(repo: Path) -> None:
    async with opened(repo, seed=1) as stores:
        first = stores.identity
    async with opened(repo, seed=2) as stores:
        assert stores.identity == first


async def test_readers_cannot_write(repo: Path) -> None:
    async with opened(repo) as stores:
        with pytest.raises(DatabaseFailure, match="readonly"):
            stores.beads.inline.execute("CREATE TABLE t (x)")


async def test_data_of_another_repository_is_refused_with_both_named(
    repo: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    other = git_repository(tmp_path / "other")
    async with opened(repo, data):
        pass
    with pytest.raises(RepositoryMismatch) as refused:
        async with opened(other, data):
            pass
    assert str(repo) in str(refused.value)
    assert str(other) in str(refused.value)


async def test_a_claim_cut_off_by_a_crash_is_no_claim(repo: Path) -> None:
    async with opened(repo):
        pass
    path = DataDir.resolve(repo).coordination_db
    with closing(open_writer(path)) as conn:
        conn.execute("DELETE FROM meta WHERE key = 'home'")
        queries.set_meta(conn, "repository", "/half")
    async with opened(repo) as stores:
        assert stores.identity.repository == str(DataDir.resolve(repo).repository)


async def test_what_is_there_can_be_opened_without_writing(repo: Path) -> None:
    async with opened(repo) as stores:
        first = stores.identity
    data = DataDir.resolve(repo)
    before = data.coordination_db.read_bytes()
    async with open_stores(
        data, chance=random.Random(2), observe=lambda *_: None, prepare=False
    ) as stores:
        assert stores.identity == first
    assert data.coordination_db.read_bytes() == before


async def test_what_is_not_there_is_not_made_when_it_is_only_read(repo: Path) -> None:
    data = DataDir.resolve(repo)
    with pytest.raises(StorageError):
        async with open_stores(
            data, chance=random.Random(1), observe=lambda *_: None, prepare=False
        ):
            pass
    assert not data.coordination_db.exists()


async def test_queries_of_the_pools_are_observed(repo: Path) -> None:
    seen: list[tuple[str, str]] = []
    with DataDir.resolve(repo) as held:
        async with open_stores(
            held,
            chance=random.Random(1),
            observe=lambda database, operation, _: seen.append((database, operation)),
        ) as stores:
            await stores.tempolite.pool.fetch("one", "SELECT 1")
    assert seen == [("tempolite", "one")]


def test_a_claim_is_read_on_a_connection_that_cannot_write(repo: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with closing(open_writer(path)) as conn:
        conn.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        mine = claim_home(conn, home="h", repository="/r")
    with closing(open_reader(path)) as conn:
        assert claim_home(conn, home="x", repository="/y") == mine


async def test_a_repository_that_was_moved_takes_its_data_along(repo: Path, tmp_path: Path) -> None:
    async with opened(repo) as stores:
        home = stores.identity.home
    moved = repo.rename(tmp_path / "moved")
    async with opened(moved) as stores:
        assert stores.identity.home == home
    async with opened(moved) as stores:
        assert stores.identity.repository == str(DataDir.resolve(moved).repository)


async def test_a_copied_repository_is_refused_beside_its_original(
    repo: Path, tmp_path: Path
) -> None:
    """Both would run the same workflows."""
    async with opened(repo):
        pass
    copy = shutil.copytree(repo, tmp_path / "copy", symlinks=True)
    with pytest.raises(RepositoryCopied) as refused:
        async with opened(copy):
            pass
    assert str(DataDir.resolve(repo).path) in str(refused.value)
    assert str(DataDir.resolve(copy).path) in str(refused.value)
    async with opened(repo) as stores:
        assert stores.identity.repository == str(DataDir.resolve(repo).repository)


async def test_a_copy_beside_an_original_that_cannot_be_read_is_refused_too(
    repo: Path, tmp_path: Path
) -> None:
    async with opened(repo):
        pass
    copy = shutil.copytree(repo, tmp_path / "copy", symlinks=True)
    DataDir.resolve(repo).coordination_db.write_bytes(b"rubbish" * 1000)
    with pytest.raises(RepositoryCopied):
        async with opened(copy):
            pass


async def test_a_copy_outlives_an_original_that_began_anew(repo: Path, tmp_path: Path) -> None:
    async with opened(repo, seed=1) as stores:
        home = stores.identity.home
    copy = shutil.copytree(repo, tmp_path / "copy", symlinks=True)
    shutil.rmtree(DataDir.resolve(repo).path)
    async with opened(repo, seed=2):
        pass
    async with opened(copy) as stores:
        assert stores.identity.home == home


async def test_a_copy_can_be_read(repo: Path, tmp_path: Path) -> None:
    async with opened(repo) as stores:
        home = stores.identity.home
    copy = DataDir.resolve(shutil.copytree(repo, tmp_path / "copy", symlinks=True))
    reading = open_stores(copy, chance=random.Random(2), observe=lambda *_: None, prepare=False)
    async with reading as stores:
        assert stores.identity.home == home


async def test_a_repository_that_is_reached_by_another_path_is_no_copy(
    repo: Path, tmp_path: Path
) -> None:
    """As a mount in a second place makes it: other names, the same files."""
    async with opened(repo):
        pass
    other = shutil.copytree(repo, tmp_path / "other", symlinks=True)
    data = DataDir.resolve(other)
    for path in (data.coordination_db, data.tempolite_db, data.beads_db):
        path.unlink()
        path.hardlink_to(DataDir.resolve(repo).path / path.name)
    async with opened(other):
        pass


async def test_data_kept_elsewhere_follows_a_repository_that_was_moved(
    repo: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with opened(repo, data):
        pass
    async with opened(repo.rename(tmp_path / "moved"), data) as stores:
        assert stores.identity.repository == str(DataDir.resolve(tmp_path / "moved").repository)


@pytest.mark.parametrize("emptied", [False, True])
@pytest.mark.parametrize("lost", ["tempolite_db", "coordination_db"])
async def test_a_database_that_was_lost_is_refused_and_named(
    repo: Path, lost: str, emptied: bool
) -> None:
    @workflow
    async def flow(ctx: Context) -> None:
        del ctx

    async with running_system(repo, workflows=[flow]) as running:
        started = await running.start("flow")
        await running.ended(started.id)
    path: Path = getattr(DataDir.resolve(repo), lost)
    path.unlink()
    if emptied:
        path.touch()
    with pytest.raises(StoresDisagree, match=path.name):
        async with opened(repo):
            pass
    assert path.exists() == emptied, "a refusal makes nothing"
    assert not emptied or path.stat().st_size == 0


@pytest.mark.parametrize("made", [0, 1, 2])
@pytest.mark.parametrize("begun", [None, "empty", "without a schema"])
async def test_a_first_start_that_was_cut_off_is_gone_on_with(
    repo: Path, made: int, begun: str | None
) -> None:
    directory = DataDir.resolve(repo).path
    directory.mkdir(mode=0o700)
    there = databases(directory)
    for database in there[:made]:
        with closing(open_writer(database.path)) as connection:
            migrate(connection, database.schema)
    if begun == "empty":
        there[made].path.touch()
    elif begun:
        open_writer(there[made].path).close()
    async with opened(repo) as stores:
        assert stores.identity.home


async def test_children_which_have_no_mapping_are_no_strangers(repo: Path) -> None:
    @workflow
    async def child(ctx: Context) -> int:
        del ctx
        return 1

    @workflow
    async def parent(ctx: Context) -> int:
        return int(await ctx.child(child))

    async with running_system(repo, workflows=[child, parent]) as running:
        started = await running.start("parent")
        await running.ended(started.id)
    async with opened(repo) as stores:
        rows = stores.tempolite.inline.execute("SELECT workflow_id FROM instances").fetchall()
        assert {row[0] for row in rows} == {started.id, f"{started.id}.1"}


@pytest.mark.parametrize(
    "lost",
    [
        (
            "DELETE FROM events WHERE workflow_id = (SELECT tempolite_workflow_id"
            " FROM workflow_mappings WHERE title = 'the last');"
            "DELETE FROM workflow_mappings WHERE title = 'the last'"
        ),
        "DELETE FROM events WHERE seq > 1",
    ],
    ids=["a workflow", "events"],
)
async def test_a_coordination_database_that_lost_its_last_commits_is_refused(
    repo: Path, lost: str
) -> None:
    """What others rely on would be missing, and the numbers of its events would come again."""

    @workflow
    async def flow(ctx: Context) -> str:
        del ctx
        return "done"

    async with running_system(repo, workflows=[flow]) as running:
        started = [await running.start("flow", title) for title in ("the first", "the last")]
        await running.ended(*(record.id for record in started))
    with closing(open_writer(DataDir.resolve(repo).coordination_db)) as coordination:
        coordination.executescript(lost)
    with pytest.raises(StoresDisagree, match="coordination"):
        async with opened(repo):
            pass


@pytest.mark.parametrize("database", ["coordination_db", "tempolite_db", "beads_db"])
async def test_a_database_whose_schema_is_no_text_is_refused_and_named(
    repo: Path, database: str
) -> None:
    async with opened(repo):
        pass
    path: Path = getattr(DataDir.resolve(repo), database)
    content = path.read_bytes()
    assert content.count(b"CREATE TABLE schema_migrations") == 1
    path.write_bytes(content.replace(b"CREATE TABLE schema_", b"CREATE TABLE \xd4\xd4hema_"))
    with pytest.raises(StorageError, match=path.name):
        async with opened(repo):
            pass


async def test_issues_whose_database_was_lost_come_back_from_their_file(repo: Path) -> None:
    @workflow
    async def flow(ctx: Context) -> str:
        del ctx
        return "done"

    async with running_system(repo, workflows=[flow]) as running:
        started = await running.start("flow")
        await running.ended(started.id)
    DataDir.resolve(repo).beads_db.unlink()
    async with running_system(repo, workflows=[flow]) as running:
        issue = await running.ask("tracker", GetIssue(issue_id=started.beads_issue_id))
        assert issue.work["workflow_id"] == started.id
        again = await running.start("flow")
        await running.until(
            lambda seen: any(
                f.type == "issue_closed" and f.issue_id == again.beads_issue_id for f in seen
            )
        )
        issue = await running.ask("tracker", GetIssue(issue_id=started.beads_issue_id))
        assert (issue.status, issue.close_reason) == ("closed", "Completed")


def damage(path: Path) -> None:
    """Write over a page that only a look through the whole file comes upon."""
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(bytes(range(256)) * 16)


async def lived(repo: Path) -> str:
    """A system that has closed an issue for a workflow, and published it; gives the issue's id."""

    @workflow
    async def flow(ctx: Context) -> str:
        del ctx
        return "done"

    async with running_system(repo, workflows=[flow]) as running:
        started = await running.start("flow")
        await running.ended(started.id)
        await running.until(lambda seen: any(f.type == "issue_closed" for f in seen))
    return started.beads_issue_id


async def test_a_damaged_issues_database_is_put_aside_and_rebuilt_from_the_file(
    repo: Path,
) -> None:
    issue_id = await lived(repo)
    path = DataDir.resolve(repo).beads_db
    damage(path)
    damaged = path.read_bytes()
    with structlog.testing.capture_logs() as said:
        async with running_system(repo) as running:
            issue = await running.ask("tracker", GetIssue(issue_id=issue_id))
            assert issue.status == "closed"
    assert path.with_name("beads.db.damaged-1").read_bytes() == damaged
    (told,) = [line for line in said if line["event"].startswith("the issues' database is damaged")]
    assert (told["log_level"], told["lost_claims"]) == ("error", "none")
    assert told["kept"] == f"{path}.damaged-1"
    assert "age 3" in told["damage"]


async def test_rubbish_in_the_place_of_the_issues_database_is_put_aside_and_told(
    repo: Path,
) -> None:
    issue_id = await lived(repo)
    path = DataDir.resolve(repo).beads_db
    path.write_bytes(b"rubbish" * 1000)
    with structlog.testing.capture_logs() as said:
        async with running_system(repo) as running:
            assert await running.ask("tracker", GetIssue(issue_id=issue_id))
    (told,) = [line for line in said if line["event"].startswith("the issues' database is damaged")]
    assert told["lost_claims"] == told["lost_changes"] == "cannot be read"
    assert any("was lost or is an older one" in line["event"] for line in said)


async def test_a_damaged_issues_database_is_not_touched_where_another_is_damaged_too(
    repo: Path,
) -> None:
    await lived(repo)
    data = DataDir.resolve(repo)
    damage(data.beads_db)
    damage(data.tempolite_db)
    with pytest.raises(Corrupt, match="tempolite"):
        async with running_system(repo):
            pass
    assert data.beads_db.exists()


async def test_a_damaged_issues_database_is_not_touched_where_another_was_lost(
    repo: Path,
) -> None:
    await lived(repo)
    data = DataDir.resolve(repo)
    damage(data.beads_db)
    data.tempolite_db.unlink()
    with pytest.raises(StoresDisagree):
        async with running_system(repo):
            pass
    assert data.beads_db.exists()


async def test_a_damaged_issues_database_of_another_repository_is_not_touched(
    repo: Path, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    async with running_system(repo, data_dir=place) as running:
        assert running.log() == []
    other = git_repository(tmp_path / "other")
    (other / ".beads").mkdir()
    (other / ".beads" / "issues.jsonl").write_text('{"id":"x-1","title":"T"}\n')
    damage(place / "beads.db")
    with pytest.raises(RepositoryMismatch):
        async with running_system(other, data_dir=place):
            pass
    assert (place / "beads.db").exists()


async def test_a_damaged_issues_database_is_refused_where_there_is_nothing_to_rebuild_it_from(
    repo: Path,
) -> None:
    async with running_system(repo) as running:
        assert running.log() == []
    path = DataDir.resolve(repo).beads_db
    damage(path)
    with pytest.raises(Corrupt, match=rf"{path.name} .*[Pp]age 3\b"):
        async with running_system(repo):
            pass
    assert path.exists()


async def test_an_issues_database_older_than_the_file_takes_it_in(repo: Path) -> None:
    """As put back by hand: what came later is in the file, and in the event log."""
    data = DataDir.resolve(repo)
    row = new_issue(issue_id="x-1", title="T", created_at=AT, created_by="me")
    async with running_system(repo) as running:
        await write(running.system.named("beads_writer"), CreateIssue(row=row))
    older = data.beads_db.read_bytes()
    async with running_system(repo) as running:
        writer = running.system.named("beads_writer")
        closed = (SetStatus(status="closed"), ChangeLabels(add=("late",)))
        await write(writer, ApplyChange(issue_id="x-1", changes=closed, at=LATER))
        await write(writer, CreateIssue(row=row | {"id": "x-2"}))
        await running.until(lambda seen: any(f.issue_id == "x-2" for f in seen))
    data.beads_db.write_bytes(older)
    with structlog.testing.capture_logs() as said:
        async with running_system(repo) as running:
            first = await running.ask("tracker", GetIssue(issue_id="x-1"))
            assert (first.status, first.labels) == ("closed", ("late",))
            assert await running.ask("tracker", GetIssue(issue_id="x-2"))
    assert any("was lost or is an older one" in line["event"] for line in said)


@pytest.mark.parametrize("database", ["coordination_db", "tempolite_db", "beads_db"])
async def test_a_damaged_database_is_refused_with_its_place(repo: Path, database: str) -> None:
    async with opened(repo):
        pass
    path: Path = getattr(DataDir.resolve(repo), database)
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(bytes(range(256)) * 16)
    with pytest.raises(Corrupt, match=rf"{path.name} .*[Pp]age 3\b"):
        async with opened(repo):
            pass


async def test_a_damaged_index_is_refused_and_named(repo: Path) -> None:
    """No look-up would find the rows that it lacks."""
    async with opened(repo):
        pass
    path = DataDir.resolve(repo).coordination_db
    lose_index_entries(
        path, "events_of_workflow", "INSERT INTO events VALUES (1,'x','w',NULL,'','')"
    )
    with pytest.raises(Corrupt, match="missing from index events_of_workflow"):
        async with opened(repo):
            pass


async def test_all_connections_are_tuned_as_it_is_said(repo: Path) -> None:
    tuning = Tuning(connections=3, busy_timeout_s=0.25)
    with DataDir.resolve(repo) as held:
        chance = random.Random(1)
        opening = open_stores(held, chance=chance, observe=lambda *_: None, tuning=tuning)
        async with opening as stores:
            assert stores.beads.tuning is tuning
            assert stores.beads.pool.connections == 3
            rows = await stores.beads.pool.fetch("timeout", "PRAGMA busy_timeout")
            assert rows[0][0] == 250
            assert stores.beads.inline.execute("PRAGMA busy_timeout").fetchone()[0] == 250
