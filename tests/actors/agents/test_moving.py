"""Workflows that go from one agent to another on a running system."""

from pathlib import Path
from typing import Any

import pytest
import trio

from actors import bus, facts
from actors.agents import moving
from actors.agents.messages import AgentUp, ListAgents
from actors.coordination.assignment_messages import (
    BY_HAND,
    HANDOFF,
    LOST,
    AssignmentRecord,
    MoveAssignment,
    MoveWorkflow,
)
from actors.errors import Conflict, NotFound, Overloaded
from actors.writer import DatabaseWriter
from beadflow import Agent, Context, Task, activity, workflow
from storage import payload
from supervision import Delivery
from tests.support.faults import crash, restarts, until
from tests.support.world import Running, running_system

began: list[str] = []


class Digger(Agent):
    agent_type = "digger"
    max_workload = 2
    gate = trio.Event()

    @activity
    async def dig(self, task: Task) -> str:
        del task
        began.append(self.agent_id)
        await self.gate.wait()
        return self.agent_id


class Painter(Agent):
    agent_type = "painter"
    max_workload = 1

    @activity
    async def paint(self, task: Task) -> str:
        del task
        return self.agent_id


@workflow(name="digs", agent_type="digger")
async def digs(ctx: Context, variables: dict[str, Any]) -> Any:
    del variables
    return await ctx.activity(Digger.dig)


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    began.clear()
    Digger.gate = trio.Event()


def system(repo: Path, **more: Any) -> Any:
    agents = more.pop("agents", [Digger, Digger, Painter])
    return running_system(repo, workflows=[digs], agents=agents, **more)


async def digging(running: Running) -> str:
    """A workflow whose step an agent does now."""
    before = len(began)
    started = await running.start("digs")
    await until(lambda: len(began) > before)
    return started.id


def move(workflow_id: str, **more: Any) -> MoveWorkflow:
    given = {"move_id": "m-1", "kind": HANDOFF, "reason": "as asked", **more}
    return MoveWorkflow(workflow_id=workflow_id, **given)


async def moved(running: Running, message: MoveWorkflow) -> AssignmentRecord:
    record: AssignmentRecord = await running.ask("coordinator", message)
    return record


async def workloads(running: Running) -> dict[str, int]:
    agents = await running.ask("coordinator", ListAgents())
    return {agent.agent_id: agent.workload for agent in agents}


def rows(running: Running, sql: str, *given: object) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in running.stores.coordination.inline.execute(sql, given)]


def history(running: Running, workflow_id: str) -> list[tuple[Any, ...]]:
    sql = (
        "SELECT agent_id, status, step_number, handoff_from FROM agent_assignments"
        " WHERE workflow_id = ? ORDER BY id"
    )
    return rows(running, sql, workflow_id)


def of_type(running: Running, kind: str) -> list[dict[str, Any]]:
    return [dict(fact.data) for fact in running.log() if fact.type == kind]


async def test_a_workflow_that_is_handed_on_has_its_next_step_with_the_next_agent(
    repo: Path,
) -> None:
    async with system(repo) as running:
        workflow_id = await digging(running)
        record = await moved(running, move(workflow_id, to_agent="digger-2"))
        assert history(running, workflow_id) == [
            ("digger-1", "completed", 1, None),
            ("digger-2", "assigned", 2, "digger-1"),
        ]
        assert (record.agent_id, record.step_number) == ("digger-2", 2)
        assert record.reason == "as asked"
        (handoff,) = of_type(running, facts.AGENT_HANDOFF)
        assert handoff == {
            "from_agent": "digger-1",
            "to_agent": "digger-2",
            "to_type": "digger",
            "step_number": 2,
            "reason": "as asked",
            "assignment_id": record.id,
        }
        assert of_type(running, facts.AGENT_ASSIGNED)[-1]["agent_id"] == "digger-2"
        Digger.gate.set()
        await running.ended(workflow_id)


