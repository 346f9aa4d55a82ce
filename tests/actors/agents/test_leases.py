"""Agents that give no sign of life: what they had goes on, and what they say is late."""

from pathlib import Path
from typing import Any

import pytest
import trio

from actors import facts
from actors.agents import leases as leases_room
from actors.agents.messages import AgentGone, AgentUp, ListAgents, TaskDone, TaskOrder
from actors.coordination import assigning, leasing
from actors.coordination.assignment_messages import MoveAssignment
from actors.coordination.lease_messages import RecordLost, RecordRecovered, RenewLeases
from actors.writer import DatabaseWriter
from beadflow import Agent, Context, Task, activity, workflow
from storage.workflows import queries
from supervision import Delivery
from tests.actors.test_tree import trios_clock
from tests.support.faults import crash
from tests.support.world import Running, running_system

COORDINATOR = "root/agents/coordinator"
began: list[tuple[str, TaskOrder]] = []


class Hang:
    """What an agent of these tests never gets over."""


class Digger(Agent):
    agent_type = "digger"
    max_workload = 2
    gate = trio.Event()

    async def on_receive(self, message: object) -> object:
        match message:
            case Hang():
                await trio.sleep_forever()
            case TaskOrder():
                began.append((self.agent_id, message))
        return await super().on_receive(message)

    @activity
    async def dig(self, task: Task) -> str:
        del task
        await self.gate.wait()
        return self.agent_id


@workflow(name="digs", agent_type="digger")
async def digs(ctx: Context, variables: dict[str, Any]) -> Any:
    del variables
    return await ctx.activity(Digger.dig)


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    began.clear()
    Digger.gate = trio.Event()


def system(repo: Path, agents: int = 2, **more: Any) -> Any:
    given = {"inline": True, "clock": trios_clock, **more}
    return running_system(repo, workflows=[digs], agents=[Digger] * agents, **given)


async def digging(running: Running) -> str:
    before = len(began)
    started = await running.start("digs")
    await becomes(lambda: len(began) > before)
    return started.id


async def becomes(condition: Any) -> None:
    with trio.fail_after(500.0):
        while not condition():
            await trio.sleep(0.5)


async def statuses(running: Running) -> dict[str, str]:
    agents = await running.ask("coordinator", ListAgents())
    return {agent.agent_id: agent.status for agent in agents}


async def become(running: Running, *wanted: str) -> None:
    with trio.fail_after(500.0):
        while tuple((await statuses(running)).values()) != wanted:
            await trio.sleep(0.5)


def hang(running: Running, agent_id: str) -> None:
    running.system.named(f"agent/{agent_id}").tell(Hang())


def history(running: Running, workflow_id: str) -> list[tuple[Any, ...]]:
    sql = (
        "SELECT agent_id, status, step_number, reason FROM agent_assignments"
        " WHERE workflow_id = ? ORDER BY id"
    )
    rows = running.stores.coordination.inline.execute(sql, (workflow_id,))
    return [tuple(row) for row in rows]


def told(running: Running) -> list[str]:
    wanted = (facts.AGENT_LOST, facts.AGENT_RECOVERED)
    return [f"{f.type} {f.data['agent_id']}" for f in running.log() if f.type in wanted]


async def test_what_an_agent_that_hangs_had_goes_on_with_another_one(
    autojump_clock: trio.testing.MockClock, repo: Path
) -> None:
    async with system(repo) as running:
        workflow_id = await digging(running)
        hang(running, "digger-1")
        await becomes(lambda: len(began) == 2)
        assert [agent_id for agent_id, _ in began] == ["digger-1", "digger-2"]
        assert began[1][1].fence > began[0][1].fence
        assert history(running, workflow_id) == [
            ("digger-1", "reassigned", 1, ""),
            ("digger-2", "assigned", 1, "agent digger-1 is lost"),
        ]
        Digger.gate.set()
        await running.ended(workflow_id)
        assert await running.output(workflow_id) == "digger-2"


async def test_an_agent_that_hung_is_started_again_and_takes_new_work(
    autojump_clock: trio.testing.MockClock, repo: Path
) -> None:
    async with system(repo, agents=1) as running:
        first = await digging(running)
        hang(running, "digger-1")
        await becomes(lambda: told(running)[1:] == ["agent_recovered digger-1"])
        await becomes(lambda: len(began) == 2)
        assert history(running, first)[-1][:2] == ("digger-1", "assigned")
        assert await statuses(running) == {"digger-1": "active"}


async def test_agents_that_have_nothing_to_do_keep_their_leases(
    autojump_clock: trio.testing.MockClock, repo: Path
) -> None:
    async with system(repo) as running:
        await trio.sleep(500.0)
        assert await statuses(running) == {"digger-1": "active", "digger-2": "active"}
        rows = running.stores.coordination.inline.execute(
            "SELECT agent_id, status, lease_expires_at FROM agents ORDER BY agent_id"
        ).fetchall()
        soon = trios_clock().isoformat()[:19]
        assert [(row[0], row[1]) for row in rows] == [
            ("digger-1", "active"),
            ("digger-2", "active"),
        ]
        assert all(row[2] > soon for row in rows)


