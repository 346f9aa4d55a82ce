"""Steps whose outcome nobody wants any more, and what an attempt leaves to the next one."""

import contextlib
import queue
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.agents import coordinator as coordinator_room
from actors.agents import handout as handout_room
from actors.agents.messages import AgentUp, ListAgents, TaskDone, TaskOrder, TaskWithdrawn
from actors.clock import rfc3339
from actors.workflows.messages import (
    Launch,
    RecordHeartbeat,
    RequestCancel,
    StartTask,
    TerminateInstance,
)
from actors.writer import persist
from beadflow import ActivityError, Agent, Context, RetryPolicy, Task, activity, workflow
from storage import payload
from storage.workflows import queries
from supervision import Named
from tests.simulation.time import now
from tests.support.faults import crash, restarts, tell_when_up, until
from tests.support.world import Running, running_system

AGENT = "root/agents/agent_instances/climber-1"
COORDINATOR = "root/agents/coordinator"
heard: list[Any] = []


class Crash:
    """What an agent of these tests cannot bear."""


class Climber(Agent):
    agent_type = "climber"
    max_workload = 1
    go: "queue.Queue[str]" = queue.Queue()

    async def on_receive(self, message: object) -> object:
        match message:
            case Crash():
                raise RuntimeError("as told")
        return await super().on_receive(message)

    @activity
    async def hang(self, task: Task) -> None:
        heard.append("hangs")
        try:
            await trio.sleep_forever()
        finally:
            heard.append("cleans up")

    @activity
    def hang_in_a_thread(self, task: Task) -> None:
        heard.append("hangs")
        assert self.go.get(timeout=10) == "look"
        heard.append(f"is cancelled: {task.is_cancelled}")

    @activity
    async def rest(self, task: Task) -> None:
        heard.append("rests")

    @activity
    async def climb(self, task: Task, how: str) -> Any:
        """Come to a height, then end somehow."""
        height = task.heartbeat_details or 0
        heard.append((task.attempt, height))
        if height == 3:
            return height
        task.heartbeat(height)
        task.heartbeat(height + 1)
        if how == "fail":
            raise OSError("a rock")
        return await trio.sleep_forever()


@workflow(name="hang", agent_type="climber")
async def hanging(ctx: Context) -> None:
    await ctx.activity(Climber.hang)


@workflow(name="race")
async def racing(ctx: Context) -> Any:
    index, _ = await ctx.first(ctx.activity("hang", agent="climber"), ctx.sleep(2.0))
    await ctx.activity("rest", agent="climber")
    return index


@workflow(name="visit")
async def visiting(ctx: Context) -> None:
    await ctx.activity("climb", "hang", agent="climber", timeout_s=5.0)


@workflow(name="thread")
async def threading(ctx: Context) -> None:
    await ctx.activity("hang_in_a_thread", agent="climber")


@workflow(name="rest", agent_type="climber")
async def resting(ctx: Context) -> None:
    await ctx.activity(Climber.rest)


@workflow(name="climb")
async def climbing(ctx: Context, variables: dict[str, str]) -> Any:
    return await ctx.activity(
        "climb",
        variables["how"],
        agent="climber",
        retry=RetryPolicy(attempts=0, initial_s=1.0, coefficient=1.0),
        heartbeat_timeout_s=60.0 if variables["how"] == "hang" else 4.0,
    )


@workflow(name="climb_and_hang")
async def climbing_and_hanging(ctx: Context) -> Any:
    with contextlib.suppress(ActivityError):
        await ctx.activity("climb", "hang", agent="climber", timeout_s=2.0)
    await ctx.activity("hang", agent="climber")


WORKFLOWS = [hanging, racing, visiting, threading, resting, climbing, climbing_and_hanging]


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    heard.clear()
    Climber.go = queue.Queue()


def system(repo: Path) -> Any:
    return running_system(repo, workflows=WORKFLOWS, agents=[Climber], inline=True, clock=now)


