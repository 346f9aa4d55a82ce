"""`beadflow workflow export` and `replay`: histories as files, and against the code.

Both read, and need no server: the database is opened read-only and without the lock, so they also
work beside one. The work is done in cli.offline, which brings the engine along and is imported when
it is needed; here are the commands and what they print.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from cli import table
from cli.exits import ExitCode
from cli.output import Output
from cli.problem import usage

_REPO_HELP = "The Git repository whose data is meant; by default the one around you."
_DATA_HELP = "The data directory; by default beadflow/ in the repository's Git directory."
_TO_HELP = "Write it to this file, not to standard output."
_WHAT_HELP = "A file that `export` wrote, a directory of such files, or the id of a workflow."
_CONFIG = "The settings file, which names the plugins."
_ALL_HELP = "Check every workflow of the data directory that has not ended."

Repo = Annotated[Path | None, Parameter(help=_REPO_HELP)]
Data = Annotated[Path | None, Parameter(env_var="WORKFLOW_DATA_DIR", help=_DATA_HELP)]
Config = Annotated[Path | None, Parameter(env_var="WORKFLOW_CONFIG_PATH", help=_CONFIG)]
All = Annotated[bool, Parameter(name="--all", negative="", show_default=False, help=_ALL_HELP)]
Given = Annotated[Output, Parameter(parse=False)]

_COLUMNS = (
    table.Column("verdict", toned=True),
    table.Column("workflow"),
    table.Column("type"),
    table.Column("version", right=True),
    table.Column("events", right=True),
    table.Column("history"),
    table.Column("finding", elastic=True),
)

FITS = "fits"


def export(
    workflow_id: Annotated[str, Parameter(name="ID", help="The workflow's id.")],
    /,
    *,
    to: Annotated[Path | None, Parameter(help=_TO_HELP)] = None,
    repo: Repo = None,
    data_dir: Data = None,
    out: Given,
) -> int:
    """Write a workflow's history as one JSON document.

    It holds the workflow's input and every event with its payload: whatever the
    workflow was given, and what its steps have answered.
    """
    text = str(_offline().export(workflow_id, repo=repo, data_dir=data_dir))
    if to is None and not out.json:
        out.data.file.write(text)  # a line of it may be longer than people can read
        return ExitCode.OK
    found = json.loads(text)
    if to is None:
        out.envelope("workflow.export", found)
        return ExitCode.OK
    to.write_text(text, encoding="utf-8")
    facts = {"workflow": workflow_id, "events": len(found["events"]), "file": str(to)}
    if out.json:
        out.envelope("workflow.export", facts)
    else:
        out.fields({name: str(value) for name, value in facts.items()})
    return ExitCode.OK


def replay(
    *what: Annotated[str, Parameter(name="WHAT", help=_WHAT_HELP)],
    all_: All = False,
    config: Config = None,
    repo: Repo = None,
    data_dir: Data = None,
    out: Given,
) -> int:
    """Check recorded histories against the code, offline.

    The code runs from its first line, every recorded step answers from the
    history, and nothing happens. The exit code is 1 when a history does not fit:
    a server with this code would stall that workflow, or end it otherwise.
    """
    if not what and not all_:
        raise usage(
            "Nothing says what to replay",
            hint="name files, directories or workflow ids, or say --all",
        )
    offline = _offline()
    found = offline.check(what, every=all_, config=config, repo=repo, data_dir=data_dir)
    checked = [(str(source), _fields(verdict)) for source, verdict in found]
    bad = [pair for pair in checked if pair[1]["fit"] != FITS]
    if out.json:
        data = [{"history": source, **fields} for source, fields in checked]
        out.envelope("workflow.replay", data, checked=len(checked), unfit=len(bad))
    else:
        out.table(_COLUMNS, [_row(source, fields) for source, fields in checked])
        for source, fields in bad:
            _explain(out, source, fields)
    out.note(_summary(checked), "red" if bad else "")
    return ExitCode.FAILED if bad else ExitCode.OK


def _offline() -> Any:
    return import_module("cli.offline")


def _fields(verdict: Any) -> dict[str, Any]:
    return {**asdict(verdict), "fit": str(verdict.fit)}


def _row(source: str, fields: dict[str, Any]) -> tuple[str, ...]:
    names = ("fit", "workflow_id", "name", "version", "events")
    return (*(str(fields[name]) for name in names), source, fields["what"])


def _explain(out: Output, source: str, fields: dict[str, Any]) -> None:
    seq = fields["seq"]
    out.text("")
    out.fields(
        {
            fields["fit"]: f"{fields['workflow_id']} ({source})",
            "what": fields["what"],
            "where": f"event {seq}" if seq else "",
            "why": fields["why"],
            "do": fields["instead"],
        }
    )


def _summary(checked: Sequence[tuple[str, dict[str, Any]]]) -> str:
    if not checked:
        return "no workflow is live"
    counts: dict[str, int] = {}
    for _, fields in checked:
        counts[fields["fit"]] = counts.get(fields["fit"], 0) + 1
    parts = ", ".join(f"{count} {fit}" for fit, count in sorted(counts.items()))
    count = len(checked)
    return f"{count} {'history' if count == 1 else 'histories'}: {parts}"
