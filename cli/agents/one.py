"""One agent on the command line: its address, what the server says of it, and how it is shown."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import problem, records, when
from cli.output import Output

AGENTS: Final = "/api/v1/agents"

Given = Annotated[Output, Parameter(parse=False)]
Id = Annotated[str, Parameter(help="The agent's id.")]

_ID = re.compile(r"[A-Za-z0-9][\w.~-]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent as the server sees it now."""

    id: str
    type: str
    origin: str
    status: str
    up: bool
    workload: str
    capabilities: tuple[str, ...]
    running: tuple[str, ...]
    reason: str
    registered_at: str
    drained_at: str
    seen_at: str
    lease_expires_at: str
    raw: Mapping[str, Any]


def agent(raw: object) -> Agent:
    """An agent of an answer.

    Raises:
        Problem: it is none.
    """
    fields = records.mapping(raw, "an agent")
    workload, limit = (records.text(fields, name) for name in ("workload", "max_workload"))
    return Agent(
        id=records.required(fields, "agent_id", "an agent"),
        type=records.text(fields, "agent_type"),
        origin=records.text(fields, "origin"),
        status=records.required(fields, "status", "an agent"),
        up=fields.get("up") is True,
        workload=f"{workload}/{limit}",
        capabilities=words(fields.get("capabilities")),
        running=words(fields.get("running")),
        reason=records.text(fields, "reason"),
        registered_at=records.text(fields, "registered_at"),
        drained_at=records.text(fields, "drained_at"),
        seen_at=records.text(fields, "seen_at"),
        lease_expires_at=records.text(fields, "lease_expires_at"),
        raw=fields,
    )


def words(found: object) -> tuple[str, ...]:
    """A list of texts of an answer; anything else in it is left out."""
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def path(agent_id: str) -> str:
    """Its address on the server.

    Raises:
        Problem: (usage) that is none; with a slash or `..` in it, it would ask for something else.
    """
    if not _ID.fullmatch(agent_id):
        raise problem.usage(
            "That is no agent id", agent_id, hint="`beadflow agent list` shows them"
        )
    return f"{AGENTS}/{agent_id}"


def show(out: Output, shape: str, found: Agent, more: Mapping[str, str] | None = None) -> None:
    """Prints all that is to be said of it; in JSON form the server's own object."""
    if out.json:
        out.envelope(shape, found.raw)
    else:
        out.fields({**fields(found), **(more or {})})


def fields(found: Agent) -> dict[str, str]:
    return {
        "id": found.id,
        "type": found.type,
        "status": found.status,
        "up": "yes" if found.up else "no",
        "origin": found.origin,
        "workload": found.workload,
        "can": " ".join(found.capabilities),
        "running": " ".join(found.running),
        "reason": found.reason,
        "registered": when.moment(found.registered_at),
        "drained": when.moment(found.drained_at),
        "seen": when.moment(found.seen_at),
        "lease ends": when.moment(found.lease_expires_at),
    }
