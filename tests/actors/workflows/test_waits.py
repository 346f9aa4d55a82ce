"""Timers, children, races, runs that follow one another, versions and queries."""

import random
from pathlib import Path
from typing import Any

import pytest
import trio
from pydantic import BaseModel

from actors.errors import Conflict, NotFound, ValidationError
from actors.workflows.history import Kind
from beadflow import (
    ActivityFailure,
    ChildError,
    Context,
    activity,
    workflow,
)
from tests.support import engine
from tests.support.world import running_system

log: list[str] = []
code: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    log.clear()
    code.clear()


@activity
async def note(text: str) -> str:
    log.append(text)
    return text


@activity
async def fails(text: str) -> str:
    raise ActivityFailure("broken", text)


@activity
async def endless() -> None:
    await trio.sleep_forever()


class Countdown(BaseModel):
    """How far a counter still has to go."""

    left: int


@workflow
async def naps(ctx: Context) -> str:
    await ctx.sleep(0.05)
    return await ctx.activity(note, "awake")


@workflow
async def sleeps_long(ctx: Context) -> str:
    await ctx.sleep(0.3)
    return await ctx.activity(note, "awake")


@workflow
async def approval_or_timeout(ctx: Context) -> str:
    chosen = await ctx.select(approved=ctx.signal("approval"), late=ctx.sleep(code["s"]))
    return await ctx.activity(note, f"{chosen.name}: {chosen.value}")


@workflow
async def races(ctx: Context) -> list[Any]:
    index, value = await ctx.first(ctx.activity(endless), ctx.activity(note, "quick"))
    after = await ctx.signal("after")
    return [index, value, after]


@workflow
async def losers_leave_traces(ctx: Context) -> list[str]:
    seen: list[str] = []

    async def loser() -> None:
        seen.append(await ctx.activity(note, "loser"))
        await ctx.signal("never")

    async def winner() -> None:
        await ctx.signal("win")

    await ctx.first(loser(), winner())
    await ctx.signal("after")
    return seen


@workflow
async def a_loser_sleeps(ctx: Context) -> list[str]:
    seen: list[str] = []

    async def loser() -> None:
        await ctx.sleep(1000)
        seen.append("woke")

    await ctx.first(loser(), ctx.signal("win"))
    await ctx.signal("after")
    return seen


@workflow
async def adds_one(ctx: Context, variables: dict[str, int]) -> int:
    await ctx.activity(note, f"adding to {variables['n']}")
    return variables["n"] + 1


@workflow
async def breaks(ctx: Context) -> str:
    return await ctx.activity(fails, "no luck")


@workflow
async def has_children(ctx: Context) -> list[int]:
    found = await ctx.gather(*(ctx.child(adds_one, {"n": n}) for n in range(3)))
    return [*found, await ctx.child("adds_one", {"n": 10})]


@workflow
async def has_a_failing_child(ctx: Context) -> str:
    try:
        await ctx.child(breaks)
    except ChildError as error:
        return f"{error.name} {error.code}"
    return "?"


@workflow
async def counts_down(ctx: Context, variables: Countdown) -> str:
    letter = await ctx.signal("letter")
    await ctx.activity(note, f"{ctx.run} {letter}")
    if variables.left:
        ctx.continue_as_new(Countdown(left=variables.left - 1))
    return f"ended in run {ctx.run}"


@workflow
async def answers(ctx: Context) -> str:
    state = {"stage": "begun"}
    ctx.on_query("stage", lambda: state["stage"])
    ctx.on_query("double", lambda number: number * 2)
    await ctx.signal("go")
    state["stage"] = "working"
    await ctx.activity(endless)
    return "?"


@workflow
async def deterministic(ctx: Context) -> list[Any]:
    first = [ctx.random().random(), str(ctx.uuid4()), ctx.now().isoformat()]
    await ctx.signal("go")
    return [*first, ctx.random().random()]


