"""The coordinator on a running system: agents that crash, and a coordinator that does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.agents import coordinator as coordinator_room
from actors.agents import handout as handout_room
from actors.agents.handout import CRASH_ATTEMPTS
from actors.agents.messages import (
    AgentUp,
    ListAgents,
    ReserveAgent,
    TaskDone,
    TaskOrder,
)
from actors.errors import NotFound
from actors.facts import (
    STEP_COMPLETED,
    STEP_FAILED,
    STEP_RETRIED,
    STEP_STARTED,
    WORKFLOW_QUEUED,
    LoggedFact,
)
from actors.workflows import workflow as workflow_room
from actors.workflows.messages import (
    ActivateInstance,
    EndAttempt,
    SetAside,
    StartTask,
    TaskEnded,
)
from actors.writer import persist
from beadflow import ActivityFailure, Agent, Context, RetryPolicy, Task, activity, workflow
from storage import payload
from storage.workflows import queries
from supervision import ChildGaveUp, Named, UnexpectedMessage
from tests.support.faults import crash, restarts, tell_when_up, until
from tests.support.world import Running, running_system

attempts: list[int] = []


class Crash:
    """What an agent of these tests cannot bear."""


class Fragile(Agent):
    agent_type = "fragile"
    max_workload = 2
    gate = trio.Event()

    async def on_receive(self, message: object) -> object:
        match message:
            case Crash():
                raise RuntimeError("as told")
            case _:
                return await super().on_receive(message)

    @activity
    async def work(self, task: Task) -> int:
        attempts.append(task.attempt)
        await self.gate.wait()
        return task.attempt

    @activity
    async def deadly(self, task: Task) -> None:
        attempts.append(task.attempt)
        self.me.tell(Crash())
        await trio.sleep_forever()

    @activity(retry=RetryPolicy(attempts=3, initial_s=0.0))
    async def flaky(self, task: Task, failures: int) -> int:
        attempts.append(task.attempt)
        if task.attempt <= failures:
            raise OSError("not yet: a\udcffb")
        return task.attempt

    @activity
    async def chatty(self, task: Task) -> None:
        task.log("a file called a\udcffb")
        task.progress("odd", float("nan"))


def doing(name: str) -> object:
    @workflow(name=name, agent_type="fragile")
    async def do(ctx: Context, variables: dict[str, Any]) -> Any:
        given = (variables["failures"],) if variables else ()
        return await ctx.activity(getattr(Fragile, name), *given)

    return do


WORKFLOWS = [doing(name) for name in ("work", "deadly", "flaky", "chatty")]
AGENT = "root/agents/agent_instances/fragile-1"
COORDINATOR = "root/agents/coordinator"


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    attempts.clear()
    Fragile.gate = trio.Event()


def system(repo: Path, **more: Any) -> Any:
    return running_system(repo, workflows=WORKFLOWS, agents=[Fragile], **more)


async def crash_agent(running: Running) -> None:
    before = restarts(running, AGENT)
    await tell_when_up(running.system.named("agent/fragile-1"), Crash())
    await until(lambda: restarts(running, AGENT) > before)


async def crash_coordinator(running: Running) -> None:
    await crash(running, COORDINATOR, AgentUp(agent_id="nobody", incarnation=1))


async def workload(running: Running) -> int:
    (agent,) = await running.ask("coordinator", ListAgents())
    return int(agent.workload)


def data_of(seen: Sequence[LoggedFact], kind: str, name: str) -> list[Any]:
    return [fact.data[name] for fact in seen if fact.type == kind]


async def test_a_step_of_an_agent_that_crashed_is_done_again_as_the_next_attempt(
    repo: Path,
) -> None:
    async with system(repo) as running:
        started = await running.start("work")
        await until(lambda: attempts == [1])
        await crash_agent(running)
        await until(lambda: attempts == [1, 2])
        Fragile.gate.set()
        (ended,) = await running.ended(started.id)
        assert (ended.status, await running.output(started.id)) == ("completed", 2)
        await running.until(lambda seen: data_of(seen, STEP_STARTED, "attempt") == [1, 2])


async def test_a_late_result_of_an_attempt_that_was_given_up_is_refused(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("work")
        await until(lambda: attempts == [1])
        await crash_agent(running)
        await until(lambda: attempts == [1, 2])
        late = EndAttempt(
            workflow_id=started.id,
            op="1",
            fence=1,
            state="done",
            outcome=payload.encode({"result": "late"}),
            at="t",
        )
        assert await running.ask("tempolite_writer", late) is False
        running.system.named("coordinator").tell(
            TaskDone(
                agent_id="fragile-1",
                order=TaskOrder(
                    workflow_id=started.id,
                    op="1",
                    activity="work",
                    input=None,
                    attempt=1,
                    fence=1,
                    timeout_s=1.0,
                ),
                result=payload.encode({"result": "late"}),
            )
        )
        assert await workload(running) == 1
        Fragile.gate.set()
        await running.ended(started.id)
        assert await running.output(started.id) == 2


async def test_a_step_that_takes_its_agents_along_fails_and_the_agent_lives_on(
    repo: Path,
) -> None:
    async with system(repo) as running:
        started = await running.start("deadly")
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("failed", "agent_crashed")
        assert attempts == list(range(1, CRASH_ATTEMPTS + 1))
        assert data_of(running.log(), STEP_FAILED, "code") == ["agent_crashed"]
        Fragile.gate.set()
        (fine,) = await running.ended((await running.start("work")).id)
        assert fine.status == "completed"


async def test_an_agent_over_its_budget_is_gone_and_the_others_go_on(repo: Path) -> None:
    class Sturdy(Agent):
        agent_type = "sturdy"

        @activity
        async def lift(self, task: Task) -> str:
            return self.agent_id

    @workflow(agent_type="sturdy")
    async def lifting(ctx: Context) -> Any:
        return await ctx.activity(Sturdy.lift)

    async with running_system(
        repo, workflows=[*WORKFLOWS, lifting], agents=[Fragile, Sturdy]
    ) as running:
        for _ in range(3):
            await crash_agent(running)
        await tell_when_up(running.system.named("agent/fragile-1"), Crash())
        await until(lambda: any(isinstance(event, ChildGaveUp) for event in running.events))
        queued = await running.start("work")
        assert (queued.status, queued.agent_id) == ("queued", None)
        (fine,) = await running.ended((await running.start("lifting")).id)
        assert fine.status == "completed"
        assert restarts(running, COORDINATOR) == 0


async def test_an_agent_that_cannot_start_is_gone_and_takes_nobody_along(repo: Path) -> None:
    class Broken(Agent):
        agent_type = "broken"

        async def initialize(self) -> None:
            raise OSError("no shovel")

    async with running_system(repo, workflows=WORKFLOWS, agents=[Broken, Fragile]) as running:
        Fragile.gate.set()
        (fine,) = await running.ended((await running.start("work")).id)
        assert fine.status == "completed"
        assert restarts(running, COORDINATOR) == 0
        agents = await running.ask("coordinator", ListAgents())
        assert {agent.agent_id: agent.status for agent in agents} == {
            "broken-1": "lost",
            "fragile-1": "active",
        }


async def test_a_coordinator_that_restarts_while_a_step_runs_has_it_done_again(
    repo: Path,
) -> None:
    async with system(repo) as running:
        started = await running.start("work")
        await until(lambda: attempts == [1])
        await crash_coordinator(running)
        await until(lambda: attempts == [1, 2])
        assert restarts(running, AGENT) == 0
        Fragile.gate.set()
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.agent_id) == ("completed", "fragile-1")
        await until_workload(running, 0)


async def until_workload(running: Running, wanted: int) -> None:
    with trio.fail_after(10):
        while await workload(running) != wanted:
            await trio.sleep(0.002)


async def test_a_coordinator_keeps_who_is_reserved_for_what_over_its_restarts(
    repo: Path,
) -> None:
    async with system(repo) as running:
        for _ in range(2):
            await running.start("work")
        await until(lambda: len(attempts) == 2)
        await crash_coordinator(running)
        await until_workload(running, 2)
        waiting = await running.start("work")
        assert waiting.status == "queued"
        Fragile.gate.set()
        (ended,) = await running.ended(waiting.id)
        assert ended.agent_id == "fragile-1"


async def test_an_outcome_that_was_stored_and_not_told_is_told_by_the_next_coordinator(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator died between the commit of an outcome and the word to its workflow."""
    told = trio.Event()
    original = workflow_room.WorkflowActor.on_receive

    async def deaf(self: Any, message: object) -> object:
        if isinstance(message, TaskEnded) and not told.is_set():
            return None
        return await original(self, message)

    monkeypatch.setattr(workflow_room.WorkflowActor, "on_receive", deaf)
    async with system(repo) as running:
        started = await running.start("work")
        await until(lambda: attempts == [1])
        Fragile.gate.set()
        reader = running.stores.tempolite.inline
        await until(lambda: queries.ended_tasks(reader) == [(started.id, "1")])
        await workload(running)
        told.set()
        await crash_coordinator(running)
        (ended,) = await running.ended(started.id)
        assert ended.status == "completed"
    assert attempts == [1]


