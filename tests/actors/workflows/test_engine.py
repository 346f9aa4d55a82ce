"""Workflows on a whole running system."""

from pathlib import Path
from typing import Any

import pytest
import trio
from pydantic import BaseModel, ConfigDict

from actors.errors import NotFound, ValidationError
from actors.facts import WORKFLOW_STALLED
from beadflow import (
    ActivityError,
    ActivityFailure,
    Agent,
    Context,
    RetryPolicy,
    Task,
    activity,
    activity_info,
    workflow,
)
from supervision import ActorRestarted
from tests.support.world import running_system


class Numbers(BaseModel):
    model_config = ConfigDict(extra="forbid")
    first: int
    second: int = 2


@activity
async def add(numbers: Numbers) -> int:
    return numbers.first + numbers.second


@activity
def multiply(numbers: Numbers) -> int:
    return numbers.first * numbers.second


@workflow
async def arithmetic(ctx: Context, numbers: Numbers) -> dict[str, Any]:
    total = await ctx.activity(add, numbers)
    product, again = await ctx.gather(ctx.activity(multiply, numbers), ctx.activity(add, numbers))
    return {"total": total, "product": product, "again": again, "summary": f"total {total}"}


async def test_a_workflow_of_activities_in_process_completes_with_their_results(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=[arithmetic]) as running:
        started = await running.start("arithmetic", variables={"first": 5})
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("completed", None)
        output = await running.output(started.id)
        assert output == {"total": 7, "product": 10, "again": 7, "summary": "total 7"}


async def test_an_unknown_variable_is_refused_with_the_known_ones_named(repo: Path) -> None:
    async with running_system(repo, workflows=[arithmetic]) as running:
        with pytest.raises(ValidationError, match="first, second") as refused:
            await running.start("arithmetic", variables={"first": 1, "third": 3})
        assert refused.value.field == "variables.third"


async def test_an_unknown_type_is_refused_with_the_known_ones_named(repo: Path) -> None:
    async with running_system(repo, workflows=[arithmetic]) as running:
        with pytest.raises(NotFound, match="arithmetic"):
            await running.start("algebra")


@activity(retry=RetryPolicy(attempts=3, initial_s=0.0))
async def flaky(failures: int) -> str:
    if activity_info().attempt <= failures:
        raise OSError("not yet")
    return activity_info().idempotency_key


@workflow
async def tries(ctx: Context, variables: dict[str, Any]) -> str:
    return await ctx.activity(flaky, variables["failures"])


async def test_an_activity_is_tried_again_with_the_same_idempotency_key(repo: Path) -> None:
    async with running_system(repo, workflows=[tries]) as running:
        started = await running.start("tries", variables={"failures": 2})
        (ended,) = await running.ended(started.id)
        assert ended.status == "completed"
        assert await running.output(started.id) == f"{started.id}/1"


async def test_an_activity_that_fails_for_good_fails_its_workflow_with_its_code(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=[tries]) as running:
        started = await running.start("tries", variables={"failures": 3})
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("failed", "OSError")


@activity
async def explode() -> None:
    raise ActivityFailure("boom", "it went off", retryable=False)


@workflow
async def survives(ctx: Context) -> str:
    try:
        await ctx.activity(explode)
    except ActivityError as error:
        return f"{error.code} after {error.attempts}"
    return "no error"


async def test_a_workflow_may_catch_what_an_activity_failed_with(repo: Path) -> None:
    async with running_system(repo, workflows=[survives]) as running:
        started = await running.start("survives")
        (ended,) = await running.ended(started.id)
        assert ended.status == "completed"
        assert await running.output(started.id) == "boom after 1"


class Greeter(Agent):
    agent_type = "greeter"
    max_workload = 1

    @activity
    async def greet(self, task: Task, name: str) -> str:
        task.progress("greeting", 0.5)
        task.log(f"hello {name}")
        return f"hello {name} from {self.agent_id}"


@workflow(agent_type="greeter")
async def greeting(ctx: Context, variables: dict[str, Any]) -> str:
    return await ctx.activity(Greeter.greet, variables["name"])


async def test_an_agent_does_the_steps_of_the_workflow_it_is_reserved_for(repo: Path) -> None:
    async with running_system(repo, workflows=[greeting], agents=[Greeter]) as running:
        started = await running.start("greeting", variables={"name": "Ada"})
        assert started.agent_id == "greeter-1"
        (ended,) = await running.ended(started.id)
        assert ended.status == "completed"
        assert await running.output(started.id) == "hello Ada from greeter-1"
        notes = {"step_started", "step_progress", "log", "step_completed"}
        await running.until(
            lambda seen: notes <= {f.type for f in seen if f.workflow_id == started.id}
        )


async def test_a_workflow_waits_in_the_queue_until_an_agent_has_room(repo: Path) -> None:
    gate = trio.Event()

    class Slow(Agent):
        agent_type = "slow"
        max_workload = 1

        @activity
        async def work(self, task: Task) -> str:
            await gate.wait()
            return task.id

    @workflow(agent_type="slow")
    async def slowly(ctx: Context) -> str:
        return await ctx.activity(Slow.work)

    async with running_system(repo, workflows=[slowly], agents=[Slow]) as running:
        first = await running.start("slowly")
        second = await running.start("slowly")
        assert (first.agent_id, second.agent_id) == ("slow-1", None)
        assert (await running.get(second.id)).status == "queued"
        gate.set()
        ended = await running.ended(first.id, second.id)
        assert [(w.status, w.agent_id) for w in ended] == [("completed", "slow-1")] * 2


