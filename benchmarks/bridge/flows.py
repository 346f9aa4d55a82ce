"""The workflow that is started and handed on, and the two agents it goes between."""

from actors.agents.catalogue import AgentSpec
from actors.coordination.handing import SIGNAL
from beadflow import Agent, Context, workflow

__all__ = ["FIRST", "SECOND", "WORKERS", "passed_on"]

FIRST = "worker-1"
SECOND = "worker-2"


class Worker(Agent):
    """Has room for everything, and nothing to do."""

    agent_type = "worker"
    max_workload = 1_000_000


WORKERS = tuple(AgentSpec(agent_id=name, agent_class=Worker) for name in (FIRST, SECOND))


@workflow(agent_type="worker")
async def passed_on(ctx: Context) -> None:
    """Waits for handoffs and takes them, so that what is measured is the bridge."""
    while True:
        await ctx.signal(SIGNAL)
