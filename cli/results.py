"""`beadflow workflow results`: what workflows found, one or all, in versions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from cyclopts import App, Group, Parameter

from cli import discovery, moments, one, outcome, problem, records, table
from cli.discovery import ANYWHERE, Source, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.output import Output
from cli.records import Workflow

Given = Annotated[Output, Parameter(parse=False)]

EVERYWHERE: Final = "/api/v1/results"

_FILTER: Final = Group("Which results", sort_key=50)
_ID_HELP = "The workflow's id; none with --all."
_ALL_HELP = "Those of all workflows, newest first."
_LIMIT_HELP = "At most so many, with --all; 50 by default."
_COLUMNS = (
    table.Column("workflow"),
    table.Column("step"),
    table.Column("version", right=True),
    table.Column("type"),
    table.Column("agent"),
    table.Column("confidence"),
    table.Column("created"),
)


@Parameter(name="*", group=_FILTER)
@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which results a command means; each that is given must hold."""

    kind: Annotated[str | None, Parameter(name="--type")] = None
    "Of this type: an activity's name, `output`, or what it was stored with."

    step: str | None = None
    "Of this step."

    agent: str | None = None
    "Of the agent with this id."

    agent_type: str | None = None
    "Of agents of this type."

    since: moments.Moment = None
    "Stored at this moment or later, such as -2h."

    until: moments.Moment = None
    "Stored before this moment."

    min_confidence: float | None = None
    "With this score at least, 0.0 to 1.0."

    version: Annotated[int | None, WHOLE] = None
    "This version of each step, 1 or more."

    latest: Annotated[bool, Parameter(negative="", show_default=False)] = False
    "Only the newest version of each step."

    def params(self) -> dict[str, str]:
        """As a query."""
        now = datetime.now(UTC)
        asked: Mapping[str, Any] = {
            "type": self.kind,
            "step": self.step,
            "agent_id": self.agent,
            "agent_type": self.agent_type,
            "since": moments.given("--since", self.since, now),
            "until": moments.given("--until", self.until, now),
            "min_confidence": self.min_confidence,
            "version": self.version,
            "latest": "true" if self.latest else None,
        }
        return {name: str(value) for name, value in asked.items() if value is not None}


ANY = Filter()


def register(app: App) -> None:
    """Put the command of this module into the group `beadflow workflow`."""
    app.command(
        results,
        help_epilogue=(
            "Examples:\n\n"
            "  beadflow workflow results wf-7k2m > report.md\n\n"
            "  beadflow workflow results --all --type review --min-confidence 0.8"
        ),
    )


def results(
    workflow_id: Annotated[str | None, Parameter(name="ID", help=_ID_HELP)] = None,
    /,
    *,
    every: Annotated[
        bool, Parameter(name="--all", negative="", show_default=False, help=_ALL_HELP)
    ] = False,
    chosen: Filter = ANY,
    limit: Annotated[int | None, WHOLE, Parameter(help=_LIMIT_HELP)] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Print what a workflow found: its report, or until then the results of its steps.

    The exit code tells whether that is all: 8 while it runs, 5 when it ended
    unsuccessfully. With a filter or --all it is a table of what was chosen.
    """
    if every == (workflow_id is not None):
        raise problem.usage("Name one workflow, or say --all", workflow_id or "neither was given")
    if workflow_id is not None and limit is not None:
        raise problem.usage("--limit is for --all only", str(limit))
    if workflow_id is None:
        with discovery.source(where) as source:
            params = chosen.params() | {"limit": str(limit or 50)}
            found = records.items(source.get(EVERYWHERE, params))
        _list(out, "results", found)
        return ExitCode.OK
    path = one.path(workflow_id)
    with discovery.source(where) as source:
        workflow = records.workflow(source.get(path))
        found = list(pages(source, f"{path}/results", chosen.params()))
    return _of_one(out, workflow, found, is_chosen=chosen != ANY)


def pages(source: Source, path: str, params: Mapping[str, str]) -> Iterator[Any]:
    """All of a list, a page after the other."""
    cursor: str | None = ""
    while cursor is not None:
        page = source.get(path, {**params, **({"cursor": cursor} if cursor else {})})
        yield from records.items(page)
        cursor = records.text(page, "next_cursor") or None


def _of_one(out: Output, workflow: Workflow, found: list[Any], *, is_chosen: bool) -> int:
    if is_chosen:
        _list(out, "workflow.results", found, status=workflow.status)
    elif out.json:
        out.envelope("workflow.results", found, status=workflow.status)
    else:
        outcome.report(out, [records.result(raw) for raw in found])
        if not found:
            out.note("no results")
    if not workflow.succeeded:
        out.note(": ".join(part for part in (f"it is {workflow.status}", workflow.error) if part))
    return outcome.exit_code(workflow)


def _list(out: Output, shape: str, found: list[Any], **more: Any) -> None:
    if out.json:
        out.envelope(shape, found, **more)
        return
    out.table(_COLUMNS, [_row(raw) for raw in found])
    if not found:
        out.note("no results")


def _row(raw: Any) -> tuple[str, ...]:
    step, kind, agent, confidence, created = outcome.row(records.result(raw))
    fields = records.mapping(raw, "a result")
    named = records.text(fields, "workflow_id")
    return (named, step, records.text(fields, "version"), kind, agent, confidence, created)
