"""What a person, an agent or another clone does to a workflow's issue, and what follows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.coordination.messages import SignalWorkflow
from actors.coordination.reconciling.hands import Hands
from actors.coordination.reconciling.messages import CompleteTask
from actors.issues.messages import Flush, GetIssue, Issue
from actors.issues.verbs import (
    ClaimIssue,
    CloseIssue,
    DeleteIssue,
    ReleaseClaim,
    ReopenIssue,
    RestoreIssue,
    UpdateIssue,
)
from beadflow import ActivityFailure, Agent, Context, Task, activity, workflow
from storage.issues import jsonl
from storage.issues.file import PUBLISHED
from storage.workflows.divergences import CANCEL_ASKED
from tests.actors.test_tree import Losses
from tests.support.faults import crash_the_bus
from tests.support.world import Running, running_system


class Clerk(Agent):
    """Works until it is told to stop, or answers at once."""

    agent_type = "clerk"

    @activity
    async def think(self, task: Task) -> str:
        await trio.sleep_forever()
        raise AssertionError

    @activity
    async def count(self, task: Task) -> int:
        await trio.sleep_forever()
        raise AssertionError

    @activity
    async def sum_up(self, task: Task) -> dict[str, Any]:
        return {"summed": True}


@workflow
async def waits(ctx: Context) -> str:
    return str(await ctx.signal("go"))


@workflow(agent_type="clerk")
async def asks(ctx: Context) -> list[Any]:
    first = await ctx.activity(Clerk.think)
    return [first, await ctx.activity(Clerk.sum_up), await ctx.signal("go")]


@workflow(agent_type="clerk")
async def counts(ctx: Context) -> int:
    return await ctx.activity(Clerk.count)


@workflow(agent_type="clerk")
async def idles(ctx: Context) -> str:
    return str(await ctx.signal("go"))


@activity
async def boom() -> None:
    raise ActivityFailure("boom", "it went off")


@workflow
async def fails(ctx: Context) -> None:
    await ctx.activity(boom)


ALL = [waits, asks, counts, idles, fails]


async def issue_of(running: Running, workflow_id: str) -> Issue:
    record = await running.get(workflow_id)
    issue: Issue = await running.ask("tracker", GetIssue(issue_id=record.beads_issue_id))
    return issue


async def when(running: Running, workflow_id: str, status: str) -> Issue:
    """Wait until the issue has a status."""
    with trio.fail_after(20):
        while (issue := await issue_of(running, workflow_id)).status != status:
            await trio.sleep(0.002)
    return issue


async def started(running: Running, kind: str) -> tuple[str, str]:
    """A workflow that runs, and its issue, which says so."""
    record = await running.start(kind)
    await when(running, record.id, "in_progress")
    return record.id, record.beads_issue_id


async def busy(running: Running, kind: str) -> tuple[str, str]:
    """The same, once its agent is at its first step."""
    ids = await started(running, kind)
    await running.until(
        lambda seen: any(f.workflow_id == ids[0] and f.type == "step_started" for f in seen)
    )
    return ids


def comments(issue: Issue) -> list[tuple[str, str]]:
    return [(c["author"], c["text"]) for c in issue.row.get("comments", ())]


async def test_closing_the_issue_by_hand_cancels_its_workflow(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id, issue_id = await started(running, "waits")
        await running.ask("tracker", CloseIssue(issue_id=issue_id, actor="ann"))
        (record,) = await running.ended(workflow_id)
        assert record.status == "cancelled"
        issue = await until_reason(running, workflow_id, "Cancelled: requested")
        assert comments(issue) == [("beadflow", "its issue was closed")]


async def until_reason(running: Running, workflow_id: str, reason: str) -> Issue:
    with trio.fail_after(20):
        while (issue := await issue_of(running, workflow_id)).close_reason != reason:
            await trio.sleep(0.002)
    return issue


async def test_the_reason_of_the_close_is_not_lost(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id, issue_id = await started(running, "waits")
        close = CloseIssue(issue_id=issue_id, actor="ann", reason="not needed")
        await running.ask("tracker", close)
        await running.ended(workflow_id)
        issue = await until_reason(running, workflow_id, "Cancelled: requested")
        assert comments(issue) == [("beadflow", "its issue was closed: not needed")]


async def test_closing_it_right_after_the_start_cancels_it_too(repo: Path) -> None:
    """Whatever the start says of the issue afterwards opens nothing."""
    async with running_system(repo, workflows=ALL) as running:
        record = await running.start("waits")
        close = CloseIssue(issue_id=record.beads_issue_id, actor="ann")
        await running.ask("tracker", close)
        (ended,) = await running.ended(record.id)
        assert ended.status == "cancelled"
        await until_reason(running, record.id, "Cancelled: requested")


async def test_deleting_the_issue_cancels_its_workflow(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id, issue_id = await started(running, "waits")
        await running.ask("tracker", DeleteIssue(issue_id=issue_id, actor="ann"))
        (record,) = await running.ended(workflow_id)
        assert record.status == "cancelled"
        assert (await issue_of(running, workflow_id)).status == "tombstone"


async def test_closing_it_while_nobody_looks_cancels_it_once_somebody_does(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id, issue_id = await started(running, "waits")
        await running.ask("tracker", CloseIssue(issue_id=issue_id, actor="ann"))
        await crash_the_bus(running)  # and the reconciler with it
        (record,) = await running.ended(workflow_id)
        assert record.status == "cancelled"


async def test_what_was_closed_and_opened_again_before_anybody_looked_goes_on(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, looked = trio.Event(), trio.Event()
    look = Hands.look

    async def look_later(hands: Hands, workflow_ids: Sequence[str]) -> None:
        await opened.wait()
        await look(hands, workflow_ids)
        looked.set()

    monkeypatch.setattr(Hands, "look", look_later)
    async with running_system(repo, workflows=ALL) as running:
        workflow_id, issue_id = await started(running, "waits")
        await running.ask("tracker", CloseIssue(issue_id=issue_id, actor="ann"))
        await running.ask("tracker", ReopenIssue(issue_id=issue_id, actor="ann"))
        opened.set()
        await looked.wait()
        rows = running.stores.tempolite.inline.execute(CANCEL_ASKED, (workflow_id,)).fetchall()
        assert rows == []


async def test_opening_the_issue_of_a_workflow_that_failed_runs_nothing_and_says_what_does(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=ALL) as running:
        record = await running.start("fails")
        await running.ended(record.id)
        await when(running, record.id, "closed")
        reopen = ReopenIssue(issue_id=record.beads_issue_id, actor="ann")
        await running.ask("tracker", reopen)
        said = (
            f"The workflow {record.id} is failed, and opening its issue does not run it:"
            " `beadflow workflow retry` runs it again."
        )
        with trio.fail_after(20):
            while comments(await issue_of(running, record.id))[-1] != ("beadflow", said):
                await trio.sleep(0.002)
        issue = await issue_of(running, record.id)
        assert issue.status == "open"
        assert (await running.get(record.id)).status == "failed"
        update = UpdateIssue(issue_id=issue.id, actor="ann", fields={"priority": 1})
        await running.ask("tracker", update)
        await priority(running, record.id, 1)
        assert comments(await issue_of(running, record.id)).count(("beadflow", said)) == 1


async def priority(running: Running, workflow_id: str, wanted: int) -> None:
    with trio.fail_after(20):
        while (await running.get(workflow_id)).priority != wanted:
            await trio.sleep(0.002)


async def test_a_workflow_has_the_title_and_the_priority_of_its_issue(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id, issue_id = await started(running, "waits")
        fields = {"title": "another title", "priority": 0}
        update = UpdateIssue(issue_id=issue_id, actor="ann", fields=fields)
        await running.ask("tracker", update)
        await priority(running, workflow_id, 0)
        assert (await running.get(workflow_id)).title == "another title"


async def test_claims_and_assignees_are_left_alone(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id, issue_id = await started(running, "waits")
        claim = await running.ask("tracker", ClaimIssue(issue_id=issue_id, actor="ann"))
        release = ReleaseClaim(issue_id=issue_id, actor="ann", token=claim.token)
        await running.ask("tracker", release)
        fields = {"priority": 4}
        await running.ask("tracker", UpdateIssue(issue_id=issue_id, actor="ann", fields=fields))
        await priority(running, workflow_id, 4)
        assert (await running.get(workflow_id)).status == "active"
        assert (await issue_of(running, workflow_id)).status == "open"


async def test_the_assigned_agent_that_closes_the_issue_has_done_its_step(repo: Path) -> None:
    async with running_system(repo, workflows=ALL, agents=[Clerk]) as running:
        workflow_id, issue_id = await busy(running, "asks")
        close = CloseIssue(issue_id=issue_id, actor="clerk-1", reason="thought it through")
        await running.ask("tracker", close)
        await running.until(
            lambda seen: sum(f.type == "step_completed" for f in seen) == 2  # the next one, too
        )
        issue = await when(running, workflow_id, "in_progress")
        assert comments(issue) == [("clerk-1", "thought it through")]
        await signal(running, workflow_id)
        (record,) = await running.ended(workflow_id)
        assert record.status == "completed"
        assert await running.output(workflow_id) == ["thought it through", {"summed": True}, 1]
        await until_reason(running, workflow_id, "Completed")


async def signal(running: Running, workflow_id: str) -> None:
    await running.ask("manager", SignalWorkflow(workflow_id=workflow_id, name="go", value=1))


async def test_the_step_is_done_as_well_where_the_agent_claimed_the_issue(repo: Path) -> None:
    async with running_system(repo, workflows=ALL, agents=[Clerk]) as running:
        workflow_id, issue_id = await busy(running, "asks")
        claim = await running.ask("tracker", ClaimIssue(issue_id=issue_id, actor="clerk-1"))
        close = CloseIssue(issue_id=issue_id, actor="a shell", reason="so", token=claim.token)
        await running.ask("tracker", close)
        await running.until(lambda seen: sum(f.type == "step_completed" for f in seen) == 2)
        await when(running, workflow_id, "in_progress")


async def test_a_reason_that_is_json_is_the_result_where_the_step_answers_so(repo: Path) -> None:
    async with running_system(repo, workflows=ALL, agents=[Clerk]) as running:
        workflow_id, issue_id = await busy(running, "counts")
        await running.ask("tracker", CloseIssue(issue_id=issue_id, actor="clerk-1", reason="42"))
        await running.ended(workflow_id)
        assert await running.output(workflow_id) == 42


async def test_what_the_step_does_not_answer_is_said_and_the_step_goes_on(repo: Path) -> None:
    async with running_system(repo, workflows=ALL, agents=[Clerk]) as running:
        workflow_id, issue_id = await busy(running, "counts")
        close = CloseIssue(issue_id=issue_id, actor="clerk-1", reason="many")
        await running.ask("tracker", close)
        await noted(running, workflow_id, "What clerk-1 said is not what count answers")
        assert (await issue_of(running, workflow_id)).status == "in_progress"
        assert (await running.get(workflow_id)).status == "active"


async def noted(running: Running, workflow_id: str, text: str) -> None:
    with trio.fail_after(20):
        while not any(
            said.startswith(text) for _, said in comments(await issue_of(running, workflow_id))
        ):
            await trio.sleep(0.002)


async def test_an_agent_for_which_nothing_waits_ends_nothing(repo: Path) -> None:
    async with running_system(repo, workflows=ALL, agents=[Clerk]) as running:
        workflow_id, issue_id = await started(running, "idles")
        await running.ask("tracker", CloseIssue(issue_id=issue_id, actor="clerk-1"))
        await noted(running, workflow_id, f"No step of {workflow_id} waits for clerk-1")
        assert (await issue_of(running, workflow_id)).status == "in_progress"
        assert (await running.get(workflow_id)).status == "active"


async def test_somebody_else_who_closes_it_cancels_the_workflow_of_an_agent(repo: Path) -> None:
    async with running_system(repo, workflows=ALL, agents=[Clerk]) as running:
        workflow_id, issue_id = await busy(running, "asks")
        await running.ask("tracker", CloseIssue(issue_id=issue_id, actor="clerk-2"))
        (record,) = await running.ended(workflow_id)
        assert record.status == "cancelled"


@pytest.mark.parametrize("gone", [False, True])
async def test_a_file_that_somebody_else_wrote_closes_or_deletes_it_as_well(
    repo: Path, gone: bool
) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id, issue_id = await started(running, "waits")
        await running.ask("publisher", Flush())
        rewrite(repo / PUBLISHED, issue_id, "tombstone" if gone else "closed")
        await running.ask("publisher", Flush())
        (record,) = await running.ended(workflow_id)
        assert record.status == "cancelled"


def rewrite(path: Path, issue_id: str, status: str) -> None:
    """As another clone's beadflow would write it."""
    lines = path.read_text().splitlines()
    at = "2099-01-01T00:00:00Z"
    for number, line in enumerate(lines):
        row = jsonl.parse(line)
        if row["id"] == issue_id:
            row |= {"status": status, "updated_at": at}
            row |= {"closed_at": at} if status == "closed" else {"deleted_at": at}
            lines[number] = jsonl.encode_text(row)
    path.write_text("\n".join(lines) + "\n")


async def test_restoring_the_issue_of_a_workflow_that_was_cancelled_runs_nothing(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=ALL) as running:
        workflow_id, issue_id = await started(running, "waits")
        await running.ask("tracker", DeleteIssue(issue_id=issue_id, actor="ann"))
        await running.ended(workflow_id)
        await running.ask("tracker", RestoreIssue(issue_id=issue_id, actor="ann"))
        await noted(running, workflow_id, f"The workflow {workflow_id} is cancelled")
        assert (await running.get(workflow_id)).status == "cancelled"


async def test_an_answer_that_is_lost_completes_the_step_once(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = Losses(monkeypatch, lambda command: isinstance(command, CompleteTask))
    async with running_system(repo, workflows=ALL, agents=[Clerk]) as running:
        workflow_id, issue_id = await busy(running, "asks")
        close = CloseIssue(issue_id=issue_id, actor="clerk-1", reason="so")
        await running.ask("tracker", close)
        await running.until(lambda seen: sum(f.type == "step_completed" for f in seen) == 2)
        await losses.check(running)
        issue = await when(running, workflow_id, "in_progress")
        assert comments(issue) == [("clerk-1", "so")]
