"""The context of a workflow over a history in memory: what happens, and what is only repeated."""

import random
from collections.abc import Coroutine
from typing import Any

import pytest
import trio

from actors.coordination import fields
from actors.workflows.context import NAME_CHARACTERS, Context
from actors.workflows.definition import ActivityFailure, activity
from actors.workflows.history import Kind
from actors.workflows.replay import NonDeterminismError
from actors.workflows.steps import ActivityError
from actors.workflows.strand import StrandError
from beadflow import Agent, Task
from storage import payload
from storage.workflows.records import TaskRow
from tests.support.stage import Body, Stage


def outcome_row(op: str, state: str, outcome: str) -> TaskRow:
    return TaskRow(
        workflow_id="w-1",
        op=op,
        agent_type="helper",
        activity="dig",
        input="",
        policy="",
        state=state,
        attempt=1,
        fence=1,
        agent_id="helper-1",
        outcome=outcome,
    )


calls: list[str] = []


@pytest.fixture(autouse=True)
def _no_calls_yet() -> None:
    calls.clear()


@activity
async def call(name: str) -> str:
    calls.append(name)
    await trio.lowlevel.checkpoint()
    return name.upper()


@activity
async def fail(name: str) -> None:
    calls.append(name)
    raise ActivityFailure("boom", f"{name} went off")


class Helper(Agent):
    agent_type = "helper"

    @activity
    async def dig(self, task: Task, depth: int) -> int:
        return depth


async def test_a_recorded_activity_is_not_done_again() -> None:
    async def body(ctx: Context) -> list[str]:
        return [await ctx.activity(call, "a"), await ctx.activity(call, "b")]

    stage = Stage()
    first = await stage.run(body)
    again = await stage.run(body)
    assert first == again == ["A", "B"]
    assert calls == ["a", "b"]
    assert len(stage.stored) == 3


async def test_a_recorded_failure_is_raised_again_and_not_tried_again() -> None:
    async def body(ctx: Context) -> tuple[str, str, int]:
        try:
            await ctx.activity(fail, "x")
        except ActivityError as error:
            return error.activity, error.code, error.attempts
        raise AssertionError

    stage = Stage()
    assert await stage.run(body) == await stage.run(body) == ("fail", "boom", 1)
    assert calls == ["x"]


async def test_an_activity_that_was_cut_off_is_done_again() -> None:
    stage = Stage()

    async def body(ctx: Context) -> str:
        await ctx.activity(call, "a")
        return await ctx.activity(call, "b")

    await stage.run(body)
    del stage.stored[2:]
    assert await stage.run(body) == "B"
    assert calls == ["a", "b", "b"]


async def test_a_side_effect_happens_once() -> None:
    numbers = iter(range(100))

    async def body(ctx: Context) -> list[int]:
        return [await ctx.side_effect(lambda: next(numbers)) for _ in range(3)]

    stage = Stage()
    assert await stage.run(body) == await stage.run(body) == [0, 1, 2]


async def test_a_side_effect_that_is_no_json_is_refused() -> None:
    async def body(ctx: Context) -> object:
        return await ctx.side_effect(object)

    with pytest.raises(ActivityFailure, match="side effect 1"):
        await Stage().run(body)


async def test_a_live_value_has_the_form_it_will_have_when_replayed() -> None:
    async def body(ctx: Context) -> Any:
        return await ctx.side_effect(lambda: (1, {"b": 2, "a": 1}))

    stage = Stage()
    live = await stage.run(body)
    assert live == [1, {"a": 1, "b": 2}]
    assert list(live[1]) == list((await stage.run(body))[1])


async def test_a_result_is_durable_before_the_next_effect() -> None:
    seen: list[int] = []
    stage = Stage()

    @activity
    async def look() -> None:
        seen.append(len(stage.stored))

    async def body(ctx: Context) -> None:
        for _ in range(3):
            await ctx.side_effect(lambda: 1)
            await ctx.activity(look)

    await stage.run(body)
    assert seen == [2, 4, 6]


