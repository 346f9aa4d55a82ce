"""Workflows that break off: their actors, the writer, the process. Every one comes back."""

import sqlite3
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.errors import NotFound
from actors.facts import (
    STEP_COMPLETED,
    WORKFLOW_DEAD_LETTERED,
    WORKFLOW_RESUMED,
    WORKFLOW_STALLED,
)
from actors.issues.messages import GetIssue
from actors.workflows import store
from actors.workflows import workflow as workflow_room
from actors.workflows.dispatcher import RECOVERY_LIMIT, workflow_name
from actors.workflows.history import Kind, NewEvent
from actors.workflows.messages import (
    AppendHistory,
    BeginLife,
    DescribeWorkflow,
    Launch,
    TrySuspects,
)
from actors.writer import Poison, persist, write
from beadflow import Context, activity, workflow
from storage import payload
from storage.workflows import queries
from supervision import ActorDeadError, Named, UnexpectedMessage, ask
from tests.support.faults import crash_the_bus, restarts, until
from tests.support.world import Running, running_system

done: Counter[str] = Counter()
crashes_left: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    done.clear()
    crashes_left.clear()


@activity
async def step(name: str) -> str:
    done[name] += 1
    return name.upper()


@pytest.fixture(autouse=True)
def _crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a workflow's actor crash when it is about to write the result of some steps."""

    async def persist_or_crash(writer: Named, command: Any) -> Any:
        events = command.events if isinstance(command, AppendHistory) else ()
        written = {decoded for event in events if (decoded := result_of(event))}
        for name in written & crashes_left.keys():
            if crashes_left[name] > 0:
                crashes_left[name] -= 1
                raise OSError(f"the result of {name} could not be written")
        return await persist(writer, command)

    monkeypatch.setattr(workflow_room, "persist", persist_or_crash)


def result_of(event: NewEvent) -> str:
    """The name of the step whose result an event holds, "" for another event."""
    found = payload.decode(event.payload) or {}
    result = found.get("result") if event.kind is Kind.ACTIVITY_COMPLETED else None
    return result.lower() if isinstance(result, str) else ""


@workflow
async def three_steps(ctx: Context) -> list[str]:
    chosen = await ctx.side_effect(done.total)
    names = [await ctx.activity(step, name) for name in ("a", "b", "c")]
    return [*names, str(chosen)]


@workflow
async def branches(ctx: Context) -> list[Any]:
    async def two(name: str) -> list[str]:
        return [await ctx.activity(step, f"{name}{number}") for number in (1, 2)]

    return list(await ctx.gather(*(two(name) for name in "pqr")))


def path(workflow_id: str) -> str:
    return f"root/engine/workflow_instances/{workflow_id}"


async def test_a_workflow_whose_actor_crashes_goes_on_where_it_was(repo: Path) -> None:
    crashes_left["b"] = 2
    async with running_system(repo, workflows=[three_steps]) as running:
        started = await running.start("three_steps")
        (ended,) = await running.ended(started.id)
        assert ended.status == "completed"
        assert await running.output(started.id) == ["A", "B", "C", "0"]
        assert restarts(running, path(started.id)) == 2
    assert done == {"a": 1, "b": 3, "c": 1}


