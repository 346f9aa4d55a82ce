"""`beadflow workflow signal …`: what an operator does to a workflow. All of it needs a server.

A request is done once, however often it is sent: its connection may break under it.
"""

import json
import uuid
from typing import Annotated, Any

from cyclopts import App, Parameter

from cli import discovery, one, records, structured
from cli.author import ANYBODY, By
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.one import Id
from cli.output import Output

Given = Annotated[Output, Parameter(parse=False)]
Reason = Annotated[str | None, Parameter(help="Why; it becomes a comment on its issue.")]

_VALUE_HELP = "What it carries, as JSON."
_ARGUMENT_HELP = "What the query is given, as JSON."
_MESSAGE_HELP = "The signal's own name: sent twice, it is one signal."


def register(app: App) -> None:
    """Put the commands of this module into the group `beadflow workflow`."""
    app.command(
        signal,
        help_epilogue=(
            "Examples:\n\n"
            "  beadflow workflow signal wf-7k2m approved --value true\n\n"
            "  beadflow workflow signal wf-7k2m order --value '{\"id\": 7}' --message-id order-7"
        ),
    )
    app.command(query, help_epilogue="Example:\n\n  beadflow workflow query wf-7k2m progress")
    app.command(pause, help_epilogue="Example:\n\n  beadflow workflow pause wf-7k2m")
    app.command(resume, help_epilogue="Example:\n\n  beadflow workflow resume wf-7k2m")
    app.command(
        cancel,
        help_epilogue='Example:\n\n  beadflow workflow cancel wf-7k2m --reason "no longer needed"',
    )
    app.command(terminate, help_epilogue="Example:\n\n  beadflow workflow terminate wf-7k2m")
    app.command(retry, help_epilogue="Example:\n\n  beadflow workflow retry wf-7k2m")


def signal(
    workflow_id: Id,
    name: Annotated[str, Parameter(help="Which signal.")],
    /,
    *,
    value: Annotated[str | None, Parameter(help=_VALUE_HELP)] = None,
    message_id: Annotated[str | None, Parameter(help=_MESSAGE_HELP)] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Hand a workflow a signal, whether it waits for it already or not."""
    body: dict[str, Any] = {"name": name, "value": structured.read("--value", value)}
    if message_id is not None:
        body["message_id"] = message_id
    return _tell(workflow_id, "signal", body, where, out)


def query(
    workflow_id: Id,
    name: Annotated[str, Parameter(help="Which of its queries.")],
    /,
    *,
    argument: Annotated[str | None, Parameter(help=_ARGUMENT_HELP)] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Ask a running workflow one of its queries, and print the answer."""
    path = f"{one.path(workflow_id)}/query"
    body = {"name": name, "argument": structured.read("--argument", argument)}
    with discovery.required(where, "answer") as client:
        result = client.post(path, body, key=str(uuid.uuid4())).get("result")
    if out.json:
        out.envelope("workflow.query", result)
    else:
        out.text(result if isinstance(result, str) else json.dumps(result, indent=2))
    return ExitCode.OK


def pause(workflow_id: Id, /, *, reason: Reason = None, where: Where = ANYWHERE, out: Given) -> int:
    """Let a workflow and its children begin nothing more until it is resumed."""
    return _tell(workflow_id, "pause", _reason(reason), where, out)


def resume(workflow_id: Id, /, *, where: Where = ANYWHERE, out: Given) -> int:
    """Let a paused workflow and its children go on."""
    return _tell(workflow_id, "resume", {}, where, out)


def cancel(
    workflow_id: Id, /, *, reason: Reason = None, where: Where = ANYWHERE, out: Given
) -> int:
    """Ask a workflow and its children to end, after cleaning up.

    It has ended when its status says so: `workflow status ID --watch` waits for
    that.
    """
    return _tell(workflow_id, "cancel", _reason(reason), where, out)


def terminate(
    workflow_id: Id, /, *, reason: Reason = None, where: Where = ANYWHERE, out: Given
) -> int:
    """End a workflow and its children where they stand, without cleaning up."""
    return _tell(workflow_id, "terminate", _reason(reason), where, out)


def retry(workflow_id: Id, /, *, by: By = ANYBODY, where: Where = ANYWHERE, out: Given) -> int:
    """Have a workflow go on that has failed, was set aside or is stalled.

    One that has failed does again what failed; what it had completed before
    keeps its results.
    """
    return _tell(workflow_id, "retry", {"author": by.name(where)}, where, out)


def _tell(workflow_id: str, verb: str, body: dict[str, Any], where: Where, out: Output) -> int:
    path = f"{one.path(workflow_id)}/{verb}"
    with discovery.required(where, verb) as client:
        workflow = records.workflow(client.post(path, body, key=str(uuid.uuid4())))
    one.show(out, f"workflow.{verb}", workflow)
    return ExitCode.OK


def _reason(reason: str | None) -> dict[str, Any]:
    return {} if reason is None else {"reason": reason}
