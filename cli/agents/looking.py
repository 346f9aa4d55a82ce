"""Looking at agents: all of them, one of them, and what a type can do."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from cli import discovery, records, table
from cli.agents import one
from cli.agents.one import AGENTS, Agent, Given, Id
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.problem import Problem

Status = Literal["active", "draining", "lost"]

_COLUMNS = (
    table.Column("id"),
    table.Column("type"),
    table.Column("status", toned=True),
    table.Column("up"),
    table.Column("workload", right=True),
    table.Column("running", right=True),
    table.Column("reason", elastic=True),
)


def list_(
    *,
    kind: Annotated[str | None, Parameter(name="--type", help="Only those of this type.")] = None,
    status: Annotated[Status | None, Parameter(help="Only those in this state.")] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """List the agents."""
    asked = {"type": kind, "status": status}
    params = {name: value for name, value in asked.items() if value is not None}
    with discovery.required(where, "show the agents") as client:
        found = records.items(client.get(AGENTS, params))
    if out.json:
        out.envelope("agent.list", found)
        return ExitCode.OK
    out.table(_COLUMNS, [_row(one.agent(raw)) for raw in found])
    if not found:
        out.note("no agents")
    return ExitCode.OK


def status(agent_id: Id, /, *, where: Where = ANYWHERE, out: Given) -> int:
    """Show what an agent does now, how it is and what it has done since it started."""
    path = one.path(agent_id)
    with discovery.required(where, "answer for the agent") as client:
        found = records.mapping(client.get(f"{path}/status"), "an agent")
    one.show(out, "agent.status", one.agent(found), _state(found))
    return ExitCode.OK


def describe(
    kind: Annotated[
        str, Parameter(name="TYPE", help="Its name; `agent list` shows those there are.")
    ],
    /,
    *,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Explain what agents of a type can do, and what one can be set up with."""
    with discovery.required(where, "describe the agents") as client:
        found = records.items(client.get(f"{AGENTS}/types"))
    types = [records.mapping(raw, "a type of agents") for raw in found]
    wanted = next((each for each in types if records.text(each, "agent_type") == kind), None)
    if wanted is None:
        known = ", ".join(records.text(each, "agent_type") for each in types) or "none"
        raise Problem(
            "There is no such type of agents",
            kind,
            code="not_found",
            exit_code=ExitCode.NOT_FOUND,
            hint=f"known: {known}",
        )
    if out.json:
        out.envelope("agent.describe", wanted)
    else:
        out.fields(_described(wanted))
    return ExitCode.OK


def _row(found: Agent) -> tuple[str, ...]:
    return (
        found.id,
        found.type,
        found.status,
        "yes" if found.up else "no",
        found.workload,
        str(len(found.running)),
        found.reason,
    )


def _state(found: Mapping[str, Any]) -> dict[str, str]:
    return {
        "has": " ".join(_workflow(each) for each in _objects(found.get("assignments"))),
        "health": _health(found),
        "done": _metrics(found.get("metrics")),
        "restarts": records.text(found, "restarts"),
    }


def _workflow(assignment: Mapping[str, Any]) -> str:
    return records.text(assignment, "workflow_id")


def _health(found: Mapping[str, Any]) -> str:
    health = found.get("health")
    if not isinstance(health, dict):
        return f"unknown: {records.text(found, 'silence')}"
    state = "healthy" if health.get("healthy") is True else "not healthy"
    message = records.text(health, "message")
    return f"{state}: {message}" if message else state


def _metrics(found: object) -> str:
    if not isinstance(found, dict):
        return ""
    done, failed = (records.text(found, name) for name in ("tasks_done", "tasks_failed"))
    said = f"{done} done, {failed} failed, {records.number(found, 'seconds') or 0.0:.1f} s"
    tokens = int(records.number(found, "tokens") or 0)
    cost = f", {records.number(found, 'cost_usd') or 0.0:.4f} USD" if tokens else ""
    return f"{said}, {tokens:,} tokens{cost}" if tokens else said


def _described(kind: Mapping[str, Any]) -> dict[str, str]:
    activities = _objects(kind.get("activities"))
    return {
        "type": records.text(kind, "agent_type"),
        "description": records.text(kind, "description"),
        "max workload": records.text(kind, "max_workload"),
        "agents": " ".join(one.words(kind.get("agents"))),
        "config": " ".join(_fields(kind.get("config"))),
        **{records.text(each, "name"): _activity(each) for each in activities},
    }


def _activity(found: Mapping[str, Any]) -> str:
    takes = found.get("input")
    given = "" if takes is None else " ".join(_fields(takes)) or _kind(takes)
    said = records.text(found, "description")
    return f"({given}) -> {_kind(found.get('output'))}{f': {said}' if said else ''}"


def _fields(schema: object) -> list[str]:
    """The fields of a model; those that have to be given are marked with `*`."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(schema, dict) or not isinstance(properties, dict):
        return []
    required = one.words(schema.get("required"))
    return [
        f"{name}{'*' if name in required else ''}:{_kind(held)}"
        for name, held in properties.items()
    ]


def _kind(schema: object) -> str:
    """A JSON schema in a word."""
    match schema:
        case {"$ref": str(reference)}:
            return reference.rpartition("/")[2]
        case {"anyOf": list(choices)}:
            return "|".join(_kind(choice) for choice in choices)
        case {"type": "array", "items": held}:
            return f"{_kind(held)}[]"
        case {"type": "object", "title": str(title)}:
            return title
        case {"type": str(kind)}:
            return kind
        case _:
            return "any"


def _objects(found: object) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
