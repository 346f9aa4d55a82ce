"""Workflows that are handed on by themselves, between steps of different types of agents."""

from pathlib import Path
from typing import Any

import pytest
import trio

from actors import facts
from actors.agents.messages import AgentUp
from actors.agents.moving import Moving
from actors.coordination import handing
from actors.coordination.assignment_messages import AssignWorkflow, HandOff
from actors.errors import Conflict
from actors.issues.messages import GetIssue
from beadflow import Agent, Context, Task, activity, workflow
from storage import payload
from storage.coordination import queries
from tests.support.faults import crash, until
from tests.support.world import Running, running_system

began: list[str] = []


class Digger(Agent):
    agent_type = "digger"
    max_workload = 1
    gate = trio.Event()

    @activity
    async def dig(self, task: Task) -> str:
        began.append(self.agent_id)
        await self.gate.wait()
        return self.agent_id


class Painter(Agent):
    agent_type = "painter"
    max_workload = 1
    gate = trio.Event()

    @activity
    async def paint(self, task: Task) -> str:
        began.append(self.agent_id)
        await self.gate.wait()
        return self.agent_id


@workflow(agent_type="digger")
async def digs_and_paints(ctx: Context) -> Any:
    return [await ctx.activity(Digger.dig), await ctx.activity(Painter.paint)]


@workflow(agent_type="digger")
async def back_and_forth(ctx: Context) -> Any:
    done = [await ctx.activity(Digger.dig), await ctx.activity(Painter.paint)]
    return [*done, await ctx.activity(Digger.dig)]


@workflow(agent_type="digger")
async def at_once(ctx: Context) -> Any:
    for _ in range(3):
        await ctx.gather(ctx.activity(Digger.dig), ctx.activity(Painter.paint))
    return await ctx.activity(Digger.dig)


@workflow(agent_type="digger", agents=("digger",))
async def stays(ctx: Context) -> Any:
    return [await ctx.activity(Digger.dig), await ctx.activity(Painter.paint)]


@workflow
async def nobodys(ctx: Context) -> Any:
    return [await ctx.activity(Digger.dig), await ctx.activity(Painter.paint)]


@workflow(agent_type="digger")
async def listens(ctx: Context) -> Any:
    await ctx.activity(Painter.paint)
    told = await ctx.signal("agent_handoff")
    return told["to_agent"]


@workflow(agent_type="digger")
async def takes_none(ctx: Context) -> Any:
    for _ in range(3):
        await ctx.activity(Digger.dig)
        await ctx.activity(Painter.paint)
    return await ctx.signal("go")


ALL = [takes_none, digs_and_paints, back_and_forth, at_once, stays, nobodys, listens]


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    began.clear()
    for kind in (Digger, Painter):
        kind.gate = trio.Event()
        kind.gate.set()


def system(repo: Path, **more: Any) -> Any:
    agents = more.pop("agents", [Digger, Digger, Painter])
    return running_system(repo, workflows=ALL, agents=agents, **more)


def history(running: Running, workflow_id: str) -> list[tuple[Any, ...]]:
    sql = (
        "SELECT agent_id, status, step_number, handoff_from FROM agent_assignments"
        " WHERE workflow_id = ? ORDER BY id"
    )
    found = running.stores.coordination.inline.execute(sql, (workflow_id,))
    return [tuple(row) for row in found]


def handoffs(running: Running) -> list[tuple[Any, Any]]:
    found = [fact.data for fact in running.log() if fact.type == facts.AGENT_HANDOFF]
    return [(data["from_agent"], data["to_agent"]) for data in found]


def signals(running: Running) -> list[Any]:
    sql = "SELECT payload FROM inbox WHERE name = ? AND consumed_by IS NULL ORDER BY position"
    found = running.stores.tempolite.inline.execute(sql, (handing.SIGNAL,))
    return [payload.decode(text) for (text,) in found]


