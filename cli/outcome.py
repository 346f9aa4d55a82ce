"""What a workflow has produced: its report, and where everything about it is kept."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cli import records, table, when
from cli.client import Client
from cli.exits import ExitCode
from cli.output import Output
from cli.problem import Problem
from cli.records import Result, Workflow

_RESULT_COLUMNS = (
    table.Column("step"),
    table.Column("type"),
    table.Column("agent"),
    table.Column("confidence"),
    table.Column("created"),
)


def exit_code(workflow: Workflow) -> ExitCode:
    """The workflow's own success; PENDING while it is not known."""
    if not workflow.is_final:
        return ExitCode.PENDING
    return ExitCode.OK if workflow.succeeded else ExitCode.UNSUCCESSFUL


def conclude(out: Output, client: Client, workflow: Workflow) -> ExitCode:
    """Prints how a watched workflow ended, what it produced and where that lies."""
    answer = client.get(f"/api/v1/workflows/{workflow.id}/results")
    home = _home(client)
    if out.json:
        data = {"workflow": workflow.raw, "results": records.items(answer), "system": home or None}
        out.envelope("workflow.watch", data)
        return exit_code(workflow)
    out.fields({"status": workflow.status, "took": took(workflow), "error": workflow.error})
    if results := [records.result(item) for item in records.items(answer)]:
        out.text("")
        report(out, results)
        out.text("")
    out.fields(_whereabouts(workflow, home))
    return exit_code(workflow)


def report(out: Output, results: Sequence[Result]) -> None:
    """Prints the workflow's final value, or the list of what its steps left so far."""
    outputs = [result for result in results if result.is_output]
    if outputs:
        _value(out, outputs[-1].value)
    else:
        out.table(_RESULT_COLUMNS, [row(result) for result in results])


def took(workflow: Workflow) -> str:
    """How long it has run; empty before its start."""
    started_at = when.parse(workflow.started_at)
    if started_at is None:
        return ""
    ended_at = when.parse(workflow.completed_at) or datetime.now(UTC)
    return when.duration((ended_at - started_at).total_seconds())


def _value(out: Output, value: Any) -> None:
    match value:
        case None:
            pass
        case {"markdown": str(markdown)}:
            out.markdown(markdown)
        case str():
            out.text(value)
        case _:
            out.text(json.dumps(value, indent=2))


def row(result: Result) -> tuple[str, str, str, str, str]:
    """One result in a table: step, type, agent, confidence, when."""
    confidence = "" if result.confidence is None else f"{result.confidence:.2f}"
    created = when.moment(result.created_at)
    return (result.step, result.result_type, result.agent, confidence, created)


def _home(client: Client) -> dict[str, Any]:
    """Where the server keeps its data. Only for display, so a server that does not say may not."""
    try:
        return client.get("/api/v1/system")
    except Problem:
        return {}


def _whereabouts(workflow: Workflow, home: dict[str, Any]) -> dict[str, str]:
    return {
        **{name: link for name, link in workflow.links.items() if name != "self"},
        "issue": workflow.issue_id,
        "workflow": workflow.id,
        "results": f"beadflow workflow results {workflow.id}",
        "repository": records.text(home, "repo"),
        "issues": _joined(records.text(home, "issues_file"), records.text(home, "issues_ref")),
        "data": records.text(home, "data_dir"),
    }


def _joined(file: str, ref: str) -> str:
    return f"{file} on {ref}" if file and ref else file or ref