async def test_a_start_with_an_idempotency_key_is_one_start(repo: Path) -> None:
    async with running_system(repo, workflows=[arithmetic]) as running:
        given = {"variables": {"first": 1}, "idempotency_key": "k"}
        first = await running.start("arithmetic", **given)
        second = await running.start("arithmetic", **given)
        assert first.id == second.id


async def test_a_workflow_whose_code_changed_stalls_visibly_and_goes_on_when_it_is_mended(
    repo: Path,
) -> None:
    def version(steps: list[Any], gate: trio.Event | None = None) -> object:
        @activity(name="wait")
        async def wait() -> None:
            if gate is not None:
                await trio.sleep_forever()

        @workflow(name="changing")
        async def changing(ctx: Context) -> int:
            for step in steps:
                await ctx.activity(step, {"first": 1})
            await ctx.activity(wait)
            return len(steps)

        return changing

    async with running_system(repo, workflows=[version([add], trio.Event())]) as running:
        started = await running.start("changing")
        await running.until(lambda seen: any(f.type == "step_completed" for f in seen))
    async with running_system(repo, workflows=[version([multiply])]) as running:
        await running.until(lambda seen: any(f.type == WORKFLOW_STALLED for f in seen))
        stalled = await running.get(started.id)
        assert (stalled.status, stalled.error_code) == ("stalled", "non_determinism")
        assert "'add' at 1" in (stalled.error_message or "")
    async with running_system(repo, workflows=[version([add])]) as running:
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("completed", None)


async def test_a_system_that_drives_only_its_own_leaves_others_as_they_are(repo: Path) -> None:
    gate = trio.Event()

    class Slow(Agent):
        agent_type = "slow"

        @activity
        async def work(self, task: Task) -> str:
            await gate.wait()
            return task.workflow_id

    @workflow(agent_type="slow")
    async def slowly(ctx: Context) -> str:
        return await ctx.activity(Slow.work)

    async with running_system(repo, workflows=[slowly], agents=[Slow]) as running:
        other = await running.start("slowly")
        await running.until(lambda seen: any(f.type == "step_started" for f in seen))
    gate.set()
    async with running_system(
        repo, workflows=[arithmetic, greeting], agents=[Slow, Greeter], drives_all=False
    ) as running:
        own = await running.start("greeting", variables={"name": "Ada"})
        plain = await running.start("arithmetic", variables={"first": 1})
        ended = await running.ended(own.id, plain.id)
        assert [w.status for w in ended] == ["completed", "completed"]
        assert (await running.get(other.id)).status == "active"
    async with running_system(repo, workflows=[slowly], agents=[Slow]) as running:
        (ended_other,) = await running.ended(other.id)
        assert await running.output(other.id) == ended_other.id


class Panic(BaseException):
    """What a library in another language may raise."""


@pytest.mark.parametrize("kind", [Panic, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["agent", "activity", "workflow"])
async def test_user_code_that_raises_no_exception_fails_its_workflow_and_nothing_else(
    repo: Path, kind: type[BaseException], where: str
) -> None:
    class Wild(Agent):
        agent_type = "wild"

        @activity
        def run(self, task: Task) -> None:
            raise kind("wild")

    @activity
    async def run() -> None:
        async with trio.open_nursery():
            raise kind("wild")

    @workflow(agent_type="wild")
    async def wild(ctx: Context) -> None:
        if where == "agent":
            await ctx.activity(Wild.run)
        elif where == "activity":
            await ctx.activity(run)
        else:
            raise kind("wild")

    async with running_system(repo, workflows=[wild, arithmetic], agents=[Wild]) as running:
        started = await running.start("wild")
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("failed", kind.__name__)
        other = await running.start("arithmetic", variables={"first": 1})
        assert [w.status for w in await running.ended(other.id)] == ["completed"]
        assert not [e for e in running.events if isinstance(e, ActorRestarted)]


async def test_workflows_that_nobody_drives_keep_no_agent_from_ones_own(repo: Path) -> None:
    gate = trio.Event()

    class Single(Agent):
        agent_type = "single"
        max_workload = 1

        @activity
        async def work(self, task: Task) -> str:
            await gate.wait()
            return task.workflow_id

    @workflow(agent_type="single")
    async def alone(ctx: Context) -> str:
        return await ctx.activity(Single.work)

    async with running_system(repo, workflows=[alone], agents=[Single]) as running:
        others = [await running.start("alone") for _ in range(3)]
    gate.set()
    own_system = running_system(repo, workflows=[alone], agents=[Single], drives_all=False)
    async with own_system as running:
        own = [await running.start("alone") for _ in range(2)]
        assert [w.status for w in await running.ended(*(w.id for w in own))] == ["completed"] * 2
        left = [(await running.get(w.id)).status for w in others]
        assert left == ["active", "queued", "queued"]
    async with running_system(repo, workflows=[alone], agents=[Single]) as running:
        assert len(await running.ended(*(w.id for w in others))) == 3
