"""`beadflow issue import`: issues from lines of the published format, merged into those here."""

from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import desk, lines, table
from cli.asked import Given
from cli.client import Client
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.output import Output

AT_ONCE_BYTES: Final = 900_000
"""Below what one request may have."""

PATIENCE_S: Final = 70.0
"""Longer than the server tries for."""

ADDRESS: Final = f"{desk.ISSUES}/import"
COUNTS: Final = ("created", "changed", "unchanged", "duplicates", "quarantined", "refused")
TOLD: Final = 100

_FILE = "Issues, one JSON object a line; - is standard input."
_DRY = "Tell what would be done, and change nothing."
_COLUMNS: Final = (
    table.Column("line"),
    table.Column("issue"),
    table.Column("why it was left out", elastic=True),
)


def import_(
    file: Annotated[str, Parameter(help=_FILE, allow_leading_hyphen=True)],
    /,
    *,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False, help=_DRY)] = False,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Merge issues from a file into those here: what was written later wins, field by field."""
    data = lines.read(file)
    told: dict[str, Any] = {"dry_run": dry_run, **dict.fromkeys(COUNTS, 0), "problems": []}
    with desk.writing(where) as at:
        if isinstance(at, Client):
            at.be_patient(PATIENCE_S)
        for before, part in lines.parts(data, AT_ONCE_BYTES):
            _add(told, at.send_lines(ADDRESS, part, {"dry_run": str(dry_run).lower()}), before)
    if out.json:
        out.envelope("issue.import", told)
    else:
        _show(out, told)
    return ExitCode.FAILED if told["quarantined"] or told["refused"] else ExitCode.OK


def _add(told: dict[str, Any], more: dict[str, Any], before: int) -> None:
    for name in COUNTS:
        told[name] += more[name]
    room = TOLD - len(told["problems"])
    told["problems"] += [
        {**each, "line": each["line"] + before} for each in more["problems"][:room]
    ]


def _show(out: Output, told: dict[str, Any]) -> None:
    if told["problems"]:
        rows = [(str(each["line"]), each["id"] or "", each["why"]) for each in told["problems"]]
        out.table(_COLUMNS, rows)
    out.fields({name: str(told[name]) for name in COUNTS})
    if told["dry_run"]:
        out.note("nothing was changed: it was a dry run")
