"""Changing a workflow, asked of the manager of a whole running system."""

from pathlib import Path
from typing import Any

import pytest
import trio

from actors.coordination import intents, revising, updating
from actors.coordination.messages import (
    ApplyUpdate,
    ListWorkflows,
    RecordUpdate,
    UpdateWorkflow,
    WorkflowChanged,
    WorkflowRecord,
)
from actors.errors import Conflict, DatabaseUnavailable, NotFound, Overloaded, ValidationError
from actors.issues.messages import GetIssue
from actors.issues.verbs import UpdateIssue
from actors.workflows.messages import SetPriority
from actors.writer import write
from beadflow import Agent, Context, Task, activity, workflow
from storage.coordination import queries
from tests.support.faults import until
from tests.support.world import Running, running_system


@pytest.fixture(autouse=True)
def _closed_gate() -> None:
    Helper.gate = trio.Event()


class Helper(Agent):
    agent_type = "helper"
    max_workload = 1

    gate = trio.Event()

    @activity
    async def help(self, task: Task) -> dict[str, Any]:
        await self.gate.wait()
        return {"for": task.workflow_id}


@workflow(agent_type="helper")
async def helped(ctx: Context, variables: dict[str, Any]) -> Any:
    await ctx.activity(Helper.help)
    return variables


@workflow
async def waits(ctx: Context) -> Any:
    return await ctx.signal("go")


failures: list[str] = []


@activity
async def fail_once(workflow_id: str) -> None:
    if workflow_id not in failures:
        failures.append(workflow_id)
        raise ValueError("not yet")


@workflow
async def fails_once(ctx: Context) -> None:
    await ctx.activity(fail_once, ctx.workflow_id)


@workflow
async def parent(ctx: Context) -> Any:
    return await ctx.child(waits)


async def update(running: Running, workflow_id: str, **given: Any) -> WorkflowRecord:
    message = UpdateWorkflow(workflow_id=workflow_id, **given)
    record: WorkflowRecord = await running.ask("manager", message)
    return record


def priorities(running: Running, workflow_id: str) -> tuple[int, int]:
    """The engine's, and that of the workflow's assignment; -1 where it has none."""
    (own,) = running.stores.tempolite.inline.execute(
        "SELECT priority FROM instances WHERE workflow_id = ?", (workflow_id,)
    ).fetchone()
    row = running.stores.coordination.inline.execute(
        "SELECT priority FROM agent_assignments WHERE workflow_id = ?", (workflow_id,)
    ).fetchone()
    return own, -1 if row is None else row[0]


def open_intents(running: Running) -> int:
    return len(running.stores.coordination.inline.execute(queries.INTENTS).fetchall())


async def issue(running: Running, record: WorkflowRecord) -> tuple[str, int]:
    found = await running.ask("tracker", GetIssue(issue_id=record.beads_issue_id))
    return found.title, found.priority


async def follows(running: Running, record: WorkflowRecord, title: str, priority: int) -> None:
    with trio.fail_after(10):
        while await issue(running, record) != (title, priority):
            await trio.sleep(0.01)


async def test_title_and_priority_change_in_all_three_databases(repo: Path) -> None:
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        started = await running.start("helped")
        changed = await update(running, started.id, title="Another", priority=0)
        assert (changed.title, changed.priority) == ("Another", 0)
        assert changed.updated_at > started.updated_at == started.created_at
        assert await running.get(started.id) == changed
        assert priorities(running, started.id) == (0, 0)
        assert open_intents(running) == 0
        await follows(running, started, "Another", 0)
        (fact,) = [fact for fact in running.log() if fact.type == "workflow_updated"]
        assert fact.data == {
            "fields": ["priority", "title"],
            "author": "operator",
            "title": "Another",
            "priority": 0,
        }


async def test_variables_change_as_long_as_the_workflow_is_queued(repo: Path) -> None:
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        running_one = await running.start("helped", variables={"n": 1})
        queued = await running.start("helped", variables={"n": 1})
        with pytest.raises(Conflict) as refused:
            await update(running, running_one.id, variables={"n": 2}, title="Not this either")
        assert refused.value.code == "variables_fixed"
        assert (await running.get(running_one.id)).title == "a title"
        changed = await update(running, queued.id, variables={"n": 2})
        assert (changed.variables, changed.status) == ({"n": 2}, "queued")
        Helper.gate.set()
        await running.ended(running_one.id, queued.id)
        assert await running.output(queued.id) == {"n": 2}
        assert await running.output(running_one.id) == {"n": 1}


