"""One workflow on the command line: its address, and how it is shown."""

import re
from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import outcome, problem, when
from cli.output import Output
from cli.records import Workflow

WORKFLOWS: Final = "/api/v1/workflows"

Id = Annotated[str, Parameter(help="The workflow's id.")]

_ID = re.compile(r"[A-Za-z0-9][\w.:~-]*", re.ASCII)


def path(workflow_id: str) -> str:
    """Its address on the server.

    Raises:
        Problem: (usage) that is none; with a slash or `..` in it, it would ask for something else.
    """
    if not _ID.fullmatch(workflow_id):
        raise problem.usage(
            "That is no workflow id", workflow_id, hint="`beadflow workflow list` shows them"
        )
    return f"{WORKFLOWS}/{workflow_id}"


def show(out: Output, shape: str, workflow: Workflow) -> None:
    """Prints all that is to be said of it; in JSON form the server's own object."""
    if out.json:
        out.envelope(shape, workflow.raw)
        return
    out.fields(_fields(workflow))


def _fields(workflow: Workflow) -> dict[str, Any]:
    return {
        "id": workflow.id,
        "title": workflow.title,
        "status": workflow.status,
        "type": workflow.type,
        "parent": workflow.parent_id,
        "issue": workflow.issue_id,
        "priority": "" if workflow.priority is None else f"P{workflow.priority}",
        "agent": workflow.agent,
        "created": when.moment(workflow.created_at),
        "started": when.moment(workflow.started_at),
        "ended": when.moment(workflow.completed_at),
        "took": outcome.took(workflow),
        "error": workflow.error,
    }
