"""Signals: durable before they are acknowledged, delivered once and in order, to who was meant."""

from pathlib import Path
from typing import Any

import pytest
import trio
from pydantic import BaseModel

from actors.errors import Conflict, NotFound
from actors.workflows.history import Kind
from beadflow import Context, activity, workflow
from storage.workflows import queries
from tests.support import engine
from tests.support.world import running_system


class Approval(BaseModel):
    """What a person says."""

    by: str
    yes: bool


@activity
async def note(text: str) -> str:
    return text


@workflow
async def approved(ctx: Context) -> str:
    found = await ctx.signal("approval", Approval)
    return f"{found.by}: {found.yes}"


@workflow
async def three_letters(ctx: Context) -> str:
    return "".join([await ctx.signal("letter") for _ in range(3)])


@workflow
async def slow_to_listen(ctx: Context) -> list[Any]:
    await ctx.signal("begin")
    await ctx.activity(note, "working")
    return [await ctx.signal("letter"), await ctx.signal("letter")]


@workflow
async def two_listeners(ctx: Context) -> list[str]:
    return sorted(await ctx.gather(ctx.signal("letter"), ctx.signal("letter")))


async def test_a_workflow_waits_for_its_signal_and_gets_its_value(repo: Path) -> None:
    async with running_system(repo, workflows=[approved]) as running:
        started = await running.start("approved")
        await engine.signal(running, started.id, "approval", {"by": "ann", "yes": True})
        await running.ended(started.id)
        assert await running.output(started.id) == "ann: True"


async def test_signals_that_come_before_the_wait_are_kept_in_order(repo: Path) -> None:
    async with running_system(repo, workflows=[slow_to_listen]) as running:
        started = await running.start("slow_to_listen")
        for letter in "ab":
            await engine.signal(running, started.id, "letter", letter)
        await engine.signal(running, started.id, "begin")
        await running.ended(started.id)
        assert await running.output(started.id) == ["a", "b"]


async def test_a_signal_reaches_the_workflow_it_was_sent_to_and_no_other(repo: Path) -> None:
    async with running_system(repo, workflows=[approved]) as running:
        first = await running.start("approved")
        second = await running.start("approved")
        await engine.signal(running, second.id, "approval", {"by": "bob", "yes": False})
        await running.ended(second.id)
        assert engine.status(running, first.id) == "running"
        await engine.signal(running, first.id, "approval", {"by": "ann", "yes": True})
        await running.ended(first.id)
        assert await running.output(first.id) == "ann: True"


async def test_one_message_sent_twice_is_one_signal(repo: Path) -> None:
    async with running_system(repo, workflows=[three_letters]) as running:
        started = await running.start("three_letters")
        for letter in "aab":
            await engine.signal(running, started.id, "letter", letter, message_id=letter)
        await engine.recorded(running, started.id, Kind.SIGNAL_CONSUMED, 2)
        await engine.signal(running, started.id, "letter", "a", message_id="a")
        await engine.signal(running, started.id, "letter", "c", message_id="c")
        await running.ended(started.id)
        assert await running.output(started.id) == "abc"
        with pytest.raises(Conflict, match="another signal"):
            await engine.signal(running, started.id, "other", "a", message_id="a")


async def test_each_of_two_waits_at_once_takes_one_signal(repo: Path) -> None:
    async with running_system(repo, workflows=[two_listeners]) as running:
        started = await running.start("two_listeners")
        await engine.signal(running, started.id, "letter", "x")
        await engine.signal(running, started.id, "letter", "y")
        await running.ended(started.id)
        assert await running.output(started.id) == ["x", "y"]


async def test_a_signal_acknowledged_before_the_process_ends_is_taken_by_the_next(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=[three_letters]) as running:
        started = await running.start("three_letters")
        for letter in "ab":
            await engine.signal(running, started.id, "letter", letter)
        await engine.recorded(running, started.id, Kind.SIGNAL_CONSUMED, 2)
    async with running_system(repo, workflows=[three_letters]) as running:
        await engine.signal(running, started.id, "letter", "c")
        await running.ended(started.id)
        assert await running.output(started.id) == "abc"


async def test_a_closed_or_unknown_workflow_takes_no_signal(repo: Path) -> None:
    async with running_system(repo, workflows=[approved]) as running:
        started = await running.start("approved")
        await engine.signal(running, started.id, "approval", {"by": "ann", "yes": True})
        await running.ended(started.id)
        with pytest.raises(Conflict, match="is completed"):
            await engine.signal(running, started.id, "approval", {"by": "bob", "yes": True})
        with pytest.raises(NotFound):
            await engine.signal(running, "approved-nobody", "approval")


async def test_a_workflow_that_waits_becomes_a_row_and_its_signal_brings_it_back(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.workflows.workflow.PARK_AFTER_S", 0.01)
    async with running_system(repo, workflows=[approved]) as running:
        started = await running.start("approved")
        with trio.fail_after(10):
            while not engine.is_parked(running, started.id):
                await trio.sleep(0.005)
        await engine.signal(running, started.id, "approval", {"by": "ann", "yes": True})
        await running.ended(started.id)
        assert await running.output(started.id) == "ann: True"


async def test_a_workflow_that_waits_as_a_row_is_not_run_at_the_next_start(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.workflows.workflow.PARK_AFTER_S", 0.01)
    async with running_system(repo, workflows=[approved]) as running:
        started = await running.start("approved")
        with trio.fail_after(10):
            while not engine.is_parked(running, started.id):
                await trio.sleep(0.005)
    async with running_system(repo, workflows=[approved]) as running:
        assert queries.live_instances(running.stores.tempolite.inline) == []
        await engine.signal(running, started.id, "approval", {"by": "ann", "yes": True})
        await running.ended(started.id)
