"""What an agent is set up with: to look at, and to change."""

import json
from typing import Annotated, Any

from cyclopts import Parameter

from cli import discovery, records, variables
from cli.agents import one
from cli.agents.one import Given, Id
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE

_SET_HELP = "Change this field, k=text or k:=json; the others stay as they are."
_LIMIT_HELP = "Have it work for at most so many workflows at once."


def config(
    agent_id: Id,
    /,
    *,
    assigned: Annotated[
        tuple[str, ...],
        Parameter(name="--set", negative="", show_default=False, help=_SET_HELP),
    ] = (),
    max_workload: Annotated[int | None, WHOLE, Parameter(help=_LIMIT_HELP)] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Show what an agent is set up with, or change it.

    Unless its class can go on with another configuration at once, it takes
    nothing more, ends what it does, and is started again.
    """
    path = f"{one.path(agent_id)}/config"
    request: dict[str, Any] = {}
    if assigned:
        request |= {"config": variables.parse(assigned), "merge": True}
    if max_workload is not None:
        request["max_workload"] = max_workload
    with discovery.required(where, "answer for the agent") as client:
        # Setting something twice is setting it once, so a key is only there to have it sent again.
        answer = client.send("PUT", path, request, key="again") if request else client.get(path)
    found = records.mapping(answer, "a configuration")
    if out.json:
        out.envelope("agent.config", found)
        return ExitCode.OK
    out.fields(
        {
            "id": records.text(found, "agent_id"),
            "type": records.text(found, "agent_type"),
            "max workload": records.text(found, "max_workload"),
            **_config(found.get("config")),
        }
    )
    if found.get("pending") is True:
        out.note("it goes on as before until it is between tasks")
    return ExitCode.OK


def _config(found: object) -> dict[str, str]:
    """Fields of a configuration, under names that are not those of the agent's own."""
    if not isinstance(found, dict):
        return {}
    return {
        f"config.{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in found.items()
    }
