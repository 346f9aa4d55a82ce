"""`beadflow workflow update`: change a workflow's title, priority, variables or status.

Variables are replaced as a whole by the server. So those that are not named here are read first,
and the change is refused when somebody else was faster.
"""

import json
import uuid
from typing import Annotated, Any

from cyclopts import App, Parameter

from cli import asked, discovery, one, problem, records, variables
from cli.client import Client
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.one import Id
from cli.output import Output
from cli.records import Status

Given = Annotated[Output, Parameter(parse=False)]

_VAR_HELP = "A variable, k=text or k:=json; the others stay. Only while it is queued."


def register(app: App) -> None:
    """Put the command of this module into the group `beadflow workflow`."""
    app.command(
        update,
        help_epilogue=(
            "Examples:\n\n"
            "  beadflow workflow update wf-7k2m --priority 0\n\n"
            '  beadflow workflow update wf-7k2m --status paused --reason "waits for the review"'
        ),
    )


def update(
    workflow_id: Id,
    /,
    *,
    title: Annotated[str | None, Parameter(help="Another title.")] = None,
    priority: Annotated[
        str | None, Parameter(name=["--priority", "-p"], help="0 (most urgent) to 4, or P0 to P4.")
    ] = None,
    var: Annotated[
        tuple[str, ...], Parameter(negative="", show_default=False, help=_VAR_HELP)
    ] = (),
    status: Annotated[
        Status | None, Parameter(help="Another state: active, paused, cancelled or completed.")
    ] = None,
    reason: Annotated[str | None, Parameter(help="Why it gets another state.")] = None,
    result: Annotated[
        str | None, Parameter(help="Its result, as JSON; with --status completed.")
    ] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Change a workflow; its issue follows.

    All that is asked for is done, or nothing.
    """
    given = {
        "title": title,
        "priority": None if priority is None else asked.priority(priority),
        "status": status,
        "reason": reason,
        "result": None if result is None else _parsed(result),
    }
    body = {name: value for name, value in given.items() if value is not None}
    changed = variables.parse(var)
    if not (body or changed):
        raise problem.usage("Say what is to change", hint="--title, --priority, --var or --status")
    with discovery.required(where, "change it") as client:
        answer = _send(client, one.path(workflow_id), body, changed)
    one.show(out, "workflow.update", records.workflow(answer))
    return ExitCode.OK


def _parsed(result: str) -> Any:
    try:
        return json.loads(result)
    except ValueError as error:
        raise problem.usage(
            "The result is no JSON", str(error), hint="a text is '\"done\"'"
        ) from error


def _send(
    client: Client, path: str, body: dict[str, Any], changed: dict[str, Any]
) -> dict[str, Any]:
    key, seen = str(uuid.uuid4()), None
    if changed:
        present = client.get(path)
        before, seen = present.get("variables"), records.text(present, "updated_at") or None
        body = {**body, "variables": {**(before if isinstance(before, dict) else {}), **changed}}
    return client.send("PUT", path, body, key=key, seen=seen)
