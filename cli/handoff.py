"""`beadflow workflow handoff`: a workflow goes from one agent to the next. It needs a server."""

import uuid
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from cli import discovery, one, structured
from cli.author import By
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.one import Id
from cli.output import Output

Given = Annotated[Output, Parameter(parse=False)]
Giver = Annotated[str, Parameter(name="--from", help="The agent that has it.")]
Taker = Annotated[str | None, Parameter(name="--to", help="The agent that gets it.")]
Type = Annotated[
    str | None, Parameter(name="--to-type", help="Instead: the least loaded agent of this type.")
]
Reason = Annotated[str | None, Parameter(help="Why; it becomes a comment on its issue.")]
Payload = Annotated[str | None, Parameter(help="What is handed over, as JSON.")]
Fence = Annotated[
    int | None, Parameter(name="--assignment", help="Only if this assignment is still in force.")
]

NOBODY: Final = By()

_SHOWN: Final = {
    "workflow": "workflow_id",
    "agent": "agent_id",
    "type": "agent_type",
    "status": "status",
    "step": "step_number",
    "from": "handoff_from",
    "assignment": "id",
    "reason": "reason",
}


def register(app: App) -> None:
    """Put the command of this module into the group `beadflow workflow`."""
    app.command(
        handoff,
        help_epilogue=(
            "Examples:\n\n"
            "  beadflow workflow handoff wf-7k2m --from digger-1 --to painter-1\n\n"
            "  beadflow workflow handoff wf-7k2m --from digger-1 --to-type painter"
            ' --reason "all dug" --payload \'{"depth": 3}\''
        ),
    )


def handoff(
    workflow_id: Id,
    /,
    *,
    from_agent: Giver,
    to_agent: Taker = None,
    to_type: Type = None,
    reason: Reason = None,
    payload: Payload = None,
    assignment: Fence = None,
    by: By = NOBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Hand a workflow on from the agent that has it to the next one."""
    body: dict[str, Any] = {
        "from_agent": from_agent,
        "to_agent": to_agent,
        "to_type": to_type,
        "reason": reason or "",
        "payload": structured.read("--payload", payload),
        "assignment_id": assignment,
        "author": by.name(where),
    }
    with discovery.required(where, "hand it on") as client:
        assigned = client.post(f"{one.path(workflow_id)}/handoff", body, key=str(uuid.uuid4()))
    if out.json:
        out.envelope("workflow.handoff", assigned)
    else:
        out.fields({name: _text(assigned.get(key)) for name, key in _SHOWN.items()})
    return ExitCode.OK


def _text(value: object) -> str:
    return "" if value is None else str(value)
