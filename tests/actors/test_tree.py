"""The whole tree: its order, and what it bears without going down."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trio
import trio.testing

import actors.writer
from actors.agents.messages import AssignQueued
from actors.agents.registration_messages import (
    DrainAgent,
    RecordAgent,
    RecordConfig,
    RecordDrained,
    RecordGone,
    RecordStatus,
    RegisterAgent,
    UnregisterAgent,
    UpdateAgentConfig,
)
from actors.coordination import assigning
from actors.coordination import store as coordination_store
from actors.coordination.assignment_messages import HandOff, MoveAssignment
from actors.coordination.messages import (
    ApplyUpdate,
    CloseIntent,
    FindAnswer,
    KeepAnswer,
    LogFacts,
    RecordAnswer,
    RecordStart,
    RecordUpdate,
    UpdateWorkflow,
)
from actors.coordination.results.messages import (
    RecordArtifact,
    RecordResult,
    StoreArtifact,
    StoreResult,
)
from actors.errors import KeyReused
from actors.facts import STEP_COMPLETED
from actors.issues import store as issues_store
from actors.issues.issue import new_issue
from actors.issues.messages import ApplyChanges, CreateIssue, IssueId
from actors.issues.publishing.sync_messages import AdoptMerge
from actors.issues.questions import ClaimReady
from actors.issues.verbs import (
    AddDependency,
    Claim,
    CloseIssue,
    CommentIssue,
    DeferIssue,
    DeleteIssue,
    HeartbeatClaim,
    NewIssue,
    ReleaseClaim,
    RemoveDependency,
    ReopenIssue,
    RestoreIssue,
    UpdateIssue,
)
from actors.issues.writing.claims import Claiming, EndLease, RenewLease, TakeLease
from actors.issues.writing.editing import Editing
from actors.issues.writing.edits import BuryIssues, EditIssue, InsertIssue
from actors.workflows import store as workflows_store
from actors.workflows.history import Kind
from actors.workflows.messages import (
    ActivateInstance,
    AddSignal,
    AppendHistory,
    BeginLife,
    CompleteInstance,
    CreateInstance,
    EndAttempt,
    Launch,
    Park,
    PauseInstance,
    QueryWorkflow,
    RecordHeartbeat,
    RequestCancel,
    ResumeInstance,
    RetryInstance,
    RunTransaction,
    SetAside,
    SetPriority,
    SetVariables,
    StartTask,
    TerminateInstance,
    Unpark,
    WakeDue,
    WorkflowGaveUp,
)
from actors.writer import Command, DatabaseWriter, write
from beadflow import Agent, Context, RetryPolicy, Task, activity, activity_info, workflow
from storage import payload
from storage.issues import queries as issues
from storage.issues.jsonl import encode_text
from storage.workflows import queries
from supervision import Actor, ActorDeadError, ActorRestarting, ActorStarted, ChildSpec, Delivery
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
    "root/stores/git_remote",
    "root/event_bus",
    "root/intents",
    "root/issues",
    "root/issues/tracker",
    "root/issues/publisher",
    "root/issues/sync",
    "root/coordination",
    "root/coordination/results",
    "root/coordination/analyst",
    "root/coordination/manager",
    "root/coordination/keeper",
    "root/coordination/gates",
    "root/coordination/auth",
    "root/agents",
    "root/agents/agent_instances",
    "root/agents/coordinator",
    "root/engine",
    "root/engine/workflow_instances",
    "root/engine/dispatcher",
    "root/engine/timers",
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


@workflow(agent_type="helper")
async def asked_for(ctx: Context, variables: dict[str, Any]) -> dict[str, Any]:
    await ctx.signal("go")
    return variables


@workflow(agent_type="helper")
async def held(ctx: Context) -> None:
    await ctx.signal("go")


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


WRITERS = ("coordination_writer", "tempolite_writer", "beads_writer")


class Losses:
    """The writer dies between the commit and the answer of one command."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, is_lost: Callable[[Any], object]) -> None:
        self.times = 0
        answer = DatabaseWriter._answer

        def die_once(writer: DatabaseWriter, delivery: Delivery, outcome: object) -> None:
            self.times += bool(is_lost(delivery.message))
            if self.times == 1 and is_lost(delivery.message):
                raise OSError("died before it could answer")
            answer(writer, delivery, outcome)

        monkeypatch.setattr(DatabaseWriter, "_answer", die_once)

    async def check(self, running: Running) -> None:
        await until(lambda: self.times > 1)
        assert sum(restarts(running, f"root/stores/{writer}") for writer in WRITERS) == 1
        assert restarts(running, "") == 1  # and nobody had to start anew because of it