@workflow
async def versioned(ctx: Context) -> str:
    await ctx.activity(note, "a")
    if code.get("changed"):
        path = "new" if ctx.version("reword", 0, 1) else "old"
        await ctx.activity(note, path)
    elif code.get("dropped"):
        await ctx.activity(note, "new" if ctx.version("reword", 1, 1) else "old")
    else:
        await ctx.activity(note, "old")
    await ctx.signal("go")
    if code.get("changed"):
        return "new" if ctx.version("reword", 0, 1) else "old"
    return "old"


async def test_a_timer_fires_and_the_workflow_goes_on(repo: Path) -> None:
    async with running_system(repo, workflows=[naps]) as running:
        started = await running.start("naps")
        await running.ended(started.id)
        assert await running.output(started.id) == "awake"
        assert engine.kinds(running, started.id).count(Kind.TIMER_FIRED) == 1


async def test_a_timer_goes_on_over_a_restart_and_fires_once(repo: Path) -> None:
    async with running_system(repo, workflows=[sleeps_long]) as running:
        started = await running.start("sleeps_long")
        await engine.recorded(running, started.id, Kind.TIMER_STARTED)
    await trio.sleep(0.3)
    async with running_system(repo, workflows=[sleeps_long]) as running:
        assert await engine.closed(running, started.id) == "completed"
        assert engine.kinds(running, started.id).count(Kind.TIMER_STARTED) == 1
        assert engine.kinds(running, started.id).count(Kind.TIMER_FIRED) == 1
    assert log == ["awake"]