async def test_a_step_whose_result_was_on_its_way_when_the_actor_crashed_is_not_done_again(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a simulation: the next actor read the history before that result was in it."""
    disk, crashed = threading.Event(), []

    async def send_and_crash(writer: Named, command: Any) -> None:
        if not crashed and isinstance(command, AppendHistory) and result_of(command.events[-1]):
            crashed.append(command)
            writer.tell(command)
            raise OSError("died before there was an answer")
        await persist(writer, command)

    def append_slowly(connection: sqlite3.Connection, command: AppendHistory) -> None:
        if crashed:
            disk.wait(10)
        store.append_history(connection, command)

    monkeypatch.setattr(workflow_room, "persist", send_and_crash)
    monkeypatch.setattr(store, "HANDLERS", {**store.HANDLERS, AppendHistory: append_slowly})
    async with running_system(repo, workflows=[three_steps]) as running:
        started = await running.start("three_steps")
        await until(lambda: restarts(running, path(started.id)) == 1)
        await trio.testing.wait_all_tasks_blocked()
        disk.set()
        (ended,) = await running.ended(started.id)
        assert ended.status == "completed"
    assert done == {"a": 1, "b": 1, "c": 1}


async def test_branches_that_were_recorded_are_not_done_again_after_a_crash(repo: Path) -> None:
    crashes_left["q2"] = 1
    async with running_system(repo, workflows=[branches]) as running:
        started = await running.start("branches")
        await running.ended(started.id)
        assert await running.output(started.id) == [["P1", "P2"], ["Q1", "Q2"], ["R1", "R2"]]
        steps = [
            fact.data["step"]
            for fact in running.log()
            if fact.type == STEP_COMPLETED and fact.workflow_id == started.id
        ]
        assert sorted(steps) == [
            f"1.{branch}.{number}" for branch in (0, 1, 2) for number in (1, 2)
        ]
    assert done["q2"] == 2
    assert done["q1"] == 1


async def test_a_workflow_over_its_budget_is_a_dead_letter_and_its_issue_blocked(
    repo: Path,
) -> None:
    crashes_left["b"] = 100
    async with running_system(repo, workflows=[three_steps]) as running:
        started = await running.start("three_steps")
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("dead_letter", "dead_letter")
        assert done["b"] == 4  # the budget of three restarts
        while True:
            issue = await running.ask("tracker", GetIssue(issue_id=started.beads_issue_id))
            if issue.status == "blocked":
                break
            await trio.sleep(0.005)
        assert issue.row["comments"][0]["text"].startswith("dead_letter: ")
        crashes_left.clear()
        other = await running.start("three_steps")
        (fine,) = await running.ended(other.id)
        assert fine.status == "completed"


async def test_a_dead_letter_is_not_taken_up_at_the_next_start(repo: Path) -> None:
    crashes_left["b"] = 100
    async with running_system(repo, workflows=[three_steps]) as running:
        started = await running.start("three_steps")
        await running.ended(started.id)
    crashes_left.clear()
    done.clear()
    async with running_system(repo, workflows=[three_steps]) as running:
        await running.ended((await running.start("three_steps")).id)
        assert (await running.get(started.id)).status == "dead_letter"
    assert done == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("writer", ["tempolite_writer", "coordination_writer", "beads_writer"])
async def test_a_writer_that_dies_in_the_middle_costs_no_step(repo: Path, writer: str) -> None:
    gate = trio.Event()

    @activity
    async def wait() -> None:
        await gate.wait()

    @workflow
    async def interrupted(ctx: Context) -> str:
        first = await ctx.activity(step, "a")
        await ctx.activity(wait)
        return first + await ctx.activity(step, "b")

    async with running_system(repo, workflows=[interrupted]) as running:
        started = await running.start("interrupted")
        await running.until(lambda seen: any(f.type == STEP_COMPLETED for f in seen))
        with pytest.raises(ActorDeadError):
            await running.ask(writer, Poison())
        gate.set()
        (ended,) = await running.ended(started.id)
        assert ended.status == "completed"
        await until(lambda: restarts(running, f"root/stores/{writer}") == 1)
    assert done == {"a": 1, "b": 1}


async def test_a_bus_that_crashes_while_workflows_run_leaves_no_gap_and_no_double(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=[three_steps, branches]) as running:
        started = [await running.start(kind) for kind in ("three_steps", "branches") * 3]
        await crash_the_bus(running)
        ended = await running.ended(*(workflow.id for workflow in started))
        assert {workflow.status for workflow in ended} == {"completed"}
        log = running.log()
        assert [fact.seq for fact in log] == list(range(1, len(log) + 1))
        steps = Counter(
            (fact.workflow_id, fact.data["step"]) for fact in log if fact.type == STEP_COMPLETED
        )
        assert set(steps.values()) == {1}
        assert len(steps) == 3 * 3 + 3 * 6


async def test_a_launch_told_twice_is_one_actor(repo: Path) -> None:
    async with running_system(repo, workflows=[three_steps]) as running:
        started = await running.start("three_steps")
        for _ in range(3):
            running.system.named("dispatcher").tell(Launch(workflow_id=started.id))
        await running.ended(started.id)
        running.system.named("dispatcher").tell(Launch(workflow_id=started.id))
        running.system.named("dispatcher").tell(Launch(workflow_id="nothing-1"))
        another = await running.start("three_steps")
        await running.ended(another.id)
    assert done == {"a": 2, "b": 2, "c": 2}


async def test_a_live_workflow_says_what_it_waits_for(repo: Path) -> None:
    @activity
    async def wait() -> None:
        await trio.sleep_forever()

    @workflow
    async def waits(ctx: Context) -> None:
        await ctx.activity(step, "a")
        await ctx.activity(wait)

    async with running_system(repo, workflows=[waits]) as running:
        started = await running.start("waits")
        await running.until(lambda seen: any(f.type == STEP_COMPLETED for f in seen))
        name = workflow_name(started.id)
        view = await running.ask(name, DescribeWorkflow(workflow_id=started.id))
        assert view.waiting_for == ("2 wait",)
        assert (view.workflow_id, view.events) == (started.id, 2)
        message: Any = "hello"
        with pytest.raises(UnexpectedMessage):
            await running.ask(name, message)


async def test_an_exception_of_the_function_fails_the_workflow_and_restarts_nothing(
    repo: Path,
) -> None:
    @workflow
    async def breaks(ctx: Context) -> None:
        raise KeyError("a\udcffb")

    async with running_system(repo, workflows=[breaks]) as running:
        started = await running.start("breaks")
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("failed", "KeyError")
        assert restarts(running, path(started.id)) == 0


@activity
async def leave() -> None:
    sys.exit("the whole process, it thinks")


@workflow
async def leaves(ctx: Context, variables: dict[str, Any]) -> Any:
    match variables["how"]:
        case "activity":
            await ctx.activity(leave)
        case "branch":
            await ctx.gather(ctx.activity(leave), ctx.activity(leave))
        case "function":
            sys.exit("out of the function")
        case "nursery":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.lowlevel.checkpoint)
                sys.exit("out of a nursery")


@pytest.mark.parametrize("how", ["activity", "branch", "function", "nursery"])
async def test_who_leaves_the_process_only_fails(repo: Path, how: str) -> None:
    async with running_system(repo, workflows=[leaves]) as running:
        started = await running.start("leaves", variables={"how": how})
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("failed", "SystemExit")
        assert restarts(running, path(started.id)) == 0


async def test_code_that_fails_before_it_asked_for_what_is_recorded_stalls(repo: Path) -> None:
    def version(*, broken: bool) -> object:
        @activity(name="hold")
        async def hold() -> None:
            if not done["go on"]:
                await trio.sleep_forever()

        @workflow(name="mended")
        async def mended(ctx: Context) -> None:
            if broken:
                raise KeyError("a slip")
            await ctx.activity(step, "a")
            await ctx.activity(hold)

        return mended

    async with running_system(repo, workflows=[version(broken=False)]) as running:
        started = await running.start("mended")
        await running.until(lambda seen: any(f.type == STEP_COMPLETED for f in seen))
    async with running_system(repo, workflows=[version(broken=True)]) as running:
        await running.until(lambda seen: any(f.type == WORKFLOW_STALLED for f in seen))
        assert "KeyError: 'a slip'" in str((await running.get(started.id)).error_message)
    done["go on"] = 1
    async with running_system(repo, workflows=[version(broken=False)]) as running:
        (ended,) = await running.ended(started.id)
        assert (ended.status, done["a"]) == ("completed", 1)


async def test_a_divergence_inside_a_nursery_of_the_workflows_own_stalls_it(repo: Path) -> None:
    def version(name: str) -> object:
        @workflow(name="nested")
        async def nested(ctx: Context) -> None:
            async with trio.open_nursery():
                if name == "old":
                    await ctx.activity(step, "a")
                else:
                    await ctx.side_effect(lambda: 1)
            await ctx.activity(hold)

        return nested

    @activity
    async def hold() -> None:
        await trio.sleep_forever()

    async with running_system(repo, workflows=[version("old")]) as running:
        started = await running.start("nested")
        await running.until(lambda seen: any(f.type == STEP_COMPLETED for f in seen))
    async with running_system(repo, workflows=[version("new")]) as running:
        await running.until(lambda seen: any(f.type == WORKFLOW_STALLED for f in seen))
        stalled = await running.get(started.id)
        assert (stalled.status, stalled.error_code) == ("stalled", "non_determinism")


async def test_a_workflow_that_goes_on_and_stalls_again_is_seen_to_stall_again(
    repo: Path,
) -> None:
    def version(*names: str) -> object:
        @activity(name="other")
        async def other() -> None:
            await trio.lowlevel.checkpoint()

        @activity(name="hold")
        async def hold() -> None:
            await trio.sleep_forever()

        @workflow(name="changing")
        async def changing(ctx: Context) -> None:
            known = {"step": (step, "a"), "other": (other, None), "hold": (hold, None)}
            for name in names:
                await ctx.activity(*known[name])

        return changing

    def kinds(seen: Any) -> list[str]:
        return [f.type for f in seen if f.type in (WORKFLOW_STALLED, WORKFLOW_RESUMED)]

    async with running_system(repo, workflows=[version("step", "hold")]) as running:
        started = await running.start("changing")
        await running.until(lambda seen: any(f.type == STEP_COMPLETED for f in seen))
    async with running_system(repo, workflows=[version("other")]) as running:
        await running.until(lambda seen: kinds(seen) == [WORKFLOW_STALLED])
    async with running_system(repo, workflows=[version("step", "hold")]) as running:
        await running.until(lambda seen: kinds(seen) == [WORKFLOW_STALLED, WORKFLOW_RESUMED])
    async with running_system(repo, workflows=[version("other")]) as running:
        await running.until(lambda seen: len(kinds(seen)) == 3)
        assert (await running.get(started.id)).status == "stalled"


async def test_a_stalled_workflow_that_stalls_again_is_no_news(repo: Path) -> None:
    def version(name: str) -> object:
        @activity(name=name)
        async def only() -> None:
            await trio.lowlevel.checkpoint()

        @activity(name="hold")
        async def hold() -> None:
            await trio.sleep_forever()

        @workflow(name="changing")
        async def changing(ctx: Context) -> None:
            await ctx.activity(only)
            await ctx.activity(hold)

        return changing

    async with running_system(repo, workflows=[version("old")]) as running:
        await running.start("changing")
        await running.until(lambda seen: any(f.type == STEP_COMPLETED for f in seen))
    for _ in range(2):
        async with running_system(repo, workflows=[version("new"), three_steps]) as running:
            await running.until(lambda seen: any(f.type == WORKFLOW_STALLED for f in seen))
            await running.ended((await running.start("three_steps")).id)
            stalls = [f for f in running.log() if f.type == WORKFLOW_STALLED]
            assert len(stalls) == 1


async def test_a_workflow_whose_code_is_gone_stalls_and_goes_on_when_it_is_back(
    repo: Path,
) -> None:
    @activity
    async def hold() -> None:
        await trio.sleep_forever()

    @workflow(name="leaving")
    async def leaving(ctx: Context) -> None:
        await ctx.activity(hold)

    @workflow(name="leaving")
    async def back(ctx: Context) -> str:
        return await ctx.side_effect(lambda: "back")

    async with running_system(repo, workflows=[leaving]) as running:
        started = await running.start("leaving")
    async with running_system(repo, workflows=[]) as running:
        await running.until(lambda seen: any(f.type == WORKFLOW_STALLED for f in seen))
        assert (await running.get(started.id)).error_code == "definition_changed"
    async with running_system(repo, workflows=[back]) as running:
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("completed", None)


async def test_a_long_history_is_read_off_the_trio_thread_and_replays_the_same(
    repo: Path,
) -> None:
    @activity
    async def hold() -> None:
        await trio.sleep_forever()

    def version(*, last: bool) -> object:
        @workflow(name="long")
        async def long(ctx: Context) -> int:
            total = 0
            for number in range(150):
                total += await ctx.side_effect(lambda number=number: number)
            if last:
                return total
            await ctx.activity(hold)
            return 0

        return long

    async with running_system(repo, workflows=[version(last=False)]) as running:
        started = await running.start("long")
        reader = running.stores.tempolite.inline
        await until(lambda: queries.last_seq(reader, started.id) == 151)
    async with running_system(repo, workflows=[version(last=True)]) as running:
        await running.ended(started.id)
        assert await running.output(started.id) == sum(range(150))


async def test_a_workflow_that_was_live_in_too_many_bad_ends_is_not_started_again(
    repo: Path,
) -> None:
    runs: list[int] = []

    @activity
    async def hold() -> None:
        runs.append(1)
        await trio.sleep_forever()

    @workflow
    async def deadly(ctx: Context) -> None:
        await ctx.activity(hold)

    async def bad_ends(running: Running, count: int) -> None:
        """What is stored when the process was killed that often while the workflow was live."""
        for number in range(count):
            begin = BeginLife(incarnation=f"killed-{number}", recovery_limit=RECOVERY_LIMIT, at="t")
            await write(running.system.named("tempolite_writer"), begin)
            tried = TrySuspects(workflow_ids=(started.id,))
            await write(running.system.named("tempolite_writer"), tried)

    async with running_system(repo, workflows=[deadly]) as running:
        started = await running.start("deadly")
        await until(lambda: len(runs) == 1)
        await bad_ends(running, RECOVERY_LIMIT)
    async with running_system(repo, workflows=[deadly]) as running:
        await running.until(lambda seen: any(f.type == WORKFLOW_DEAD_LETTERED for f in seen))
        assert (await running.get(started.id)).status == "dead_letter"
        name = running.system.named(workflow_name(started.id))
        with pytest.raises((ActorDeadError, NotFound)):
            await ask(name, DescribeWorkflow(workflow_id=started.id))
    assert len(runs) == 1
