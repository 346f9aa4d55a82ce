"""`beadflow workflow list`: which workflows there are, newest first."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, get_args

from cyclopts import App, Group, Parameter

from cli import asked, discovery, moments, problem, records, table, when
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.one import WORKFLOWS
from cli.output import Output
from cli.records import Status, Workflow

Given = Annotated[Output, Parameter(parse=False)]

COLUMNS: Final = (
    table.Column("id"),
    table.Column("status", toned=True),
    table.Column("type"),
    table.Column("issue"),
    table.Column("created"),
    table.Column("title", elastic=True),
)

_OPTIONS: Final = {"agent_id": "agent", "agent_type": "agent-type", "q": "title"}


@Parameter(name="*", group=Group("Which workflows", sort_key=50))
@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which workflows are listed; each that is given must hold."""

    status: str | None = None
    "In one of these states, with commas between them."

    kind: Annotated[str | None, Parameter(name="--type")] = None
    "Of this kind."

    agent: str | None = None
    "With this agent, or with it last."

    agent_type: str | None = None
    "For agents of this type."

    priority: str | None = None
    "Of this priority: 0 to 4, or P0 to P4."

    issue: str | None = None
    "The one that is this issue."

    created_after: moments.Moment = None
    "Started at this moment or later."

    created_before: moments.Moment = None
    "Started before this moment."

    title: str | None = None
    "With this text in the title, in whichever case."

    def params(self, now: datetime) -> dict[str, str | int]:
        given: dict[str, str | int | None] = {
            "status": None if self.status is None else ",".join(_statuses(self.status)),
            "type": self.kind,
            "agent_id": self.agent,
            "agent_type": self.agent_type,
            "priority": None if self.priority is None else asked.priority(self.priority),
            "issue": self.issue,
            "created_after": moments.given("--created-after", self.created_after, now),
            "created_before": moments.given("--created-before", self.created_before, now),
            "q": self.title,
        }
        for name, value in given.items():
            if value == "":
                option = _OPTIONS.get(name, name)
                raise problem.usage(f"--{option} is empty", "leave it out for all of them")
        return {name: value for name, value in given.items() if value is not None}


ALL = Chosen()


def register(app: App) -> None:
    """Put the command of this module into the group `beadflow workflow`."""
    app.command(
        list_,
        name="list",
        help_epilogue=(
            "Examples:\n\n"
            "  beadflow workflow list --status active,paused --limit 20 -o json\n\n"
            "  beadflow workflow list --created-after -1d --title upgrade"
        ),
    )


def list_(
    *,
    chosen: Chosen = ALL,
    limit: Annotated[int, WHOLE, Parameter(help="At most so many.")] = 50,
    cursor: Annotated[str | None, Parameter(help="Go on where an earlier list ended.")] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """List workflows, newest first."""
    params = {**chosen.params(datetime.now(UTC)), "limit": limit}
    if cursor is not None:
        params["cursor"] = cursor
    with discovery.source(where) as source:
        answer = source.get(WORKFLOWS, params)
    found = records.items(answer)
    more = records.text(answer, "next_cursor") or None
    if out.json:
        out.envelope("workflow.list", found, next_cursor=more)
        return ExitCode.OK
    out.table(COLUMNS, [_row(records.workflow(raw)) for raw in found])
    if not found:
        out.note("no workflows" if more is None else "none among the newest of them")
    if more:
        out.note(f"there are more: --cursor {more}")
    return ExitCode.OK


def _statuses(given: str) -> list[str]:
    found = asked.words((given,))
    for status in found:
        if status not in get_args(Status):
            known = ", ".join(get_args(Status))
            raise problem.usage("There is no such state", status, hint=f"there are: {known}")
    return found


def _row(workflow: Workflow) -> tuple[Any, ...]:
    created = when.moment(workflow.created_at)
    return (
        workflow.id,
        workflow.status,
        workflow.type,
        workflow.issue_id,
        created,
        workflow.title,
    )
