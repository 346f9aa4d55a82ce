"""The workflow `command` over HTTP: what is left of work that did not get done."""

from pathlib import Path

import pytest

from actors.agents.command.agent import CommandAgent
from actors.agents.command.workflow import command
from tests.api.built_in import built_in, output
from tests.support.hostile import git


@pytest.mark.parametrize(("script", "left"), [("exit 3", 1), ("touch half; exit 3", 2)])
async def test_of_work_that_failed_only_what_holds_something_is_left(
    repo: Path, script: str, left: int
) -> None:
    async with built_in(
        repo, workflows=[command], agents=[CommandAgent], agent_commands=["sh"]
    ) as site:
        variables = {"command": ["sh", "-c", script], "turns": 1}
        result = await output(site, await site.done("command", variables=variables))
        assert result["status"] == "failed"
        assert git(repo, "worktree", "list").count("\n") == left
        assert bool(git(repo, "branch", "--list", "beadflow/*")) is (left > 1)
