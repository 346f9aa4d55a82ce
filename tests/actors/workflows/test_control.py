"""Cancel, pause and terminate: durable before they are answered, and they reach the children."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.errors import Conflict, ValidationError
from actors.workflows.history import Kind
from actors.workflows.messages import RequestCancel
from actors.workflows.workflow import WorkflowActor
from actors.writer import write
from beadflow import CancelledError, Context, activity, workflow
from tests.support import engine
from tests.support.world import running_system

log: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    log.clear()


@activity
async def endless() -> None:
    log.append("begun")
    try:
        await trio.sleep_forever()
    finally:
        log.append("stopped")


@activity
async def clean_up(what: str) -> str:
    log.append(f"cleaned {what}")
    return what


@activity
async def quick(number: int) -> int:
    log.append(f"quick {number}")
    return number


@workflow
async def works_for_ever(ctx: Context) -> None:
    try:
        await ctx.activity(endless)
    finally:
        await ctx.activity(clean_up, "up")


@workflow
async def will_not_be_stopped(ctx: Context) -> str:
    try:
        await ctx.activity(endless)
    except CancelledError as error:
        return f"ended in order: {error.reason}"


@workflow
async def many_lines(ctx: Context) -> None:
    await ctx.gather(ctx.sleep(1000), ctx.signal("never"), ctx.activity(endless))


@workflow
async def steps_and_signals(ctx: Context) -> list[int]:
    done = []
    for number in range(3):
        await ctx.signal("go")
        done.append(await ctx.activity(quick, number))
    return done


@workflow
async def waits(ctx: Context) -> None:
    try:
        await ctx.signal("never")
    finally:
        await ctx.activity(clean_up, "child")


@workflow
async def parent(ctx: Context) -> None:
    await ctx.child(waits)


@workflow
async def careless_parent(ctx: Context) -> None:
    await ctx.child(waits, on_parent_close="abandon")


async def begun() -> None:
    with trio.fail_after(10):
        while "begun" not in log:
            await trio.sleep(0.002)


async def test_cancel_ends_the_activity_runs_the_clean_up_and_closes_the_workflow(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=[works_for_ever]) as running:
        started = await running.start("works_for_ever")
        await begun()
        await engine.cancel(running, started.id, "wrong repository")
        (ended,) = await running.ended(started.id)
        assert ended.status == "cancelled"
    assert log == ["begun", "stopped", "cleaned up"]


async def test_a_workflow_may_end_in_its_own_way_when_it_is_cancelled(repo: Path) -> None:
    async with running_system(repo, workflows=[will_not_be_stopped]) as running:
        started = await running.start("will_not_be_stopped")
        await begun()
        await engine.cancel(running, started.id, "enough")
        (ended,) = await running.ended(started.id)
        assert ended.status == "completed"
        assert await running.output(started.id) == "ended in order: enough"


async def test_cancel_reaches_every_branch(repo: Path) -> None:
    async with running_system(repo, workflows=[many_lines]) as running:
        started = await running.start("many_lines")
        await begun()
        await engine.cancel(running, started.id)
        (ended,) = await running.ended(started.id)
        assert ended.status == "cancelled"
        assert engine.kinds(running, started.id).count(Kind.OPERATION_CANCELLED) == 3


async def test_a_cancel_that_is_answered_is_carried_out_by_the_next_process(repo: Path) -> None:
    async with running_system(repo, workflows=[works_for_ever]) as running:
        started = await running.start("works_for_ever")
        await begun()
        request = RequestCancel(workflow_id=started.id, reason="enough", at=engine.now(running))
        await write(running.system.named("tempolite_writer"), request)  # and nobody is told
    log.clear()
    async with running_system(repo, workflows=[works_for_ever]) as running:
        assert await engine.closed(running, started.id) == "cancelled"
    assert log == ["cleaned up"]


async def test_cancel_reaches_a_child_and_its_clean_up(repo: Path) -> None:
    async with running_system(repo, workflows=[parent, waits]) as running:
        started = await running.start("parent")
        await engine.recorded(running, started.id, Kind.CHILD_STARTED)
        await engine.cancel(running, started.id)
        assert await engine.closed(running, f"{started.id}.1") == "cancelled"
        assert await engine.closed(running, started.id) == "cancelled"
    assert log == ["cleaned child"]


async def test_terminate_ends_a_workflow_and_its_child_where_they_stand(repo: Path) -> None:
    async with running_system(repo, workflows=[parent, waits]) as running:
        started = await running.start("parent")
        await engine.recorded(running, started.id, Kind.CHILD_STARTED)
        await engine.terminate(running, started.id)
        (ended,) = await running.ended(started.id)
        assert ended.status == "terminated"
        assert engine.status(running, f"{started.id}.1") == "terminated"
        with pytest.raises(Conflict):
            await engine.signal(running, started.id, "never")
    assert log == []


async def test_a_child_that_is_to_be_abandoned_goes_on_alone(repo: Path) -> None:
    async with running_system(repo, workflows=[careless_parent, waits]) as running:
        started = await running.start("careless_parent")
        await engine.recorded(running, started.id, Kind.CHILD_STARTED)
        await engine.terminate(running, started.id)
        child = f"{started.id}.1"
        assert engine.status(running, child) == "running"
        await engine.signal(running, child, "never")
        assert await engine.closed(running, child) == "completed"


async def test_a_paused_workflow_begins_nothing_until_it_is_resumed(repo: Path) -> None:
    async with running_system(repo, workflows=[steps_and_signals]) as running:
        started = await running.start("steps_and_signals")
        await engine.signal(running, started.id, "go", 1)
        await engine.recorded(running, started.id, Kind.ACTIVITY_COMPLETED)
        await engine.pause(running, started.id)
        assert (await running.get(started.id)).status in ("active", "paused")
        await engine.signal(running, started.id, "go", 2)
        await engine.signal(running, started.id, "go", 3)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert log == ["quick 0"]
        await engine.resume(running, started.id)
        await running.ended(started.id)
        assert await running.output(started.id) == [0, 1, 2]


async def test_a_paused_workflow_stays_paused_over_a_restart(repo: Path) -> None:
    async with running_system(repo, workflows=[steps_and_signals]) as running:
        started = await running.start("steps_and_signals")
        await engine.pause(running, started.id)
    async with running_system(repo, workflows=[steps_and_signals]) as running:
        for number in range(3):
            await engine.signal(running, started.id, "go", number)
        assert engine.status(running, started.id) == "paused"
        await engine.resume(running, started.id)
        await running.ended(started.id)
        assert await running.output(started.id) == [0, 1, 2]


async def test_pause_and_resume_reach_the_child(repo: Path) -> None:
    async with running_system(repo, workflows=[parent, waits]) as running:
        started = await running.start("parent")
        await engine.recorded(running, started.id, Kind.CHILD_STARTED)
        child = f"{started.id}.1"
        await engine.pause(running, started.id)
        assert engine.status(running, child) == "paused"
        await engine.signal(running, child, "never")
        await engine.resume(running, started.id)
        assert engine.status(running, child) == "running"
        assert await engine.closed(running, started.id) == "completed"


async def test_a_paused_workflow_can_be_cancelled(repo: Path) -> None:
    async with running_system(repo, workflows=[works_for_ever]) as running:
        started = await running.start("works_for_ever")
        await begun()
        await engine.pause(running, started.id)
        await engine.cancel(running, started.id)
        assert await engine.closed(running, started.id) == "cancelled"
    assert log == ["begun", "stopped", "cleaned up"]


# --- code that does not fit


def letters(order: str) -> Callable[..., Any]:
    """A workflow that records its letters in order and then waits; asked for "seen", it has."""

    @workflow(name="letters")
    async def function(ctx: Context) -> None:
        for letter in order:
            await ctx.activity(clean_up, letter) if letter.islower() else ctx.now()
        ctx.on_query("seen", lambda: order)
        await ctx.signal("never")

    return function


async def parked(repo: Path, order: str) -> str:
    """The id of such a workflow that waits as its row; it waits while its code is changed."""
    async with running_system(repo, workflows=[letters(order)]) as running:
        started = await running.start("letters")
        with trio.fail_after(10):
            while not engine.is_parked(running, started.id):
                await trio.sleep(0.005)
    return started.id


@pytest.fixture
def _parks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.workflows.workflow.PARK_AFTER_S", 0.02)


@pytest.mark.usefixtures("_parks_soon")
async def test_a_query_to_code_that_does_not_fit_is_told_why(repo: Path) -> None:
    workflow_id = await parked(repo, "a")
    async with running_system(repo, workflows=[letters("B")]) as running:
        for _ in range(3):  # as it stalls, and as one that has
            with pytest.raises(Conflict, match=r"is stalled: .*'clean_up' at 1") as refused:
                await engine.query(running, workflow_id, "seen")
            assert refused.value.code == "workflow_stalled"
        assert engine.kinds(running, workflow_id).count(Kind.WORKFLOW_STALLED) == 1
    async with running_system(repo, workflows=[letters("a")]) as running:
        assert await engine.query(running, workflow_id, "seen") == "a"


@pytest.mark.usefixtures("_parks_soon")
async def test_a_query_to_code_that_is_gone_is_told_why(repo: Path) -> None:
    workflow_id = await parked(repo, "a")
    async with running_system(repo, workflows=[waits]) as running:
        with pytest.raises(Conflict, match=r"is stalled: no workflow type 'letters v1'") as refused:
            await engine.query(running, workflow_id, "seen")
        assert refused.value.code == "workflow_stalled"


@pytest.mark.usefixtures("_parks_soon")
@pytest.mark.parametrize("pauses", [False, True], ids=["waits", "is paused"])
async def test_one_that_stalls_when_it_is_to_be_cancelled_is_cancelled_at_once(
    repo: Path, pauses: bool
) -> None:
    workflow_id = await parked(repo, "a")
    async with running_system(repo, workflows=[letters("B")]) as running:
        if pauses:
            await engine.pause(running, workflow_id)
        await engine.cancel(running, workflow_id, "enough")
        assert await engine.closed(running, workflow_id) == "cancelled"
        assert engine.last(running, workflow_id) == {"reason": "enough"}
        assert engine.kinds(running, workflow_id)[-3:] == [
            Kind.WORKFLOW_CANCEL_REQUESTED,
            Kind.WORKFLOW_STALLED,
            Kind.WORKFLOW_CANCELLED,
        ]


@pytest.mark.usefixtures("_parks_soon")
async def test_a_cancellation_that_comes_just_before_it_stalls_is_not_lost(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the rows, and the actor that is about to record the stall has not looked."""
    workflow_id = await parked(repo, "a")
    run_once = WorkflowActor._run_once

    async def asked_meanwhile(self: WorkflowActor) -> bool:
        at = "2026-07-04T10:00:00Z"
        command = RequestCancel(workflow_id=workflow_id, reason="enough", at=at)
        await write(self._parts.writer, command)
        return await run_once(self)

    async with running_system(repo, workflows=[letters("B")]) as running:
        monkeypatch.setattr(WorkflowActor, "_run_once", asked_meanwhile)
        with pytest.raises(Conflict):
            await engine.query(running, workflow_id, "seen")
        assert await engine.closed(running, workflow_id) == "cancelled"