async def test_a_step_is_tried_as_often_as_its_policy_says(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("flaky", variables={"failures": 2})
        await running.ended(started.id)
        assert await running.output(started.id) == 3
        await running.until(lambda seen: data_of(seen, STEP_RETRIED, "attempt") == [1, 2])


async def test_a_step_that_fails_for_good_says_why_in_words_that_can_be_stored(
    repo: Path,
) -> None:
    async with system(repo) as running:
        started = await running.start("flaky", variables={"failures": 9})
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("failed", "OSError")
        assert r"a\udcffb" in str(ended.error_message)
        assert attempts == [1, 2, 3]
        assert restarts(running, COORDINATOR) == 0


async def test_notes_of_any_words_harm_nobody(repo: Path) -> None:
    async with system(repo) as running:
        (ended,) = await running.ended((await running.start("chatty")).id)
        assert ended.status == "completed"
        await running.until(lambda seen: any(f.type == "log" for f in seen))
        assert restarts(running, "root/event_bus") == 0


async def test_queued_workflows_get_room_in_the_order_they_came(repo: Path) -> None:
    async with system(repo) as running:
        started = [await running.start("work") for _ in range(6)]
        assert [w.agent_id for w in started] == ["fragile-1"] * 2 + [None] * 4
        Fragile.gate.set()
        await running.ended(*(w.id for w in started))
        queued = [f.workflow_id for f in running.log() if f.type == WORKFLOW_QUEUED]
        begun = [f.workflow_id for f in running.log() if f.type == "workflow_started"]
        assert begun[2:] == queued == [w.id for w in started[2:]]
        await until_workload(running, 0)


async def test_a_queued_workflow_runs_although_the_coordinator_died_once_it_was_activated(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a simulation: nobody launched it before the next start of the dispatcher."""
    died = []

    async def die_once(writer: Named, command: Any) -> Any:
        answer = await persist(writer, command)
        if isinstance(command, ActivateInstance) and not died:
            died.append(command.workflow_id)
            raise RuntimeError("the coordinator died before it could tell")
        return answer

    monkeypatch.setattr(coordinator_room, "persist", die_once)
    async with system(repo) as running:
        started = [await running.start("work") for _ in range(3)]
        assert started[-1].status == "queued"
        Fragile.gate.set()
        ended = await running.ended(*(workflow.id for workflow in started))
        assert [workflow.status for workflow in ended] == ["completed"] * 3
        assert restarts(running, COORDINATOR) == 1
    assert died == [started[-1].id]


async def test_a_task_of_a_workflow_that_was_set_aside_is_not_handed_out_again(
    repo: Path,
) -> None:
    async with system(repo) as running:
        started = await running.start("work")
        await until(lambda: attempts == [1])
        await set_aside(running, started.id)
        await running.ended(started.id)
        await crash_agent(running)
        await until_workload(running, 0)
        other = await running.start("flaky", variables={"failures": 0})
        await running.ended(other.id)
    async with system(repo) as running:
        other = await running.start("flaky", variables={"failures": 0})
        await running.ended(other.id)
    assert attempts == [1, 1, 1]  # the one task that hung, and the two that did not


async def set_aside(running: Running, workflow_id: str) -> None:
    """Dead-letter a workflow as its dispatcher does."""
    command = SetAside(workflow_id=workflow_id, reason="m", at="2026-03-01T00:00:00.000000Z")
    await running.ask("tempolite_writer", command)


async def test_a_step_that_was_going_on_when_the_process_ended_is_done_again(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("work")
        await until(lambda: attempts == [1])
    async with system(repo) as running:
        await until(lambda: attempts == [1, 2])
        Fragile.gate.set()
        (ended,) = await running.ended(started.id)
        assert await running.output(started.id) == 2
        assert ended.agent_id == "fragile-1"
        completed = data_of(running.log(), STEP_COMPLETED, "attempts")
        assert completed == [2]


async def test_an_attempt_that_a_former_coordinator_began_is_taken_over(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command was still on its way when the next coordinator had read the task's row."""
    others: list[StartTask] = []

    async def overtaken(writer: Named, command: Any) -> Any:
        if isinstance(command, StartTask) and not others:
            others.append(replace(command, agent_id="fragile-0"))
            await persist(writer, others[0])
        return await persist(writer, command)

    monkeypatch.setattr(handout_room, "persist", overtaken)
    async with system(repo) as running:
        Fragile.gate.set()
        started = await running.start("work")
        await running.ended(started.id)
        assert await running.output(started.id) == 2
    assert attempts == [2]


async def test_an_agent_of_no_configured_type_cannot_be_reserved(repo: Path) -> None:
    async with system(repo) as running:
        with pytest.raises(NotFound, match="known: fragile"):
            await running.ask("coordinator", ReserveAgent(workflow_id="w", agent_type="x"))
        with pytest.raises(UnexpectedMessage):
            await running.ask("coordinator", "hello")


async def test_a_failure_an_activity_understands_keeps_its_code_through_an_agent(
    repo: Path,
) -> None:
    class Clear(Agent):
        agent_type = "clear"

        @activity(retry=RetryPolicy(attempts=5, non_retryable=("rock",)))
        async def dig(self, task: Task) -> None:
            attempts.append(task.attempt)
            raise ActivityFailure("rock", "too hard")

    @workflow(agent_type="clear")
    async def digging(ctx: Context) -> None:
        await ctx.activity(Clear.dig)

    async with running_system(repo, workflows=[digging], agents=[Clear]) as running:
        (ended,) = await running.ended((await running.start("digging")).id)
        assert (ended.error_code, attempts) == ("rock", [1])
