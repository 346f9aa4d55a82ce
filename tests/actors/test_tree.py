"""The whole tree: its order, and what it bears without going down."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import actors.writer
from actors.agents.messages import AssignQueued
from actors.coordination import store as coordination_store
from actors.coordination.messages import LogFacts, RecordStart
from actors.facts import STEP_COMPLETED
from actors.issues import store as issues_store
from actors.issues.messages import ApplyChanges, CreateIssue
from actors.workflows import store as workflows_store
from actors.workflows.messages import (
    ActivateInstance,
    AppendHistory,
    BeginLife,
    CreateInstance,
    EndAttempt,
    StartTask,
)
from actors.writer import DatabaseWriter
from beadflow import Agent, Context, Task, activity, workflow
from storage.issues import queries as issues
from supervision import Actor, ActorStarted, ChildSpec, Delivery
from tests.support.faults import restarts, until
from tests.support.world import Running, running_system

TREE = [
    "root",
    "root/telemetry",
    "root/stores",
    "root/stores/coordination_writer",
    "root/stores/tempolite_writer",
    "root/stores/beads_writer",
    "root/stores/git_worker",
    "root/event_bus",
    "root/intents",
    "root/issues",
    "root/issues/tracker",
    "root/issues/publisher",
    "root/coordination",
    "root/coordination/manager",
    "root/coordination/keeper",
    "root/agents",
    "root/agents/agent_instances",
    "root/agents/coordinator",
    "root/engine",
    "root/engine/workflow_instances",
    "root/engine/dispatcher",
    "root/reconciler",
]


class Helper(Agent):
    agent_type = "helper"
    max_workload = 1

    @activity
    async def help(self, task: Task) -> str:
        return self.agent_id


@activity
async def own() -> int:
    return 1


@workflow(agent_type="helper")
async def flow(ctx: Context) -> dict[str, Any]:
    mine = await ctx.activity(own)
    helped = await ctx.activity(Helper.help)
    return {"mine": mine, "helped": helped, "summary": "done"}


class Door(Actor):
    """Stands where the API does."""


def paths(running: Running) -> list[str]:
    snapshot = running.system.snapshot()
    assert snapshot is not None
    return [info.path for info in snapshot.walk()]


async def test_everybody_stands_where_the_picture_shows_them(repo: Path) -> None:
    async with running_system(repo) as running:
        assert paths(running) == TREE


async def test_everybody_starts_before_whoever_stands_below(repo: Path) -> None:
    async with running_system(repo) as running:
        begun = [event.path for event in running.events if isinstance(event, ActorStarted)]
        parents = {path.rpartition("/")[0] for path in TREE}
        leaves = [path for path in begun if path not in parents]
        assert leaves == [path for path in TREE if path not in parents]


async def test_doors_open_last(repo: Path) -> None:
    def doors(*_: object) -> list[ChildSpec]:
        return [ChildSpec(id="door", build=Door)]

    async with running_system(repo, doors=doors) as running:
        assert paths(running) == [*TREE, "root/doors", "root/doors/door"]


async def test_an_empty_system_comes_up_again_and_again(repo: Path) -> None:
    for _ in range(3):
        async with running_system(repo) as running:
            assert running.log() == []


# --- faults that hit every command once


async def run_through(running: Running) -> None:
    """Two workflows, one of which waits for the agent; and all that must hold of them."""
    started = [await running.start("flow") for _ in range(2)]
    ended = await running.ended(*(workflow.id for workflow in started))
    assert [workflow.status for workflow in ended] == ["completed", "completed"]
    log = running.log()
    assert [fact.seq for fact in log] == list(range(1, len(log) + 1))
    steps = Counter((f.workflow_id, f.data["step"]) for f in log if f.type == STEP_COMPLETED)
    assert steps == {(w.id, step): 1 for w in started for step in ("1", "2")}
    last = max(fact.seq for fact in log if fact.type == "workflow_completed")
    reader = running.stores.beads.inline
    await until(lambda: issues.cursor(reader, "reconciler") >= last)
    lines = [row[0] for row in reader.execute("SELECT line FROM issues")]
    assert len(lines) == 2
    assert all('"close_reason":"Completed"' in line for line in lines)
    assert all(line.count('"text":"done"') == 1 for line in lines)


COMMANDS = [
    RecordStart,
    LogFacts,
    AssignQueued,
    CreateInstance,
    ActivateInstance,
    AppendHistory,
    StartTask,
    EndAttempt,
    BeginLife,
    CreateIssue,
    ApplyChanges,
]


@pytest.mark.parametrize("lost", COMMANDS, ids=lambda kind: kind.__name__)
async def test_an_answer_that_is_lost_after_its_commit_changes_nothing(
    repo: Path, monkeypatch: pytest.MonkeyPatch, lost: type
) -> None:
    """The writer dies between the commit and the answer; the command comes a second time."""
    answer, times = DatabaseWriter._answer, Counter[type]()

    def die_once(self: DatabaseWriter, delivery: Delivery, outcome: object) -> None:
        kind = type(delivery.message)
        times[kind] += 1
        if kind is lost and times[kind] == 1:
            raise OSError("died before it could answer")
        answer(self, delivery, outcome)

    monkeypatch.setattr(DatabaseWriter, "_answer", die_once)
    async with running_system(repo, workflows=[flow], agents=[Helper]) as running:
        await run_through(running)
        writers = ("coordination_writer", "tempolite_writer", "beads_writer")
        assert sum(restarts(running, f"root/stores/{writer}") for writer in writers) == 1
    assert times[lost] > 1


STORES = {
    coordination_store: (LogFacts, AssignQueued),
    workflows_store: (ActivateInstance, AppendHistory, StartTask, EndAttempt),
    issues_store: (ApplyChanges,),
}


async def test_a_disk_that_is_full_for_a_while_is_waited_out(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Counter[type]()

    def refuse_twice(store: ModuleType, kinds: tuple[type, ...]) -> Mapping[type, Any]:
        def handler(kind: type) -> Any:
            def run(conn: Any, command: Any) -> Any:
                if refused[kind] < 2:
                    refused[kind] += 1
                    raise actors.writer.StorageFull("the disk is full")
                return store.HANDLERS_BEFORE[kind](conn, command)

            return run

        return {**store.HANDLERS, **{kind: handler(kind) for kind in kinds}}

    monkeypatch.setattr(actors.writer, "PERSIST_PAUSE_S", 0.001)
    for store, kinds in STORES.items():
        monkeypatch.setattr(store, "HANDLERS_BEFORE", store.HANDLERS, raising=False)
        monkeypatch.setattr(store, "HANDLERS", refuse_twice(store, kinds))
    async with running_system(repo, workflows=[flow], agents=[Helper]) as running:
        await run_through(running)
        assert not any(restarts(running, path) for path in TREE)
    assert set(refused) == {kind for kinds in STORES.values() for kind in kinds}