async def test_lines_are_logged_once() -> None:
    async def body(ctx: Context) -> None:
        ctx.log("at the start")
        await ctx.activity(call, "a")
        ctx.log("in between", level="warning")
        await ctx.activity(call, "b")
        ctx.log("at the end")

    stage = Stage()
    await stage.run(body)
    del stage.stored[2:]
    await stage.run(body)
    texts = [text for text, _ in stage.lines]
    assert texts == ["at the start", "in between", "at the end", "in between", "at the end"]
    assert stage.lines[1] == ("in between", "warning")


# --- agents


async def dig(ctx: Context) -> Any:
    return await ctx.activity(Helper.dig, 3)


async def test_an_agents_activity_is_scheduled_offered_and_answered_from_its_row() -> None:
    stage = Stage(outcomes={"1": outcome_row("1", "done", payload.encode({"result": 9}))})
    assert await stage.run(dig) == 9
    assert stage.kinds()[1:] == [Kind.ACTIVITY_SCHEDULED, Kind.ACTIVITY_COMPLETED]
    assert stage.offered == 1
    assert await stage.run(dig) == 9
    assert stage.offered == 1


async def test_a_task_that_failed_for_good_fails_its_activity() -> None:
    failure = payload.encode({"code": "boom", "message": "m", "attempts": 2})
    stage = Stage(outcomes={"1": outcome_row("1", "failed", failure)})
    for _ in range(2):
        with pytest.raises(ActivityError, match="'dig' failed with boom"):
            await stage.run(dig)


async def test_a_task_that_was_scheduled_before_the_cut_is_not_scheduled_again() -> None:
    stage = Stage(outcomes={"1": outcome_row("1", "done", payload.encode({"result": 9}))})
    await stage.run(dig)
    del stage.stored[2:]
    assert await stage.run(dig) == 9
    assert stage.kinds().count(Kind.ACTIVITY_SCHEDULED) == 1
    assert stage.offered == 2


async def test_an_agents_activity_may_be_given_by_name() -> None:
    async def body(ctx: Context) -> Any:
        return await ctx.activity("dig", {"deep": 1}, agent="helper")

    stage = Stage(outcomes={"1": outcome_row("1", "done", payload.encode({"result": 9}))})
    assert await stage.run(body) == 9
    assert stage.ops() == {"1": "dig"}


@pytest.mark.parametrize("target", ["dig", len])
async def test_what_is_no_activity_is_refused(target: Any) -> None:
    async def body(ctx: Context) -> Any:
        return await ctx.activity(target, 1)

    with pytest.raises(TypeError):
        await Stage().run(body)


# --- divergence


async def stalls(stage: Stage, body: Body) -> NonDeterminismError:
    """Check that nothing happens when the body differs from what is stored."""
    calls.clear()
    stored = list(stage.stored)
    with pytest.raises(NonDeterminismError) as differs:
        await stage.run(body)
    assert calls == []
    assert stage.stored == stored
    return differs.value


async def test_another_activity_than_the_recorded_one_stalls_before_it_runs() -> None:
    async def old(ctx: Context) -> None:
        await ctx.activity(call, "a")

    async def new(ctx: Context) -> None:
        await ctx.activity(fail, "a")

    stage = Stage()
    await stage.run(old)
    error = await stalls(stage, new)
    assert (error.recorded, error.requested) == ("activity 'call' at 1", "activity 'fail' at 1")


async def test_an_end_before_all_is_asked_for_stalls() -> None:
    async def old(ctx: Context) -> None:
        await ctx.activity(call, "a")

    async def new(ctx: Context) -> None:
        return None

    stage = Stage()
    await stage.run(old)
    assert (await stalls(stage, new)).requested == "its end"


async def test_one_activity_in_place_of_branches_stalls_before_it_runs() -> None:
    async def old(ctx: Context) -> None:
        await ctx.gather(ctx.activity(call, "a"), ctx.activity(call, "b"))

    async def new(ctx: Context) -> None:
        await ctx.activity(call, "a")

    stage = Stage()
    await stage.run(old)
    await stalls(stage, new)


async def test_branches_in_place_of_one_activity_stall_before_they_start() -> None:
    async def old(ctx: Context) -> None:
        await ctx.activity(call, "a")

    async def new(ctx: Context) -> None:
        await ctx.gather(ctx.activity(call, "a"), ctx.activity(call, "b"))

    stage = Stage()
    await stage.run(old)
    await stalls(stage, new)


