"""A workflow waits at a gate until somebody has answered it, by whichever road."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from actors import facts
from actors.bus import Subscribe
from actors.coordination.messages import CancelWorkflow, SignalWorkflow, TerminateWorkflow
from actors.errors import NotFound, ValidationError
from actors.facts import LoggedFact
from actors.issues import gates
from actors.issues.messages import Flush, GetIssue, Issue
from actors.issues.questions import BlockedIssues, IssueFilter, QueryIssues
from actors.issues.verbs import (
    AnswerGate,
    CloseIssue,
    DeleteIssue,
    GateAnswered,
    NewIssue,
    ReopenIssue,
    UpdateIssue,
)
from actors.workflows.history import Kind
from beadflow import (
    ActivityError,
    ActivityFailure,
    CancelledError,
    Context,
    Decision,
    RetryPolicy,
    activity,
    workflow,
)
from storage.issues import jsonl
from storage.issues.file import PUBLISHED
from supervision import ActorDeadError, ActorRestarting
from tests.support import engine
from tests.support.world import Running, running_system


def shown(decision: Decision) -> list[Any]:
    return [decision.approved, decision.by, decision.why, decision.timed_out]


@workflow
async def gated(ctx: Context) -> list[Any]:
    return shown(await ctx.gate("Ship it?", description="It is **done**."))


@workflow
async def hurried(ctx: Context) -> list[Any]:
    return shown(await ctx.gate("Ship it now?", timeout_s=60))


@workflow
async def twice(ctx: Context) -> list[Any]:
    first = await ctx.gate("First?")
    return [*shown(first), *shown(await ctx.gate("Second?"))]


@workflow
async def careful(ctx: Context) -> str:
    try:
        await ctx.gate("Go on?")
    except CancelledError:
        return "tidied up"
    return "gone on"


@workflow
async def raced(ctx: Context) -> str:
    return (await ctx.select(gate=ctx.gate("Or not?"), word=ctx.signal("word"))).name


@workflow
async def nested(ctx: Context) -> list[Any]:
    found: list[Any] = await ctx.child(gated)
    return found


@workflow
async def again(ctx: Context) -> list[Any]:
    decision = await ctx.gate("Once more?")
    if decision.approved and ctx.run < 2:
        ctx.continue_as_new()
    return [ctx.run, decision.approved]


@workflow
async def careless(ctx: Context) -> None:
    await ctx.gate(" ")


@activity(retry=RetryPolicy(attempts=1))
async def stumble() -> None:
    raise ActivityFailure("stumbled", "over a stone")


@workflow
async def backing(ctx: Context) -> bool:
    """Fails because of a step before its gate, once somebody has said to go on."""
    try:
        await ctx.activity(stumble)
    except ActivityError as error:
        if (await ctx.gate("In spite of that?")).approved:
            raise ValueError("no") from error
    return False


ALL = [gated, hurried, twice, careful, raced, nested, again, careless]


async def opened(running: Running, workflow_id: str, number: int = 1) -> Issue:
    """The last of so many gates of a workflow, once it is there."""

    def there(seen: Sequence[LoggedFact]) -> list[str]:
        return [f.issue_id or "" for f in _gates(seen, facts.GATE_OPENED, workflow_id)]

    seen = await running.until(lambda seen: len(there(seen)) >= number)
    return await issue(running, there(seen)[number - 1])


def _gates(seen: Sequence[LoggedFact], kind: str, workflow_id: str) -> list[LoggedFact]:
    return [fact for fact in seen if (fact.type, fact.workflow_id) == (kind, workflow_id)]


async def issue(running: Running, issue_id: str) -> Issue:
    found: Issue = await running.ask("tracker", GetIssue(issue_id=issue_id))
    return found


async def answer(running: Running, issue_id: str, *, approved: bool = True, **more: Any) -> Issue:
    message = AnswerGate(issue_id=issue_id, actor="ann", approved=approved, **more)
    found: Issue = await running.ask("tracker", message)
    return found


async def answer_when_up(running: Running, issue_id: str) -> None:
    with trio.fail_after(20):
        while True:
            try:
                await answer(running, issue_id)
            except (ActorDeadError, ActorRestarting):
                await trio.sleep(0.002)
            else:
                return


async def held_up(running: Running, issue_id: str, gate_id: str) -> None:
    """Wait until an issue waits for a gate."""
    with trio.fail_after(20):
        while not (blocked := await running.ask("tracker", BlockedIssues())):
            await trio.sleep(0.002)
    (found,) = blocked
    causes = [(cause.kind, cause.path) for cause in found.causes]
    assert ("blocks", (issue_id, gate_id)) in causes


async def withdrawn(running: Running, issue_id: str) -> Issue:
    await running.until(
        lambda seen: any(f.type == facts.GATE_WITHDRAWN and f.issue_id == issue_id for f in seen)
    )
    return await issue(running, issue_id)


async def test_a_gate_is_an_issue_that_the_workflow_waits_for(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        gate = await opened(running, started.id)
        assert (gate.title, gate.description) == ("Ship it?", "It is **done**.")
        assert (gate.issue_type, gate.status, gate.row["await_type"]) == ("gate", "open", "human")
        await held_up(running, started.beads_issue_id, gate.id)
        assert (await running.get(started.id)).status == "active"


@pytest.mark.parametrize(("approved", "reason"), [(True, "approved"), (False, "rejected")])
async def test_an_answer_reaches_the_workflow_with_who_and_why(
    repo: Path,
    approved: bool,
    reason: str,
) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        gate = await opened(running, started.id)
        closed = await answer(running, gate.id, approved=approved, why="as agreed")
        assert (closed.status, closed.close_reason) == ("closed", reason)
        assert [(c["author"], c["text"]) for c in closed.row["comments"]] == [("ann", "as agreed")]
        await running.ended(started.id)
        assert await running.output(started.id) == [approved, "ann", "as agreed", False]
        told = _gates(running.log(), facts.GATE_ANSWERED, started.id)
        assert [(f.issue_id, f.data["approved"], f.data["by"]) for f in told] == [
            (gate.id, approved, "ann")
        ]


async def test_of_many_who_answer_at_once_one_is_heard_and_the_others_told_whose_it_was(
    repo: Path,
) -> None:
    refused: list[str] = []
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        gate = await opened(running, started.id)

        async def decide(name: str, approved: bool) -> None:
            message = AnswerGate(issue_id=gate.id, actor=name, approved=approved)
            try:
                await running.ask("tracker", message)
            except GateAnswered as error:
                refused.append(error.message)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(decide, f"u{number}", number % 2 == 0)
        await running.ended(started.id)
        approved, by, *_ = await running.output(started.id)
        word = "approved" if approved else "rejected"
        assert len(refused) == 19
        assert all(f"was {word} by {by} at " in text for text in refused)


async def test_a_workflow_that_waits_at_a_gate_is_a_row_and_survives_a_restart(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.workflows.workflow.PARK_AFTER_S", 0.01)
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("twice")
        gate = await opened(running, started.id)
        await answer(running, gate.id)
        await opened(running, started.id, 2)
        with trio.fail_after(10):
            while not engine.is_parked(running, started.id):
                await trio.sleep(0.005)
    async with running_system(repo, workflows=ALL) as running:
        second = await opened(running, started.id, 2)
        await answer(running, second.id, approved=False, why="no")
        await running.ended(started.id)
        first, other = [True, "ann", "", False], [False, "ann", "no", False]
        assert await running.output(started.id) == [*first, *other]
        listed = await running.ask(
            "tracker",
            QueryIssues(filter=IssueFilter(issue_type=("gate",)), closed=True, sort="created"),
        )
        assert [found.title for found in listed.issues] == ["Second?", "First?"]


@pytest.mark.parametrize(
    ("reason", "approved", "why"),
    [
        ("", True, ""),
        ("looks good", True, "looks good"),
        ("Rejected: too dear", False, "too dear"),
        ("rejected", False, ""),
    ],
)
async def test_closing_the_gate_by_hand_answers_it(
    repo: Path,
    reason: str,
    approved: bool,
    why: str,
) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        gate = await opened(running, started.id)
        await running.ask("tracker", CloseIssue(issue_id=gate.id, actor="bob", reason=reason))
        await running.ended(started.id)
        assert await running.output(started.id) == [approved, "bob", why, False]
        with pytest.raises(GateAnswered, match="by bob at"):
            await answer(running, gate.id)
        with pytest.raises(GateAnswered):
            await running.ask("tracker", ReopenIssue(issue_id=gate.id, actor="bob"))
        change = UpdateIssue(issue_id=gate.id, actor="bob", fields={"status": "open"})
        with pytest.raises(GateAnswered):
            await running.ask("tracker", change)


async def test_deleting_the_gate_rejects_it(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        gate = await opened(running, started.id)
        await running.ask("tracker", DeleteIssue(issue_id=gate.id, actor="bob", force=True))
        await running.ended(started.id)
        assert await running.output(started.id) == [False, "bob", "its issue was deleted", False]


@pytest.mark.parametrize("reason", ["Closed", "rejected: not in this clone"])
async def test_a_gate_that_another_clone_has_closed_is_answered(repo: Path, reason: str) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        gate = await opened(running, started.id)
        await running.ask("publisher", Flush())
    _edit(repo / PUBLISHED, gate.id, reason)
    async with running_system(repo, workflows=ALL) as running:
        await running.ended(started.id)
        approved = reason == "Closed"
        why = "" if approved else "not in this clone"
        assert await running.output(started.id) == [approved, "", why, False]


def _edit(path: Path, issue_id: str, reason: str) -> None:
    """What the file says once somebody else has closed an issue and it was pulled."""
    rows = [jsonl.parse(line) for line in path.read_text().splitlines()]
    row = next(row for row in rows if row["id"] == issue_id)
    at = "2099-01-01T00:00:00Z"
    row |= {"status": "closed", "closed_at": at, "close_reason": reason, "updated_at": at}
    path.write_text("".join(jsonl.encode_text(row) + "\n" for row in rows))


ODD: list[Any] = [
    "no object",
    {"workflow_id": {"a": 1}, "signal": 7, "step": ["x"], "answer": {"approved": "yes"}},
    {"workflow_id": "w" * 100_000, "answer": {"why": "y" * 100_000, "by": 5, "at": "never"}},
    {"answer": [1], "expires_at": "never", "signal": "beadflow.gate:1/1@x"},
]


@pytest.mark.parametrize("note", ODD)
async def test_what_others_note_of_a_gate_does_no_harm(repo: Path, note: Any) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        gate = await opened(running, started.id)
        await running.ask("publisher", Flush())
        text = (repo / PUBLISHED).read_text()
        row: dict[str, Any] = {
            "id": f"{gate.id}x",
            "title": "Odd",
            "status": "open",
            "priority": 2,
            "issue_type": "gate",
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "metadata": {"beadflow": {"gate": note}},
        }
        (repo / PUBLISHED).write_text(f"{text}{jsonl.encode_text(row)}\n")
        await running.ask("publisher", Flush())
        there = await running.until(
            lambda seen: any(f.issue_id == row["id"] and f.type.startswith("gate") for f in seen)
        )
        assert all(len(str(fact.data)) < 20_000 for fact in there)
        await answer(running, gate.id)
        await running.ended(started.id)


async def test_a_gate_of_a_workflow_that_ends_at_once_is_withdrawn(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        await engine.recorded(running, started.id, Kind.GATE_REQUESTED)
        await engine.terminate(running, started.id)
        (gate,) = [
            fact
            for fact in await running.until(
                lambda seen: bool(_gates(seen, facts.GATE_WITHDRAWN, started.id))
            )
            if fact.type == facts.GATE_WITHDRAWN
        ]
        assert (await issue(running, gate.issue_id or "")).close_reason == gates.WITHDRAWN


async def test_a_retry_that_goes_back_behind_a_gate_asks_again(repo: Path) -> None:
    async with running_system(repo, workflows=[backing]) as running:
        started = await running.start("backing")
        await answer(running, (await opened(running, started.id)).id)
        await running.until(lambda seen: bool(_gates(seen, facts.WORKFLOW_FAILED, started.id)))
        await engine.retry(running, started.id)
        second = await opened(running, started.id, 2)
        await answer(running, second.id, approved=False)
        await running.until(lambda seen: bool(_gates(seen, facts.WORKFLOW_COMPLETED, started.id)))
        assert await running.output(started.id) is False


async def test_nobody_else_can_send_what_answers_a_gate(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        gate = await opened(running, started.id)
        name = gates.note_of(gate.row)["signal"]
        forged = SignalWorkflow(workflow_id=started.id, name=name, value={"approved": True})
        with pytest.raises(ValidationError, match="answer gates"):
            await running.ask("manager", forged)


@pytest.mark.parametrize("end", [CancelWorkflow, TerminateWorkflow])
async def test_the_end_of_the_workflow_withdraws_its_gate(repo: Path, end: Any) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        gate = await opened(running, started.id)
        await running.ask("manager", end(workflow_id=started.id, reason="not wanted"))
        closed = await withdrawn(running, gate.id)
        assert (closed.status, closed.close_reason) == ("closed", gates.WITHDRAWN)
        with pytest.raises(GateAnswered, match="withdrawn by beadflow"):
            await answer(running, gate.id)
        assert _gates(running.log(), facts.GATE_ANSWERED, started.id) == []


async def test_a_workflow_that_cleans_up_after_its_cancellation_has_no_gate_any_more(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("careful")
        gate = await opened(running, started.id)
        await running.ask("manager", CancelWorkflow(workflow_id=started.id))
        await withdrawn(running, gate.id)
        await running.ended(started.id)
        assert await running.output(started.id) == "tidied up"


async def test_a_gate_that_has_lost_a_race_is_withdrawn(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("raced")
        gate = await opened(running, started.id)
        await engine.signal(running, started.id, "word", "go")
        await running.ended(started.id)
        assert await running.output(started.id) == "word"
        await withdrawn(running, gate.id)


async def test_the_gate_of_a_child_holds_up_the_issue_of_the_workflow_above_it(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("nested")
        gate = await opened(running, f"{started.id}.1")
        await held_up(running, started.beads_issue_id, gate.id)
        await answer(running, gate.id)
        await running.ended(started.id)
        assert await running.output(started.id) == [True, "ann", "", False]


async def test_each_run_of_a_workflow_has_gates_of_its_own(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("again")
        await answer(running, (await opened(running, started.id)).id)
        await answer(running, (await opened(running, started.id, 2)).id, approved=False)
        await running.ended(started.id)
        assert await running.output(started.id) == [2, False]


async def test_a_gate_that_no_issue_can_be_made_of_fails_its_workflow(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("careless")
        (ended,) = await running.ended(started.id)
        assert (ended.status, ended.error_code) == ("failed", "ValueError")


class Wall:
    """A clock that a test sets ahead."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)


