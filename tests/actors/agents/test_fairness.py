"""Whose turn it is on a running system, when there is more to do than agents can do."""

from pathlib import Path
from typing import Any

import pytest
import trio

from beadflow import Agent, Context, Task, activity, workflow
from tests.support.faults import until
from tests.support.world import Running, running_system

done: list[str] = []


class Digger(Agent):
    agent_type = "digger"
    max_workload = 1
    gate = trio.Event()

    @activity
    async def dig(self, task: Task) -> None:
        await self.gate.wait()
        done.append(task.workflow_id)


@workflow
async def digs(ctx: Context, variables: dict[str, Any]) -> None:
    await ctx.gather(*(ctx.activity(Digger.dig) for _ in range(variables["times"])))


@workflow(name="kept", agent_type="digger")
async def kept(ctx: Context, variables: dict[str, Any]) -> None:
    del variables
    await ctx.activity(Digger.dig)


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    done.clear()
    Digger.gate = trio.Event()


def system(repo: Path) -> Any:
    return running_system(repo, workflows=[digs, kept], agents=[Digger])


async def begin(running: Running, times: int, **more: Any) -> str:
    """A workflow all of whose tasks wait for an agent, or are with one."""
    started = await running.start("digs", variables={"times": times}, **more)
    sql = "SELECT count(*) FROM tasks WHERE workflow_id = ?"
    reader = running.stores.tempolite.inline
    await until(lambda: reader.execute(sql, (started.id,)).fetchone()[0] == times)
    return started.id


async def test_a_workflow_with_much_to_do_does_not_keep_another_one_waiting(repo: Path) -> None:
    async with system(repo) as running:
        much, little = await begin(running, 80), await begin(running, 2)
        Digger.gate.set()
        await running.ended(much, little)
    turns = [turn for turn, workflow_id in enumerate(done) if workflow_id == little]
    assert max(turns) <= 5


async def test_what_is_urgent_is_done_first(repo: Path) -> None:
    async with system(repo) as running:
        usual, urgent = await begin(running, 5), await begin(running, 3, priority=0)
        Digger.gate.set()
        await running.ended(usual, urgent)
    assert done == [usual, *[urgent] * 3, *[usual] * 4]


async def test_a_workflow_that_comes_later_does_not_get_the_agent_that_another_waits_for(
    repo: Path,
) -> None:
    async with system(repo) as running:
        first, second, third = [await running.start("kept") for _ in range(3)]
        urgent = await running.start("kept", priority=0)
        assert [w.status for w in (first, second, urgent)] == ["active", "queued", "queued"]
        Digger.gate.set()
        await running.ended(*(w.id for w in (first, second, third, urgent)))
    assert done == [w.id for w in (first, urgent, second, third)]