async def begin(running: Running, name: str, **variables: str) -> str:
    started = await running.start(name, variables=variables)
    await until(lambda: bool(heard))
    return started.id


async def cancel(running: Running, workflow_id: str) -> None:
    command = RequestCancel(workflow_id=workflow_id, reason="enough", at=rfc3339(now()))
    await running.ask("tempolite_writer", command)
    await look(running, workflow_id)


async def terminate(running: Running, workflow_id: str) -> None:
    command = TerminateInstance(workflow_id=workflow_id, reason="enough", at=rfc3339(now()))
    await running.ask("tempolite_writer", command)
    await look(running, workflow_id)


async def look(running: Running, workflow_id: str) -> None:
    running.system.named("dispatcher").tell(Launch(workflow_id=workflow_id))


async def workload(running: Running) -> tuple[int, tuple[str, ...]]:
    (agent,) = await running.ask("coordinator", ListAgents())
    return agent.workload, agent.running


def state(running: Running, workflow_id: str) -> str | None:
    row = queries.task(running.stores.tempolite.inline, workflow_id, "1")
    return None if row is None else row.state


def deaf(patch: pytest.MonkeyPatch, *kinds: type) -> Callable[[], None]:
    """Have the coordinator hear nothing of some kinds until the answer is called."""
    original = coordinator_room.AgentCoordinator.on_receive
    is_deaf = [True]

    async def hear(self: Any, message: object) -> object:
        if is_deaf[0] and isinstance(message, kinds):
            return None
        return await original(self, message)

    def listen() -> None:
        is_deaf[0] = False

    patch.setattr(coordinator_room.AgentCoordinator, "on_receive", hear)
    return listen


# --- cancellation


@pytest.mark.parametrize("end", [cancel, terminate])
async def test_the_step_of_a_workflow_that_is_ended_is_cancelled_and_its_agent_has_room(
    repo: Path, autojump_clock: MockClock, end: Callable[..., Any]
) -> None:
    async with system(repo) as running:
        started = await begin(running, "hang")
        waiting = await running.start("rest")
        assert waiting.status == "queued"
        await end(running, started)
        await running.ended(started, waiting.id)
        assert heard == ["hangs", "cleans up", "rests"]