async def test_leases_are_written_at_most_every_ten_seconds_and_all_at_once(
    autojump_clock: trio.testing.MockClock, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[RenewLeases] = []
    renew = leasing.HANDLERS[RenewLeases]

    def count(connection: Any, command: Any) -> Any:
        written.append(command)
        return renew(connection, command)

    monkeypatch.setattr(leasing, "HANDLERS", {**leasing.HANDLERS, RenewLeases: count})
    async with system(repo, agents=5) as running:
        del running
        await trio.sleep(100.0)
    assert 8 <= len(written) <= 11
    assert all(len(command.seen) == 5 for command in written[1:])


async def test_the_late_result_of_an_agent_that_was_given_up_is_refused(
    autojump_clock: trio.testing.MockClock, repo: Path
) -> None:
    async with system(repo) as running:
        workflow_id = await digging(running)
        hang(running, "digger-1")
        await becomes(lambda: len(began) == 2)
        late = TaskDone(agent_id="digger-1", order=began[0][1], result='[1,{"value":"late"}]')
        running.system.named("coordinator").tell(late)
        await trio.sleep(1.0)
        row = queries.task(running.stores.tempolite.inline, workflow_id, "1")
        assert row is not None
        assert (row.state, row.agent_id) == ("running", "digger-2")
        Digger.gate.set()
        await running.ended(workflow_id)
        assert await running.output(workflow_id) == "digger-2"


async def test_the_work_of_an_agent_whose_restarts_are_used_up_goes_on_with_another_one(
    autojump_clock: trio.testing.MockClock,
    repo: Path,
) -> None:
    async with system(repo) as running:
        workflow_id = await digging(running)
        running.system.named("coordinator").tell(AgentGone(agent_id="digger-1", reason="crash"))
        await becomes(lambda: len(began) == 2)
        assert history(running, workflow_id)[-1][0] == "digger-2"
        assert await statuses(running) == {"digger-1": "lost", "digger-2": "active"}
        assert told(running) == ["agent_lost digger-1"]


async def test_work_that_nobody_has_room_for_waits_for_an_agent(
    autojump_clock: trio.testing.MockClock, repo: Path
) -> None:
    async with system(repo) as running:
        started = [await digging(running) for _ in range(4)]
        lost = [w for w in started if history(running, w)[0][0] == "digger-1"]
        running.system.named("coordinator").tell(AgentGone(agent_id="digger-1", reason="crash"))
        await becomes(lambda: [history(running, w)[-1][1] for w in lost] == ["queued"] * 2)
        Digger.gate.set()
        await running.ended(*started)
        assert {history(running, w)[-1][0] for w in lost} == {"digger-2"}


@pytest.mark.parametrize("restart", ["coordinator", "process"])
async def test_what_a_lost_agent_had_is_found_by_whoever_comes_next(
    autojump_clock: trio.testing.MockClock,
    repo: Path,
    restart: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The coordinator ends between writing that the agent is lost and giving its work away."""
    held = trio.Event()
    moving = assigning.HANDLERS[MoveAssignment]

    def refuse(connection: Any, command: Any) -> Any:
        if not held.is_set():
            held.set()
            raise RuntimeError("not now")
        return moving(connection, command)

    monkeypatch.setattr(assigning, "HANDLERS", {**assigning.HANDLERS, MoveAssignment: refuse})
    async with system(repo) as running:
        workflow_id = await digging(running)
        running.system.named("coordinator").tell(AgentGone(agent_id="digger-1", reason="crash"))
        await held.wait()
        if restart == "coordinator":
            await crash(running, COORDINATOR, AgentUp(agent_id="nobody", incarnation=1))
            await becomes(lambda: history(running, workflow_id)[-1][0] == "digger-2")
    async with system(repo) as running:
        Digger.gate.set()
        await running.ended(workflow_id)
        agents = [row[0] for row in history(running, workflow_id)]
        assert agents in (["digger-1", "digger-2"], ["digger-1"])


@pytest.mark.parametrize("lost", [RecordLost, RecordRecovered, RenewLeases, MoveAssignment])
async def test_an_answer_that_is_lost_changes_nothing_of_a_lease(
    autojump_clock: trio.testing.MockClock, repo: Path, monkeypatch: pytest.MonkeyPatch, lost: type
) -> None:
    answer, seen = DatabaseWriter._answer, []

    def die_once(writer: DatabaseWriter, delivery: Delivery, outcome: object) -> None:
        if isinstance(delivery.message, lost):
            seen.append(delivery.message)
            if len(seen) == 1:
                raise OSError("died before it could answer")
        answer(writer, delivery, outcome)

    monkeypatch.setattr(DatabaseWriter, "_answer", die_once)
    async with system(repo) as running:
        workflow_id = await digging(running)
        hang(running, "digger-1")
        await becomes(lambda: len(told(running)) == 2)
        Digger.gate.set()
        await running.ended(workflow_id)
        assert len(history(running, workflow_id)) == 2
        assert told(running) == ["agent_lost digger-1", "agent_recovered digger-1"]
        assert len(seen) >= 2


async def test_time_in_which_nobody_ran_is_no_silence(
    autojump_clock: trio.testing.MockClock, repo: Path
) -> None:
    async with system(repo) as running:
        await digging(running)
        await trio.sleep(20.0)
        autojump_clock.jump(100.0)
        await trio.sleep(leases_room.WATCH_S * 3)
        assert await statuses(running) == {"digger-1": "active", "digger-2": "active"}