async def test_what_an_agent_has_begun_is_its_own_to_end_when_it_hands_on(repo: Path) -> None:
    async with system(repo) as running:
        workflow_id = await digging(running)
        await moved(running, move(workflow_id, to_agent="digger-2"))
        assert await workloads(running) == {"digger-1": 1, "digger-2": 1, "painter-1": 0}
        Digger.gate.set()
        await running.ended(workflow_id)
        assert await running.output(workflow_id) == "digger-1"
        assert began == ["digger-1"]


async def test_what_an_agent_has_begun_is_done_by_who_gets_the_workflow_by_hand(
    repo: Path,
) -> None:
    async with system(repo) as running:
        workflow_id = await digging(running)
        await moved(running, move(workflow_id, kind=BY_HAND, to_agent="digger-2"))
        await until(lambda: began == ["digger-1", "digger-2"])
        assert await workloads(running) == {"digger-1": 0, "digger-2": 1, "painter-1": 0}
        assert history(running, workflow_id) == [
            ("digger-1", "reassigned", 1, None),
            ("digger-2", "assigned", 1, None),
        ]
        Digger.gate.set()
        await running.ended(workflow_id)
        assert await running.output(workflow_id) == "digger-2"


async def test_a_handoff_is_written_with_what_is_handed_over_and_its_intent(repo: Path) -> None:
    async with system(repo) as running:
        workflow_id = await digging(running)
        given = payload.encode({"holes": 3})
        record = await moved(running, move(workflow_id, to_type="painter", payload=given))
        assert rows(
            running, "SELECT step, result_type, agent_id, result_data FROM workflow_results"
        ) == [("handoff", "handoff", "digger-1", given)]
        ((intent_id, kind, text),) = rows(running, "SELECT id, kind, payload FROM intents")
        assert (intent_id, kind) == ("m-1", "handoff")
        assert payload.decode(text)["payload"] == given
        assert payload.decode(text)["assignment_id"] == record.id
        assert record.agent_id == "painter-1"


async def test_the_same_move_twice_is_one(repo: Path) -> None:
    async with system(repo) as running:
        workflow_id = await digging(running)
        message = move(workflow_id, from_agent="digger-1", to_agent="digger-2")
        assert await moved(running, message) == await moved(running, message)
        assert len(history(running, workflow_id)) == 2