async def test_the_step_that_has_lost_a_race_is_cancelled_and_its_agent_has_room(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        started = await begin(running, "race")
        (ended,) = await running.ended(started)
        assert ended.status == "completed"
        assert heard == ["hangs", "cleans up", "rests"]


async def test_a_thread_that_nobody_waits_for_is_told_and_its_outcome_refused(repo: Path) -> None:
    async with running_system(repo, workflows=WORKFLOWS, agents=[Climber]) as running:
        started = await begin(running, "thread")
        await cancel(running, started)
        (ended,) = await running.ended(started)
        assert ended.status == "cancelled"
        with trio.fail_after(10):
            while await workload(running) != (0, ()):
                await trio.sleep(0.002)
        Climber.go.put("look")
        await until(lambda: len(heard) == 2)
        assert heard == ["hangs", "is cancelled: True"]
        row = queries.task(running.stores.tempolite.inline, started, "1")
        assert row is not None
        order = TaskOrder(
            workflow_id=started,
            op="1",
            activity="hang_in_a_thread",
            input=None,
            attempt=1,
            fence=row.fence,
            timeout_s=1.0,
        )
        late = TaskDone(agent_id="climber-1", order=order, result=payload.encode({"result": 1}))
        running.system.named("coordinator").tell(late)
        assert await workload(running) == (0, ())
        assert state(running, started) == "cancelled"


async def test_a_step_that_is_withdrawn_while_it_is_handed_out_is_cancelled_at_once(
    repo: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overtaken(writer: Named, command: Any) -> Any:
        answer = await persist(writer, command)
        if isinstance(command, StartTask):
            workflow_id, at = command.workflow_id, rfc3339(now())
            end = TerminateInstance(workflow_id=workflow_id, reason="enough", at=at)
            await persist(writer, end)
            await trio.sleep(0.5)  # the coordinator hears of it
        return answer

    monkeypatch.setattr(handout_room, "persist", overtaken)
    async with system(repo) as running:
        await begin(running, "hang")
        await until(lambda: heard == ["hangs", "cleans up"])
        assert await workload(running) == (0, ())


async def test_a_word_that_nobody_wants_a_step_is_made_up_for_by_the_event_log(
    repo: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf(monkeypatch, TaskWithdrawn)
    async with system(repo) as running:
        started = await begin(running, "race")
        await running.ended(started)
        assert heard == ["hangs", "cleans up", "rests"]


async def test_all_words_that_nobody_wants_a_step_are_made_up_for_by_the_next_look(
    repo: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf(monkeypatch, TaskWithdrawn, coordinator_room.FactsLogged)
    async with system(repo) as running:
        started = await begin(running, "hang")
        await terminate(running, started)
        await until(lambda: state(running, started) == "cancelled")
        assert heard == ["hangs"]
        await trio.sleep(coordinator_room.LOOK_S)
        assert heard == ["hangs", "cleans up"]


async def test_an_agent_that_outlives_its_coordinator_goes_on_with_nothing_that_nobody_wants(
    repo: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf(monkeypatch, TaskWithdrawn, coordinator_room.FactsLogged)
    async with system(repo) as running:
        started = await begin(running, "hang")
        await terminate(running, started)
        await until(lambda: state(running, started) == "cancelled")
        await crash(running, COORDINATOR, AgentUp(agent_id="nobody", incarnation=1))
        await until(lambda: heard == ["hangs", "cleans up"])
        assert restarts(running, AGENT) == 0


async def test_a_workflow_gets_the_room_that_a_step_of_another_one_has_left(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        await begin(running, "visit")
        waiting = await running.start("rest")
        assert waiting.status == "queued"
        (ended,) = await running.ended(waiting.id)
        assert ended.status == "completed"


# --- heartbeats


def heartbeats(running: Running) -> list[tuple[int, Any]]:
    rows = running.stores.tempolite.inline.execute("SELECT attempt, details FROM heartbeats")
    return [(row["attempt"], payload.decode(row["details"])) for row in rows]


@pytest.mark.parametrize("how", ["fail", "be silent"])
async def test_an_attempt_goes_on_where_the_one_before_said_it_was(
    repo: Path, autojump_clock: MockClock, how: str
) -> None:
    async with system(repo) as running:
        started = await begin(running, "climb", how=how)
        (ended,) = await running.ended(started)
        assert ended.status == "completed"
        assert heard == [(1, 0), (2, 1), (3, 2), (4, 3)]
        assert heartbeats(running) == []


async def test_what_a_step_said_is_forgotten_with_its_end(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        await begin(running, "climb_and_hang")
        await until(lambda: heartbeats(running) == [(1, 1)])
        await until(lambda: "hangs" in heard)
        assert heartbeats(running) == []


async def test_an_attempt_goes_on_where_the_one_was_that_its_agent_took_along(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        await begin(running, "climb", how="hang")
        await trio.sleep(1.5)
        await tell_when_up(running.system.named("agent/climber-1"), Crash())
        await until(lambda: heard == [(1, 0), (2, 1)])


async def test_an_attempt_goes_on_where_the_one_was_that_the_process_took_along(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        started = await begin(running, "climb", how="hang")
        await trio.sleep(1.5)
        assert heartbeats(running) == [(1, 1)]
    async with system(repo) as running:
        await until(lambda: heard == [(1, 0), (2, 1)])
        await trio.sleep(1.5)
        assert heartbeats(running) == [(2, 2)]
        late = RecordHeartbeat(
            workflow_id=started, op="1", attempt=1, details=payload.encode(9), at="t"
        )
        await running.ask("tempolite_writer", late)
        assert heartbeats(running) == [(2, 2)]
        await cancel(running, started)
        await running.ended(started)
        assert heartbeats(running) == []
        await running.ask("tempolite_writer", replace(late, attempt=2))
        assert heartbeats(running) == []
