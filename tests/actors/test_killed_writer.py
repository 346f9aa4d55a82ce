"""Database writers that die while workflows run."""

from pathlib import Path
from typing import Any

import pytest
import trio

from actors.writer import Poison
from beadflow import Agent, Context, Task, activity, workflow
from supervision import ActorDeadError, ActorRestarted, ActorRestarting, Refused
from tests.support.world import Running, running_system

WRITERS = ("tempolite_writer", "coordination_writer", "beads_writer")


class Clerk(Agent):
    agent_type = "clerk"
    max_workload = 100

    @activity
    async def note(self, task: Task) -> str:
        return task.id


@activity
async def count(number: int) -> int:
    return number + 1


@workflow(agent_type="clerk")
async def three_steps(ctx: Context, variables: dict[str, Any]) -> int:
    number = await ctx.activity(count, variables["from"])
    await ctx.activity(Clerk.note)
    return await ctx.activity(count, number)


async def _poison(running: Running, writer: str) -> None:
    with pytest.raises((ActorDeadError, ActorRestarting)):
        await running.ask(writer, Poison())


async def _start(running: Running, number: int, acknowledged: dict[str, int]) -> None:
    try:
        record = await running.start("three_steps", variables={"from": number})
    except (Refused, ActorDeadError, ActorRestarting):
        return  # an answer, and a true one: it is checked below that nothing else is claimed
    acknowledged[record.id] = number


@pytest.mark.parametrize("writer", WRITERS)
async def test_a_killed_writer_is_restarted_and_every_acknowledged_workflow_finishes(
    repo: Path, writer: str
) -> None:
    acknowledged: dict[str, int] = {}
    async with running_system(repo, workflows=[three_steps], agents=[Clerk]) as running:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for number in range(40):
                    nursery.start_soon(_start, running, number, acknowledged)
                    if number in (10, 25):
                        nursery.start_soon(_poison, running, writer)
                    await trio.lowlevel.checkpoint()
            ended = await running.ended(*acknowledged)
        outputs = {record.id: await running.output(record.id) for record in ended}
        restarts = [e for e in running.events if isinstance(e, ActorRestarted)]
    assert {record.status for record in ended} == {"completed"}
    assert outputs == {wid: number + 2 for wid, number in acknowledged.items()}
    assert {e.path for e in restarts} == {f"root/stores/{writer}"}
    assert len(acknowledged) >= 30


async def test_a_writer_that_keeps_dying_takes_the_system_down_with_a_reason(repo: Path) -> None:
    async with running_system(repo, workflows=[three_steps], agents=[Clerk]) as running:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_poison_until_dead, running)
                reason = await running.system.wait()
                nursery.cancel_scope.cancel()
    assert reason.crashed


async def _poison_until_dead(running: Running) -> None:
    while True:
        try:
            await running.ask("tempolite_writer", Poison())
        except (ActorDeadError, ActorRestarting):
            await trio.sleep(0.01)
