"""Follow-up issues, opened in a running system's own issues."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.agents.kit.followups import LABEL, MOST, FollowUp, Opened, open_followups
from actors.agents.protocol import Task
from actors.agents.site import Site
from actors.issues.messages import Issue
from actors.issues.questions import ShowIssue
from actors.issues.verbs import CloseIssue, NewIssue
from tests.support.world import Running, git_repository, running_system


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_system(git_repository(tmp_path / "repo")) as system:
        yield system


def a_task(op: str = "3", workflow_id: str = "wf-1") -> Task:
    site = Site(repo=Path(), workspace=Path())
    return Task(workflow_id, op, 1, site, lambda *_: None)


async def opened(
    running: Running, *titles: str, task: Task | None = None, **more: Any
) -> tuple[Opened, ...]:
    tracker = running.system.named("tracker")
    wanted = [FollowUp(title=title, description="why") for title in titles]
    return await open_followups(tracker, task or a_task(), wanted, actor="validation-1", **more)


async def shown(running: Running, issue_id: str) -> Issue:
    issue: Issue = (await running.ask("tracker", ShowIssue(issue_id=issue_id))).issue
    return issue


async def origin(running: Running) -> str:
    message = NewIssue(fields={"title": "validate it"}, actor="ann")
    issue: Issue = await running.ask("tracker", message)
    return issue.id


async def test_it_is_linked_to_the_issue_it_was_discovered_from(running: Running) -> None:
    above = await origin(running)
    (one,) = await opened(running, "a test fails", origin=above, labels=("validation",))
    issue = await shown(running, one.issue_id)
    assert one.is_new
    assert (issue.title, issue.description) == ("a test fails", "why")
    assert issue.labels == (LABEL, "validation")
    (edge,) = issue.row["dependencies"]
    assert (edge["depends_on_id"], edge["type"]) == (above, "discovered-from")


async def test_an_attempt_that_is_made_again_finds_the_same_issues(running: Running) -> None:
    first = await opened(running, "one", "two")
    again = await opened(running, "one", "two")
    assert first == again
    assert all(one.is_new for one in again)


async def test_an_attempt_goes_on_where_one_before_was_cut_off(running: Running) -> None:
    (one,) = await opened(running, "one")
    both = await opened(running, "one", "two")
    assert both[0] == one
    assert both[1].issue_id != one.issue_id


async def test_what_has_an_open_issue_gets_no_second_one(running: Running) -> None:
    (first,) = await opened(running, "one")
    (second,) = await opened(running, "one", task=a_task(workflow_id="wf-2"))
    assert second.issue_id == first.issue_id
    assert not second.is_new


async def test_what_was_closed_and_comes_back_gets_a_new_issue(running: Running) -> None:
    (first,) = await opened(running, "one")
    await running.ask("tracker", CloseIssue(issue_id=first.issue_id, actor="ann"))
    (second,) = await opened(running, "one", task=a_task(workflow_id="wf-2"))
    assert second.issue_id != first.issue_id
    assert second.is_new


async def test_the_same_title_twice_is_one_issue(running: Running) -> None:
    one, two = await opened(running, "one", " one ")
    assert one.issue_id == two.issue_id


async def test_an_origin_that_is_not_there_is_left_out(running: Running) -> None:
    (one,) = await opened(running, "one", origin="gone-1")
    assert "dependencies" not in (await shown(running, one.issue_id)).row


async def test_no_more_than_the_most_are_opened(running: Running) -> None:
    assert len(await opened(running, *(f"number {n}" for n in range(MOST + 5)))) == MOST


async def test_a_title_is_cut_where_it_is_too_long(running: Running) -> None:
    (one,) = await opened(running, "ä" * 600)
    assert one.title == "ä" * 150
