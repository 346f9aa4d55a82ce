"""Segments: a long history in few rows, which never says anything else than its rows."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio
from pydantic import BaseModel

from actors.workflows import segments
from actors.workflows.history import HistoryEvent, Kind
from actors.workflows.messages import StoreSegment
from actors.workflows.segments import store_segment
from beadflow import Context, activity, workflow
from storage.home import DataDir
from storage.workflows import queries
from tests.support import engine
from tests.support.world import Running, running_system

done: list[int] = []


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    done.clear()
    monkeypatch.setattr(segments, "EVENTS", 20)
    monkeypatch.setattr("actors.workflows.loading.INLINE_EVENTS", 10)


class Work(BaseModel):
    steps: int
    runs: int = 1
    phases: int = 1


@activity
async def step(number: int) -> dict[str, Any]:
    done.append(number)
    return {"number": number, "text": "größer"}


@workflow
async def long(ctx: Context, work: Work) -> int:
    for _ in range(work.phases):
        for number in range(work.steps):
            await ctx.activity(step, number)
        await ctx.signal("go")
    if work.runs > 1:
        ctx.continue_as_new(Work(steps=work.steps, runs=work.runs - 1))
    return work.steps


def stored(running: Running, workflow_id: str) -> list[tuple[int, int]]:
    rows = running.stores.tempolite.inline.execute(queries.SEGMENTS, (workflow_id, 1))
    return [(row["first_seq"], row["last_seq"]) for row in rows]


async def until_stored(running: Running, workflow_id: str, count: int) -> list[tuple[int, int]]:
    with trio.fail_after(20):
        while len(stored(running, workflow_id)) < count:
            await trio.sleep(0.002)
    return stored(running, workflow_id)


async def loaded(running: Running, workflow_id: str, first: int = 1) -> list[HistoryEvent]:
    events, _ = await segments.load(running.stores.tempolite.pool, workflow_id, first)
    return events


def by_rows(running: Running, workflow_id: str, first: int = 1) -> list[HistoryEvent]:
    rows = running.stores.tempolite.inline.execute(queries.RUN, (workflow_id, first))
    return [segments.event_of(row) for row in rows]


def change(repo: Path, sql: str) -> None:
    """Change segments while nothing runs, as a crash or a damaged disk may."""
    with closing(sqlite3.connect(DataDir.resolve(repo).tempolite_db)) as connection:
        assert connection.execute(sql).rowcount > 0
        connection.commit()


async def begun(running: Running, steps: int = 65, **more: int) -> str:
    """A workflow that has made its steps, and waits."""
    started = await running.start("long", variables={"steps": steps, **more})
    await engine.recorded(running, started.id, Kind.ACTIVITY_COMPLETED, steps)
    return started.id


async def go(running: Running, workflow_id: str) -> None:
    await engine.signal(running, workflow_id, "go", message_id=f"go-{len(done)}")


async def ends(running: Running, workflow_id: str) -> None:
    await go(running, workflow_id)
    assert await engine.closed(running, workflow_id) == "completed"


async def test_a_history_is_packed_as_it_grows_and_a_load_equals_its_rows(repo: Path) -> None:
    async with running_system(repo, workflows=[long]) as running:
        workflow_id = await begun(running)
        assert await until_stored(running, workflow_id, 3) == [(1, 20), (21, 40), (41, 60)]
        events, packed = await segments.load(running.stores.tempolite.pool, workflow_id, 1)
        assert packed == 60
        assert len(events) == 66
        assert events == by_rows(running, workflow_id)


async def test_a_workflow_goes_on_from_its_segments_and_makes_the_next_ones(repo: Path) -> None:
    async with running_system(repo, workflows=[long]) as running:
        workflow_id = await begun(running, 35, phases=2)
        await until_stored(running, workflow_id, 1)
    change(repo, "UPDATE history SET payload = 'x' WHERE seq BETWEEN 5 AND 15")  # never read
    async with running_system(repo, workflows=[long]) as running:
        await go(running, workflow_id)
        assert await until_stored(running, workflow_id, 3) == [(1, 20), (21, 40), (41, 60)]
        await engine.recorded(running, workflow_id, Kind.ACTIVITY_COMPLETED, 70)
        await ends(running, workflow_id)
        assert stored(running, workflow_id) == []
    assert sorted(done) == sorted([*range(35)] * 2)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM segments",
        "DELETE FROM segments WHERE first_seq = 1",
        "DELETE FROM segments WHERE first_seq = 21",
        "UPDATE segments SET body = x'00'",
        "UPDATE segments SET body = substr(body, 1, 100) WHERE first_seq = 21",
        "UPDATE segments SET body = x'ffff'",
        "UPDATE segments SET body = CAST(replace(body, 'activity_c', 'x') AS BLOB)",
        "UPDATE segments SET body = CAST('2' || substr(body, 2) AS BLOB)",
        "UPDATE segments SET last_seq = last_seq + 1",
        "UPDATE segments SET body = (SELECT body FROM segments WHERE first_seq = 1)",
    ],
)
async def test_segments_that_are_lost_or_damaged_are_read_from_the_rows(
    repo: Path, sql: str
) -> None:
    async with running_system(repo, workflows=[long]) as running:
        workflow_id = await begun(running)
        await until_stored(running, workflow_id, 3)
    change(repo, sql)
    async with running_system(repo, workflows=[long]) as running:
        assert await loaded(running, workflow_id) == by_rows(running, workflow_id)
        await ends(running, workflow_id)
    assert sorted(done) == list(range(65))


async def test_a_run_that_continues_as_new_begins_its_segments_anew(repo: Path) -> None:
    async with running_system(repo, workflows=[long]) as running:
        started = await running.start("long", variables={"steps": 25, "runs": 2})
        await until_stored(running, started.id, 1)
        await engine.recorded(running, started.id, Kind.ACTIVITY_COMPLETED, 25)
        await go(running, started.id)
        await engine.recorded(running, started.id, Kind.ACTIVITY_COMPLETED, 50)
        row = queries.instance(running.stores.tempolite.inline, started.id)
        assert row is not None
        found = await until_stored(running, started.id, 1)
        assert found == [(row.run_seq, row.run_seq + 19)]
        present = by_rows(running, started.id, row.run_seq)
        assert await loaded(running, started.id, row.run_seq) == present
    async with running_system(repo, workflows=[long]) as running:
        await ends(running, started.id)
    assert len(done) == 50


async def test_events_that_are_too_large_are_not_kept_twice(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "LIMIT_BYTES", 100)
    async with running_system(repo, workflows=[long]) as running:
        workflow_id = await begun(running)
        await ends(running, workflow_id)
        assert stored(running, workflow_id) == []


async def test_a_short_history_has_no_segment(repo: Path) -> None:
    async with running_system(repo, workflows=[long]) as running:
        workflow_id = await begun(running, 10)
        await ends(running, workflow_id)
        assert stored(running, workflow_id) == []


async def test_a_segment_is_stored_once_and_not_for_a_run_that_is_over(repo: Path) -> None:
    async with running_system(repo, workflows=[long]) as running:
        waiting, ended = await begun(running, 10), await begun(running, 10)
        await ends(running, ended)

    def command(workflow_id: str, body: str = "1") -> StoreSegment:
        return StoreSegment(workflow_id=workflow_id, first_seq=1, last_seq=2, body=body)

    with closing(sqlite3.connect(DataDir.resolve(repo).tempolite_db)) as connection:
        connection.row_factory = sqlite3.Row
        for one in (command(waiting), command(waiting, "2"), command(ended), command("nobody")):
            store_segment(connection, one)
        found = connection.execute("SELECT workflow_id, body FROM segments").fetchall()
        assert [tuple(row) for row in found] == [(waiting, b"1")]
        connection.execute("UPDATE instances SET run_seq = 5")
        connection.execute("DELETE FROM segments")
        store_segment(connection, command(waiting))
        assert connection.execute("SELECT count(*) FROM segments").fetchone()[0] == 0