async def test_variables_that_come_too_late_are_refused_and_nothing_else_is_done(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent was given between the question and the command."""
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        started = await running.start("helped", variables={"n": 1})
        monkeypatch.setattr(updating, "WAITING", ("queued", "active"))
        with pytest.raises(Conflict) as refused:
            await update(running, started.id, variables={"n": 2}, title="T", priority=0)
        assert refused.value.code == "variables_fixed"
        assert open_intents(running) == 0
        found = await running.get(started.id)
        assert (found.title, found.priority, found.variables) == ("a title", 2, {"n": 1})


async def test_a_status_is_asked_for_by_the_table(repo: Path) -> None:
    async with running_system(repo, workflows=[waits]) as running:
        started = await running.start("waits")
        assert (await update(running, started.id, status="paused", reason="r")).status == "paused"
        assert (await running.get(started.id)).status == "paused"
        assert (await update(running, started.id, status="paused")).status == "paused"
        both = await update(running, started.id, status="active", title="Both")
        assert (both.status, both.title) == ("active", "Both")
        ended = await update(running, started.id, status="cancelled", reason="enough")
        assert ended.status in {"active", "cancelled"}  # it cleans up first
        await running.ended(started.id)
        page = await running.ask("manager", ListWorkflows(statuses=("cancelled",)))
        assert [record.id for record in page.records] == [started.id]
        with pytest.raises(Conflict) as refused:
            await update(running, started.id, status="active")
        assert refused.value.code == "status_transition"
        assert (await update(running, started.id, title="Late")).title == "Late"


async def test_a_workflow_is_completed_by_hand_and_a_failed_one_goes_on(repo: Path) -> None:
    async with running_system(repo, workflows=[waits, fails_once]) as running:
        done = await running.start("waits")
        ended = await update(running, done.id, status="completed", author="ada")
        assert (ended.status, (await running.get(done.id)).status) == ("completed", "completed")
        failing = await running.start("fails_once")
        (failed,) = await running.ended(failing.id)
        assert failed.status == "failed"
        assert (await update(running, failing.id, status="active")).status in (
            "active",
            "completed",
        )
        with trio.fail_after(10):
            while (await running.get(failing.id)).status != "completed":
                await trio.sleep(0.01)


async def test_a_child_has_a_status_of_its_own_and_nothing_else(repo: Path) -> None:
    async with running_system(repo, workflows=[parent, waits]) as running:
        above = await running.start("parent")
        seen = await running.until(lambda log: any(f.type == "child_started" for f in log))
        child = next(f.data["child_id"] for f in seen if f.type == "child_started")
        assert (await update(running, child, status="paused")).status == "paused"
        with pytest.raises(Conflict) as refused:
            await update(running, child, title="T")
        assert refused.value.code == "child_workflow"
        await update(running, above.id, status="cancelled")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "body"),
        ({"title": " "}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"title": "t" * 501}, "title"),
        ({"priority": 5}, "priority"),
        ({"variables": {"x": "y" * 300_000}}, "variables"),
        ({"title": "T", "reason": "r"}, "reason"),
        ({"status": "paused", "reason": "r" * 1001}, "reason"),
    ],
)
def test_what_cannot_be_is_refused_before_anybody_is_asked(
    given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        updating.check(UpdateWorkflow(workflow_id="w", **given))
    assert refused.value.field == field


async def test_a_repeated_request_changes_nothing_a_second_time(repo: Path) -> None:
    async with running_system(repo, workflows=[waits]) as running:
        started = await running.start("waits")
        first = {"status": "paused", "idempotency_key": "k"}
        await update(running, started.id, **first)
        await update(running, started.id, status="active")
        assert (await update(running, started.id, **first)).status == "active"
        with pytest.raises(Conflict):
            await update(running, started.id, status="cancelled", idempotency_key="k")


async def test_who_has_seen_an_older_state_is_refused(repo: Path) -> None:
    async with running_system(repo, workflows=[waits]) as running:
        started = await running.start("waits")
        changed = await update(running, started.id, title="T", expected=started.updated_at)
        with pytest.raises(WorkflowChanged):
            await update(running, started.id, title="U", expected=started.updated_at)
        await update(running, started.id, status="paused", expected=changed.updated_at)
        with pytest.raises(NotFound):
            await update(running, "nothing", title="U")


async def test_changes_of_one_workflow_are_made_one_after_the_other(repo: Path) -> None:
    async with running_system(repo, workflows=[waits]) as running:
        started = await running.start("waits")
        answers: list[WorkflowRecord] = []

        async def change(number: int) -> None:
            found = await update(running, started.id, title=f"T{number}", priority=number % 5)
            assert (found.title, found.priority) == (f"T{number}", number % 5)
            answers.append(found)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(change, number)
        assert len({found.updated_at for found in answers}) == 10
        last = max(answers, key=lambda found: found.updated_at)
        assert await running.get(started.id) == last
        await follows(running, started, last.title, last.priority)


async def test_an_issue_changed_by_hand_changes_its_workflow(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intents, "RETRY_S", 0.01)
    async with running_system(repo, workflows=[waits]) as running:
        started = await running.start("waits")
        fields = {"title": "By hand", "priority": 1}
        message = UpdateIssue(issue_id=started.beads_issue_id, actor="ada", fields=fields)
        await running.ask("tracker", message)
        await running.until(lambda log: any(f.type == "workflow_updated" for f in log))
        found = await running.get(started.id)
        assert (found.title, found.priority) == ("By hand", 1)
        await until(lambda: priorities(running, started.id) == (1, -1))
        await until(lambda: open_intents(running) == 0)


@pytest.mark.parametrize("is_made", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "cut", [RecordUpdate, SetPriority, ApplyUpdate], ids=lambda kind: kind.__name__
)
async def test_a_change_that_was_cut_off_is_whole_or_not_there_in_the_next_life(
    repo: Path, monkeypatch: pytest.MonkeyPatch, cut: type, is_made: bool
) -> None:
    async def fails(target: Any, command: Any, **more: Any) -> Any:
        is_cut = type(command) is cut
        answer = None if is_cut and not is_made else await write(target, command, **more)
        if not is_cut:
            return answer
        raise DatabaseUnavailable("gone", operation="it")

    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        started = await running.start("helped")
        monkeypatch.setattr(updating, "write", fails)
        with pytest.raises(Overloaded):
            await update(running, started.id, title="Finished", priority=4)
    monkeypatch.setattr(updating, "write", write)
    async with running_system(repo, workflows=[helped], agents=[Helper]) as running:
        found = await running.get(started.id)
        title, priority = ("Finished", 4) if cut is not RecordUpdate or is_made else ("a title", 2)
        assert (found.title, found.priority) == (title, priority)
        assert priorities(running, started.id) == (priority, priority)
        assert open_intents(running) == 0
        await follows(running, started, title, priority)
        said = [fact for fact in running.log() if fact.type == "workflow_updated"]
        assert len(said) == (title == "Finished")


def test_a_moment_of_its_own_is_written_as_all_are() -> None:
    assert revising.later("2026", "2026-01-01T00:00:00.000009Z") == "2026-01-01T00:00:00.000010Z"


async def test_who_completes_by_hand_may_say_what_came_of_it_and_why(repo: Path) -> None:
    async with running_system(repo, workflows=[waits]) as running:
        started = await running.start("waits")
        given = {"answer": [1, None]}
        await update(running, started.id, status="completed", result=given, reason="found it")
        await running.ended(started.id)
        assert await running.output(started.id) == given

        async def commented() -> bool:
            found = await running.ask("tracker", GetIssue(issue_id=started.beads_issue_id))
            return [one["text"] for one in found.row.get("comments", ())] == ["found it"]

        with trio.fail_after(10):
            while not await commented():
                await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("status", [None, "paused"])
async def test_a_result_is_of_what_is_completed(repo: Path, status: str | None) -> None:
    async with running_system(repo, workflows=[waits]) as running:
        started = await running.start("waits")
        with pytest.raises(ValidationError, match="completed") as refused:
            await update(running, started.id, title="x", status=status, result=1)
        assert refused.value.field == "result"