async def test_a_workflow_goes_to_an_agent_of_its_next_step_s_type(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("digs_and_paints")
        await running.ended(started.id)
        assert await running.output(started.id) == ["digger-1", "painter-1"]
        assert history(running, started.id) == [
            ("digger-1", "completed", 1, None),
            ("painter-1", "completed", 2, "digger-1"),
        ]
        assert handoffs(running) == [("digger-1", "painter-1")]


async def test_the_agent_before_is_free_for_other_work_at_once(repo: Path) -> None:
    Painter.gate = trio.Event()
    async with system(repo, agents=[Digger, Painter]) as running:
        await running.start("digs_and_paints")
        await until(lambda: began == ["digger-1", "painter-1"])
        second = await running.start("digs_and_paints")
        assert second.agent_id == "digger-1"
        await until(lambda: began == ["digger-1", "painter-1", "digger-1"])


async def test_the_workflow_and_its_issue_are_told_as_of_any_handoff(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("listens")
        await running.ended(started.id)
        assert await running.output(started.id) == "painter-1"
        (fact,) = [fact for fact in running.log() if fact.type == facts.AGENT_HANDOFF]
        assert fact.data["reason"] == "the next step is paint"

        def intents() -> int:
            return len(running.stores.coordination.inline.execute(queries.INTENTS).fetchall())

        await until(lambda: intents() == 0)
        with trio.fail_after(20):
            while True:
                issue = await running.ask("tracker", GetIssue(issue_id=started.beads_issue_id))
                texts = [comment["text"] for comment in issue.row.get("comments", ())]
                if texts and issue.status == "closed":
                    break
                await trio.sleep(0.002)
        assert texts[0] == "Handoff from digger-1 to painter-1\n\nthe next step is paint"


async def test_the_step_waits_without_holding_an_agent_when_all_of_its_type_are_busy(
    repo: Path,
) -> None:
    Painter.gate = trio.Event()
    async with system(repo, agents=[Digger, Painter]) as running:
        first = await running.start("digs_and_paints")
        await until(lambda: began == ["digger-1", "painter-1"])
        second = await running.start("digs_and_paints")
        await until(lambda: handoffs(running)[1:] == [("digger-1", None)])
        assert (await running.get(second.id)).agent_id is None
        assert (await running.start("digs_and_paints")).agent_id == "digger-1"
        Painter.gate.set()
        await running.ended(first.id, second.id)
        assert history(running, second.id)[-1] == ("painter-1", "completed", 2, "digger-1")


async def test_workflows_that_want_each_other_s_agents_do_not_wait_for_ever(repo: Path) -> None:
    async with system(repo, agents=[Digger, Painter]) as running:
        started = [await running.start("back_and_forth") for _ in range(6)]
        ended = await running.ended(*(record.id for record in started))
        assert {record.status for record in ended} == {"completed"}


async def test_steps_of_several_types_at_once_leave_the_workflow_where_it_is(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("at_once")
        await running.ended(started.id)
        assert handoffs(running) == []


async def test_a_workflow_that_declares_its_types_is_handed_to_no_other(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("stays")
        await running.ended(started.id)
        assert await running.output(started.id) == ["digger-1", "painter-1"]
        assert handoffs(running) == []


async def test_a_workflow_without_a_type_of_agent_is_handed_to_nobody(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("nobodys")
        await running.ended(started.id)
        assert history(running, started.id) == []


async def test_a_step_that_nobody_does_leaves_the_workflow_where_it_is(repo: Path) -> None:
    async with system(repo, agents=[Digger]) as running:
        started = await running.start("digs_and_paints")
        await until(lambda: began == ["digger-1"])
        await until(lambda: facts.STEP_SCHEDULED in [f.type for f in running.log()][-1:])
        assert (await running.get(started.id)).agent_id == "digger-1"


async def test_a_coordinator_that_dies_while_it_hands_on_does_so_once(repo: Path) -> None:
    Painter.gate = trio.Event()
    async with system(repo) as running:
        started = await running.start("digs_and_paints")
        await until(lambda: began == ["digger-1", "painter-1"])
        await crash(running, "root/agents/coordinator", AgentUp(agent_id="no", incarnation=1))
        Painter.gate.set()
        await running.ended(started.id)
        assert handoffs(running) == [("digger-1", "painter-1")]


async def test_a_step_whose_workflow_cannot_be_handed_on_is_done_without(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    async def refuse(*args: Any, **kwargs: Any) -> Any:
        raise Conflict("not now")

    monkeypatch.setattr(Moving, "move", refuse)
    async with system(repo) as running:
        started = await running.start("digs_and_paints")
        await running.ended(started.id)
        assert await running.output(started.id) == ["digger-1", "painter-1"]


async def test_a_workflow_that_was_given_away_by_hand_is_handed_on_from_there(repo: Path) -> None:
    Digger.gate = trio.Event()
    async with system(repo) as running:
        started = await running.start("digs_and_paints")
        await until(lambda: began == ["digger-1"])
        await running.ask("manager", AssignWorkflow(workflow_id=started.id, agent_id="digger-2"))
        Digger.gate.set()
        await running.ended(started.id)
        assert handoffs(running) == [("digger-2", "painter-1")]


async def test_of_what_is_told_of_these_handoffs_only_the_newest_waits(repo: Path) -> None:
    Digger.gate = trio.Event()
    async with system(repo) as running:
        started = await running.start("takes_none")
        by_hand = HandOff(workflow_id=started.id, from_agent="digger-1", to_agent="digger-2")
        await running.ask("manager", by_hand)
        Digger.gate.set()
        sql = "SELECT count(*) FROM history WHERE workflow_id = ? AND kind = 'workflow_signaled'"
        rows = running.stores.tempolite.inline
        await until(lambda: rows.execute(sql, (started.id,)).fetchone()[0] == 6)
        assert len(handoffs(running)) == 6
        waiting = [(said["step_number"], said["to_type"]) for said in signals(running)]
        assert waiting == [(2, "digger"), (7, "painter")]
