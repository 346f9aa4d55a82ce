"""`beadflow issue list`, `search`, `show` and `stats`: looking at issues. Nothing is changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from cli import asked, desk, problem, records, table, tracked
from cli.asked import ANY, Filter, Given, Ids, Silent
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.output import Output, error_object
from cli.paths import PATH
from cli.problem import Problem

Limit = Annotated[int, WHOLE, Parameter(name=["--limit", "-n"], help="At most so many.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How a list is sorted, and which part of it is shown."""

    sort: Literal["updated", "created", "priority", "id"] | None = None
    "By when they were changed (newest first), or by this."

    reverse: Annotated[bool, Parameter(negative="", show_default=False)] = False
    "The other way round."

    closed: Annotated[bool, Parameter(name="--all", negative="", show_default=False)] = False
    "Closed ones, too."

    limit: Annotated[int, WHOLE, Parameter(name=["--limit", "-n"])] = 50
    "At most so many."

    cursor: str | None = None
    "Go on where an earlier list ended."

    def params(self) -> dict[str, str | int]:
        params: dict[str, str | int] = {"limit": self.limit}
        given = {"sort": self.sort, "cursor": self.cursor}
        params |= {name: value for name, value in given.items() if value is not None}
        flags = {"reverse": self.reverse, "closed": self.closed}
        return params | {name: "true" for name, value in flags.items() if value}


FIRST = Page()

NEWLINE = b"\n"

_COUNTS = (table.Column("what"), table.Column("count", right=True))


def list_(
    *,
    chosen: Filter = ANY,
    page: Page = FIRST,
    silent: Silent = False,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """List issues, without the closed ones unless they are asked for."""
    params = {**chosen.params(), **page.params()}
    return _list("list", desk.ISSUES, params, where, out, silent=silent)


def search(
    *text: Annotated[str, Parameter(help="Words; an issue must have each somewhere.")],
    chosen: Filter = ANY,
    page: Page = FIRST,
    silent: Silent = False,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Find issues by words in their id, title, description, notes or comments."""
    if not " ".join(text).strip():
        raise problem.usage("Name at least one word to look for")
    params = {**chosen.params(), **page.params(), "q": " ".join(text)}
    return _list("search", f"{desk.ISSUES}/search", params, where, out, silent=silent)


def show(*ids: Ids, where: Where = ANYWHERE, out: Given) -> int:
    """Show issues with their texts, comments, dependencies, children and claim."""
    if not ids:
        raise problem.usage("Name at least one issue", hint="`beadflow issue list` shows them")
    found: list[dict[str, Any]] = []
    missing: list[tuple[str, Problem]] = []
    with desk.reading(where) as at:
        for issue_id in dict.fromkeys(ids):
            try:
                found.append(at.get(asked.address(issue_id)))
            except Problem as err:
                if len(ids) == 1 or err.exit_code not in (ExitCode.NOT_FOUND, ExitCode.CONFLICT):
                    raise
                missing.append((issue_id, err))
    _show(out, found, missing)
    for issue_id, refused in missing:
        out.note(f"{issue_id} is not shown:", "bold")
        out.complain(refused)
    return missing[0][1].exit_code if missing else ExitCode.OK


def export(
    *,
    to: Annotated[Path | None, PATH, Parameter(help="Write to this file.")] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Write all issues, one JSON object a line, as they are published.

    Deleted ones are among them, so that whoever reads it learns of that.
    """
    with desk.writing(where) as at:  # so that what others wrote is taken in first
        found = at.fetch(f"{desk.ISSUES}/export")
    if to is not None:
        to.write_bytes(found)
        out.note(f"{found.count(NEWLINE)} issues are in {to}")
    elif out.data.file.isatty():
        out.text(found.decode("utf-8").removesuffix("\n"))
    else:
        out.data.file.write(found.decode("utf-8"))
    return ExitCode.OK


def stats(*, where: Where = ANYWHERE, out: Given) -> int:
    """Count the issues by state, type and priority, and what is ready or waits."""
    with desk.reading(where) as at:
        found = at.get(f"{desk.ISSUES}/stats")
    if out.json:
        out.envelope("issue.stats", found)
        return ExitCode.OK
    lead = records.number(found, "lead_time_h")
    rows = [
        ("total", records.text(found, "total")),
        *_counts("status", found.get("by_status")),
        *_counts("type", found.get("by_type")),
        *_counts("priority", found.get("by_priority"), "P"),
        ("ready", records.text(found, "ready")),
        ("blocked", records.text(found, "blocked")),
        ("epics to close", records.text(found, "epics_to_close")),
        *([] if lead is None else [("mean hours to close", f"{lead:.1f}")]),
    ]
    out.table(_COUNTS, rows)
    return ExitCode.OK


def _list(
    shape: str,
    path: str,
    params: Mapping[str, str | int],
    where: Where,
    out: Output,
    *,
    silent: bool,
) -> int:
    with desk.reading(where) as at:
        answer = at.get(path, params)
        nowhere = desk.nowhere(at)
    found = records.items(answer)
    more = records.text(answer, "next_cursor") or None
    if out.json and not silent:
        total = records.whole(answer, "total")
        out.envelope(f"issue.{shape}", found, next_cursor=more, total=total)
        more = None
    elif silent:
        for raw in found:
            out.text(tracked.Issue.parse(raw).id)
    else:
        tracked.listed(out, [tracked.Issue.parse(raw) for raw in found])
    if nowhere or not (found or out.json):
        out.note(f"no issues{nowhere}")
    if more:
        out.note(f"there are more, {records.text(answer, 'total')} in all: --cursor {more}")
    return ExitCode.OK


def _show(out: Output, found: list[dict[str, Any]], missing: list[tuple[str, Problem]]) -> None:
    if out.json:
        errors = [{"id": issue_id, **error_object(err)} for issue_id, err in missing]
        out.envelope("issue.show", found, **({"errors": errors} if errors else {}))
    elif out.form == "csv":
        tracked.listed(out, [tracked.Issue.parse(raw.get("issue")) for raw in found])
    else:
        for number, raw in enumerate(found):
            if number:
                out.text("\n")
            tracked.shown(out, raw)


def _counts(what: str, raw: object, mark: str = "") -> list[tuple[str, str]]:
    counted = raw if isinstance(raw, dict) else {}
    return [(f"{what} {mark}{name}", str(count)) for name, count in sorted(counted.items())]
