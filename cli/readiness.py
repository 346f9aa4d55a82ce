"""`beadflow ready`, `blocked` and `why`: what can be worked on, what waits, and for what."""

from typing import Annotated, Literal

from cyclopts import Parameter

from cli import asked, claims, desk, records, table, tracked
from cli.asked import ANY, Filter, Given, Id, Silent
from cli.author import ANYBODY, By
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.finding import Limit
from cli.output import Output
from cli.problem import usage

Policy = Annotated[
    Literal["priority", "hybrid", "oldest"],
    Parameter(name=["--sort", "-S"], help="What comes first."),
]
_WHY = (
    *tracked.COLUMNS[:4],
    table.Column("title", elastic=True),
    table.Column("why", elastic=True),
)


def ready(
    *,
    claim: Annotated[
        bool,
        Parameter(
            name="--claim",
            negative="",
            show_default=False,
            help="Take the first one, in the same step.",
        ),
    ] = False,
    classic: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Just what bd would list: epics beside their children.",
        ),
    ] = False,
    limit: Limit = 10,
    sort: Policy = "priority",
    chosen: Filter = ANY,
    ttl: claims.Ttl = claims.TTL,
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Show what can be worked on now, the most urgent first.

    With --claim the first one is yours when the command ends; with nothing to
    claim the exit code is 8.
    """
    if claim:
        if classic:
            raise usage("What is claimed is work", "--claim and --classic do not go together")
        body = {**chosen.body(), "actor": by.name(where), "policy": sort, "ttl_s": ttl}
        return claims.one(f"{desk.ISSUES}/ready/claim", body, where, out, silent=silent)
    params: dict[str, str | int] = {**chosen.params(), "limit": limit, "policy": sort}
    if classic:
        params["classic"] = "true"
    with desk.reading(where) as at:
        found = records.items(at.get(f"{desk.ISSUES}/ready", params))
    if silent:
        for each in found:
            out.text(tracked.Explained.parse(each).issue.id)
    elif out.json:
        out.envelope("issue.ready", found)
    else:
        tracked.listed(out, [tracked.Explained.parse(raw).issue for raw in found])
    if not found:
        out.note("nothing is ready; `beadflow issue blocked` says what waits for what")
    return ExitCode.OK


def blocked(
    *,
    chosen: Filter = ANY,
    limit: Limit = 50,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Show what is open but waits, and for what."""
    params: dict[str, str | int] = {**chosen.params(), "limit": limit}
    with desk.reading(where) as at:
        found = records.items(at.get(f"{desk.ISSUES}/blocked", params))
    if out.json:
        out.envelope("issue.blocked", found)
        return ExitCode.OK
    _waiting(out, [tracked.Explained.parse(raw) for raw in found])
    if not found:
        out.note("nothing waits")
    return ExitCode.OK


def why(issue_id: Id, /, *, where: Where = ANYWHERE, out: Given) -> int:
    """Explain why an issue is ready, or for what it waits, and through which others."""
    with desk.reading(where) as at:
        raw = at.get(f"{asked.address(issue_id)}/why")
    if out.json:
        out.envelope("issue.why", raw)
        return ExitCode.OK
    found = tracked.Explained.parse(raw)
    if out.form == "csv":
        _waiting(out, [found])
        return ExitCode.OK
    out.text(f"{found.issue.line}\n{'ready' if found.ready else 'not ready'}")
    for cause in found.causes:
        out.text(f"  {cause}")
    return ExitCode.OK


def _waiting(out: Output, found: list[tracked.Explained]) -> None:
    rows = [(*each.issue.row[:4], each.issue.title, "; ".join(each.causes)) for each in found]
    out.table(_WHY, rows)
