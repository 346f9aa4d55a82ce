"""Who has which workflow: the list of assignments, and giving a workflow to an agent by hand."""

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from cli import discovery, records, table
from cli.agents.one import Given
from cli.author import By
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE

ASSIGNMENTS: Final = "/api/v1/assignments"
NOBODY: Final = By()

Status = Literal["queued", "assigned", "completed", "reassigned"]

_COLUMNS = (
    table.Column("id", right=True),
    table.Column("workflow"),
    table.Column("agent"),
    table.Column("type"),
    table.Column("step", right=True),
    table.Column("status", toned=True),
    table.Column("by"),
    table.Column("reason", elastic=True),
)
_FIELDS: Final = {
    "id": "id",
    "workflow": "workflow_id",
    "agent": "agent_id",
    "type": "agent_type",
    "step": "step_number",
    "status": "status",
    "by": "assigned_by",
    "reason": "reason",
}


def assign(
    workflow_id: Annotated[str, Parameter(name="WORKFLOW", help="The workflow's id.")],
    agent_id: Annotated[str, Parameter(name="AGENT", help="The agent's id.")],
    /,
    *,
    reason: Annotated[str | None, Parameter(help="Why; it is kept with the assignment.")] = None,
    by: By = NOBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Give a workflow to an agent, whoever has it now."""
    body = {
        "workflow_id": workflow_id,
        "agent_id": agent_id,
        "reason": reason or "",
        "author": by.name(where),
    }
    with discovery.required(where, "give it to the agent") as client:
        made = records.mapping(
            client.post(ASSIGNMENTS, body, key=str(uuid.uuid4())), "an assignment"
        )
    if out.json:
        out.envelope("agent.assign", made)
    else:
        out.fields(_texts(made))
    return ExitCode.OK


def assignments(
    *,
    workflow: Annotated[str | None, Parameter(help="Only those of this workflow.")] = None,
    agent: Annotated[str | None, Parameter(help="Only those of this agent.")] = None,
    kind: Annotated[
        str | None, Parameter(name="--type", help="Only those for agents of this type.")
    ] = None,
    status: Annotated[Status | None, Parameter(help="Only those in this state.")] = None,
    limit: Annotated[int, WHOLE, Parameter(help="At most so many.")] = 50,
    cursor: Annotated[str | None, Parameter(help="Go on where an earlier list ended.")] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """List who has and had which workflow, newest first."""
    asked = {
        "workflow_id": workflow,
        "agent_id": agent,
        "agent_type": kind,
        "status": status,
        "limit": limit,
        "cursor": cursor,
    }
    params = {name: value for name, value in asked.items() if value is not None}
    with discovery.required(where, "list the assignments") as client:
        answer = client.get(ASSIGNMENTS, params)
    found = records.items(answer)
    more = records.text(answer, "next_cursor") or None
    if out.json:
        out.envelope("agent.assignments", found, next_cursor=more)
        return ExitCode.OK
    rows = [tuple(_texts(records.mapping(raw, "an assignment")).values()) for raw in found]
    out.table(_COLUMNS, rows)
    if not found:
        out.note("no assignments")
    if more:
        out.note(f"more with --cursor {more}")
    return ExitCode.OK


def _texts(raw: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(raw.get(key)) for name, key in _FIELDS.items()}


def _text(value: object) -> str:
    return "" if value is None else str(value)