# --- queries that fail


@workflow
async def answers_badly(ctx: Context) -> None:
    ctx.on_query("raises", lambda: 1 / 0)
    ctx.on_query("ends", lambda: sys.exit(3))
    ctx.on_query("is_no_json", object)
    ctx.on_query("is_too_large", lambda: "x" * 3_000_000)
    ctx.on_query("shouts", lambda text: [][text * 1_000_000])
    ctx.on_query("works", lambda: 1)
    await ctx.signal("never")


async def test_a_query_whose_function_fails_says_so_and_harms_nothing(repo: Path) -> None:
    said = {
        "raises": "failed with ZeroDivisionError: division by zero",
        "ends": "failed with SystemExit: 3",
        "is_no_json": "failed with result_not_json: its answer",
        "is_too_large": "failed with result_too_large: its answer is 3000017 bytes",
        "shouts": "failed with TypeError",
    }
    async with running_system(repo, workflows=[answers_badly]) as running:
        started = await running.start("answers_badly")
        for name, why in said.items():
            with pytest.raises(Conflict, match=why) as refused:
                await engine.query(running, started.id, name, "y")
            assert refused.value.code == "query_failed"
            assert len(str(refused.value)) < 9000
        assert await engine.query(running, started.id, "works") == 1


async def test_a_query_that_is_not_there_is_told_with_those_that_are(repo: Path) -> None:
    async with running_system(repo, workflows=[answers_badly]) as running:
        started = await running.start("answers_badly")
        with pytest.raises(ValidationError, match="no query 'other'; it has: ends, ") as refused:
            await engine.query(running, started.id, "other", None)
        assert refused.value.hint.startswith("ask one that it has")


@workflow
async def has_no_such_child(ctx: Context) -> str:
    try:
        await ctx.child(waits, {"unknown": 1})
    except ValidationError:
        await ctx.activity(quick, 7)
    await ctx.signal("never")
    return "?"


async def test_a_refused_child_takes_no_cancellation_in_the_next_life(repo: Path) -> None:
    async with running_system(repo, workflows=[has_no_such_child, waits]) as running:
        started = await running.start("has_no_such_child")
        await engine.recorded(running, started.id, Kind.ACTIVITY_COMPLETED)
        request = RequestCancel(workflow_id=started.id, reason="enough", at=engine.now(running))
        await write(running.system.named("tempolite_writer"), request)  # and nobody is told
    async with running_system(repo, workflows=[has_no_such_child, waits]) as running:
        assert await engine.closed(running, started.id) == "cancelled"
        assert Kind.WORKFLOW_STALLED not in engine.kinds(running, started.id)
