"""What an event of the log means for the issue."""

from pathlib import Path
from typing import Any

import pytest
import trio

from actors import facts
from actors.coordination import reconciler as reconciler_room
from actors.coordination.reconciler import CONSUMER, Reconciler, changes_for
from actors.damage import damage_in
from actors.facts import FactsLogged, LoggedFact
from actors.issues.messages import (
    AddComment,
    Change,
    ChangeLabels,
    GetIssue,
    Issue,
    SetStatus,
    SetWork,
)
from beadflow import ActivityFailure, Context, activity, workflow
from storage.errors import Corrupt, QueryFailed
from storage.issues import queries as issues
from storage.pool import ReadPool
from storage.retention import FOLLOWED
from supervision import ActorCrashed, Event
from tests.support.faults import crash_the_bus, until
from tests.support.world import Running, running_system

PAUSED = ChangeLabels(add=("paused",))
NOT_PAUSED = ChangeLabels(remove=("paused",))


def logged(kind: str, **data: Any) -> LoggedFact:
    return LoggedFact(seq=1, type=kind, workflow_id="w-1", issue_id="x-1", at="t", data=data)


def explained(text: str, status: str) -> tuple[Change, ...]:
    return AddComment(author="beadflow", text=text), SetStatus(status=status)


KINDS = [kind for name, kind in vars(facts).items() if name.isupper() and isinstance(kind, str)]


@pytest.mark.parametrize("kind", KINDS)
def test_retention_waits_for_the_events_that_an_issue_follows_and_for_no_other(kind: str) -> None:
    data = {"code": "x", "message": "x", "agent_id": "a-1", "reason": "x", "resumes": True}
    data |= {"from_agent": "a-1", "to_agent": "a-2", "to_type": "a"}
    data |= {"author": "x", "queued": False}
    data |= {"author": "me", "title": "T"}
    assert bool(changes_for(logged(kind, **data))) is (kind in FOLLOWED)


@pytest.mark.parametrize(
    ("fact", "changes"),
    [
        (logged(facts.WORKFLOW_QUEUED), ()),
        (logged(facts.WORKFLOW_STARTED), (SetStatus(status="in_progress"),)),
        (logged(facts.WORKFLOW_RESUMED), (SetStatus(status="in_progress"), NOT_PAUSED)),
        (
            logged(facts.WORKFLOW_RESUMED, queued=False),
            (SetStatus(status="in_progress"), NOT_PAUSED),
        ),
        (logged(facts.WORKFLOW_RESUMED, queued=True), (SetStatus(status="open"), NOT_PAUSED)),
        (
            logged(facts.WORKFLOW_PAUSED, reason="lunch"),
            (AddComment(author="beadflow", text="lunch"), SetStatus(status="in_progress"), PAUSED),
        ),
        (logged(facts.WORKFLOW_PAUSED, reason=" "), (SetStatus(status="in_progress"), PAUSED)),
        (logged(facts.WORKFLOW_CANCEL_REQUESTED, reason="why"), ()),
        (logged(facts.WORKFLOW_CANCEL_REQUESTED, reason="why", resumes=True), (NOT_PAUSED,)),
        (
            logged(facts.WORKFLOW_CANCELLED, reason="an error, they say"),
            (
                AddComment(author="beadflow", text="an error, they say"),
                NOT_PAUSED,
                SetStatus(status="closed", reason="Cancelled: requested"),
            ),
        ),
        (
            logged(facts.WORKFLOW_TERMINATED, reason=""),
            (NOT_PAUSED, SetStatus(status="closed", reason="Cancelled: terminated")),
        ),
        (logged(facts.AGENT_ASSIGNED, agent_id="a-1"), (SetWork(fields={"agent_id": "a-1"}),)),
        (
            logged(facts.WORKFLOW_STALLED, code="non_determinism", message="why"),
            explained("non_determinism: why", "blocked"),
        ),
        (
            logged(facts.WORKFLOW_DEAD_LETTERED, code="dead_letter", message="why"),
            explained("dead_letter: why", "blocked"),
        ),
        (
            logged(facts.WORKFLOW_COMPLETED, summary="all well"),
            (
                AddComment(author="beadflow", text="all well"),
                SetStatus(status="closed", reason="Completed"),
            ),
        ),
        (
            logged(facts.WORKFLOW_COMPLETED, summary=""),
            (SetStatus(status="closed", reason="Completed"),),
        ),
        (
            logged(facts.WORKFLOW_FAILED, code="KeyError", message="'x'"),
            (
                AddComment(author="beadflow", text="KeyError: 'x'"),
                SetStatus(status="closed", reason="Failed: KeyError"),
            ),
        ),
        (logged(facts.STEP_COMPLETED), ()),
        (
            logged(facts.AGENT_HANDOFF, from_agent="a-1", to_agent="b-1", to_type="b", reason=""),
            (
                AddComment(author="a-1", text="Handoff from a-1 to b-1"),
                SetWork(fields={"agent_id": "b-1"}),
            ),
        ),
        (
            logged(facts.AGENT_HANDOFF, from_agent="a-1", to_agent=None, to_type="b", reason="ok"),
            (
                AddComment(
                    author="a-1",
                    text="Handoff from a-1 to the next free agent of type b\n\nok",
                ),
                SetWork(fields={"agent_id": None}),
            ),
        ),
    ],
)
def test_the_issue_follows_its_workflow(fact: LoggedFact, changes: tuple[Change, ...]) -> None:
    assert changes_for(fact) == changes


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("an error, with prose!", "Failed: an_error__with_prose_"),
        ("", "Failed: unknown"),
        ("é" * 3, "Failed: ___"),
        ("x" * 100, f"Failed: {'x' * 60}"),
        ("a.b-c_1", "Failed: a.b-c_1"),
    ],
)
def test_a_close_reason_holds_one_plain_word_and_no_prose(code: str, reason: str) -> None:
    changes = changes_for(logged(facts.WORKFLOW_FAILED, code=code, message="m"))
    assert changes[-1] == SetStatus(status="closed", reason=reason)


