"""How long a step for an agent may take: limits and waits that no restart makes longer."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.agents.messages import AgentUp
from actors.workflows import definition as definition_room
from actors.workflows.messages import GiveUpTask
from beadflow import Agent, Context, RetryPolicy, Task, activity, workflow
from storage import payload
from storage.workflows import queries
from tests.simulation.time import now
from tests.support.faults import crash, restarts, tell_when_up, until
from tests.support.world import Running, running_system

AGENT = "root/agents/agent_instances/digger-1"
COORDINATOR = "root/agents/coordinator"
begun: list[tuple[int, int]] = []
"""(attempt, seconds since the start of the workflow) of every attempt in a test."""

zero = 0.0


class Crash:
    """What an agent of these tests cannot bear."""


class Digger(Agent):
    agent_type = "digger"
    max_workload = 10

    async def on_receive(self, message: object) -> object:
        match message:
            case Crash():
                raise RuntimeError("as told")
        return await super().on_receive(message)

    @activity
    async def dig(self, task: Task, given: dict[str, float]) -> int:
        """Fail a few times, then take some seconds."""
        begun.append((task.attempt, round(trio.current_time() - zero)))
        if task.attempt <= given.get("failures", 0):
            raise OSError("a rock")
        await trio.sleep(given.get("seconds", 0.0))
        return task.attempt


def digging(name: str, **policies: Any) -> object:
    @workflow(name=name)
    async def dig(ctx: Context, variables: dict[str, Any]) -> Any:
        return await ctx.activity("dig", variables, agent="digger", **policies)

    return dig


WORKFLOWS = [
    digging("plain"),
    digging("to_start", schedule_to_start_s=5.0),
    digging("to_close", schedule_to_close_s=5.3),
    digging("to_both", schedule_to_start_s=9.0, schedule_to_close_s=5.3),
    digging(
        "to_close_stubborn",
        schedule_to_close_s=5.3,
        retry=RetryPolicy(attempts=0, initial_s=1.0, coefficient=1.0),
    ),
    digging(
        "to_start_patient",
        schedule_to_start_s=5.0,
        retry=RetryPolicy(attempts=2, initial_s=8.0),
    ),
    digging("patient", retry=RetryPolicy(attempts=2, initial_s=10.0)),
    digging("endless", retry=RetryPolicy(attempts=0, initial_s=0.1, coefficient=1.0)),
    digging("jittery", retry=RetryPolicy(attempts=3, initial_s=4.0, coefficient=1.0, jitter=0.5)),
]


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    begun.clear()


def system(repo: Path, *, agents: list[type[Agent]] | None = None) -> Any:
    chosen = [Digger] if agents is None else agents
    return running_system(repo, workflows=WORKFLOWS, agents=chosen, inline=True, clock=now)


async def begin(running: Running, name: str, **variables: float) -> str:
    global zero  # noqa: PLW0603 - one test at a time
    zero = trio.current_time()
    return (await running.start(name, variables=variables)).id


async def failed(running: Running, workflow_id: str) -> tuple[str | None, int]:
    """(code, seconds since its start) of a workflow that fails."""
    (ended,) = await running.ended(workflow_id)
    assert ended.status == "failed"
    return ended.error_code, round(trio.current_time() - zero)


def row_is(running: Running, workflow_id: str, state: str) -> Callable[[], bool]:
    def is_so() -> bool:
        row = queries.task(running.stores.tempolite.inline, workflow_id, "1")
        return row is not None and row.state == state

    return is_so


async def crash_agent(running: Running) -> None:
    await tell_when_up(running.system.named("agent/digger-1"), Crash())


# --- schedule to start


async def test_a_step_that_no_agent_takes_in_time_fails(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo, agents=[]) as running:
        started = await begin(running, "to_start")
        assert await failed(running, started) == ("schedule_to_start_timeout", 5)
        (found,) = [fact for fact in running.log() if fact.type == "step_failed"]
        assert found.data["attempts"] == 0
        assert "agent_id" not in found.data
        assert "no agent of type 'digger' took 'dig' within 5.0 s" in found.data["message"]


async def test_the_time_to_start_counts_on_while_the_process_is_down(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo, agents=[]) as running:
        started = await begin(running, "to_start")
        await until(row_is(running, started, "ready"))
    await trio.sleep(5.0)
    async with system(repo) as running:
        code, _ = await failed(running, started)
        assert code == "schedule_to_start_timeout"
    assert begun == []


async def test_a_step_that_was_taken_in_time_may_take_longer_than_the_time_to_start(
    repo: Path,
    autojump_clock: MockClock,
) -> None:
    async with system(repo) as running:
        started = await begin(running, "to_start", seconds=8.0)
        (ended,) = await running.ended(started)
        assert ended.status == "completed"


async def test_only_the_first_attempt_has_a_time_to_start(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        started = await begin(running, "to_start_patient", failures=1)
        (ended,) = await running.ended(started)
        assert ended.status == "completed"
    assert begun == [(1, 0), (2, 8)]


async def test_a_step_is_given_up_once_and_not_after_an_agent_took_it(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo, agents=[]) as running:
        started = await begin(running, "plain", seconds=5.0)
        await until(row_is(running, started, "ready"))
        outcome = payload.encode({"code": "late", "message": "m", "attempts": 0})
        late = GiveUpTask(workflow_id=started, op="1", fence=0, outcome=outcome, at="t")
        assert await running.ask("tempolite_writer", late) is True
        assert await running.ask("tempolite_writer", late) is True
    async with system(repo) as running:
        started = await begin(running, "plain", seconds=5.0)
        await until(row_is(running, started, "running"))
        for fence in (0, 1):
            late = GiveUpTask(workflow_id=started, op="1", fence=fence, outcome=outcome, at="t")
            assert await running.ask("tempolite_writer", late) is False


# --- schedule to close


async def test_all_attempts_and_waits_together_end_with_the_time_to_close(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        started = await begin(running, "to_close_stubborn", failures=99)
        assert await failed(running, started) == ("schedule_to_close_timeout", 5)
        (found,) = [fact for fact in running.log() if fact.type == "step_failed"]
        assert found.data["attempts"] == 6
        assert "its attempt 6 failed with OSError: a rock" in found.data["message"]
    assert [attempt for attempt, _ in begun] == [1, 2, 3, 4, 5, 6]


async def test_an_attempt_has_no_more_time_than_is_left_to_close(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        started = await begin(running, "to_close", seconds=60.0)
        assert await failed(running, started) == ("schedule_to_close_timeout", 5)


@pytest.mark.parametrize("name", ["to_close", "to_both"])
async def test_the_time_to_close_counts_while_a_step_waits_for_an_agent(
    repo: Path, autojump_clock: MockClock, name: str
) -> None:
    async with system(repo, agents=[]) as running:
        started = await begin(running, name)
        assert await failed(running, started) == ("schedule_to_close_timeout", 5)


async def test_the_time_to_close_counts_for_a_step_whose_agent_is_gone(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        for crashes in (1, 2, 3):
            await crash_agent(running)
            await until(lambda wanted=crashes: restarts(running, AGENT) == wanted)
        started = await begin(running, "to_close", seconds=60.0)
        await until(row_is(running, started, "running"))
        await crash_agent(running)
        assert await failed(running, started) == ("schedule_to_close_timeout", 5)


async def test_the_time_to_close_counts_on_while_the_process_is_down(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        started = await begin(running, "to_close", seconds=60.0)
        await until(row_is(running, started, "running"))
    await trio.sleep(6.0)
    async with system(repo) as running:
        code, _ = await failed(running, started)
        assert code == "schedule_to_close_timeout"
    assert Counter(attempt for attempt, _ in begun) == {1: 1}


# --- waits between attempts


async def test_a_restart_of_the_coordinator_makes_no_wait_shorter(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        started = await begin(running, "patient", failures=1)
        await until(row_is(running, started, "ready"))
        await trio.sleep(3.0)
        await crash(running, COORDINATOR, AgentUp(agent_id="nobody", incarnation=1))
        await running.ended(started)
    assert begun == [(1, 0), (2, 10)]


@pytest.mark.parametrize(("down_s", "again_at"), [(3.0, 10.0), (20.0, 20.0)])
async def test_a_restart_of_the_process_makes_no_wait_shorter_and_none_longer(
    repo: Path, autojump_clock: MockClock, down_s: float, again_at: float
) -> None:
    async with system(repo) as running:
        started = await begin(running, "patient", failures=1)
        await until(lambda: [attempt for attempt, _ in begun] == [1])
        await until(row_is(running, started, "ready"))
    await trio.sleep(down_s)
    async with system(repo) as running:
        await running.ended(started)
    assert [attempt for attempt, _ in begun] == [1, 2]
    assert begun[1][1] == pytest.approx(again_at, abs=0.5)


async def test_steps_that_wait_to_be_tried_again_stand_in_nobodys_way(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        waiting = await begin(running, "patient", failures=1)
        await until(lambda: len(begun) == 1)
        await until(row_is(running, waiting, "ready"))
        other = await begin(running, "plain")
        await running.ended(other)
        assert row_is(running, waiting, "ready")()


# --- policies


async def test_a_step_with_unlimited_attempts_is_tried_until_it_is_done(
    repo: Path, autojump_clock: MockClock
) -> None:
    async with system(repo) as running:
        started = await begin(running, "endless", failures=30)
        await running.ended(started)
        assert await running.output(started) == 31


async def test_jitter_makes_the_waits_of_a_step_shorter_by_chance(
    repo: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    chances = iter([0.0, 1.0])
    monkeypatch.setattr(definition_room.random, "random", lambda: next(chances))
    async with system(repo) as running:
        started = await begin(running, "jittery", failures=2)
        await running.ended(started)
    assert begun == [(1, 0), (2, 4), (3, 6)]
