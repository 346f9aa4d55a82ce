"""docs/events.md names every fact and what each really holds."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from actors import event_filter, fact_models, facts
from actors.agents.kit.usage import Usage
from actors.agents.registration_messages import (
    ActivateAgent,
    DrainAgent,
    RegisterAgent,
    UnregisterAgent,
)
from actors.breakers import Tolerance
from actors.bus import NOTES_BOUND
from actors.clock import rfc3339, system_clock
from actors.coordination.assignment_messages import MoveWorkflow
from actors.coordination.lease_messages import RecordLost, RecordRecovered
from actors.coordination.messages import UpdateWorkflow
from actors.coordination.reconciling.messages import LogReconciled
from actors.coordination.results.messages import StoreArtifact, StoreResult
from actors.facts import LoggedFact
from actors.feed import DROP, Feed
from actors.issues.verbs import AnswerGate
from actors.workflows.facts import facts_of
from actors.workflows.history import Kind
from actors.workflows.messages import (
    AddSignal,
    Launch,
    PauseInstance,
    RequestCancel,
    ResumeInstance,
    RetryInstance,
    TerminateInstance,
)
from beadflow import (
    ActivityError,
    ActivityFailure,
    Agent,
    ChildError,
    Context,
    RetryPolicy,
    Task,
    activity,
    activity_info,
    workflow,
)
from storage import payload
from storage.workflows.records import HistoryRow
from tests.docs.pages import first_names, names, rows, section
from tests.support.world import Running, running_system

TYPES = {row[0].strip("`"): names(row[1]) for row in rows(section("docs/events.md", "Types"))}
NAMES = {value for name, value in vars(facts).items() if name.isupper() and isinstance(value, str)}

SECOND_TRY = RetryPolicy(attempts=2, initial_s=0.0)


class Clerk(Agent):
    """Fails once, and at one thing always; has room for one workflow."""

    agent_type = "clerk"
    max_workload = 1

    @activity(retry=SECOND_TRY)
    async def work(self, task: Task) -> str:
        task.progress("half", 0.5)
        task.log("a line")
        task.used(Usage(input_tokens=3, cost_usd=0.5))
        if task.attempt == 1:
            raise ConnectionError("away")
        return "done"

    @activity
    async def fail(self, task: Task) -> None:
        raise ActivityFailure("no", "never")


@activity
async def count() -> int:
    return 1


@workflow(agent_type="clerk")
async def busy(ctx: Context) -> str:
    ctx.log("on its way")
    try:
        await ctx.activity(Clerk.fail)
    except ActivityError:
        return await ctx.activity(Clerk.work)
    raise AssertionError


@workflow(name="changing")
async def before(ctx: Context) -> None:
    await ctx.activity(count)
    await ctx.activity("wait", agent="nobody")


@workflow(name="changing")
async def after(ctx: Context) -> int:
    return await ctx.side_effect(lambda: 1)


@workflow
async def failing(ctx: Context) -> None:
    raise ValueError("no")


@activity(retry=SECOND_TRY)
async def flaky() -> None:
    if activity_info().attempt == 1:
        raise ConnectionError("away")


@activity(at_most_once=True)
async def once() -> None: ...


@workflow
async def failing_child(ctx: Context) -> None:
    raise ValueError("no")


@workflow
async def child(ctx: Context) -> int:
    return 1


@workflow
async def everything(ctx: Context, variables: dict[str, Any]) -> None:
    if variables.get("again"):
        return
    await ctx.activity(flaky)
    await ctx.activity(once)
    await ctx.child(child)
    with contextlib.suppress(ChildError):
        await ctx.child(failing_child)
    await ctx.first(ctx.sleep(0.0), ctx.sleep(1000.0))
    with contextlib.suppress(RuntimeError):
        async with ctx.saga() as saga:
            await saga.step(count, undo=count)
            raise RuntimeError("back")
    await ctx.signal("go")
    ctx.continue_as_new({"again": True})


@workflow
async def waiting(ctx: Context) -> None:
    await ctx.signal("never")


@workflow
async def held(ctx: Context) -> bool:
    return (await ctx.gate("Go on?", timeout_s=1000.0)).approved


STEERED = [everything, child, failing_child, waiting, held]


def test_every_type_of_fact_is_documented_and_no_other() -> None:
    assert set(TYPES) == NAMES


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_the_fields_of_a_type_are_those_of_its_model(kind: str) -> None:
    real = [name if always else f"{name}?" for name, always in fact_models.fields(kind).items()]
    assert sorted(TYPES[kind]) == sorted(real)


def test_every_type_of_fact_has_a_model_and_no_other() -> None:
    assert set(fact_models.MODELS) == NAMES == event_filter.TYPES


def test_the_fields_of_an_event_are_documented() -> None:
    top = section("docs/events.md", "Events").partition("\n## ")[0]
    assert first_names(top) == list(LoggedFact._fields)


def test_the_bound_of_the_notes_is_that_of_the_code() -> None:
    assert f"{NOTES_BOUND:,}" in section("docs/events.md", "Facts and notes")


async def test_what_a_run_logs_has_the_documented_fields(repo: Path) -> None:
    clerks = [Clerk]
    first = [busy, before, failing]
    async with running_system(repo, workflows=first, agents=clerks) as running:
        _open_and_close_a_circuit(running)
        one, two = [await running.start("busy") for _ in range(2)]
        three, four = await running.start("failing"), await running.start("changing")
        await running.ended(one.id, two.id, three.id)
        await _tell(running, RetryInstance, three.id, author="somebody")
        await running.until(lambda seen: _has(seen, four.id, "step_scheduled"))
        await running.until(lambda seen: _has(seen, three.id, "workflow_retried"))
    async with running_system(repo, workflows=[after], agents=clerks) as running:
        await running.until(lambda seen: _has(seen, four.id, "workflow_stalled"))
    async with running_system(repo, workflows=[before], agents=clerks) as running:
        await running.until(lambda seen: _has(seen, four.id, "workflow_resumed"))
    async with running_system(repo, workflows=[*STEERED, before], agents=clerks * 2) as running:
        await _answer_and_withdraw(running)
        five, six = await running.start("everything"), await running.start("waiting")
        seven = await running.start("waiting")
        signal = {"message_id": "m", "name": "go", "value": payload.encode(None)}
        await _tell(running, AddSignal, five.id, **signal)
        await running.until(lambda seen: _has(seen, six.id, "workflow_started"))
        await _tell(running, PauseInstance, six.id, reason="lunch")
        await _tell(running, ResumeInstance, six.id)
        await _tell(running, RequestCancel, six.id, reason="enough")
        await _tell(running, TerminateInstance, seven.id, reason="now")
        await running.ended(five.id, six.id, seven.id)
        update = UpdateWorkflow(workflow_id=seven.id, title="Another", priority=4)
        await running.ask("manager", update)
        await _hand_on(running)
        await _come_and_go(running)
        result = StoreResult(workflow_id=seven.id, result_type="review", data=None)
        await running.ask("results", result)
        await running.ask("results", StoreArtifact(workflow_id=seven.id, name="a", source=b""))
        at = rfc3339(system_clock())
        passed = LogReconciled(number=1, found=1, repaired=0, reported=1, codes=("x",), at=at)
        await running.ask("coordination_writer", passed)
        logged = running.log()
    logged += [*_dead_letter(), _lagged()]
    for fact in logged:
        fact_models.check(fact.type, fact.data)
    assert {fact.type for fact in logged} == NAMES


async def _answer_and_withdraw(running: Running) -> None:
    """All that is said of gates."""
    one, two = await running.start("held"), await running.start("held")
    await running.until(lambda seen: _has(seen, one.id, "gate_opened"))
    opened = next(f for f in running.log() if (f.workflow_id, f.type) == (one.id, "gate_opened"))
    answer = AnswerGate(issue_id=opened.issue_id or "", actor="ann", approved=True, why="yes")
    await running.ask("tracker", answer)
    await running.until(lambda seen: _has(seen, two.id, "gate_opened"))
    await _tell(running, TerminateInstance, two.id, reason="now")
    await running.until(lambda seen: _has(seen, two.id, "gate_withdrawn"))


async def _come_and_go(running: Running) -> None:
    """All that is said of an agent that is registered."""
    named = {"agent_id": "fred"}
    for request in (
        RegisterAgent(agent_type="clerk", **named),
        DrainAgent(reason="r", **named),
    ):
        await running.ask("coordinator", request)
    await running.until(lambda seen: any(fact.type == "agent_drained" for fact in seen))
    for request in (ActivateAgent(**named), UnregisterAgent(**named)):
        await running.ask("coordinator", request)


def _open_and_close_a_circuit(running: Running) -> None:
    circuit = Tolerance(failures=1, reset_s=1e-9, jitter=0.0)
    breaker = running.world.breakers.of("somewhere", circuit)
    with contextlib.suppress(ConnectionError), breaker.guarding("/"):
        raise ConnectionError("away")
    with breaker.guarding("/"):
        pass


async def _tell(running: Running, command: type, workflow_id: str, **given: str) -> None:
    """What the manager does for an operator."""
    asked = command(workflow_id=workflow_id, at=rfc3339(system_clock()), **given)
    for woken in await running.ask("tempolite_writer", asked):
        running.system.named("dispatcher").tell(Launch(workflow_id=woken))


async def _hand_on(running: Running) -> None:
    given = await running.start("waiting", agent_type="clerk")
    move = MoveWorkflow(move_id="m", workflow_id=given.id, kind="handoff", to_type="clerk")
    await running.ask("coordinator", move)
    at = rfc3339(system_clock())
    gone = RecordLost(agent_id="clerk-2", agent_type="clerk", reason="silent", at=at)
    await running.ask("coordination_writer", gone)
    await running.ask("coordination_writer", RecordRecovered(agent_id="clerk-2", at=at))
    await running.until(lambda seen: _has(seen, given.id, "agent_handoff"))


def _has(seen: Sequence[LoggedFact], workflow_id: str, kind: str) -> bool:
    return any(fact.type == kind and fact.workflow_id == workflow_id for fact in seen)


def _lagged() -> LoggedFact:
    """What a stream says that was too slow."""
    feed = Feed(1, DROP, lambda _: None)
    for seq in (1, 2):
        feed.offer((LoggedFact(seq, "log", None, None, "t", {}),))
    return feed.receive_nowait()[0]


def _dead_letter() -> list[LoggedFact]:
    """As the engine's history says it; in life it takes a workflow that kills its process."""
    row = HistoryRow(
        position=1,
        workflow_id="w",
        seq=2,
        kind=Kind.WORKFLOW_DEAD_LETTERED,
        op="",
        name="busy",
        payload=payload.encode({"code": "dead_letter", "message": "too often"}),
        at="2026-01-01T00:00:00.000000Z",
    )
    return [
        LoggedFact(seq=1, type=f.type, workflow_id="w", issue_id=None, at=f.at, data=f.data)
        for f in facts_of(row)
    ]
