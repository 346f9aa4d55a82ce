import pytest

from actors.agents.command.agent import CommandAgent
from actors.agents.command.messages import CloseRequest
from supervision import Named
from tests.actors.agents.command.conftest import Desk, git
from tests.support.fake_cli import begun, committed, ended


@pytest.fixture
def agent(desk: Desk) -> CommandAgent:
    nobody: Named = None  # type: ignore[assignment] # the coordinator is not spoken to here
    return CommandAgent(
        agent_id="command-1", coordinator=nobody, site=desk.site, config=desk.config()
    )


async def test_a_work_tree_is_removed_unless_something_would_be_lost(
    desk: Desk, agent: CommandAgent
) -> None:
    desk.cli.plays([*begun(), *committed(), {"write": {"more.txt": "left"}}, *ended()])
    turn = await desk.take()
    request = CloseRequest(sandbox="wf-1")
    assert (await agent.close(desk.task(), request)).kept
    (desk.sandbox / "more.txt").unlink()
    assert (await agent.close(desk.task(), request)).kept == ""
    assert not desk.sandbox.exists()
    assert git(desk.site.repo, "rev-parse", turn.branch) == turn.head


async def test_its_health_says_which_programs_there_are(desk: Desk, agent: CommandAgent) -> None:
    health = await agent.health_check()
    assert (health.healthy, health.details) == (True, {"fake": "installed"})
    desk.cli.path.unlink()
    health = await agent.health_check()
    assert not health.healthy
    assert health.message.endswith("coder is not installed")


async def test_without_any_program_it_says_how_to_allow_one(
    desk: Desk, agent: CommandAgent
) -> None:
    object.__setattr__(desk.site, "commands", ())
    health = await agent.health_check()
    assert (health.healthy, health.details) == (True, {})
    assert "[agents] commands" in health.message
