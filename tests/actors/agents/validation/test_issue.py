"""Criteria of an issue: read from the tracker when they are checked."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.agents.validation.agent import ValidationAgent
from actors.agents.validation.messages import AcceptRequest
from actors.agents.validation.workflow import validation
from actors.issues.messages import Issue
from actors.issues.verbs import NewIssue
from actors.workflows.context import Context
from actors.workflows.definition import workflow
from tests.support.hostile import git
from tests.support.world import Running, git_repository, running_system


@workflow(name="acceptance", agent_type="validation")
async def acceptance(ctx: Context, request: AcceptRequest) -> Any:
    return await ctx.activity(ValidationAgent.accept, request)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    repo = git_repository(tmp_path / "repo")
    (repo / "README.md").write_text("# Apples\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", "second")
    flows, agents = [acceptance, validation], [ValidationAgent]
    async with running_system(
        repo, workflows=flows, agents=agents, agent_commands=("touch",)
    ) as system:
        yield system


async def test_the_issues_own_criteria_come_before_those_given(running: Running) -> None:
    fields = {"title": "apples", "acceptance_criteria": "- file: README.md\n- they taste"}
    issue: Issue = await running.ask("tracker", NewIssue(fields=fields, actor="ann"))
    variables = {"issue_id": issue.id, "criteria": "text: README.md: Pears"}
    started = await running.start("acceptance", variables=variables)
    await running.ended(started.id)
    answer = await running.output(started.id)
    assert [one["verdict"] for one in answer["criteria"]] == ["pass", "needs_human", "fail"]
    assert answer["issue_id"] == issue.id


async def test_an_issue_that_is_not_there_fails_for_good(running: Running) -> None:
    started = await running.start("acceptance", variables={"issue_id": "none-1"})
    (ended,) = await running.ended(started.id)
    assert (ended.status, ended.error_code) == ("failed", "unknown_issue")


async def test_a_validation_for_an_issue_that_is_not_there_runs_no_test(
    running: Running, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    variables = {"issue_id": "none-1", "command": ["touch", str(canary)]}
    started = await running.start("validation", variables=variables)
    (ended,) = await running.ended(started.id)
    assert (ended.status, ended.error_code) == ("failed", "unknown_issue")
    assert not canary.exists()
