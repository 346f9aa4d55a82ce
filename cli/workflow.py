"""`beadflow workflow …`: start workflows and look at them. What steers them is in control.py.

Each command finds who answers (discovery.py), asks, and prints; it returns its exit code. What
`--watch` does is in watch.py and here at the end, the same for a server and for the engine that a
watched start runs in this process when nobody serves.
"""

import re
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from cli import (
    artifacts,
    control,
    discovery,
    handoff,
    history,
    listing,
    live,
    logs,
    one,
    outcome,
    problem,
    records,
    results,
    table,
    updating,
    variables,
)
from cli.client import Client
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.one import WORKFLOWS, Id
from cli.output import Output
from cli.paths import PATH
from cli.problem import Problem
from cli.records import Workflow, WorkflowType
from cli.watch import Detached, Watch

Watching = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Show its progress until it ends; the exit code is then its success.",
    ),
]
Following = Annotated[
    bool, Parameter(negative="", show_default=False, help="Go on until the workflow ends.")
]
Given = Annotated[Output, Parameter(parse=False)]

_VAR_HELP = "A variable, k=text or k:=json; a name given twice makes a list."
_PRIORITY_HELP = "0 (highest) to 4, or P0 to P4; the server takes 2 by default."
_CHOSEN_HELP = "What it is to be called; the same start with the same id is one workflow."
_CONFIG = "The settings file, for a run in this process."

_PRIORITY = re.compile(r"[Pp]?([0-4])")

_TYPE_COLUMNS = (
    table.Column("type"),
    table.Column("version"),
    table.Column("agent"),
    table.Column("agents"),
    table.Column("variables (* required)"),
    table.Column("description", elastic=True),
)

