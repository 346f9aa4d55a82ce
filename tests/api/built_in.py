"""A running system with agents of the distribution in it, and the API's app in front of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from actors.agents.protocol import Agent
from api.app import create_app
from cli.running import Place, doors_of
from tests.api.site import WORKFLOWS, Site
from tests.support.world import running_system


@asynccontextmanager
async def built_in(
    repo: Path, *, workflows: Sequence[object], agents: Sequence[type[Agent]], **world: Any
) -> AsyncIterator[Site]:
    """A system for one test; `world` is given to the `World`, e.g. `agent_commands`."""
    async with running_system(repo, workflows=workflows, agents=agents, **world) as running:
        place = Place(data=running.world.data, repo=repo)
        doors = doors_of(
            running.system, place, running.world.stores.presence, running.world.breakers
        )
        yield Site(running=running, doors=doors, app=create_app(doors))


async def output(site: Site, workflow_id: str) -> Any:
    """What a workflow that has ended came to, as the API answers it."""
    answer = await site.call("GET", f"{WORKFLOWS}/{workflow_id}/results")
    (found,) = [one for one in answer.json()["data"] if one["result_type"] == "output"]
    return found["result_data"]


async def artifact(site: Site, workflow_id: str, name: str) -> bytes:
    """A file that was stored with a workflow."""
    answer = await site.call("GET", f"{WORKFLOWS}/{workflow_id}/artifacts/{name}")
    assert answer.status == 200, answer.body
    return answer.body
