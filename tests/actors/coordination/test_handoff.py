"""Workflows that are handed on, or given to an agent by hand, asked of the manager."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from actors import facts
from actors.coordination import handing, handoff, intents
from actors.coordination.assignment_messages import AssignmentRecord, AssignWorkflow, HandOff
from actors.coordination.messages import (
    CancelWorkflow,
    ListWorkflows,
    PauseWorkflow,
    ResumeWorkflow,
    SignalWorkflow,
)
from actors.errors import Conflict, NotFound, Overloaded, StorageFull, ValidationError
from actors.issues.messages import GetIssue, Issue
from beadflow import Agent, Context, Task, activity, workflow
from storage import payload
from storage.coordination import queries
from supervision import AskTimeout
from tests.support.faults import until
from tests.support.world import Running, running_system


class Digger(Agent):
    agent_type = "digger"
    max_workload = 2

    @activity
    async def dig(self, task: Task) -> str:
        return self.agent_id


class Sweeper(Agent):
    agent_type = "sweeper"


class Painter(Agent):
    agent_type = "painter"
    max_workload = 1

    @activity
    async def paint(self, task: Task) -> str:
        return self.agent_id


@workflow(agent_type="digger")
async def digs(ctx: Context) -> Any:
    """Waits, and says what it was told and who does its step then."""
    told = await ctx.signal("agent_handoff")
    await ctx.signal("go")
    return {"told": told, "dug_by": await ctx.activity(Digger.dig)}


@workflow(agent_type="digger", agents=("painter",))
async def digs_and_paints(ctx: Context) -> Any:
    return await ctx.signal("go")


@workflow(agent_type="digger")
async def deaf(ctx: Context) -> Any:
    return await ctx.signal("go")


@workflow(agent_type="digger")
async def paints(ctx: Context) -> Any:
    return await ctx.activity(Painter.paint)


@workflow
async def alone(ctx: Context) -> Any:
    return await ctx.signal("go")


@workflow(agent_type="digger")
async def parent(ctx: Context) -> Any:
    return await ctx.child(alone)


ALL = [digs, digs_and_paints, deaf, paints, alone, parent]


def system(repo: Path, **more: Any) -> Any:
    agents = more.pop("agents", [Digger, Digger, Painter])
    return running_system(repo, workflows=ALL, agents=agents, **more)


async def handed_on(running: Running, workflow_id: str, **given: Any) -> AssignmentRecord:
    asked: dict[str, Any] = {"from_agent": "digger-1", "to_agent": "digger-2", **given}
    record: AssignmentRecord = await running.ask(
        "manager", HandOff(workflow_id=workflow_id, **asked)
    )
    return record


def open_intents(running: Running) -> int:
    return len(running.stores.coordination.inline.execute(queries.INTENTS).fetchall())


def signals(running: Running, workflow_id: str) -> list[Any]:
    sql = "SELECT payload FROM inbox WHERE workflow_id = ? AND name = ? ORDER BY position"
    rows = running.stores.tempolite.inline.execute(sql, (workflow_id, handing.SIGNAL))
    return [payload.decode(text) if text else None for (text,) in rows]


def of_type(running: Running, kind: str) -> list[dict[str, Any]]:
    return [dict(fact.data) for fact in running.log() if fact.type == kind]


async def issue(running: Running, issue_id: str) -> Issue:
    found: Issue = await running.ask("tracker", GetIssue(issue_id=issue_id))
    return found


def comments(issue: Issue) -> list[dict[str, Any]]:
    return list(issue.row.get("comments", ()))


async def commented(running: Running, issue_id: str) -> Issue:
    """Wait until an issue has a comment."""
    with trio.fail_after(20):
        while not comments(found := await issue(running, issue_id)):
            await trio.sleep(0.002)
    return found


async def told(running: Running, workflow_id: str, name: str) -> None:
    await running.ask("manager", SignalWorkflow(workflow_id=workflow_id, name=name))


async def test_a_workflow_is_told_that_it_was_handed_on_and_goes_on_with_the_next_agent(
    repo: Path,
) -> None:
    async with system(repo) as running:
        started = await running.start("digs")
        record = await handed_on(
            running, started.id, reason="all dug", payload={"depth": 3}, assignment_id=1
        )
        assert (record.agent_id, record.step_number) == ("digger-2", 2)
        await until(lambda: of_type(running, facts.SIGNAL_CONSUMED) != [])
        await told(running, started.id, "go")
        await running.ended(started.id)
        assert await running.output(started.id) == {
            "told": {
                "from_agent": "digger-1",
                "to_agent": "digger-2",
                "to_type": "digger",
                "step_number": 2,
                "assignment_id": record.id,
                "issue_id": started.beads_issue_id,
                "reason": "all dug",
                "payload": {"depth": 3},
            },
            "dug_by": "digger-2",
        }


async def test_the_issue_says_who_handed_it_to_whom_and_why(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("deaf")
        await handed_on(running, started.id, reason="all dug")
        found = await commented(running, started.beads_issue_id)
        assert found.work["agent_id"] == "digger-2"
        (comment,) = comments(found)
        assert comment["author"] == "digger-1"
        assert comment["text"] == "Handoff from digger-1 to digger-2\n\nall dug"


async def test_nobody_is_said_to_have_it_before_the_agent_that_had_it_first(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("deaf")
        await handed_on(running, started.id)
        agents = [data["agent_id"] for data in of_type(running, facts.AGENT_ASSIGNED)]
        assert agents == ["digger-1", "digger-2"]


async def test_the_signal_is_there_and_nothing_is_left_to_do_once_it_is_answered(
    repo: Path,
) -> None:
    async with system(repo) as running:
        started = await running.start("deaf")
        await handed_on(running, started.id)
        (signal,) = signals(running, started.id)
        assert signal["payload"] is None
        await until(lambda: open_intents(running) == 0)


async def test_the_same_request_with_its_key_is_one_handoff(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("deaf")
        first = await handed_on(running, started.id, idempotency_key="k", payload=[1])
        again = await handed_on(running, started.id, idempotency_key="k", payload=[1])
        assert again == first
        assert len(signals(running, started.id)) == 1
        with pytest.raises(Conflict, match="another request"):
            await handed_on(running, started.id, idempotency_key="k", payload=[2])


async def test_a_handoff_may_leave_the_agent_open(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("digs_and_paints")
        record = await handed_on(running, started.id, to_agent=None, to_type="painter")
        assert record.agent_id == "painter-1"


async def test_a_handoff_to_a_type_whose_agents_are_all_busy_waits_for_the_next_free_one(
    repo: Path,
) -> None:
    async with system(repo) as running:
        first = await running.start("digs_and_paints")
        second = await running.start("digs_and_paints")
        await handed_on(running, first.id, to_agent="painter-1")
        record = await handed_on(
            running, second.id, from_agent="digger-2", to_agent=None, to_type="painter"
        )
        assert (record.agent_id, record.status) == (None, "queued")
        waiting = await running.get(second.id)
        assert (waiting.status, waiting.agent_id) == ("active", None)
        assert (waiting.agent_type, waiting.waits_for_agent) == ("painter", "painter")
        page = await running.ask("manager", ListWorkflows(agent_type="digger"))
        assert page.records == ()
        page = await running.ask("manager", ListWorkflows(agent_type="painter"))
        assert {r.id: r.waits_for_agent for r in page.records} == {
            first.id: None,
            second.id: "painter",
        }
        found = await commented(running, second.beads_issue_id)
        assert comments(found)[0]["text"] == (
            "Handoff from digger-2 to the next free agent of type painter"
        )
        await told(running, first.id, "go")
        await until(
            lambda: of_type(running, facts.AGENT_ASSIGNED)[-1].get("assignment_id") == record.id
        )
        taken = await running.get(second.id)
        assert (taken.agent_id, taken.waits_for_agent) == ("painter-1", None)


async def test_a_paused_workflow_can_be_handed_on_and_goes_on_with_the_next_agent(
    repo: Path,
) -> None:
    async with system(repo) as running:
        started = await running.start("digs")
        await running.ask("manager", PauseWorkflow(workflow_id=started.id))
        await handed_on(running, started.id)
        assert (await running.get(started.id)).status == "paused"
        await running.ask("manager", ResumeWorkflow(workflow_id=started.id))
        await told(running, started.id, "go")
        await running.ended(started.id)
        assert (await running.output(started.id))["dug_by"] == "digger-2"


async def test_a_workflow_that_waits_for_an_agent_has_nobody_to_hand_it_on(repo: Path) -> None:
    async with system(repo, agents=[Digger]) as running:
        started = [await running.start("deaf") for _ in range(3)]
        assert started[2].status == "queued"
        with pytest.raises(Conflict) as refused:
            await handed_on(running, started[2].id, to_agent=None, to_type="digger")
        assert refused.value.code == "not_the_holder"


# --- refusals


async def ended(running: Running) -> str:
    started = await running.start("alone")
    await running.ask("manager", CancelWorkflow(workflow_id=started.id))
    await running.ended(started.id)
    return started.id


async def a_child(running: Running) -> str:
    await running.start("parent")
    await until(lambda: of_type(running, facts.CHILD_STARTED) != [])
    return str(of_type(running, facts.CHILD_STARTED)[0]["child_id"])


async def with_digger(running: Running) -> str:
    return (await running.start("deaf")).id


async def without_agent(running: Running) -> str:
    return (await running.start("alone")).id


async def nowhere(running: Running) -> str:
    return "nowhere-1"


@pytest.mark.parametrize(
    ("which", "given", "code"),
    [
        (ended, {}, "workflow_closed"),
        (a_child, {}, "child_workflow"),
        (without_agent, {}, "not_the_holder"),
        (nowhere, {}, "not_found"),
        (with_digger, {"from_agent": "digger-2", "to_agent": "digger-1"}, "not_the_holder"),
        (with_digger, {"assignment_id": 99}, "not_the_holder"),
        (with_digger, {"to_agent": "nobody"}, "not_found"),
        (with_digger, {"to_agent": "painter-1"}, "wrong_agent_type"),
        (with_digger, {"to_agent": None, "to_type": "nobody"}, "not_found"),
        (with_digger, {"to_agent": None}, "validation_error"),
        (with_digger, {"to_agent": "digger-1"}, "already_the_holder"),
        (with_digger, {"to_agent": "digger-2", "to_type": "painter"}, "validation_error"),
        (with_digger, {"to_agent": ""}, "validation_error"),
        (with_digger, {"from_agent": "a\nb"}, "validation_error"),
        (with_digger, {"author": ""}, "validation_error"),
        (with_digger, {"reason": "x" * 1001}, "validation_error"),
        (with_digger, {"payload": "x" * 256 * 1024}, "validation_error"),
        (with_digger, {"payload": float("nan")}, "validation_error"),
    ],
)
async def test_what_cannot_be_handed_on_is_refused_with_the_reason(
    repo: Path, which: Callable[[Running], Any], given: dict[str, Any], code: str
) -> None:
    async with system(repo) as running:
        workflow_id = await which(running)
        with pytest.raises((Conflict, NotFound, ValidationError)) as refused:
            await handed_on(running, workflow_id, **given)
        assert refused.value.code == code
        assert of_type(running, facts.AGENT_HANDOFF) == []


async def test_a_start_names_no_agent_that_the_workflow_could_not_be_handed_to(repo: Path) -> None:
    async with system(repo, agents=[Digger, Painter, Sweeper]) as running:
        with pytest.raises(ValidationError, match="are digger, painter") as refused:
            await running.start("digs_and_paints", agent_type="sweeper")
        assert refused.value.field == "agent_type"
        given = await running.start("digs_and_paints", agent_type="painter")
        assert given.agent_id == "painter-1"


async def test_a_reason_that_is_no_unicode_is_written_out(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("deaf")
        record = await handed_on(running, started.id, reason="bad \udc80", idempotency_key="k")
        assert record.reason == "bad \\udc80"


# --- who may have it


async def test_where_no_types_are_declared_a_step_that_waits_says_who_may_have_it(
    repo: Path,
) -> None:
    class Busy(Painter):
        gate = trio.Event()

        @activity
        async def paint(self, task: Task) -> str:
            await self.gate.wait()
            return self.agent_id

    async with system(repo, agents=[Digger, Busy, Busy]) as running:
        started = await running.start("paints")
        await until(lambda: of_type(running, facts.STEP_STARTED) != [])
        record = await handed_on(running, started.id, from_agent="painter-1", to_agent="painter-2")
        assert record.agent_type == "painter"
        back = await handed_on(running, started.id, from_agent="painter-2", to_agent="digger-1")
        assert back.step_number == 4  # the second was the step's own
        Busy.gate.set()
        await running.ended(started.id)


# --- by hand


async def assigned(running: Running, workflow_id: str, agent_id: str, **given: Any) -> Any:
    message = AssignWorkflow(workflow_id=workflow_id, agent_id=agent_id, **given)
    return await running.ask("manager", message)


async def test_a_workflow_given_to_an_agent_by_hand_stays_at_its_step_and_gets_no_signal(
    repo: Path,
) -> None:
    async with system(repo) as running:
        started = await running.start("deaf")
        record = await assigned(running, started.id, "digger-2", author="me", idempotency_key="k")
        assert (record.agent_id, record.step_number, record.assigned_by) == ("digger-2", 1, "me")
        assert signals(running, started.id) == []
        assert (
            await assigned(running, started.id, "digger-2", author="me", idempotency_key="k")
            == record
        )


async def test_a_queued_workflow_can_be_given_to_an_agent_by_hand(repo: Path) -> None:
    async with system(repo, agents=[Digger, Digger]) as running:
        started = [await running.start("deaf") for _ in range(5)]
        assert started[4].status == "queued"
        await told(running, started[1].id, "go")
        await running.ended(started[1].id)
        await until(lambda: len(of_type(running, facts.AGENT_ASSIGNED)) >= 5)
        assert (await running.get(started[4].id)).agent_id is not None


async def test_a_wrong_agent_is_refused_by_hand_too(repo: Path) -> None:
    async with system(repo) as running:
        started = await running.start("deaf")
        with pytest.raises(Conflict) as refused:
            await assigned(running, started.id, "painter-1")
        assert refused.value.code == "wrong_agent_type"


# --- faults


async def test_a_handoff_whose_signal_cannot_be_stored_now_stands_and_is_made_later(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, refusals = handing.make, 2

    async def full(*args: Any, **kwargs: Any) -> Any:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise StorageFull("the disk is full")
        return await make(*args, **kwargs)

    monkeypatch.setattr(handing, "make", full)
    monkeypatch.setattr(intents, "RETRY_S", 0.001)
    async with system(repo) as running:
        started = await running.start("deaf")
        record = await handed_on(running, started.id)
        assert record.agent_id == "digger-2"
        await until(lambda: len(signals(running, started.id)) == 1)
        await until(lambda: open_intents(running) == 0)


async def test_a_coordinator_that_does_not_answer_leaves_the_outcome_open(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*args: Any, **kwargs: Any) -> Any:
        raise AskTimeout("coordinator", "MoveWorkflow", 1.0)

    async with system(repo) as running:
        started = await running.start("deaf")
        monkeypatch.setattr(handoff, "ask", silent)
        with pytest.raises(Overloaded, match="may have been given to another agent"):
            await handed_on(running, started.id)


async def test_a_workflow_that_ended_meanwhile_needs_no_signal(repo: Path) -> None:
    async with system(repo) as running:
        workflow_id = await ended(running)
        plan = payload.encode({"workflow_id": workflow_id, "at": "t", "payload": None})
        tempolite = running.system.named("tempolite_writer")
        assert await handing.make("m-1", plan, tempolite=tempolite) == ()
        gone = payload.encode({"workflow_id": "nowhere", "at": "t", "payload": None})
        assert await handing.make("m-1", gone, tempolite=tempolite) == ()


async def test_a_handoff_that_was_cut_off_after_its_first_commit_is_made_by_the_next_life(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*args: Any, **kwargs: Any) -> Any:
        raise StorageFull("never made in this life")

    monkeypatch.setattr(handing, "make", killed)
    async with system(repo) as running:
        started = await running.start("deaf")
        await handed_on(running, started.id, payload={"depth": 3})
        assert (signals(running, started.id), open_intents(running)) == ([], 1)
    monkeypatch.undo()
    async with system(repo) as running:
        assert open_intents(running) == 0
        (signal,) = signals(running, started.id)
        assert signal["payload"] == {"depth": 3}
        found = await commented(running, started.beads_issue_id)
        assert len(comments(found)) == 1
        assert (await running.get(started.id)).agent_id == "digger-2"


async def test_a_handoff_that_nobody_was_told_of_is_found_by_looking(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handoff.Handoffs, "_make", nothing)
    monkeypatch.setattr(intents, "RETRY_S", 0.001)
    monkeypatch.setattr(intents, "LOOK_S", 0.001)
    async with system(repo) as running:
        started = await running.start("deaf")
        await handed_on(running, started.id)
        await until(lambda: len(signals(running, started.id)) == 1)
        await until(lambda: open_intents(running) == 0)


async def nothing(*args: Any, **kwargs: Any) -> None: ...