@pytest.mark.parametrize("lost", COMMANDS, ids=lambda kind: kind.__name__)
async def test_an_answer_that_is_lost_after_its_commit_changes_nothing(
    repo: Path, monkeypatch: pytest.MonkeyPatch, lost: type
) -> None:
    """The command comes a second time."""
    losses = Losses(monkeypatch, lambda command: type(command) is lost)
    async with running_system(repo, workflows=[flow], agents=[Helper]) as running:
        await run_through(running)
        await losses.check(running)


# --- the same for changes of a workflow


@pytest.mark.parametrize(
    "lost", [RecordUpdate, SetVariables, SetPriority, ApplyUpdate], ids=lambda kind: kind.__name__
)
async def test_an_answer_that_is_lost_changes_nothing_of_an_update(
    repo: Path, monkeypatch: pytest.MonkeyPatch, lost: type
) -> None:
    losses = Losses(monkeypatch, lambda command: type(command) is lost)
    async with running_system(repo, workflows=[asked_for], agents=[Helper]) as running:
        await running.start("asked_for", variables={})
        queued = await running.start("asked_for", variables={})
        message = UpdateWorkflow(
            workflow_id=queued.id, title="T", priority=0, variables={"n": 1}, idempotency_key="k"
        )
        changed = await running.ask("manager", message)
        assert (changed.title, changed.priority, changed.variables) == ("T", 0, {"n": 1})
        await losses.check(running)
        assert [f.data["title"] for f in running.log() if f.type == "workflow_updated"] == ["T"]
        assert await running.ask("manager", message) == changed


# --- the same for a merge with another clone


