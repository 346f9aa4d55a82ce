"""What somebody sent who died, and what is not on the disk yet when his successor looks."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.agents.messages import AgentUp, AssignQueued, Introduce, ReserveAgent
from actors.coordination import assigning
from actors.coordination import store as bridge
from actors.coordination.messages import RecordStart, StartWorkflow
from actors.facts import FactsLogged, LoggedFact
from actors.workflows import store as engine
from actors.workflows.messages import StartTask
from beadflow import Agent, Context, Task, activity, workflow
from tests.support.faults import crash, hold_up, restarts, until
from tests.support.world import Running, running_system

COORDINATOR = "root/agents/coordinator"
A_LATER_FACT = LoggedFact(
    seq=1000, type="log", workflow_id=None, issue_id=None, at="2026-03-01T00:00:00Z", data={}
)
"""Whoever is told of it has missed some, and looks at the rows again."""


class Shy(Agent):
    """Introduces itself when it is asked to."""

    agent_type = "shy"
    max_workload = 1
    encouraged = trio.Event()

    async def on_receive(self, message: object) -> object:
        if isinstance(message, Introduce):
            await self.encouraged.wait()
        return await super().on_receive(message)

    @activity
    async def work(self, task: Task) -> int:
        return task.attempt


@workflow(agent_type="shy")
async def shy(ctx: Context) -> int:
    return await ctx.activity(Shy.work)


@pytest.fixture(autouse=True)
def _encouraged() -> None:
    Shy.encouraged = trio.Event()
    Shy.encouraged.set()


async def succeed_the_coordinator(running: Running, writer: str) -> None:
    """Crash it, and wait until its successor is up, or waits for the writer."""
    running.system.named("coordinator").tell(AgentUp(agent_id="nobody", incarnation=1))
    await until(lambda: restarts(running, COORDINATOR) > 0 or waiting(running, writer) > 0)
    await trio.testing.wait_all_tasks_blocked()


def waiting(running: Running, writer: str) -> int:
    info = running.system.snapshot(f"root/stores/{writer}")
    return 0 if info is None else info.mailbox_depth


async def reserve(running: Running) -> Any:
    return await running.ask("coordinator", ReserveAgent(workflow_id="later", agent_type="shy"))


async def test_an_attempt_whose_begin_was_on_its_way_is_not_lost_with_its_coordinator(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a simulation: to the successor it was neither ready nor begun."""
    disk = hold_up(monkeypatch, engine, StartTask)
    async with running_system(repo, workflows=[shy], agents=[Shy]) as running:
        started = await running.start("shy")
        await until(disk.busy.is_set)
        Shy.encouraged = trio.Event()
        await succeed_the_coordinator(running, "tempolite_writer")
        disk.free.set()
        await until(lambda: states(running) == ["running"])
        Shy.encouraged.set()
        (ended,) = await running.ended(started.id)
        assert ended.status == "completed"
        assert await running.output(started.id) == 2


def states(running: Running) -> list[str]:
    rows = running.stores.tempolite.inline.execute("SELECT state FROM tasks").fetchall()
    return [row[0] for row in rows]


async def test_an_agent_that_a_manager_which_died_reserved_for_a_start_is_not_given_twice(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a simulation: the start was committed after the reservations were read again."""
    disk = hold_up(monkeypatch, bridge, RecordStart)
    bad: Any = StartWorkflow(title=3, workflow_type="shy")  # type: ignore[arg-type]
    async with running_system(repo, workflows=[shy], agents=[Shy]) as running:
        running.system.named("manager").tell(StartWorkflow(title="T", workflow_type="shy"))
        await until(disk.busy.is_set)
        await crash(running, "root/coordination/manager", bad)
        assert await reserve(running) is None
        disk.free.set()


async def test_an_agent_that_a_coordinator_which_died_gave_is_not_given_twice(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, but it is the coordinator who died."""
    disk = hold_up(monkeypatch, bridge, RecordStart)
    async with running_system(repo, workflows=[shy], agents=[Shy]) as running:
        running.system.named("manager").tell(StartWorkflow(title="T", workflow_type="shy"))
        await until(disk.busy.is_set)
        await succeed_the_coordinator(running, "coordination_writer")
        disk.free.set()
        await until(lambda: restarts(running, COORDINATOR) == 1)
        assert await reserve(running) is None


async def test_an_agent_that_is_just_being_given_is_not_given_twice(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a simulation: a look at the reservations forgot the one that was on its way."""
    async with running_system(repo, workflows=[shy], agents=[Shy]) as running:
        assert await reserve(running) == "shy-1"
        queued = await running.start("shy")
        assert queued.status == "queued"
    disk = hold_up(monkeypatch, assigning, AssignQueued)
    async with running_system(repo, workflows=[shy], agents=[Shy]) as running:
        await until(disk.busy.is_set)
        running.system.named("coordinator").tell(FactsLogged(facts=(A_LATER_FACT,)))
        assert await reserve(running) is None
        disk.free.set()
        await running.ended(queued.id)
