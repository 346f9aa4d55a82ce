"""`beadflow issue history`: what Git remembers of an issue."""

from typing import Annotated, Any

from cyclopts import Parameter

from cli import desk, table, when
from cli.asked import Given, Id, address
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode

_BEFORE = "Go on with what is older than this commit."
_COLUMNS = (
    table.Column("commit"),
    table.Column("when"),
    table.Column("author"),
    table.Column("what"),
    table.Column("status", toned=True),
    table.Column("fields", elastic=True),
)
_SHORT = 10


def history(
    issue_id: Id,
    /,
    *,
    before: Annotated[str | None, Parameter(help=_BEFORE)] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Show the commits that changed an issue, newest first.

    They are those of the issues' ref; with git_mode branch, those of the current branch.
    """
    params = {} if before is None else {"before": before}
    with desk.reading(where) as at:
        found = at.get(f"{address(issue_id)}/history", params)
    if out.json:
        out.envelope("issue.history", found["data"], next_before=found["next_before"])
        return ExitCode.OK
    out.table(_COLUMNS, [_row(version) for version in found["data"]])
    if found["next_before"]:
        out.note(f"there may be more: --before {found['next_before']}")
    return ExitCode.OK


def _row(version: dict[str, Any]) -> tuple[str, ...]:
    return (
        version["commit"][:_SHORT],
        when.moment(version["at"]),
        version["author"],
        version["kind"],
        version["status"] or "",
        ", ".join(version["fields"]),
    )