async def test_an_answer_that_is_lost_changes_nothing_of_a_merge(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = Losses(monkeypatch, lambda command: type(command) is AdoptMerge)
    async with running_system(repo) as running:
        writer = running.system.named("beads_writer")
        row = new_issue(issue_id="x-1", title="T", created_at=AT, created_by="me")
        await write(writer, CreateIssue(row=row))
        seen, made = (encode_text(each) for each in (row, row | {"labels": ["from-there"]}))
        await write(writer, AdoptMerge(rows=(("x-1", seen, made),), at=AT))
        await losses.check(running)
        kinds = [entry.kind for entry in issues.read_journal(running.stores.beads.inline, 0, 10)]
        assert kinds == ["created", "adopted"]


# --- the same for results and artifacts


@pytest.mark.parametrize("lost", [RecordResult, RecordArtifact], ids=lambda kind: kind.__name__)
async def test_an_answer_that_is_lost_changes_nothing_of_a_result_or_an_artifact(
    repo: Path, monkeypatch: pytest.MonkeyPatch, lost: type
) -> None:
    losses = Losses(monkeypatch, lambda command: type(command) is lost)
    async with running_system(repo, workflows=[flow], agents=[Helper]) as running:
        workflow_id = (await running.start("flow")).id
        await running.ended(workflow_id)
        result = StoreResult(workflow_id=workflow_id, result_type="review", data=1)
        assert (await running.ask("results", result)).version == 1
        file = StoreArtifact(workflow_id=workflow_id, name="a", source=b"1")
        assert (await running.ask("results", file)).version == 1
        await losses.check(running)
        assert (await running.ask("results", result)).version == 2
        assert (await running.ask("results", replace(file, source=b"2"))).version == 2


# --- the same for what repeated requests are answered


async def test_an_answer_that_is_lost_changes_nothing_of_an_answer_that_is_kept(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = Losses(monkeypatch, lambda command: type(command) is RecordAnswer)
    async with running_system(repo) as running:
        keep = KeepAnswer(key="k", request_sha256="sha", answer={"status": 200})
        await running.ask("manager", keep)
        await losses.check(running)
        find = FindAnswer(key="k", request_sha256="sha")
        assert await running.ask("manager", find) == {"status": 200}
        with pytest.raises(KeyReused):
            await running.ask("manager", replace(find, request_sha256="other"))


# --- the same for claims


@pytest.mark.parametrize("lost", [TakeLease, RenewLease, EndLease], ids=lambda kind: kind.__name__)
async def test_an_answer_that_is_lost_changes_nothing_of_a_claim(
    repo: Path, monkeypatch: pytest.MonkeyPatch, lost: type
) -> None:
    losses = Losses(monkeypatch, lambda command: type(command) is lost)
    async with running_system(repo) as running:
        writer = running.system.named("beads_writer")
        row = new_issue(issue_id="x-1", title="T", created_at=AT, created_by="me")
        await write(writer, CreateIssue(row=row))

        async def ready(message: ClaimReady, limit: int) -> list[str]:
            del message, limit
            return ["x-1"]

        claiming = Claiming(
            writer=writer,
            resolve=str,
            ready=ready,
            clock=trios_clock,
            home=running.stores.identity.home,
        )
        claim = await claiming.run(ClaimReady(actor="ada"))
        assert isinstance(claim, Claim)
        await claiming.run(HeartbeatClaim(issue_id="x-1", token=claim.token))
        await claiming.run(ReleaseClaim(issue_id="x-1", actor="ada", token=claim.token))
        await losses.check(running)
        kinds = [entry.kind for entry in issues.read_journal(running.stores.beads.inline, 0, 10)]
        assert kinds == ["created", "changed", "changed"]


# --- the same for agents


@pytest.mark.parametrize(
    "lost",
    [RecordAgent, RecordConfig, RecordStatus, RecordDrained, RecordGone],
    ids=lambda kind: kind.__name__,
)
async def test_an_answer_that_is_lost_changes_nothing_of_an_agent(
    repo: Path, monkeypatch: pytest.MonkeyPatch, lost: type
) -> None:
    losses = Losses(monkeypatch, lambda command: type(command) is lost)
    async with running_system(repo, agents=[Helper]) as running:
        requests = [
            RegisterAgent(agent_type="helper", agent_id="fred"),
            UpdateAgentConfig(agent_id="fred", max_workload=3),
            DrainAgent(agent_id="fred", reason="r"),
        ]
        for request in requests:
            await running.ask("coordinator", request)
        await running.until(lambda seen: any(f.type == "agent_drained" for f in seen))
        await running.ask("coordinator", UnregisterAgent(agent_id="fred"))
        await losses.check(running)
        about = [fact.type for fact in running.log() if fact.type.startswith("agent_")]
        said = ["registered", "draining", "drained", "unregistered"]
        assert about == [f"agent_{what}" for what in said]


# --- the same for what is done to issues


VERBS = {
    "create": NewIssue(fields={"title": "T"}, actor="me"),
    "create a child": NewIssue(fields={"title": "T"}, actor="me", parent="x-1"),
    "update": UpdateIssue(issue_id="x-1", actor="me", fields={}, append_notes="n"),
    "close": CloseIssue(issue_id="x-1.1", actor="me"),
    "reopen": ReopenIssue(issue_id="x-1.1", actor="me", reason="r"),
    "remove an edge": RemoveDependency(issue_id="x-1.1", depends_on_id="x-1", actor="me"),
    "add an edge": AddDependency(issue_id="x-1.1", depends_on_id="x-1", actor="me"),
    "comment": CommentIssue(issue_id="x-1.1", actor="me", text="t"),
    "defer": DeferIssue(issue_id="x-1.1", actor="me"),
    "delete": DeleteIssue(issue_id="x-1", actor="me", cascade=True),
    "restore": RestoreIssue(issue_id="x-1", actor="me"),
}


@pytest.mark.parametrize("lost", range(len(VERBS)), ids=list(VERBS))
async def test_an_answer_that_is_lost_changes_nothing_of_what_is_done_to_issues(
    repo: Path, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """Each verb is one command; the number of commands that came before says which one this is."""
    ours = (InsertIssue, EditIssue, BuryIssues)
    seen: list[object] = []

    def is_lost(command: object) -> bool:
        if isinstance(command, ours) and command not in seen:
            seen.append(command)
        return isinstance(command, ours) and seen.index(command) == lost

    losses = Losses(monkeypatch, is_lost)
    async with running_system(repo) as running:
        writer = running.system.named("beads_writer")
        editing = Editing(writer, str, lambda _wanted: IssueId("x-1"), trios_clock)
        for verb in VERBS.values():
            await editing.run(verb)
        await losses.check(running)
        entries = issues.read_journal(running.stores.beads.inline, 0, 100)
    others = ["x-1", *["x-1.1"] * 6, "x-1", "x-1.1", "x-1"]
    assert [entry.issue_id for entry in entries] == ["x-1", "x-1.1", *others]


# --- the same for all that a workflow may do, and be asked for


AT = "2026-03-01T00:00:00.000000Z"


def keep(transaction: Any, value: str) -> list[Any]:
    transaction.execute("CREATE TABLE IF NOT EXISTS kept (value TEXT)")
    transaction.execute("INSERT INTO kept VALUES (?)", (value,))
    return [row[0] for row in transaction.execute("SELECT value FROM kept")]


@activity(retry=RetryPolicy(attempts=2, initial_s=0.1))
async def beats() -> int:
    info = activity_info()
    info.heartbeat(info.attempt)
    if info.attempt == 1:
        raise OSError("not yet")
    return info.attempt


@workflow
async def small(ctx: Context, variables: dict[str, Any]) -> Any:
    return [await ctx.signal("go"), variables["from"]]


@workflow
async def all_of_it(ctx: Context, variables: dict[str, Any]) -> Any:
    if ctx.run == 2:
        return variables
    done: dict[str, Any] = {}
    ctx.on_query("done", lambda: done)
    done["tx"] = await ctx.tx(keep, "once")
    done["beats"] = await ctx.activity(beats)
    await ctx.sleep(15.0)
    done["signal"] = await ctx.signal("go")
    done["child"] = await ctx.child(small, {"from": "its parent"})
    return ctx.continue_as_new(done)


async def send(running: Running, command: Command[tuple[str, ...]]) -> None:
    """Ask the engine for something, as a door does."""
    for workflow_id in await write(running.system.named("tempolite_writer"), command):
        running.system.named("dispatcher").tell(Launch(workflow_id=workflow_id))


async def signal(running: Running, workflow_id: str, value: str) -> None:
    text = payload.encode(value)
    command = AddSignal(workflow_id=workflow_id, message_id="m", name="go", value=text, at=AT)
    await send(running, command)


def delivered(running: Running, message: WorkflowGaveUp) -> bool:
    """Whether the dispatcher has it; it may be about to come back."""
    try:
        running.system.named("dispatcher").tell(message)
    except (ActorDeadError, ActorRestarting):
        return False
    return True


async def becomes(running: Running, workflow_id: str, *wanted: str) -> None:
    reader = running.stores.tempolite.inline
    await until(lambda: queries.status(reader, workflow_id) in wanted)


async def is_parked(running: Running, workflow_id: str) -> None:
    def found() -> bool:
        row = queries.instance(running.stores.tempolite.inline, workflow_id)
        return row is not None and bool(row.parked)

    await until(found)


async def run_all_of_it(running: Running) -> None:
    """Everything that a workflow may do, and be asked for, once."""
    whole = (await running.start("all_of_it")).id
    await is_parked(running, whole)
    query = QueryWorkflow(workflow_id=whole, name="done")
    assert await running.ask("dispatcher", query) == {"tx": ["once"], "beats": 2}
    await is_parked(running, whole)
    await signal(running, whole, "first")
    child = f"{whole}.5"
    await becomes(running, child, "running")
    await send(running, PauseInstance(workflow_id=whole, reason="r", at=AT))
    await signal(running, child, "second")
    urgent = SetPriority(workflow_id=whole, priority=0, at=AT)
    await write(running.system.named("tempolite_writer"), urgent)
    await send(running, ResumeInstance(workflow_id=whole, at=AT))
    (ended,) = await running.ended(whole)
    assert ended.status == "completed"
    assert await running.output(whole) == {
        "tx": ["once"],
        "beats": 2,
        "signal": "first",
        "child": ["second", "its parent"],
    }
    given: dict[str, Any] = {"from": "the test"}
    asked = {
        end: (await running.start("small", variables=given)).id
        for end in ("cancelled", "terminated", "dead_letter", "completed")
    }
    await send(running, RequestCancel(workflow_id=asked["cancelled"], reason="r", at=AT))
    await send(running, TerminateInstance(workflow_id=asked["terminated"], reason="r", at=AT))
    done = CompleteInstance(
        workflow_id=asked["completed"], output=payload.encode(1), author="a", at=AT
    )
    await send(running, done)
    gave_up = WorkflowGaveUp(workflow_id=asked["dead_letter"], reason="r")
    await until(lambda: delivered(running, gave_up))
    for end, workflow_id in asked.items():
        await becomes(running, workflow_id, end)
    again = RetryInstance(workflow_id=asked["dead_letter"], author="a", at=AT)
    await send(running, again)
    await signal(running, asked["dead_letter"], "third")
    await becomes(running, asked["dead_letter"], "completed")
    reader = running.stores.tempolite.inline
    for (kinds,) in reader.execute(
        "SELECT group_concat(kind, ' ') FROM history WHERE kind NOT LIKE 'activity%'"
        " GROUP BY workflow_id, kind, op HAVING count(*) > 1"
    ):
        raise AssertionError(f"recorded twice: {kinds}")


AGAIN: dict[str, Callable[[Any], object]] = {
    "a child is started": lambda command: getattr(command, "children", ()),
    "a signal is taken": lambda command: getattr(command, "messages", ()),
    "a child ends": lambda command: (
        isinstance(command, AppendHistory)
        and "." in command.workflow_id
        and command.events[-1].kind is Kind.WORKFLOW_COMPLETED
    ),
    "a run follows": lambda command: getattr(command, "run", None),
}
KINDS = (
    RunTransaction,
    AddSignal,
    RequestCancel,
    PauseInstance,
    ResumeInstance,
    TerminateInstance,
    Park,
    Unpark,
    WakeDue,
    RecordHeartbeat,
    SetAside,
    SetPriority,
    CompleteInstance,
    RetryInstance,
)
AGAIN |= {
    kind.__name__: lambda command, kind=kind: type(command) is kind  # type: ignore[misc]
    for kind in KINDS
}


@pytest.mark.parametrize("lost", AGAIN)
async def test_an_answer_that_is_lost_changes_nothing_of_what_workflows_do_and_are_asked_for(
    repo: Path,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
    lost: str,
) -> None:
    losses = Losses(monkeypatch, AGAIN[lost])
    async with running_system(
        repo, workflows=[all_of_it, small], inline=True, clock=trios_clock
    ) as running:
        await run_all_of_it(running)
        await losses.check(running)


def trios_clock() -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=trio.current_time())


STORES = {
    coordination_store: (LogFacts,),
    assigning: (AssignQueued,),
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


# --- the same for handoffs


@pytest.mark.parametrize(
    "lost", [MoveAssignment, AddSignal, CloseIntent], ids=lambda kind: kind.__name__
)
async def test_an_answer_that_is_lost_changes_nothing_of_a_handoff(
    repo: Path, monkeypatch: pytest.MonkeyPatch, lost: type
) -> None:
    losses = Losses(monkeypatch, lambda command: type(command) is lost)
    async with running_system(repo, workflows=[held], agents=[Helper, Helper]) as running:
        workflow_id = (await running.start("held")).id
        message = HandOff(workflow_id=workflow_id, from_agent="helper-1", to_agent="helper-2")
        record = await running.ask("manager", message)
        assert (record.agent_id, record.step_number) == ("helper-2", 2)
        back = HandOff(workflow_id=workflow_id, from_agent="helper-2", to_agent="helper-1")
        await running.ask("manager", back)
        await losses.check(running)
        count = "SELECT count(*) FROM inbox WHERE workflow_id = ? AND name = 'agent_handoff'"
        reader = running.stores.tempolite.inline
        assert reader.execute(count, (workflow_id,)).fetchone()[0] == 2
