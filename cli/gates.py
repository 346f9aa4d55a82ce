"""`beadflow gate …`: what waits for a person, and the answers.

A gate is an issue, so these commands work without a server, as those of `beadflow issue` do: what
waits hears of its answer once a server runs.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Parameter

from cli import asked, desk, problem, records, table, when
from cli.asked import Given
from cli.author import ANYBODY, By
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.output import Output

app = App(
    name="gate",
    help="See what waits for a person, and approve or reject it.",
    help_epilogue="Example:\n\n  beadflow gate list",
)

Id = Annotated[str, Parameter(help="The gate's id, or a beginning that only it has.")]
Why = Annotated[
    str, Parameter(name=["--why", "-m"], show_default=False, help="What you say to it.")
]

_COLUMNS: Final = (
    table.Column("id"),
    table.Column("status", toned=True),
    table.Column("workflow"),
    table.Column("opened"),
    table.Column("by"),
    table.Column("title", elastic=True),
)


@app.command(name="list", help_epilogue="Example:\n\n  beadflow gate list --status all")
def list_(
    *,
    status: Annotated[
        Literal["open", "answered", "all"], Parameter(help="Which of them.")
    ] = "open",
    workflow: Annotated[str | None, Parameter(help="Only those of this workflow.")] = None,
    limit: Annotated[int, WHOLE, Parameter(name=["--limit", "-n"], help="At most so many.")] = 50,
    cursor: Annotated[str | None, Parameter(help="Go on where an earlier list ended.")] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """List the gates that wait for somebody, the newest first."""
    given = {"status": status, "workflow_id": workflow, "limit": limit, "cursor": cursor}
    params = {name: value for name, value in given.items() if value is not None}
    with desk.reading(where) as at:
        answer = at.get(desk.GATES, params)
        nowhere = desk.nowhere(at)
    found = records.items(answer)
    more = records.text(answer, "next_cursor") or None
    if out.json:
        out.envelope("gate.list", found, next_cursor=more)
        return ExitCode.OK
    out.table(_COLUMNS, [_row(records.mapping(raw, "a gate")) for raw in found])
    if nowhere or not found:
        out.note(f"no gates{nowhere}")
    if more:
        out.note(f"there are more: --cursor {more}")
    return ExitCode.OK


@app.command(help_epilogue="Example:\n\n  beadflow gate show shop-a1b")
def show(gate_id: Id, /, *, where: Where = ANYWHERE, out: Given) -> int:
    """Show a gate: the question, who waits, and how it was answered."""
    path = _address(gate_id)
    with desk.reading(where) as at:
        found = at.get(path)
    _show(out, "gate.show", found)
    return ExitCode.OK


@app.command(help_epilogue='Example:\n\n  beadflow gate approve shop-a1b --why "tried it"')
def approve(
    gate_id: Id,
    /,
    *,
    why: Why = "",
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Let what waits behind a gate go on. It is answered once."""
    return _answer(gate_id, "approve", {"by": by.name(where), "why": why}, where, out)


@app.command(help_epilogue='Example:\n\n  beadflow gate reject shop-a1b --why "too dear"')
def reject(
    gate_id: Id,
    /,
    *,
    why: Why = "",
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Say no to what waits behind a gate. It is answered once."""
    return _answer(gate_id, "reject", {"by": by.name(where), "why": why}, where, out)


def _answer(gate_id: str, verb: str, body: dict[str, str], where: Where, out: Output) -> int:
    path = f"{_address(gate_id)}/{verb}"
    with desk.writing(where) as at:
        found = at.send("POST", path, body)
    _show(out, f"gate.{verb}", found if out.json else {**found, "description": ""})
    return ExitCode.OK


def _address(gate_id: str) -> str:
    """A gate's address.

    Raises:
        Problem: (usage) that is no id.
    """
    if asked.is_odd(gate_id):
        raise problem.usage("That is no id of a gate", gate_id, hint="`beadflow gate list`")
    return f"{desk.GATES}/{quote(gate_id, safe='')}"


def _row(found: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        records.text(found, "id"),
        records.text(found, "status"),
        records.text(found, "workflow_id"),
        when.moment(records.text(found, "opened_at")),
        records.text(found, "by"),
        records.text(found, "title"),
    )


def _show(out: Output, shape: str, found: Mapping[str, Any]) -> None:
    if out.json:
        out.envelope(shape, found)
        return
    timed_out = ", nobody answered in time" if found.get("timed_out") is True else ""
    out.fields(
        {
            "id": records.text(found, "id"),
            "title": records.text(found, "title"),
            "status": f"{records.text(found, 'status')}{timed_out}",
            "workflow": records.text(found, "workflow_id"),
            "step": records.text(found, "step"),
            "opened": when.moment(records.text(found, "opened_at")),
            "expires": when.moment(records.text(found, "expires_at")),
            "answered": when.moment(records.text(found, "answered_at")),
            "by": records.text(found, "by"),
            "why": records.text(found, "why"),
        }
    )
    text = records.text(found, "description")
    if text and out.form == "table":
        out.text("")
        out.markdown(text)
