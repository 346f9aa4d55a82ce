"""`beadflow issue merge`: three versions of the published file, merged as the driver would.

Works on files alone: no repository, no server, no lock. So a merge can be looked at before it is
made, or done by hand where Git cannot run the driver.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from actors.issues.merging.decisions import Decision
from actors.issues.merging.files import MergedFile, NotIssuesError, merge_files
from cli import table
from cli.exits import ExitCode
from cli.merge_driver import notes
from cli.output import Output
from cli.paths import PATH, named
from cli.problem import Problem
from storage import regular
from storage.issues import file

_BASE = "What both versions grew from; /dev/null where they have nothing in common."
_TO = "Write the result into this file instead of standard output."
_EXPLAIN = "Tell each decision instead of printing the result."

_COLUMNS = (
    table.Column("issue"),
    table.Column("field"),
    table.Column("base", elastic=True),
    table.Column("ours", elastic=True),
    table.Column("theirs", elastic=True),
    table.Column("chosen", elastic=True),
    table.Column("why"),
)


def merge_(
    base: Annotated[Path, PATH, Parameter(help=_BASE)],
    ours: Annotated[Path, PATH, Parameter(help="One version.")],
    theirs: Annotated[Path, PATH, Parameter(help="The other; swapping the two changes nothing.")],
    /,
    *,
    to: Annotated[Path | None, PATH, Parameter(help=_TO)] = None,
    explain: Annotated[bool, Parameter(negative="", help=_EXPLAIN)] = False,
    out: Annotated[Output, Parameter(parse=False)],
) -> int:
    """Merge two versions of the issues that grew from one.

    Lines that are no issues are left out and named; with --to they are kept in
    issues.quarantine.jsonl beside the result. The exit code is 1 when a version cannot be
    read at all.
    """
    merged = _merged(base, ours, theirs, explain=explain or out.json)
    for note in notes(merged):
        out.note(note, "yellow")
    if to is not None:
        _write(named(to), merged)
    if out.json:
        out.envelope("issue.merge", _facts(merged, to))
    elif explain:
        out.table(_COLUMNS, [_row(decision) for decision in merged.decisions])
    elif to is not None:
        out.fields({"merged": str(to), "issues": str(merged.issues)})
    else:
        sys.stdout.buffer.write(merged.data)
    return ExitCode.OK


def _merged(base: Path, ours: Path, theirs: Path, *, explain: bool) -> MergedFile:
    try:
        root = b"" if str(base) == os.devnull else regular.read(base)
        return merge_files(root, regular.read(ours), regular.read(theirs), explain=explain)
    except NotIssuesError as err:
        raise Problem(
            "This is no file of issues",
            str(err),
            code="no_issues",
            exit_code=ExitCode.FAILED,
            hint="each line of the file is one issue, as JSON",
        ) from err


def _write(to: Path, merged: MergedFile) -> None:
    if merged.kept_aside:
        file.keep(to.with_name(file.QUARANTINE_NAME), merged.kept_aside)
    file.replace(to, merged.data, expected_sha256=file.present_sha256(to))


def _facts(merged: MergedFile, to: Path | None) -> dict[str, Any]:
    return {
        "to": None if to is None else str(to),
        "issues": merged.issues,
        "decisions": [asdict(decision) for decision in merged.decisions],
        "renamed": [asdict(one) for one in merged.renamed],
        "unreadable": [
            {"side": side, "line": line.line, "reason": line.reason}
            for side, lines in merged.unreadable.items()
            for line in lines
        ],
        "duplicates": merged.duplicates,
        "conflict_markers": merged.conflict_markers,
    }


def _row(decision: Decision) -> tuple[str, ...]:
    values = (decision.base, decision.ours, decision.theirs, decision.chosen)
    return (decision.issue_id, decision.field, *map(_shown, values), decision.why)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
