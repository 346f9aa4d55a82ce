"""Having one more agent, or one less."""

import uuid
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from cli import discovery, problem, variables
from cli.agents import files, one
from cli.agents.one import AGENTS, Given, Id
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.paths import PATH

_FILE_HELP = "A TOML, JSON or YAML file that says which, with agent_type, agent_id, config …"
_SET_HELP = "A field of its configuration, k=text or k:=json; it counts more than the file's."
_LIMIT_HELP = "Work for at most so many workflows at once, instead of what its type says."
_FORCE_HELP = "Also with work: others of its type then go on with its workflows."


def register(
    file: Annotated[Path | None, PATH, Parameter(name="FILE", help=_FILE_HELP)] = None,
    /,
    *,
    kind: Annotated[str | None, Parameter(name="--type", help="Of this type.")] = None,
    chosen: Annotated[str | None, Parameter(name="--id", help="What it is to be called.")] = None,
    max_workload: Annotated[int | None, WHOLE, Parameter(help=_LIMIT_HELP)] = None,
    assigned: Annotated[
        tuple[str, ...],
        Parameter(name="--set", negative="", show_default=False, help=_SET_HELP),
    ] = (),
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Have one more agent of a type. It is there again after each restart."""
    request = {} if file is None else files.read(file)
    given = {"agent_type": kind, "agent_id": chosen, "max_workload": max_workload}
    request |= {name: value for name, value in given.items() if value is not None}
    if assigned:
        request["config"] = _merged(request.get("config"), variables.parse(assigned))
    if "agent_type" not in request:
        raise problem.usage(
            "The type of the agent is missing", hint="give --type, or agent_type in the file"
        )
    with discovery.required(where, "register the agent") as client:
        found = one.agent(client.post(AGENTS, request, key=str(uuid.uuid4())))
    one.show(out, "agent.register", found)
    return ExitCode.OK


def unregister(
    agent_id: Id,
    /,
    *,
    force: Annotated[bool, Parameter(negative="", show_default=False, help=_FORCE_HELP)] = False,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Have an agent no longer. One with work left is refused; drain it first."""
    path = one.path(agent_id)
    params = {"force": "true"} if force else None
    with discovery.required(where, "unregister the agent") as client:
        found = one.agent(client.send("DELETE", path, params=params))
    if out.json:
        out.envelope("agent.unregister", found.raw)
    else:
        out.fields({"id": found.id, "type": found.type})
    return ExitCode.OK


def _merged(config: object, given: dict[str, Any]) -> object:
    """A configuration that is no object is for the server to refuse."""
    if config is None:
        return given
    return {**config, **given} if isinstance(config, dict) else config