async def test_a_timer_wakes_a_workflow_that_waits_as_its_row(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.workflows.workflow.PARK_AFTER_S", 0.02)
    async with running_system(repo, workflows=[sleeps_long]) as running:
        started = await running.start("sleeps_long")
        with trio.fail_after(10):
            while not engine.is_parked(running, started.id):
                await trio.sleep(0.002)
        await running.ended(started.id)
        assert engine.kinds(running, started.id).count(Kind.TIMER_FIRED) == 1


async def test_a_timer_that_ran_out_while_nothing_ran_wakes_its_row_at_the_next_start(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.workflows.workflow.PARK_AFTER_S", 0.02)
    async with running_system(repo, workflows=[sleeps_long]) as running:
        started = await running.start("sleeps_long")
        with trio.fail_after(10):
            while not engine.is_parked(running, started.id):
                await trio.sleep(0.002)
    await trio.sleep(0.3)
    async with running_system(repo, workflows=[sleeps_long]) as running:
        assert await engine.closed(running, started.id) == "completed"


async def test_select_answers_the_signal_that_came_before_the_timer(repo: Path) -> None:
    code["s"] = 1000.0
    async with running_system(repo, workflows=[approval_or_timeout]) as running:
        started = await running.start("approval_or_timeout")
        await engine.recorded(running, started.id, Kind.TIMER_STARTED)
        await engine.signal(running, started.id, "approval", "fine")
        await running.ended(started.id)
        assert await running.output(started.id) == "approved: fine"
        assert Kind.OPERATION_CANCELLED in engine.kinds(running, started.id)


async def test_select_answers_the_timer_when_no_signal_comes(repo: Path) -> None:
    code["s"] = 0.02
    async with running_system(repo, workflows=[approval_or_timeout]) as running:
        started = await running.start("approval_or_timeout")
        await running.ended(started.id)
        assert await running.output(started.id) == "late: None"


async def test_the_winner_of_a_race_stays_the_winner_over_a_restart(repo: Path) -> None:
    async with running_system(repo, workflows=[races]) as running:
        started = await running.start("races")
        await engine.recorded(running, started.id, Kind.BRANCH_CHOSEN)
    async with running_system(repo, workflows=[races]) as running:
        await engine.signal(running, started.id, "after", "x")
        await running.ended(started.id)
        assert await running.output(started.id) == [1, "quick", "x"]
    assert log == ["quick"]


async def test_what_a_loser_left_in_variables_is_there_after_a_restart_too(repo: Path) -> None:
    async with running_system(repo, workflows=[losers_leave_traces]) as running:
        started = await running.start("losers_leave_traces")
        await engine.recorded(running, started.id, Kind.ACTIVITY_COMPLETED)
        await engine.signal(running, started.id, "win")
        await engine.recorded(running, started.id, Kind.BRANCH_CHOSEN)
    async with running_system(repo, workflows=[losers_leave_traces]) as running:
        await engine.signal(running, started.id, "after")
        await running.ended(started.id)
        assert await running.output(started.id) == ["loser"]
    assert log == ["loser"]


async def test_a_loser_does_not_get_further_in_a_replay_than_it_had_got(repo: Path) -> None:
    async with running_system(repo, workflows=[a_loser_sleeps]) as running:
        started = await running.start("a_loser_sleeps")
        await engine.recorded(running, started.id, Kind.TIMER_STARTED)
        await engine.signal(running, started.id, "win")
        await engine.recorded(running, started.id, Kind.OPERATION_CANCELLED)
    async with running_system(repo, workflows=[a_loser_sleeps]) as running:
        await engine.signal(running, started.id, "after")
        await running.ended(started.id)
        assert await running.output(started.id) == []


async def test_children_run_and_their_results_come_back(repo: Path) -> None:
    async with running_system(repo, workflows=[has_children, adds_one]) as running:
        started = await running.start("has_children")
        await running.ended(started.id)
        assert await running.output(started.id) == [1, 2, 3, 11]
    assert sorted(log) == ["adding to 0", "adding to 1", "adding to 10", "adding to 2"]


async def test_a_failed_child_is_an_error_its_parent_can_handle(repo: Path) -> None:
    async with running_system(repo, workflows=[has_a_failing_child, breaks]) as running:
        started = await running.start("has_a_failing_child")
        await running.ended(started.id)
        assert await running.output(started.id) == "breaks broken"


async def test_a_parent_that_waits_as_its_row_hears_of_its_childs_end(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.workflows.workflow.PARK_AFTER_S", 0.02)

    @workflow
    async def waits(ctx: Context) -> str:
        return str(await ctx.signal("go"))

    @workflow
    async def has_a_slow_child(ctx: Context) -> str:
        return str(await ctx.child(waits))

    async with running_system(repo, workflows=[has_a_slow_child, waits]) as running:
        started = await running.start("has_a_slow_child")
        child = f"{started.id}.1"
        with trio.fail_after(10):
            while not (engine.is_parked(running, started.id) and engine.is_parked(running, child)):
                await trio.sleep(0.005)
        await engine.signal(running, child, "go", "well")
        await running.ended(started.id)
        assert await running.output(started.id) == "well"


async def test_continue_as_new_keeps_id_and_waiting_signals_and_begins_a_history(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=[counts_down]) as running:
        started = await running.start("counts_down", variables={"left": 2})
        for letter in "abc":
            await engine.signal(running, started.id, "letter", letter)
        await running.ended(started.id)
        assert await running.output(started.id) == "ended in run 3"
        assert engine.kinds(running, started.id).count(Kind.WORKFLOW_CONTINUED_AS_NEW) == 2
    assert log == ["1 a", "2 b", "3 c"]


async def test_a_run_that_continued_as_new_comes_back_after_a_restart(repo: Path) -> None:
    async with running_system(repo, workflows=[counts_down]) as running:
        started = await running.start("counts_down", variables={"left": 1})
        await engine.signal(running, started.id, "letter", "a")
        await engine.recorded(running, started.id, Kind.WORKFLOW_CONTINUED_AS_NEW)
    async with running_system(repo, workflows=[counts_down]) as running:
        await engine.signal(running, started.id, "letter", "b")
        await running.ended(started.id)
        assert await running.output(started.id) == "ended in run 2"
    assert log == ["1 a", "2 b"]


async def test_queries_are_answered_while_an_activity_runs(repo: Path) -> None:
    async with running_system(repo, workflows=[answers]) as running:
        started = await running.start("answers")
        assert await engine.query(running, started.id, "stage") == "begun"
        await engine.signal(running, started.id, "go")
        await engine.recorded(running, started.id, Kind.SIGNAL_CONSUMED)
        assert await engine.query(running, started.id, "stage") == "working"
        assert await engine.query(running, started.id, "double", 21) == 42
        with pytest.raises(ValidationError, match="it has: double, stage"):
            await engine.query(running, started.id, "colour")
        with pytest.raises(Conflict, match="failed with TypeError") as failed:
            await engine.query(running, started.id, "double", None)
        assert failed.value.code == "query_failed"
        with pytest.raises(NotFound):
            await engine.query(running, "answers-nobody", "stage")
        await engine.terminate(running, started.id)
        with pytest.raises(Conflict, match="terminated"):
            await engine.query(running, started.id, "stage")


async def test_a_workflow_that_waits_as_its_row_answers_queries(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.workflows.workflow.PARK_AFTER_S", 0.02)
    async with running_system(repo, workflows=[answers]) as running:
        started = await running.start("answers")
        with trio.fail_after(10):
            while not engine.is_parked(running, started.id):
                await trio.sleep(0.005)
        assert await engine.query(running, started.id, "stage") == "begun"


async def test_time_and_chance_are_the_same_when_the_workflow_runs_again(repo: Path) -> None:
    async with running_system(repo, workflows=[deterministic]) as running:
        started = await running.start("deterministic")
        await engine.recorded(running, started.id, Kind.SIDE_EFFECT_RECORDED)
        again = await running.start("deterministic")
        await engine.signal(running, again.id, "go")
        await running.ended(again.id)
        other = await running.output(again.id)
    random.seed(1)
    async with running_system(repo, workflows=[deterministic]) as running:
        await engine.signal(running, started.id, "go")
        await running.ended(started.id)
        found = await running.output(started.id)
    assert found[0] != other[0]
    assert found[0] != found[3]
    assert random.Random(f"{started.id}/0#1").random() == found[0]


async def test_a_workflow_in_flight_keeps_its_branch_and_a_new_one_takes_the_other(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=[versioned]) as running:
        old = await running.start("versioned")
        await engine.recorded(running, old.id, Kind.ACTIVITY_COMPLETED, 2)
    code["changed"] = True
    async with running_system(repo, workflows=[versioned]) as running:
        new = await running.start("versioned")
        for started in (old, new):
            await engine.signal(running, started.id, "go")
        await running.ended(old.id, new.id)
        assert await running.output(old.id) == "old"
        assert await running.output(new.id) == "new"
    assert log == ["a", "old", "a", "new"]


async def test_a_version_that_the_code_has_lost_stalls_who_follows_it(repo: Path) -> None:
    async with running_system(repo, workflows=[versioned]) as running:
        old = await running.start("versioned")
        await engine.recorded(running, old.id, Kind.ACTIVITY_COMPLETED, 2)
    code["dropped"] = True
    async with running_system(repo, workflows=[versioned]) as running:
        with trio.fail_after(10):
            while engine.status(running, old.id) != "stalled":
                await trio.sleep(0.005)
        stalled = engine.last(running, old.id)
        assert stalled["code"] == "non_determinism"
        assert "version 0 of 'reword'" in stalled["message"]


@workflow
async def endless_descent(ctx: Context) -> int:
    try:
        return 1 + await ctx.child(endless_descent)
    except ChildError as error:
        if error.code == "too_many_generations":
            await ctx.signal("bottom")
        return 1


async def test_a_workflow_that_starts_itself_ends_at_a_depth_and_can_be_terminated_there(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=[endless_descent]) as running:
        started = await running.start("endless_descent")
        deepest = started.id + ".1" * 50
        with trio.fail_after(20):
            while engine.status(running, deepest) is None:
                await trio.sleep(0.01)
        again = await running.start("endless_descent")
        await engine.pause(running, started.id)
        assert engine.status(running, deepest) == "paused"
        await engine.resume(running, started.id)
        await engine.terminate(running, started.id)
        assert engine.status(running, deepest) == "terminated"
        deepest = again.id + ".1" * 50
        with trio.fail_after(20):
            while engine.status(running, deepest) is None:
                await trio.sleep(0.01)
        await engine.signal(running, deepest, "bottom")
        await running.ended(again.id)
        assert await running.output(again.id) == 51