app = App(
    name="workflow",
    help="Start and steer workflows, and see what they do and what they found.",
    help_epilogue="Example:\n\n  beadflow workflow list --status active",
)
app.command(
    "cli.histories:export",
    name="export",
    help="Write a workflow's history as one JSON document.",
    help_epilogue="Example:\n\n  beadflow workflow export order-7k2m --to histories/order.json",
)
app.command(
    "cli.histories:replay",
    name="replay",
    help="Check recorded histories against the code, offline.",
    help_epilogue=(
        "Examples:\n\n"
        "  beadflow workflow replay histories/ --config beadflow.toml\n\n"
        "  beadflow workflow replay --all --config beadflow.toml"
    ),
)
listing.register(app)
control.register(app)
updating.register(app)
handoff.register(app)
history.register(app)
results.register(app)
artifacts.register(app)


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        '  beadflow workflow start research Clients --var question="…" --watch\n\n'
        "  beadflow workflow start research Clients --var limit:=3 -o json"
    )
)
def start(
    kind: Annotated[str, Parameter(name="TYPE", help="Its kind; `workflow types` lists them.")],
    title: Annotated[str, Parameter(help="The title of its issue.")],
    /,
    *,
    var: Annotated[
        tuple[str, ...], Parameter(negative="", show_default=False, help=_VAR_HELP)
    ] = (),
    priority: Annotated[str | None, Parameter(help=_PRIORITY_HELP)] = None,
    chosen: Annotated[str | None, Parameter(name="--id", help=_CHOSEN_HELP)] = None,
    agent_type: Annotated[str | None, Parameter(help="Take agents of this type instead.")] = None,
    watch: Watching = False,
    config: Annotated[
        Path | None, PATH, Parameter(env_var="WORKFLOW_CONFIG_PATH", help=_CONFIG)
    ] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Start a workflow.

    It becomes an issue, and runs on the server until it ends. With --watch and
    without a server it runs in this process.
    """
    request = _request(kind, title, var, priority, agent_type)
    if chosen is not None:
        request["workflow_id"] = chosen
    client = discovery.server(where)
    if client is None:
        return _start_here(request, watch, config, where, out)
    with client:
        workflow = _create(client, request)
        return _watch(out, client, workflow) if watch else _started(out, workflow)


@app.command(help_epilogue="Example:\n\n  beadflow workflow status wf-7k2m --watch")
def status(
    workflow_id: Id, /, *, watch: Watching = False, where: Where = ANYWHERE, out: Given
) -> int:
    """Show one workflow."""
    path = one.path(workflow_id)
    if watch:
        with discovery.required(where, "watch") as client:
            return _watch(out, client, records.workflow(client.get(path)))
    with discovery.source(where) as source:
        one.show(out, "workflow.status", records.workflow(source.get(path)))
    return ExitCode.OK


@app.command(name="logs", help_epilogue="Example:\n\n  beadflow workflow logs wf-7k2m --follow")
def logs_(
    workflow_id: Id, /, *, follow: Following = False, where: Where = ANYWHERE, out: Given
) -> int:
    """Print a workflow's log.

    With --follow and -o json, each line is one JSON object.
    """
    path = one.path(workflow_id)
    door = discovery.required(where, "follow") if follow else discovery.source(where)
    with door as source:
        logs.show(out, source, path, follow=follow)
    return ExitCode.OK


@app.command(help_epilogue="Example:\n\n  beadflow workflow types")
def types(*, where: Where = ANYWHERE, out: Given) -> int:
    """List the kinds of workflow that can be started, with their variables and warnings."""
    with discovery.source(where) as source:
        found = records.items(source.get(f"{WORKFLOWS}/types"))
    if out.json:
        out.envelope("workflow.types", found)
        return ExitCode.OK
    kinds = [records.workflow_type(raw) for raw in found]
    out.table(_TYPE_COLUMNS, [_type_row(kind) for kind in kinds])
    for kind in kinds:
        for warning in kind.warnings:
            out.note(f"warning: {kind.name}: {warning}", "yellow")
    return ExitCode.OK


class Here:
    """Starts a workflow on the server that has just come up in this process, and watches it.

    Called with that server's URL, usually from a thread beside the one that serves; `detach` may be
    called from any thread, and makes the call return soon. Never raises: refusals are printed.
    """

    def __init__(self, out: Output, request: dict[str, Any]) -> None:
        """Nothing is sent before the call."""
        self._out = out
        self._request = request
        self._stop = threading.Event()

    def __call__(self, base_url: str) -> int:
        try:
            with Client(base_url) as client:
                workflow = _create(client, self._request)
                return _watch(self._out, client, workflow, self._stop)
        except Problem as refused:
            self._out.refuse(refused)
            return refused.exit_code

    def detach(self) -> None:
        self._stop.set()


def _request(
    kind: str, title: str, assignments: Sequence[str], priority: str | None, agent_type: str | None
) -> dict[str, Any]:
    request: dict[str, Any] = {
        "issue_title": title,
        "workflow_type": kind,
        "variables": variables.parse(assignments),
    }
    if agent_type is not None:
        request["agent_type"] = agent_type
    if priority is not None:
        request["priority"] = _priority(priority)
    return request


def _priority(given: str) -> int:
    found = _PRIORITY.fullmatch(given)
    if found is None:
        raise problem.usage("A priority is 0 to 4, or P0 to P4", given)
    return int(found.group(1))


def _start_here(
    request: dict[str, Any], watch: bool, config: Path | None, where: Where, out: Output
) -> int:
    if not watch:
        raise discovery.nobody_serves(
            "run the workflow",
            "add --watch to run it here and now, or start a server with `beadflow up`",
        )
    return discovery.embedded().start_and_watch(
        request,
        repo=discovery.repository(where),
        data_dir=where.data_dir,
        config=config,
        watch=Here(out, request),
    )


def _create(client: Client, request: dict[str, Any]) -> Workflow:
    return records.workflow(client.post(WORKFLOWS, request, key=str(uuid.uuid4())))


def _started(out: Output, workflow: Workflow) -> int:
    one.show(out, "workflow.start", workflow)
    out.note(f"follow it with: beadflow workflow status {workflow.id} --watch")
    return ExitCode.OK


def _watch(
    out: Output, client: Client, workflow: Workflow, stop: threading.Event | None = None
) -> int:
    try:
        ended = Watch(client, workflow, live.view(out), stop=stop).run()
    except (KeyboardInterrupt, Detached):
        out.refuse(_detached(workflow.id, alone=stop is not None))
        return ExitCode.INTERRUPTED
    return outcome.conclude(out, client, ended)


def _detached(workflow_id: str, *, alone: bool) -> Problem:
    goes_on = "as soon as a server runs (beadflow up)" if alone else "on the server"
    return Problem(
        "Stopped watching",
        f"{workflow_id} was not cancelled and goes on {goes_on}",
        code="detached",
        exit_code=ExitCode.INTERRUPTED,
        hint=f"come back with: beadflow workflow status {workflow_id} --watch",
        retryable=True,
    )


def _type_row(known: WorkflowType) -> tuple[str, ...]:
    return (
        known.name,
        known.version,
        known.agent,
        " ".join(known.agents),
        " ".join(known.variables),
        known.description,
    )