async def test_a_gate_that_nobody_answers_in_time_is_rejected_and_has_that_answer(
    repo: Path,
) -> None:
    wall = Wall()
    async with running_system(repo, workflows=ALL, clock=wall) as running:
        started = await running.start("hurried")
        gate = await opened(running, started.id)
        assert gate.row["timeout"] == 60_000_000_000
        wall.ahead_s = 61.0
        await running.ended(started.id)
        expected = [False, "beadflow", "nobody answered in time", True]
        assert await running.output(started.id) == expected
        closed = await issue(running, gate.id)
        assert closed.close_reason == gates.TIMED_OUT
        with pytest.raises(GateAnswered):
            await answer(running, gate.id)


async def test_a_gate_whose_time_ended_while_nothing_ran_is_rejected_at_the_next_start(
    repo: Path,
) -> None:
    wall = Wall()
    async with running_system(repo, workflows=ALL, clock=wall) as running:
        started = await running.start("hurried")
        await opened(running, started.id)
    wall.ahead_s = 61.0
    async with running_system(repo, workflows=ALL, clock=wall) as running:
        await running.ended(started.id)
        assert (await running.output(started.id))[3] is True


async def test_an_answer_given_while_the_gates_are_away_is_told_when_they_are_back(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=ALL) as running:
        started = await running.start("gated")
        gate = await opened(running, started.id)
        running.system.named("event_bus").tell(Subscribe(buffer="a crash"))  # type: ignore[arg-type]
        await answer_when_up(running, gate.id)
        await running.ended(started.id)
        assert await running.output(started.id) == [True, "ann", "", False]


async def test_any_issue_of_type_gate_can_be_answered_and_no_other(repo: Path) -> None:
    async with running_system(repo, workflows=ALL) as running:
        fields = {"title": "Is the budget there?", "issue_type": "gate"}
        made = await running.ask("tracker", NewIssue(fields=fields, actor="bob"))
        closed = await answer(running, made.id, why="yes")
        found = gates.answer_of(closed.row)
        assert found is not None
        assert (found.approved, found.by, found.why) == (True, "ann", "yes")
        task = await running.ask("tracker", NewIssue(fields={"title": "a task"}, actor="bob"))
        with pytest.raises(NotFound, match="is no gate, it is a task"):
            await answer(running, task.id)
