"""What an operator does to a workflow, asked of the manager of a whole running system."""

from pathlib import Path
from typing import Any

import pytest
import trio

from actors.coordination import control, manager, reading
from actors.coordination.messages import (
    CancelWorkflow,
    CompleteWorkflow,
    GetHistory,
    HistoryRecord,
    PauseWorkflow,
    ReadEvents,
    ResumeWorkflow,
    RetryWorkflow,
    SignalWorkflow,
    TerminateWorkflow,
    WorkflowRecord,
)
from actors.errors import Conflict, NotFound, Overloaded, StorageFull, ValidationError
from actors.issues.messages import GetIssue, Issue
from actors.workflows import dispatcher
from actors.workflows.history import Kind
from actors.workflows.messages import QueryWorkflow
from beadflow import (
    ActivityFailure,
    Agent,
    CancelledError,
    Context,
    RetryPolicy,
    Task,
    activity,
    workflow,
)
from supervision import ActorDeadError, AskTimeout
from tests.support import engine
from tests.support.faults import restarts, until
from tests.support.world import Running, running_system


@workflow
async def waits(ctx: Context) -> Any:
    """Waits for a signal, answers queries, and says how it was cancelled."""
    said: list[str] = []
    ctx.on_query("said", lambda: said)
    ctx.on_query("twice", lambda number: number * 2)
    try:
        said.append("waiting")
        return await ctx.signal("go")
    except CancelledError as error:
        await ctx.activity(clean_up, error.reason)
        raise


@activity
async def clean_up(why: str) -> str:
    return why


@workflow
async def counts(ctx: Context, variables: dict[str, Any]) -> list[Any]:
    return [await ctx.signal("number") for _ in range(variables["signals"])]


@workflow
async def parent(ctx: Context) -> Any:
    return await ctx.child(waits)


@workflow
async def fails(ctx: Context) -> None:
    raise ValueError("no")


@workflow
async def parent_of_failing(ctx: Context) -> None:
    await ctx.child(fails)


@activity
async def much() -> str:
    return "x" * 1000


@workflow
async def talks_much(ctx: Context) -> None:
    for _ in range(5):
        await ctx.activity(much)


class Helper(Agent):
    agent_type = "helper"
    max_workload = 1

    @activity
    async def help(self, task: Task) -> None: ...


@workflow(agent_type="helper")
async def helped(ctx: Context) -> None:
    """Keeps its agent, and gives it nothing to do."""
    await ctx.signal("go")
    await ctx.activity(Helper.help)


class Clerk(Agent):
    agent_type = "clerk"
    max_workload = 1
    open = False

    @activity(retry=RetryPolicy(attempts=1))
    async def file(self, task: Task) -> str:
        if not Clerk.open:
            raise ActivityFailure("closed", "come back tomorrow")
        return self.agent_id


@workflow(agent_type="clerk")
async def files(ctx: Context) -> Any:
    return await ctx.activity(Clerk.file)


ALL = [waits, counts, parent, fails, parent_of_failing, talks_much, helped]


async def waiting(running: Running, workflow_type: str = "waits", **given: Any) -> str:
    """Start a workflow; answers its id."""
    record = await running.start(workflow_type, **given)
    return record.id


async def ask(running: Running, message: Any) -> WorkflowRecord:
    record: WorkflowRecord = await running.ask("manager", message)
    return record


async def shown(running: Running, workflow_id: str, status: str) -> WorkflowRecord:
    """Wait until the mapping says so."""
    with trio.fail_after(20):
        while (record := await running.get(workflow_id)).status != status:
            await trio.sleep(0.002)
    return record


async def issue_in(running: Running, workflow_id: str, status: str, *labels: str) -> Issue:
    """Wait until the issue is so."""
    record = await running.get(workflow_id)
    with trio.fail_after(20):
        while True:
            issue: Issue = await running.ask("tracker", GetIssue(issue_id=record.beads_issue_id))
            if (issue.status, issue.labels) == (status, ("beadflow", *labels)):
                return issue
            await trio.sleep(0.002)


def comments(issue: Issue) -> list[str]:
    return [comment["text"] for comment in issue.row.get("comments", ())]


# --- signals