# --- on a running system


@workflow
async def succeeds(ctx: Context, variables: dict[str, Any]) -> dict[str, Any]:
    return {"summary": variables.get("summary", "all done")}


@activity
async def boom() -> None:
    raise ActivityFailure("boom now", "it went off")


@workflow
async def fails(ctx: Context) -> None:
    await ctx.activity(boom)


async def issue_of(running: Running, workflow_id: str) -> Issue:
    record = await running.get(workflow_id)
    issue: Issue = await running.ask("tracker", GetIssue(issue_id=record.beads_issue_id))
    return issue


def position(running: Running) -> int:
    return issues.cursor(running.stores.beads.inline, CONSUMER)


def ended_at(running: Running, workflow_id: str) -> int:
    """The number of the event that ended this workflow."""
    ends = [f for f in running.log() if f.workflow_id == workflow_id and f.type in facts.ENDS]
    return ends[-1].seq


async def reconciled(running: Running, workflow_id: str) -> Issue:
    await running.ended(workflow_id)
    await until(lambda: position(running) >= ended_at(running, workflow_id))
    return await issue_of(running, workflow_id)


async def test_a_completed_workflow_closes_its_issue_and_says_its_summary(repo: Path) -> None:
    async with running_system(repo, workflows=[succeeds]) as running:
        issue = await reconciled(running, (await running.start("succeeds")).id)
        assert (issue.status, issue.close_reason) == ("closed", "Completed")
        assert [c["text"] for c in issue.row["comments"]] == ["all done"]


async def test_a_failed_workflow_closes_its_issue_with_its_code(repo: Path) -> None:
    async with running_system(repo, workflows=[fails]) as running:
        started = await running.start("fails")
        issue = await reconciled(running, started.id)
        assert (issue.status, issue.close_reason) == ("closed", "Failed: boom_now")
        (comment,) = issue.row["comments"]
        assert comment["text"].startswith("boom now: ")