async def test_a_branch_that_differs_wins_over_one_that_failed() -> None:
    async def old(ctx: Context) -> None:
        await ctx.gather(ctx.activity(fail, "a"), ctx.activity(call, "b"))

    async def new(ctx: Context) -> None:
        await ctx.gather(ctx.activity(fail, "a"), ctx.activity(fail, "b"))

    stage = Stage()
    with pytest.raises(ActivityError):
        await stage.run(old)
    await stalls(stage, new)


async def test_a_branch_that_differs_ends_the_others_before_they_do_anything_more() -> None:
    async def steps(ctx: Context, *names: str) -> None:
        for name in names:
            await ctx.activity(call, name)

    async def old(ctx: Context) -> None:
        await ctx.gather(steps(ctx, "a"), steps(ctx, "b"))

    async def new(ctx: Context) -> None:
        await ctx.gather(ctx.activity(fail, "a"), steps(ctx, "b", "c", "d"))

    for _ in range(20):  # trio shuffles which branch is first
        stage = Stage()
        await stage.run(old)
        calls.clear()
        with pytest.raises(NonDeterminismError):
            await stage.run(new)
        assert "d" not in calls


async def test_a_stalled_workflow_says_that_it_goes_on_once_it_gets_further() -> None:
    async def body(ctx: Context) -> None:
        await ctx.activity(call, "a")
        await ctx.activity(call, "b")
        await ctx.side_effect(lambda: 1)

    stage = Stage(stalled=True)
    await stage.run(body)
    assert stage.kinds().count(Kind.WORKFLOW_RECOVERED) == 1
    assert stage.kinds()[1] == Kind.WORKFLOW_RECOVERED


async def test_a_stalled_workflow_that_only_replays_says_nothing() -> None:
    async def body(ctx: Context) -> None:
        await ctx.activity(call, "a")

    stage = Stage()
    await stage.run(body)
    stage.stalled = True
    await stage.run(body)
    assert Kind.WORKFLOW_RECOVERED not in stage.kinds()


async def test_a_stalled_workflow_that_waits_for_its_agent_again_goes_on() -> None:
    stage = Stage(outcomes={"1": outcome_row("1", "done", payload.encode({"result": 9}))})
    await stage.run(dig)
    del stage.stored[2:]
    stage.stalled = True
    await stage.run(dig)
    assert stage.kinds()[2] == Kind.WORKFLOW_RECOVERED


# --- branches


async def test_branches_answer_in_order_and_the_first_failure_in_order_is_raised() -> None:
    async def later(ctx: Context) -> None:
        await ctx.activity(call, "a")
        await ctx.activity(fail, "late")

    async def body(ctx: Context) -> Any:
        results = await ctx.gather(ctx.activity(call, "a"), ctx.activity(call, "b"))
        try:
            await ctx.gather(later(ctx), ctx.activity(fail, "early"))
        except ActivityError as error:
            return results, error.message
        raise AssertionError

    assert await Stage().run(body) == (("A", "B"), "late went off")
    assert "late" in calls


async def test_a_gather_of_nothing_is_nothing() -> None:
    async def body(ctx: Context) -> Any:
        return await ctx.gather()

    assert await Stage().run(body) == ()


async def test_a_task_that_the_context_did_not_start_may_not_use_it() -> None:
    async def body(ctx: Context) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: ctx.activity(call, "a"))

    with pytest.RaisesGroup(StrandError):
        await Stage().run(body)
    assert calls == []


async def test_branches_given_to_a_gather_of_a_strange_task_are_closed() -> None:
    branches: list[Coroutine[Any, Any, Any]] = []

    async def strange(ctx: Context) -> None:
        branches.append(ctx.activity(call, "a"))
        await ctx.gather(*branches)

    async def body(ctx: Context) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(strange, ctx)

    with pytest.RaisesGroup(StrandError):
        await Stage().run(body)
    assert branches[0].cr_frame is None


