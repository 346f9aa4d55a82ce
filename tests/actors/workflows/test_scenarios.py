"""What engines are known to fall over, as whole scenarios: restarts, deploys, and many at once."""

from collections import Counter
from pathlib import Path

import pytest
import trio

from actors.workflows.history import Kind
from beadflow import Agent, Context, RetryPolicy, Task, activity, workflow
from tests.support import engine
from tests.support.world import running_system

ran: Counter[str] = Counter()
MANY = 1_000


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    ran.clear()


@activity(retry=RetryPolicy(attempts=3, initial_s=0.01))
async def third_time_lucky(what: str) -> str:
    ran[what] += 1
    if ran[what] < 3:
        raise OSError("not yet")
    return what


@activity
async def note(what: str) -> str:
    ran[what] += 1
    return what


class Cook(Agent):
    agent_type = "cook"

    @activity
    async def fry(self, task: Task, what: str) -> str:
        return f"fried {what}"


class Waiter(Agent):
    agent_type = "waiter"

    @activity
    async def serve(self, task: Task, what: str) -> str:
        return f"served {what}"


@workflow
async def retried_and_waiting(ctx: Context) -> str:
    found = await ctx.activity(third_time_lucky, "step")
    await ctx.signal("go")
    return found


async def _line(ctx: Context, name: str, steps: int) -> list[str]:
    found = [await ctx.activity(note, f"{name}{number}") for number in range(steps)]
    await ctx.signal(f"go {name}")
    return [*found, await ctx.activity(note, f"{name} end")]


@workflow
async def lines_of_different_steps(ctx: Context) -> list[list[str]]:
    return list(await ctx.gather(_line(ctx, "a", 1), _line(ctx, "b", 3), _line(ctx, "c", 2)))


@workflow(agent_type="cook")
async def kitchen(ctx: Context, dish: dict[str, str]) -> str:
    return await ctx.activity(Cook.fry, dish["name"])


@workflow(agent_type="waiter")
async def dinner(ctx: Context, dish: dict[str, str]) -> list[str]:
    """Runs a child of another agent's, then has that agent do a step itself."""
    fried = await ctx.child(kitchen, dish)
    also = await ctx.activity(Cook.fry, "garlic")
    return [await ctx.activity(Waiter.serve, fried), also]


@workflow(name="greeting", version=1)
async def greeting_1(ctx: Context) -> str:
    await ctx.signal("go")
    return await ctx.activity(note, "good day")


@workflow(name="greeting", version=2)
async def greeting_2(ctx: Context) -> str:
    await ctx.activity(note, "hello")
    await ctx.signal("go")
    return "hello"


@workflow
async def one_step(ctx: Context, given: dict[str, int]) -> int:
    await ctx.activity(note, str(given["n"]))
    return given["n"]


async def test_a_replay_after_retries_does_not_run_a_completed_activity_again(repo: Path) -> None:
    async with running_system(repo, workflows=[retried_and_waiting]) as running:
        started = await running.start("retried_and_waiting")
        await engine.recorded(running, started.id, Kind.ACTIVITY_COMPLETED)
    for _ in range(3):
        async with running_system(repo, workflows=[retried_and_waiting]) as running:
            assert engine.status(running, started.id) == "running"
    async with running_system(repo, workflows=[retried_and_waiting]) as running:
        await engine.signal(running, started.id, "go")
        await running.ended(started.id)
        assert await running.output(started.id) == "step"
    assert ran == {"step": 3}


async def test_lines_of_different_steps_find_their_own_results_after_a_restart(repo: Path) -> None:
    async with running_system(repo, workflows=[lines_of_different_steps]) as running:
        started = await running.start("lines_of_different_steps")
        await engine.recorded(running, started.id, Kind.ACTIVITY_COMPLETED, 6)
    for letter in "cab":
        async with running_system(repo, workflows=[lines_of_different_steps]) as running:
            await engine.signal(running, started.id, f"go {letter}")
            await engine.recorded(
                running, started.id, Kind.ACTIVITY_COMPLETED, 7 + "cab".index(letter)
            )
    async with running_system(repo, workflows=[lines_of_different_steps]) as running:
        assert await engine.closed(running, started.id) == "completed"
        assert engine.last(running, started.id)["result"] == [
            ["a0", "a end"],
            ["b0", "b1", "b2", "b end"],
            ["c0", "c1", "c end"],
        ]
    assert set(ran.values()) == {1}


async def test_a_workflow_has_children_and_steps_done_by_agents_of_other_types(repo: Path) -> None:
    given = {"workflows": [kitchen, dinner], "agents": [Cook, Waiter]}
    async with running_system(repo, **given) as running:  # type: ignore[arg-type]
        started = await running.start("dinner", variables={"name": "egg"})
        await running.ended(started.id)
        assert await running.output(started.id) == ["served fried egg", "fried garlic"]


async def test_a_deploy_lets_those_in_flight_end_by_the_version_they_began_with(repo: Path) -> None:
    async with running_system(repo, workflows=[greeting_1]) as running:
        old = await running.start("greeting")
    async with running_system(repo, workflows=[greeting_1, greeting_2]) as running:
        new = await running.start("greeting")
        for started in (old, new):
            await engine.signal(running, started.id, "go")
        await running.ended(old.id, new.id)
        assert await running.output(old.id) == "good day"
        assert await running.output(new.id) == "hello"


async def test_a_deploy_that_takes_the_old_version_away_strands_nothing_for_good(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=[greeting_1]) as running:
        old = await running.start("greeting")
    async with running_system(repo, workflows=[greeting_2]) as running:
        await engine.recorded(running, old.id, Kind.WORKFLOW_STALLED)
        assert engine.status(running, old.id) == "stalled"
    async with running_system(repo, workflows=[greeting_1, greeting_2]) as running:
        await engine.signal(running, old.id, "go")
        await running.ended(old.id)
        assert await running.output(old.id) == "good day"


async def test_a_thousand_starts_at_once_are_a_thousand_workflows_that_end(repo: Path) -> None:
    ids: list[str] = []

    async with running_system(repo, workflows=[one_step]) as running:

        async def start(number: int) -> None:
            record = await running.start("one_step", variables={"n": number})
            ids.append(record.id)

        async with trio.open_nursery() as nursery:
            for number in range(MANY):
                nursery.start_soon(start, number)
        ended = await running.ended(*ids)
        assert {record.status for record in ended} == {"completed"}
    assert len(set(ids)) == MANY
    assert ran == {str(number): 1 for number in range(MANY)}


async def test_the_result_of_a_workflow_that_ended_in_an_earlier_life_is_there(repo: Path) -> None:
    async with running_system(repo, workflows=[one_step]) as running:
        started = await running.start("one_step", variables={"n": 7})
        await running.ended(started.id)
    async with running_system(repo) as running:
        assert await running.output(started.id) == 7