async def test_a_workflow_that_nobody_has_room_for_waits_and_is_told_of_when_it_has_an_agent(
    repo: Path,
) -> None:
    async with system(repo) as running:
        first, second = await digging(running), await digging(running)
        await moved(running, move(first, to_type="painter"))
        record = await moved(running, move(second, move_id="m-2", to_type="painter"))
        assert (record.status, record.agent_id) == ("queued", None)
        assert of_type(running, facts.WORKFLOW_QUEUED)[-1]["agent_type"] == "painter"
        await moved(running, move(first, move_id="m-3", to_type="digger"))
        got_it = (facts.AGENT_ASSIGNED, second, "painter-1")
        await running.until(
            lambda seen: any(
                (f.type, f.workflow_id, f.data.get("agent_id")) == got_it for f in seen
            )
        )
        assert history(running, second)[-1] == ("painter-1", "assigned", 2, "digger-2")


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "an agent that is not there": ({"to_agent": "nobody"}, NotFound, "not_found"),
    "a type that is not there": ({"to_type": "nothing"}, NotFound, "not_found"),
    "a type that is not allowed": (
        {"to_agent": "painter-1", "allowed": ("digger",)},
        Conflict,
        "wrong_agent_type",
    ),
    "who does not have it": (
        {"from_agent": "digger-2", "to_agent": "painter-1"},
        Conflict,
        "not_the_holder",
    ),
    "an assignment that is over": (
        {"assignment_id": 99, "to_agent": "painter-1"},
        Conflict,
        "not_the_holder",
    ),
    "a workflow that is not there": (
        {"workflow_id": "w-none", "to_agent": "painter-1"},
        NotFound,
        "not_found",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_a_move_is_refused_for(repo: Path, why: str) -> None:
    given, error, code = REFUSED[why]
    async with system(repo) as running:
        workflow_id = await digging(running)
        with pytest.raises(error) as refused:
            await moved(
                running,
                move(
                    given.get("workflow_id", workflow_id),
                    **{name: value for name, value in given.items() if name != "workflow_id"},
                ),
            )
        assert getattr(refused.value, "code", None) == code
        assert len(history(running, workflow_id)) == 1
        assert await workloads(running) == {"digger-1": 1, "digger-2": 0, "painter-1": 0}


async def test_a_named_agent_without_room_refuses_a_workflow(repo: Path) -> None:
    async with system(repo) as running:
        first, second = await digging(running), await digging(running)
        await moved(running, move(first, to_agent="painter-1"))
        with pytest.raises(Conflict) as refused:
            await moved(running, move(second, move_id="m-2", to_agent="painter-1"))
        assert refused.value.code == "agent_busy"


async def test_a_workflow_that_has_ended_goes_to_nobody(repo: Path) -> None:
    async with system(repo) as running:
        Digger.gate.set()
        workflow_id = await digging(running)
        await running.ended(workflow_id)
        with pytest.raises(Conflict) as refused:
            await moved(running, move(workflow_id, kind=BY_HAND, to_agent="digger-2"))
        assert refused.value.code == "workflow_closed"


async def test_an_answer_to_a_move_that_is_lost_changes_nothing(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, lost = DatabaseWriter._answer, []

    def die_once(writer: DatabaseWriter, delivery: Delivery, outcome: object) -> None:
        if isinstance(delivery.message, MoveAssignment):
            lost.append(delivery.message)
            if len(lost) == 1:
                raise OSError("died before it could answer")
        answer(writer, delivery, outcome)

    monkeypatch.setattr(DatabaseWriter, "_answer", die_once)
    async with system(repo) as running:
        workflow_id = await digging(running)
        await moved(running, move(workflow_id, to_agent="digger-2"))
        assert len(lost) == 2
        assert len(history(running, workflow_id)) == 2
        assert len(of_type(running, facts.AGENT_HANDOFF)) == 1


async def test_a_coordinator_that_comes_back_knows_who_has_what(repo: Path) -> None:
    async with system(repo) as running:
        workflow_id = await digging(running)
        await moved(running, move(workflow_id, kind=BY_HAND, to_agent="digger-2"))
        await crash(running, "root/agents/coordinator", AgentUp(agent_id="no", incarnation=1))
        await until(lambda: restarts(running, "root/agents/coordinator") == 1)
        await until(lambda: began[-1] == "digger-2")
        Digger.gate.set()
        await running.ended(workflow_id)
        assert await running.output(workflow_id) == "digger-2"


@pytest.mark.parametrize("kind", [HANDOFF, BY_HAND, LOST])
async def test_who_has_it_next_is_logged_behind_who_had_it_first(repo: Path, kind: Any) -> None:
    async with system(repo) as running:
        for number in range(5):
            Digger.gate = trio.Event()
            started = await running.start("digs")  # answered before the engine's facts are logged
            message = move(started.id, move_id=f"m-{number}", kind=kind, to_agent="digger-2")
            record = await moved(running, message)
            assert record.agent_id == "digger-2"
            seen = [f for f in running.log() if f.workflow_id == started.id]
            had = [f.data["agent_id"] for f in seen if f.type == facts.AGENT_ASSIGNED]
            assert had == ["digger-1", "digger-2"]
            Digger.gate.set()
            await running.ended(started.id)


async def test_what_cannot_be_logged_now_is_moved_when_it_can(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with system(repo) as running:

        async def never(*args: Any) -> bool:
            del args
            await trio.lowlevel.checkpoint()
            return False

        with monkeypatch.context() as away:
            away.setattr(bus.EventBus, "_log", never)
            away.setattr(moving, "SAID_S", 0.01)
            started = await running.start("digs")
            with pytest.raises(Overloaded):
                await moved(running, move(started.id, to_agent="digger-2"))
            assert history(running, started.id) == [("digger-1", "assigned", 1, None)]
        record = await moved(running, move(started.id, to_agent="digger-2"))
        assert record.agent_id == "digger-2"