async def test_a_signal_is_taken_by_the_workflow_that_waits_for_it(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        message = SignalWorkflow(workflow_id=workflow_id, name="go", value={"a": [1]})
        assert (await ask(running, message)).status == "active"
        await running.ended(workflow_id)
        assert await running.output(workflow_id) == {"a": [1]}


async def test_the_same_message_twice_is_one_signal(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running, "counts", variables={"signals": 2})
        first = SignalWorkflow(workflow_id=workflow_id, name="number", value=1, message_id="m")
        for _ in range(3):
            await ask(running, first)
        other = SignalWorkflow(workflow_id=workflow_id, name="other", message_id="m")
        with pytest.raises(Conflict, match="another signal 'm'"):
            await ask(running, other)
        await ask(running, SignalWorkflow(workflow_id=workflow_id, name="number", value=2))
        await running.ended(workflow_id)
        assert await running.output(workflow_id) == [1, 2]


async def test_signals_without_a_message_id_are_two(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running, "counts", variables={"signals": 2})
        for _ in range(2):
            await ask(running, SignalWorkflow(workflow_id=workflow_id, name="number", value=1))
        await running.ended(workflow_id)
        assert await running.output(workflow_id) == [1, 1]


# --- queries


async def test_a_query_is_answered_by_the_live_workflow(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        said = QueryWorkflow(workflow_id=workflow_id, name="said")
        assert await running.ask("manager", said) == ["waiting"]
        twice = QueryWorkflow(workflow_id=workflow_id, name="twice", argument=21)
        assert await running.ask("manager", twice) == 42


async def test_a_query_that_nobody_answers_is_refused(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        with pytest.raises(ValidationError, match="it has: said, twice"):
            await running.ask("manager", QueryWorkflow(workflow_id=workflow_id, name="colour"))
        with pytest.raises(NotFound):
            await running.ask("manager", QueryWorkflow(workflow_id="nothing", name="said"))
        await ask(running, TerminateWorkflow(workflow_id=workflow_id))
        with pytest.raises(Conflict, match="terminated") as refused:
            await running.ask("manager", QueryWorkflow(workflow_id=workflow_id, name="said"))
        assert refused.value.code == "workflow_not_running"


@pytest.mark.parametrize("error", [ActorDeadError("away"), AskTimeout("x", "Query", 1.0)])
async def test_a_query_while_the_dispatcher_is_away_is_overload_and_no_crash(
    repo: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def away(*_: Any, **__: Any) -> Any:
        raise error

    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        monkeypatch.setattr(control, "ask", away)
        with pytest.raises(Overloaded, match="did not answer the query"):
            await running.ask("manager", QueryWorkflow(workflow_id=workflow_id, name="said"))
        assert restarts(running, "manager") == 0


async def test_a_workflow_too_busy_for_a_query_crashes_no_dispatcher(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = dispatcher.ask

    async def slow(target: Any, message: Any, **given: Any) -> Any:
        if isinstance(message, QueryWorkflow):
            raise AskTimeout("x", "Query", 1.0)
        return await asked(target, message, **given)

    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        monkeypatch.setattr(dispatcher, "ask", slow)
        with pytest.raises(Overloaded, match="too busy"):
            await running.ask("manager", QueryWorkflow(workflow_id=workflow_id, name="said"))
        assert restarts(running, "dispatcher") == 0


# --- pause and resume


async def test_a_paused_workflow_takes_nothing_until_it_is_resumed(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        paused = await ask(running, PauseWorkflow(workflow_id=workflow_id, reason="lunch"))
        assert (paused.status, paused.completed_at) == ("paused", None)
        await shown(running, workflow_id, "paused")
        issue = await issue_in(running, workflow_id, "in_progress", "paused")
        assert comments(issue) == ["lunch"]
        await ask(running, SignalWorkflow(workflow_id=workflow_id, name="go", value=1))
        assert (await ask(running, PauseWorkflow(workflow_id=workflow_id))).status == "paused"
        assert (await ask(running, ResumeWorkflow(workflow_id=workflow_id))).status == "active"
        await running.ended(workflow_id)
        issue = await issue_in(running, workflow_id, "closed")
        assert issue.close_reason == "Completed"


async def test_a_workflow_that_is_paused_in_the_queue_goes_back_into_it(repo: Path) -> None:
    async with running_system(repo, workflows=ALL, agents=[Helper]) as running:
        await waiting(running, "helped")
        queued = await waiting(running, "helped")
        assert (await ask(running, PauseWorkflow(workflow_id=queued))).status == "paused"
        await issue_in(running, queued, "in_progress", "paused")
        assert (await ask(running, ResumeWorkflow(workflow_id=queued))).status == "queued"
        await shown(running, queued, "queued")
        await issue_in(running, queued, "open")


async def test_a_pause_outlives_the_process(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        await ask(running, PauseWorkflow(workflow_id=workflow_id))
    async with running_system(repo, workflows=ALL) as running:
        await shown(running, workflow_id, "paused")
        await ask(running, ResumeWorkflow(workflow_id=workflow_id))
        await ask(running, SignalWorkflow(workflow_id=workflow_id, name="go", value=1))
        await running.ended(workflow_id)


# --- cancel and terminate


async def test_a_cancelled_workflow_cleans_up_and_closes_its_issue(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        said = QueryWorkflow(workflow_id=workflow_id, name="said")
        await running.ask("manager", said)  # it waits: one that has not begun has nothing to clean
        await ask(running, CancelWorkflow(workflow_id=workflow_id, reason="an error of ours"))
        (ended,) = await running.ended(workflow_id)
        assert (ended.status, ended.error_code) == ("cancelled", None)
        assert ended.completed_at is not None
        assert Kind.ACTIVITY_COMPLETED in engine.kinds(running, workflow_id)
        issue = await issue_in(running, workflow_id, "closed")
        assert issue.close_reason == "Cancelled: requested"
        assert comments(issue) == ["an error of ours"]
        again = await ask(running, CancelWorkflow(workflow_id=workflow_id))
        assert (again.status, again.completed_at) == ("cancelled", ended.completed_at)


async def test_a_terminated_workflow_ends_where_it_stands(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        await ask(running, PauseWorkflow(workflow_id=workflow_id))
        ended = await ask(running, TerminateWorkflow(workflow_id=workflow_id, reason="now"))
        assert ended.status == "terminated"
        assert ended.completed_at is not None
        await shown(running, workflow_id, "terminated")
        assert Kind.ACTIVITY_COMPLETED not in engine.kinds(running, workflow_id)
        issue = await issue_in(running, workflow_id, "closed")
        assert (issue.close_reason, comments(issue)) == ("Cancelled: terminated", ["now"])


async def test_a_workflow_that_is_cancelled_in_the_queue_never_runs(repo: Path) -> None:
    async with running_system(repo, workflows=ALL, agents=[Helper]) as running:
        first, second, third = [await waiting(running, "helped") for _ in range(3)]
        assert (await ask(running, CancelWorkflow(workflow_id=second))).status == "cancelled"
        await issue_in(running, second, "closed")
        await ask(running, TerminateWorkflow(workflow_id=first))
        assert (await shown(running, third, "active")).agent_id == "helper-1"
        assert (await running.get(second)).started_at is None


@pytest.mark.parametrize("message", [PauseWorkflow, CancelWorkflow, TerminateWorkflow])
async def test_a_request_reaches_the_children(repo: Path, message: type[Any]) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running, "parent")
        await engine.recorded(running, workflow_id, Kind.CHILD_STARTED)
        await ask(running, message(workflow_id=workflow_id))
        wanted = {PauseWorkflow: "paused", CancelWorkflow: "cancelled"}.get(message, "terminated")
        await until(lambda: engine.status(running, f"{workflow_id}.1") == wanted)


# --- children


async def test_a_child_is_found_by_its_id_with_the_issue_of_its_parent(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        above = await running.start("parent", "the parent", priority=1)
        child_id = f"{above.id}.1"
        await engine.recorded(running, above.id, Kind.CHILD_STARTED)
        child = await running.get(child_id)
        assert (child.type, child.status, child.parent_id) == ("waits", "active", above.id)
        assert (child.beads_issue_id, child.title, child.priority) == (
            above.beads_issue_id,
            "the parent",
            1,
        )
        assert (child.variables, child.completed_at, child.agent_id) == ({}, None, None)
        await ask(running, SignalWorkflow(workflow_id=child_id, name="go", value=7))
        await running.ended(child_id, above.id)
        ended = await running.get(child_id)
        assert (ended.status, ended.error_code) == ("completed", None)
        assert ended.completed_at is not None
        assert await running.output(above.id) == 7
        assert (await running.get(above.id)).parent_id is None


async def test_a_child_is_steered_by_itself(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running, "parent")
        child_id = f"{workflow_id}.1"
        await engine.recorded(running, workflow_id, Kind.CHILD_STARTED)
        assert (await ask(running, PauseWorkflow(workflow_id=child_id))).status == "paused"
        assert (await running.get(child_id)).status == "paused"
        assert (await ask(running, ResumeWorkflow(workflow_id=child_id))).status == "active"
        ended = await ask(running, TerminateWorkflow(workflow_id=child_id))
        assert (ended.status, ended.parent_id) == ("terminated", workflow_id)
        (above,) = await running.ended(workflow_id)
        assert (above.status, above.error_code) == ("failed", "terminated")


async def test_a_child_that_failed_says_why(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running, "parent_of_failing")
        await running.ended(workflow_id)
        child = await running.get(f"{workflow_id}.1")
        assert (child.status, child.error_code) == ("failed", "ValueError")
        assert child.error_message == "no"
        events = await running.ask("manager", ReadEvents(workflow_id=child.id))
        assert [fact.type for fact in events] == ["workflow_started", "workflow_failed"]
        with pytest.raises(NotFound):
            await running.get(f"{workflow_id}.2")


# --- refusals


@pytest.mark.parametrize(
    "message",
    [
        SignalWorkflow(workflow_id="nothing", name="go"),
        PauseWorkflow(workflow_id="nothing"),
        ResumeWorkflow(workflow_id="nothing"),
        CancelWorkflow(workflow_id="nothing"),
        TerminateWorkflow(workflow_id="nothing"),
        GetHistory(workflow_id="nothing"),
    ],
)
async def test_a_workflow_that_is_not_there_is_not_found(repo: Path, message: Any) -> None:
    async with running_system(repo, workflows=ALL) as running:
        with pytest.raises(NotFound, match="nothing"):
            await ask(running, message)


async def test_a_closed_workflow_takes_no_requests(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running, "counts", variables={"signals": 0})
        await running.ended(workflow_id)
        for message in (
            SignalWorkflow(workflow_id=workflow_id, name="go"),
            PauseWorkflow(workflow_id=workflow_id),
            ResumeWorkflow(workflow_id=workflow_id),
            CancelWorkflow(workflow_id=workflow_id),
            TerminateWorkflow(workflow_id=workflow_id),
        ):
            with pytest.raises(Conflict, match="is completed") as refused:
                await ask(running, message)
            assert refused.value.code == "workflow_closed"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "go", "message_id": ""}, "message_id"),
        ({"name": "go", "message_id": "x" * 256}, "message_id"),
        ({"name": "go", "value": float("nan")}, "value"),
        ({"name": "go", "value": "x" * 300_000}, "value"),
        ({"name": "go", "value": "漢" * 100_000}, "value"),
    ],
)
async def test_a_signal_that_cannot_be_kept_is_refused(
    repo: Path, given: dict[str, Any], field: str
) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        with pytest.raises(ValidationError) as refused:
            await ask(running, SignalWorkflow(workflow_id=workflow_id, **given))
        assert refused.value.field == field
        assert Kind.WORKFLOW_SIGNALED not in engine.kinds(running, workflow_id)


async def test_a_reason_has_a_limit_and_may_be_any_text(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        with pytest.raises(ValidationError, match="1000 characters"):
            await ask(running, PauseWorkflow(workflow_id=workflow_id, reason="x" * 1001))
        await ask(running, PauseWorkflow(workflow_id=workflow_id, reason="half \udc80\nof a pair"))
        await shown(running, workflow_id, "paused")


async def test_a_workflow_that_is_decided_and_not_made_takes_requests_later(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any, **__: Any) -> None:
        raise StorageFull("the disk is full")

    async with running_system(repo, workflows=ALL) as running:
        monkeypatch.setattr(manager.intents, "make", full)
        with pytest.raises(StorageFull):
            await running.start("waits", workflow_id="chosen")
        with pytest.raises(Overloaded, match="not made yet"):
            await ask(running, SignalWorkflow(workflow_id="chosen", name="go"))
        page = await running.ask("manager", GetHistory(workflow_id="chosen"))
        assert (page.records, page.next_after) == ((), None)


# --- the history


async def history(running: Running, workflow_id: str, **given: Any) -> list[HistoryRecord]:
    found: list[HistoryRecord] = []
    after: int | None = 0
    while after is not None:
        message = GetHistory(workflow_id=workflow_id, after=after, **given)
        page = await running.ask("manager", message)
        found += page.records
        after = page.next_after
    return found


async def test_the_history_is_given_as_data_page_by_page(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        await ask(running, SignalWorkflow(workflow_id=workflow_id, name="go", message_id="m"))
        await running.ended(workflow_id)
        whole = await history(running, workflow_id)
        assert [record.seq for record in whole] == [1, 2, 3, 4]
        assert [record.kind for record in whole] == engine.kinds(running, workflow_id)
        signal = next(record for record in whole if record.kind == "workflow_signaled")
        assert (signal.name, signal.payload) == ("go", {"message_id": "m"})
        for limit in (1, 2, 3, 4):
            assert await history(running, workflow_id, limit=limit) == whole
        last = await running.ask("manager", GetHistory(workflow_id=workflow_id, after=99))
        assert (last.records, last.next_after) == ((), None)


async def test_a_page_of_large_events_is_shorter_but_never_empty(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running, "talks_much")
        await running.ended(workflow_id)
        whole = await history(running, workflow_id)
        for most in (1, 2500):
            monkeypatch.setattr(reading, "HISTORY_PAGE_BYTES", most)
            page = await running.ask("manager", GetHistory(workflow_id=workflow_id))
            assert 1 <= len(page.records) < 5
            assert await history(running, workflow_id) == whole


async def test_a_child_has_a_history_of_its_own(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running, "parent")
        await engine.recorded(running, workflow_id, Kind.CHILD_STARTED)
        first, *_ = await history(running, f"{workflow_id}.1")
        assert (first.kind, first.name, first.payload["parent_id"]) == (
            "workflow_started",
            "waits",
            workflow_id,
        )


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_page_of_the_history_has_a_limit(repo: Path, limit: int) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        with pytest.raises(ValidationError, match="limit"):
            await running.ask("manager", GetHistory(workflow_id=workflow_id, limit=limit))


# --- retry, and completion by hand


async def test_a_workflow_that_is_retried_waits_for_an_agent_and_its_issue_is_open_again(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_system(repo, workflows=[files], agents=[Clerk]) as running:
        workflow_id = (await running.start("files")).id
        await running.ended(workflow_id)
        closed = await issue_in(running, workflow_id, "closed")
        assert closed.row["close_reason"] == "Failed: closed"
        monkeypatch.setattr(Clerk, "open", True)
        record = await ask(running, RetryWorkflow(workflow_id=workflow_id, author="ann"))
        assert record.status in ("queued", "active", "completed")
        assert record.error_code is None
        await running.until(lambda seen: any(f.type == "workflow_completed" for f in seen))
        done = await shown(running, workflow_id, "completed")
        assert (done.error_code, done.error_message) == (None, None)
        assert await running.output(workflow_id) == "clerk-1"
        issue = await issue_in(running, workflow_id, "closed")
        with trio.fail_after(20):
            while issue.row.get("close_reason") != "Completed":
                issue = await issue_in(running, workflow_id, "closed")
                await trio.sleep(0.002)
        assert "Retried by ann" in comments(issue)
        rows = running.stores.coordination.inline.execute(
            "SELECT agent_type, agent_id, step_number, status, reason FROM agent_assignments"
            " WHERE workflow_id = ? ORDER BY id",
            (workflow_id,),
        )
        assert [tuple(row) for row in rows] == [
            ("clerk", "clerk-1", 1, "completed", ""),
            ("clerk", "clerk-1", 1, "completed", "retried"),
        ]
        facts = [fact for fact in running.log() if fact.workflow_id == workflow_id]
        kinds = [fact.type for fact in facts if fact.type.startswith("workflow_")]
        assert kinds == [
            "workflow_started",
            "workflow_failed",
            "workflow_retried",
            "workflow_started",
            "workflow_completed",
        ]


async def test_a_workflow_without_an_agent_that_is_retried_is_active_at_once(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = (await running.start("fails")).id
        await running.ended(workflow_id)
        record = await ask(running, RetryWorkflow(workflow_id=workflow_id))
        assert record.status in ("active", "failed")
        reader = running.stores.tempolite.inline
        sql = "SELECT count(*) FROM history WHERE kind = 'workflow_failed'"
        await until(lambda: reader.execute(sql).fetchone()[0] == 2)
        for author in ("", "x" * 201, "a\nb"):
            with pytest.raises(ValidationError, match="author"):
                await ask(running, RetryWorkflow(workflow_id=workflow_id, author=author))


async def test_a_workflow_that_is_completed_by_hand_has_the_result_that_was_given(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id = await waiting(running)
        await shown(running, workflow_id, "active")
        message = CompleteWorkflow(workflow_id=workflow_id, output={"by": "hand"}, author="ann")
        for _ in range(2):
            assert (await ask(running, message)).status == "completed"
        await running.ended(workflow_id)
        assert await running.output(workflow_id) == {"by": "hand"}
        issue = await issue_in(running, workflow_id, "closed")
        assert issue.row["close_reason"] == "Completed"
        assert comments(issue) == ["Completed by hand by ann"]
        for refused in (
            CompleteWorkflow(workflow_id=workflow_id, output=1),
            RetryWorkflow(workflow_id=workflow_id),
        ):
            with pytest.raises(Conflict) as found:
                await ask(running, refused)
            assert found.value.code == "workflow_closed"
        with pytest.raises(ValidationError, match="output"):
            await ask(running, CompleteWorkflow(workflow_id=workflow_id, output="x" * 300_000))
