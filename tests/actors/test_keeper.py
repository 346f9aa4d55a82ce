"""The keeper archives what ended long ago, while the system goes on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from actors import keeper
from actors.agents.registration_messages import RegisterAgent
from actors.errors import NotFound
from actors.keeper import ArchiveNow
from actors.retention import Retired
from actors.writer import Poison
from beadflow import Agent, Context, activity, workflow
from storage import archive
from storage.invariants import broken
from storage.snapshot import snapshot
from tests.support.faults import crash, restarts, until
from tests.support.world import Running, running_system


class Calendar:
    """A clock that can be put forward by days."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Clerk(Agent):
    agent_type = "clerk"


@activity
async def own() -> int:
    return 1


@workflow
async def flow(ctx: Context) -> str:
    await ctx.activity(own)
    return "done"


async def end(running: Running, count: int, **given: str) -> list[str]:
    """Run some workflows to their end, and until their issues have followed."""
    started = [await running.start("flow", **given) for _ in range(count)]
    ids = [record.id for record in started]
    await running.ended(*ids)
    last = max(fact.seq for fact in running.log() if fact.type == "workflow_completed")
    sql = "SELECT position FROM cursors WHERE consumer = 'reconciler'"
    reader = running.stores.beads.inline
    await until(lambda: (reader.execute(sql).fetchone() or (0,))[0] >= last)
    return ids


def tables(path: Path) -> set[str]:
    found = [line for file in path.glob("archive/*.jsonl") for line in archive.read(file)]
    return {line["table"] for line in found}


async def test_what_ended_long_ago_is_archived_and_the_rest_goes_on(repo: Path) -> None:
    calendar = Calendar()
    async with running_system(repo, workflows=[flow], retention_days=30, clock=calendar) as running:
        old = await end(running, 3)
        calendar.ahead = timedelta(days=31)
        new = await end(running, 2)
        assert (await running.ask("keeper", ArchiveNow())).workflows == 3
        for workflow_id in old:
            with pytest.raises(NotFound):
                await running.get(workflow_id)
        assert [(await running.get(w)).status for w in new] == ["completed"] * 2
        await end(running, 1)
        directory = running.world.data.path
        with snapshot(directory) as held:
            assert broken(held) == []
    assert tables(directory) >= {"workflow_mappings", "history", "events", "workflow_results"}
    async with running_system(repo, workflows=[flow], retention_days=30) as running:
        assert await end(running, 1)
        log = running.log()
        assert len({fact.seq for fact in log}) == len(log)


async def test_the_newest_stays_however_old_it_is(repo: Path) -> None:
    """Its numbers are the ones that the next are counted from."""
    calendar = Calendar()
    async with running_system(repo, workflows=[flow], retention_days=1, clock=calendar) as running:
        await end(running, 2)
        (newest,) = await end(running, 1)
        calendar.ahead = timedelta(days=1000)
        await running.ask("keeper", ArchiveNow())
        assert (await running.get(newest)).status == "completed"
    async with running_system(repo, workflows=[flow], clock=calendar) as running:
        before = running.log()
        await end(running, 1)
        assert [fact.seq for fact in running.log()][: len(before)] == [f.seq for f in before]


async def test_a_key_answers_with_its_workflow_for_a_week(repo: Path) -> None:
    calendar = Calendar()
    async with running_system(repo, workflows=[flow], retention_days=1, clock=calendar) as running:
        (first,) = await end(running, 1, idempotency_key="k")
        calendar.ahead = timedelta(days=6)
        await end(running, 2)
        assert await running.ask("keeper", ArchiveNow()) == Retired()
        assert (await running.start("flow", idempotency_key="k")).id == first
        calendar.ahead = timedelta(days=8)
        await end(running, 1)
        retired = await running.ask("keeper", ArchiveNow())
        assert retired.workflows >= 1
        assert (await running.start("flow", idempotency_key="k")).id != first


async def test_without_a_number_of_days_everything_is_kept(repo: Path) -> None:
    calendar = Calendar()
    async with running_system(repo, workflows=[flow], clock=calendar) as running:
        await end(running, 2)
        calendar.ahead = timedelta(days=10_000)
        assert await running.ask("keeper", ArchiveNow()) == Retired()
        assert not (running.world.data.path / "archive").exists()


async def test_it_looks_by_itself(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_S", 0.0)
    monkeypatch.setattr(keeper, "PERIOD_S", 0.01)
    calendar = Calendar()
    async with running_system(repo, workflows=[flow], retention_days=1, clock=calendar) as running:
        await end(running, 2)
        calendar.ahead = timedelta(days=2)
        await end(running, 1)
        await until((running.world.data.path / "archive").exists)


async def test_an_archive_that_cannot_be_written_is_tried_again_and_crashes_nobody(
    repo: Path,
) -> None:
    calendar = Calendar()
    async with running_system(repo, workflows=[flow], retention_days=1, clock=calendar) as running:
        await end(running, 2)
        calendar.ahead = timedelta(days=2)
        await end(running, 1)
        place = running.world.data.path / "archive"
        place.write_text("in the way")
        assert await running.ask("keeper", ArchiveNow()) == Retired()
        place.unlink()
        assert (await running.ask("keeper", ArchiveNow())).workflows == 2
        assert restarts(running, "keeper") == 0


async def test_a_writer_that_dies_on_the_way_is_waited_for(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar = Calendar()
    async with running_system(repo, workflows=[flow], retention_days=1, clock=calendar) as running:
        await end(running, 4)
        calendar.ahead = timedelta(days=2)
        await end(running, 1)
        await crash(running, "root/stores/tempolite_writer", Poison())
        retired = await running.ask("keeper", ArchiveNow())
        assert retired.workflows == 4
        with snapshot(running.world.data.path) as held:
            assert broken(held) == []


async def test_keys_of_requests_are_forgotten_after_seven_days(repo: Path) -> None:
    """Also where everything else is kept for ever."""
    calendar = Calendar()
    async with running_system(repo, clock=calendar, agent_types=[Clerk]) as running:

        async def register(key: str) -> str:
            request = RegisterAgent(agent_type="clerk", idempotency_key=key)
            return str((await running.ask("coordinator", request)).agent_id)

        def keys() -> set[str]:
            rows = running.stores.coordination.inline.execute("SELECT key FROM idempotency_keys")
            return {row[0] for row in rows}

        made = await register("old")
        calendar.ahead = timedelta(days=6)
        assert (made, await register("old"), await register("new")) == ("clerk-1", made, "clerk-2")
        calendar.ahead = timedelta(days=8)
        await running.ask("keeper", ArchiveNow())
        assert keys() == {"new"}
        assert await register("old") == "clerk-3"