async def test_a_blank_summary_is_no_comment_and_harms_nobody(repo: Path) -> None:
    async with running_system(repo, workflows=[succeeds]) as running:
        started = await running.start("succeeds", variables={"summary": " \n "})
        issue = await reconciled(running, started.id)
        assert issue.close_reason == "Completed"
        assert "comments" not in issue.row


async def test_events_are_applied_once_however_often_the_log_is_read(repo: Path) -> None:
    async with running_system(repo, workflows=[succeeds]) as running:
        started = await running.start("succeeds")
        before = await reconciled(running, started.id)
        await crash_the_bus(running)  # and the reconciler with it
    async with running_system(repo, workflows=[succeeds]) as running:
        another = await running.start("succeeds")
        await reconciled(running, another.id)
        assert (await issue_of(running, started.id)).row == before.row


async def test_what_the_bus_told_is_not_read_from_the_log_again(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    async def read(reconciler: Reconciler) -> list[LoggedFact]:
        reads.append(reconciler._position)
        return []

    async with running_system(repo, workflows=[succeeds]) as running:
        await reconciled(running, (await running.start("succeeds")).id)
        monkeypatch.setattr(Reconciler, "_read", read)
        issue = await reconciled(running, (await running.start("succeeds")).id)
        assert issue.status == "closed"
        assert reads == []


async def test_what_the_bus_told_in_vain_is_read_from_the_log(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = Reconciler._hear
    lost: list[int] = []

    def lose_the_first(reconciler: Reconciler, found: tuple[LoggedFact, ...]) -> None:
        if lost:
            hear(reconciler, found)
        lost.append(found[0].seq)

    monkeypatch.setattr(reconciler_room, "LOOK_S", 0.05)
    async with running_system(repo, workflows=[succeeds]) as running:
        await reconciled(running, (await running.start("succeeds")).id)
        monkeypatch.setattr(Reconciler, "_hear", lose_the_first)
        issue = await reconciled(running, (await running.start("succeeds")).id)
        assert issue.status == "closed"
        assert lost


async def test_what_happened_while_the_reconciler_was_away_is_applied_when_it_is_back(
    repo: Path,
) -> None:
    async with running_system(repo, workflows=[succeeds]) as running:
        await reconciled(running, (await running.start("succeeds")).id)
        seen = position(running)
        started = await running.start("succeeds")
        await crash_the_bus(running)
        issue = await reconciled(running, started.id)
        assert issue.status == "closed"
        assert position(running) > seen


async def test_damage_in_the_log_is_a_crash_and_not_waited_out(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_system(repo, workflows=[succeeds]) as running:

        async def damaged(self: ReadPool, operation: str, *_: Any, **__: Any) -> None:
            raise QueryFailed("coordination", operation, "no") from Corrupt("x.db", "Page 7")

        monkeypatch.setattr(ReadPool, "fetch", damaged)
        ahead = LoggedFact(
            seq=1000, type=facts.LOG, workflow_id=None, issue_id=None, at="t", data={}
        )
        running.system.named("reconciler").tell(FactsLogged(facts=(ahead,)))
        await until(lambda: any(_is_crash_on_damage(event) for event in running.events))


def _is_crash_on_damage(event: Event) -> bool:
    return (
        isinstance(event, ActorCrashed)
        and event.path == "root/reconciler"
        and damage_in(event.reason.cause) is not None
    )


async def test_an_issue_that_somebody_else_took_away_holds_up_no_other(repo: Path) -> None:
    gate = trio.Event()

    @activity
    async def wait() -> None:
        await gate.wait()

    @workflow
    async def waits(ctx: Context) -> None:
        await ctx.activity(wait)

    async with running_system(repo, workflows=[waits, succeeds]) as running:
        started = await running.start("waits")
        path = repo / ".beads" / "issues.jsonl"
        await until(lambda: path.exists() and started.beads_issue_id in path.read_text())
        path.write_text("")
        other = await running.start("succeeds")
        assert (await reconciled(running, other.id)).status == "closed"
        gate.set()
        await running.ended(started.id)
