"""Having an agent take no more work, and take work again."""

import time
from typing import Annotated

from cyclopts import Parameter

from cli import discovery
from cli.agents import one
from cli.agents.one import Agent, Given, Id
from cli.client import Client
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.problem import Problem

POLL_S = 1.0

_WAIT_HELP = "Wait until it has nothing left."


def drain(
    agent_id: Id,
    /,
    *,
    reason: Annotated[str | None, Parameter(help="Why; it is shown with the agent.")] = None,
    wait: Annotated[bool, Parameter(negative="", show_default=False, help=_WAIT_HELP)] = False,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Have an agent finish what it has and take nothing new, until it is activated."""
    path = one.path(agent_id)
    body = {} if reason is None else {"reason": reason}
    with discovery.required(where, "drain the agent") as client:
        # Draining twice is draining once, so a key is only there to have it sent again.
        found = one.agent(client.post(f"{path}/drain", body, key="again"))
        if wait:
            found = _wait(client, path, found)
    one.show(out, "agent.drain", found)
    return ExitCode.OK


def activate(agent_id: Id, /, *, where: Where = ANYWHERE, out: Given) -> int:
    """Have an agent that drains, is lost or was given up take work again."""
    path = one.path(agent_id)
    with discovery.required(where, "activate the agent") as client:
        found = one.agent(client.post(f"{path}/activate", {}, key="again"))
    one.show(out, "agent.activate", found)
    return ExitCode.OK


def _wait(client: Client, path: str, found: Agent) -> Agent:
    while not found.drained_at:
        if found.status != "draining":
            raise Problem(
                "It drains no longer",
                f"{found.id} is {found.status}",
                code="conflict",
                exit_code=ExitCode.CONFLICT,
                hint=f"`beadflow agent status {found.id}` shows what it does",
            )
        time.sleep(POLL_S)
        found = one.agent(client.get(path))
    return found
