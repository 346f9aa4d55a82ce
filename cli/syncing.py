"""`beadflow issue sync`: meet other clones through a remote, or commit the file on the branch."""

from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import desk, table
from cli.asked import Given
from cli.client import Client
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.output import Output

PATIENCE_S: Final = 620.0
"""Longer than the server tries for."""
ADDRESS: Final = f"{desk.ISSUES}/sync"

_REMOTE = "Which remote; by default origin, or the only one."
_DRY = "Tell what would come and go, and change nothing."
_UNRELATED = "Merge, too, where the remote's issues were begun anew."
_COLUMNS = (
    table.Column(""),
    table.Column("issue"),
    table.Column("what"),
    table.Column("title", elastic=True),
)


def sync(
    *,
    remote: Annotated[str | None, Parameter(help=_REMOTE)] = None,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False, help=_DRY)] = False,
    allow_unrelated: Annotated[
        bool, Parameter(negative="", show_default=False, help=_UNRELATED)
    ] = False,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Meet other clones: fetch their issues, merge, and push.

    Your branches, the index and your files are not touched. With git_mode branch it commits
    the issues' file on the current branch instead, and you push and pull that yourself.
    """
    body: dict[str, Any] = {"dry_run": dry_run, "allow_unrelated": allow_unrelated}
    if remote is not None:
        body["remote"] = remote
    with desk.writing(where) as at:
        if isinstance(at, Client):
            at.be_patient(PATIENCE_S)
        told = at.send("POST", ADDRESS, body)
    if out.json:
        out.envelope("issue.sync", told)
    else:
        _show(out, told)
    return ExitCode.OK


def _show(out: Output, told: dict[str, Any]) -> None:
    rows = [
        (sign, one["issue_id"], one["kind"], one["title"])
        for sign, side in (("<", "incoming"), (">", "outgoing"))
        for one in told[side]
    ]
    if rows:
        out.table(_COLUMNS, rows)
    out.fields(
        {
            "remote": told["remote"] or "",
            "came": str(told["incoming_count"]),
            "went": str(told["outgoing_count"]) if told["mode"] == "ref" else "",
            "commit": told["commit"] or "",
            "renamed": ", ".join(f"{one['old']} to {one['new']}" for one in told["renamed"]),
        }
    )
    if told["quarantined"]:
        out.note(f"{told['quarantined']} lines of the remote could not be read, and are kept")
    out.note(_sentence(told))


def _sentence(told: dict[str, Any]) -> str:
    if told["dry_run"]:
        return "nothing was changed: it was a dry run"
    if told["mode"] == "branch":
        return "committed" if told["commit"] else "the branch has these issues already"
    if told["pushed"]:
        return "pushed"
    return "there was nothing to push"