async def test_the_operations_in_progress_are_named() -> None:
    seen: list[list[str]] = []
    stage = Stage()

    async def body(ctx: Context) -> None:
        @activity
        async def look() -> None:
            await trio.testing.wait_all_tasks_blocked()
            seen.append(stage.waiting_for())

        await ctx.gather(ctx.activity(look), ctx.activity(look))
        seen.append(stage.waiting_for())

    await stage.run(body)
    assert seen[0] == ["1.0.1 look", "1.1.1 look"]
    assert seen[-1] == []


def tree_of(chance: random.Random, depth: int = 0) -> list[Any]:
    """A random program: a list of steps, each a name or a list of branches."""
    steps: list[Any] = []
    for _ in range(chance.randint(1, 3)):
        if depth < 3 and chance.random() < 0.5:
            steps.append([tree_of(chance, depth + 1) for _ in range(chance.randint(0, 3))])
        else:
            steps.append(f"step-{chance.randrange(1000)}")
    return steps


async def perform(ctx: Context, program: list[Any]) -> list[Any]:
    done: list[Any] = []
    for step in program:
        if isinstance(step, str):
            done.append(await ctx.activity(call, step))
        else:
            done.append(list(await ctx.gather(*(perform(ctx, branch) for branch in step))))
    return done


@pytest.mark.parametrize("seed", range(25))
async def test_nested_branches_that_are_cut_off_anywhere_replay_to_the_same_operations(
    seed: int,
) -> None:
    chance = random.Random(seed)
    program = tree_of(chance)

    async def body(ctx: Context) -> Any:
        return await perform(ctx, program)

    whole = Stage()
    expected = await whole.run(body)
    wanted = sorted(calls)
    for _ in range(4):
        stage = Stage(stored=whole.stored[: chance.randint(1, len(whole.stored))])
        kept = stage.ops()
        calls.clear()
        assert await stage.run(body) == expected
        assert stage.ops() == whole.ops()
        assert len(calls) == len(wanted) - len(kept)


# --- what a method is given


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        (lambda ctx: ctx.signal(5), TypeError, "takes a name, not 5"),
        (lambda ctx: ctx.signal(""), ValueError, "1 to 200 printable"),
        (lambda ctx: ctx.signal("x" * 201), ValueError, "1 to 200 printable"),
        (lambda ctx: ctx.signal("a\nb"), ValueError, "1 to 200 printable"),
        (lambda ctx: ctx.sleep("1"), TypeError, "a number of seconds, not '1'"),
        (lambda ctx: ctx.sleep(-1), ValueError, "not negative"),
        (lambda ctx: ctx.sleep(1e12), ValueError, "after the year 9999"),
        (lambda ctx: ctx.sleep(1e300), ValueError, "after the year 9999"),
        (lambda ctx: ctx.activity(call, "a", agent="helper"), TypeError, "given by name"),
        (lambda ctx: ctx.select(), ValueError, "select takes at least one branch"),
        (lambda ctx: ctx.first(), ValueError, "at least one branch"),
    ],
)
async def test_what_an_operation_cannot_take_is_refused_and_nothing_recorded(
    asked: Any, error: type[Exception], said: str
) -> None:
    async def body(ctx: Context) -> None:
        with pytest.raises(error, match=said):
            await asked(ctx)

    stage = Stage()
    await stage.run(body)
    assert [event.kind for event in stage.stored] == [Kind.WORKFLOW_STARTED]


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        (lambda ctx: ctx.on_query("q", 5), TypeError, "by a function, not by 5"),
        (lambda ctx: ctx.on_query(5, str), TypeError, "takes a name, not 5"),
        (lambda ctx: ctx.on_query("", str), ValueError, "1 to 200 printable"),
        (lambda ctx: ctx.continue_as_new(5), TypeError, "a pydantic model or a mapping: 5"),
    ],
)
async def test_what_a_plain_method_cannot_take_is_refused(
    asked: Any, error: type[Exception], said: str
) -> None:
    async def body(ctx: Context) -> None:
        with pytest.raises(error, match=said):
            asked(ctx)

    await Stage().run(body)


def test_a_name_may_be_as_long_as_in_a_request() -> None:
    assert NAME_CHARACTERS == fields.NAME_CHARACTERS
