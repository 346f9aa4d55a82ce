"""A start that was cut off anywhere is finished by the next life, and made once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.coordination import intents, store
from actors.coordination.intents import make, plan_from_text, plan_to_text
from actors.coordination.messages import (
    CloseIntent,
    IntentOpen,
    RecordStart,
    StartPlan,
    WorkflowRecord,
)
from actors.errors import Conflict, StorageFull
from actors.issues import store as issues_store
from actors.issues.issue import new_issue
from actors.issues.messages import CreateIssue, GetIssue
from actors.issues.store import HANDLERS as ISSUES
from actors.workflows.messages import CreateInstance
from actors.workflows.store import HANDLERS as ENGINE
from beadflow import Agent, Context, Task, activity, workflow
from storage.coordination import queries
from storage.home import DataDir
from supervision import (
    Actor,
    ActorStarted,
    ChildSpec,
    MailboxFull,
    System,
    UnexpectedMessage,
    supervisor,
)
from tests.support.database import open_database
from tests.support.faults import until
from tests.support.starts import start_plan
from tests.support.world import Running, running_system

CLOSED = "issues WHERE status = 'closed'"

runs: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    runs.clear()
    Helper.gate = trio.Event()
    Helper.gate.set()


@activity
async def run(workflow_id: str) -> None:
    runs.append(workflow_id)


@workflow
async def flow(ctx: Context) -> str:
    await ctx.activity(run, ctx.workflow_id)
    return ctx.issue_id


class Helper(Agent):
    agent_type = "helper"
    max_workload = 1

    gate = trio.Event()

    @activity
    async def help(self, task: Task) -> str:
        runs.append(task.workflow_id)
        await self.gate.wait()
        return self.agent_id


@workflow(agent_type="helper")
async def helped(ctx: Context) -> Any:
    return await ctx.activity(Helper.help)


def test_a_plan_comes_back_from_its_stored_form() -> None:
    plan = start_plan("flow", agent_type="a", idempotency_key="k")
    assert plan_from_text(plan_to_text(plan)) == plan


# --- cuts


def decide(data: DataDir, plan: StartPlan) -> None:
    with open_database(data.coordination_db, "storage.coordination", store.HANDLERS) as database:
        database.run(RecordStart(plan=plan))


def make_issue(data: DataDir, plan: StartPlan) -> None:
    with open_database(data.beads_db, "storage.issues", ISSUES) as database:
        database.run(CreateIssue(row=plan.issue, key=plan.workflow_id))


def make_instance(data: DataDir, plan: StartPlan) -> None:
    with open_database(data.tempolite_db, "storage.workflows", ENGINE) as database:
        database.run(
            CreateInstance(
                workflow_id=plan.workflow_id,
                issue_id=plan.issue_id,
                name=plan.workflow_type,
                version=plan.version,
                variables=plan.variables,
                agent_type=plan.agent_type,
                agent_id=plan.agent_id,
                queued=plan.status == "queued",
                at=plan.at,
            )
        )


Step = Callable[[DataDir, StartPlan], None]

CUTS = [
    pytest.param([decide], id="after the first commit"),
    pytest.param([decide, make_issue], id="after the issue alone"),
    pytest.param([decide, make_instance], id="after the instance alone"),
    pytest.param([decide, make_issue, make_instance], id="before the intent was closed"),
]


def cut(repo: Path, steps: list[Step], *plans: StartPlan) -> None:
    """Leave the stores as a process leaves them that was killed after these steps."""
    with DataDir.resolve(repo) as data:
        for plan in plans:
            for step in steps:
                step(data, plan)


def open_intents(running: Running) -> int:
    return len(running.stores.coordination.inline.execute(queries.INTENTS).fetchall())


def count(running: Running, database: str, table: str) -> int:
    reader = getattr(running.stores, database).inline
    return int(reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


@pytest.mark.parametrize("steps", CUTS)
async def test_a_start_that_was_cut_off_is_made_once(repo: Path, steps: list[Step]) -> None:
    cut(repo, steps, start_plan("flow"))
    async with running_system(repo, workflows=[flow]) as running:
        (ended,) = await running.ended("w-1")
        assert (ended.status, ended.beads_issue_id) == ("completed", "x-1")
        assert await running.output("w-1") == "x-1"
        assert (await running.ask("tracker", GetIssue(issue_id="x-1"))).title == "T"
        assert open_intents(running) == 0
        assert count(running, "beads", "issues") == 1
        assert count(running, "tempolite", "instances") == 1
        assert count(running, "coordination", "workflow_mappings") == 1
    assert runs == ["w-1"]


@pytest.mark.parametrize("steps", CUTS)
async def test_a_queued_start_that_was_cut_off_still_gets_its_agent(
    repo: Path, steps: list[Step]
) -> None:
    plans = [start_plan("helped", number, agent_type="helper") for number in (1, 2)]
    cut(repo, steps, *plans)
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        ended = await running.ended("w-1", "w-2")
        assert [(w.status, w.agent_id) for w in ended] == [("completed", "helper-1")] * 2
        assert count(running, "coordination", "agent_assignments") == 2
    assert sorted(runs) == ["w-1", "w-2"]


async def test_a_start_that_had_its_agent_keeps_it(repo: Path) -> None:
    cut(repo, [decide], start_plan("helped", agent_type="helper", agent_id="helper-1"))
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        (ended,) = await running.ended("w-1")
        assert (ended.status, ended.agent_id) == ("completed", "helper-1")


async def test_a_start_whose_issue_somebody_else_took_ends_as_failed_and_harms_no_other(
    repo: Path,
) -> None:
    taken = start_plan("flow", 1)
    other = new_issue(
        issue_id="x-1", title="Mine", created_at="2020-01-01T00:00:00Z", created_by="me"
    )
    cut(repo, [make_issue], replace(taken, issue=other, workflow_id=""))
    cut(repo, [decide], taken, start_plan("flow", 2))
    async with running_system(repo, workflows=[flow]) as running:
        lost, fine = await running.ended("w-1", "w-2")
        assert (lost.status, lost.error_code) == ("failed", "start_failed")
        assert fine.status == "completed"
        issue = await running.ask("tracker", GetIssue(issue_id="x-1"))
        assert (issue.title, issue.status) == ("Mine", "open")
        assert open_intents(running) == 0
    assert runs == ["w-2"]


async def test_an_intent_that_is_told_is_made_while_the_system_runs(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intents, "RETRY_S", 0.001)
    plan = start_plan("flow")
    async with running_system(repo, workflows=[flow]) as running:
        await running.ask("coordination_writer", RecordStart(plan=plan))
        running.system.named("intents").tell(IntentOpen())
        (ended,) = await running.ended("w-1")
        assert ended.status == "completed"
        await until(lambda: open_intents(running) == 0)


async def test_a_full_disk_at_the_start_leaves_the_intent_open_until_there_is_room(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(repo, [decide], start_plan("flow"))
    refusals = 2

    async def full(*args: Any, **kwargs: Any) -> None:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise StorageFull("the disk is full")
        await make(*args, **kwargs)

    monkeypatch.setattr(intents, "make", full)
    monkeypatch.setattr(intents, "RETRY_S", 0.001)
    async with running_system(repo, workflows=[flow]) as running:
        record: WorkflowRecord = (await running.ended("w-1"))[0]
        assert record.status == "completed"


async def test_a_workflow_does_not_run_before_it_has_its_issue(
    repo: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """Found by a simulation: its issue, made when there was room, never heard of its end."""
    room = trio.Event()
    create = ISSUES[CreateIssue]

    def create_if_there_is_room(connection: Any, command: CreateIssue) -> Any:
        if command.key != "w-1" and not room.is_set():
            raise StorageFull("the disk is full")
        return create(connection, command)

    monkeypatch.setattr(issues_store, "HANDLERS", {**ISSUES, CreateIssue: create_if_there_is_room})
    cut(repo, [decide], start_plan("helped", agent_type="helper", agent_id="helper-1"))
    Helper.gate = trio.Event()
    async with running_system(repo, workflows=[helped], agents=[Helper], inline=True) as running:
        await until(lambda: runs == ["w-1"])
        with pytest.raises(StorageFull):
            await running.start("helped")
        Helper.gate.set()
        await trio.sleep(30.0)  # of the test's clock: it could have run and ended by now
        room.set()
        await until(lambda: count(running, "beads", CLOSED) == 2)


# --- making, against writers that refuse


class Refusing(Actor):
    """A writer that refuses some commands, and remembers the others."""

    def __init__(self, taken: list[object], error: Exception | None) -> None:
        super().__init__()
        self._taken = taken
        self._error = error

    async def on_receive(self, message: object) -> object:
        if self._error is not None:
            raise self._error
        self._taken.append(message)
        return None


async def outcome(beads: Exception | None, tempolite: Exception | None) -> tuple[Any, list[object]]:
    """What making a plan raises, and the commands that were taken."""
    taken: list[object] = []
    async with System.open() as system:
        children = [
            ChildSpec(id=name, name=name, build=lambda error=error: Refusing(taken, error))
            for name, error in (("beads", beads), ("tempolite", tempolite))
        ]
        await system.start(supervisor("root", "one_for_one", children))
        try:
            await make(
                start_plan("flow"),
                beads=system.named("beads"),
                tempolite=system.named("tempolite"),
            )
        except Exception as error:  # noqa: BLE001 - it is what we ask for
            return error, taken
    return None, taken


async def test_the_issue_is_made_before_the_instance() -> None:
    error, taken = await outcome(None, None)
    assert error is None
    assert [type(command) for command in taken] == [CreateIssue, CreateInstance]


async def test_without_its_issue_no_instance_is_made() -> None:
    error, taken = await outcome(StorageFull("full"), None)
    assert isinstance(error, StorageFull)
    assert taken == []


async def test_a_writer_with_no_room_refuses_as_it_is() -> None:
    error, _ = await outcome(MailboxFull("full"), None)
    assert isinstance(error, MailboxFull)


async def test_a_start_is_not_given_up_before_its_other_half_is_made() -> None:
    error, _ = await outcome(Conflict("taken"), StorageFull("full"))
    assert isinstance(error, StorageFull)
    error, _ = await outcome(Conflict("taken"), None)
    assert isinstance(error, Conflict)


async def test_intents_answer_nobody(repo: Path) -> None:
    async with running_system(repo, workflows=[flow]) as running:
        with pytest.raises(UnexpectedMessage):
            await running.ask("intents", "hello")


async def test_nothing_is_left_open_by_a_start_that_went_well(repo: Path) -> None:
    async with running_system(repo, workflows=[flow]) as running:
        await running.ended((await running.start("flow")).id)
        await until(lambda: open_intents(running) == 0)
        await running.ask("coordination_writer", CloseIntent(intent_id="never-there"))


async def test_the_intents_finish_before_anybody_below_starts(repo: Path) -> None:
    cut(repo, [decide], start_plan("flow"))
    async with running_system(repo, workflows=[flow]) as running:
        order = [event.path for event in running.events if isinstance(event, ActorStarted)]
        assert order.index("root/intents") < order.index("root/issues/tracker")
        assert open_intents(running) == 0
