"""`beadflow issue batch`: many changes of issues from JSON lines, a hundred to a request."""

import re
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import desk, lines, records, table
from cli.asked import Given
from cli.author import ANYBODY, By
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode, for_status
from cli.output import Output

AT_ONCE: Final = 100
ADDRESS: Final = f"{desk.ISSUES}/batch"

_FILE = "Changes, one JSON object a line; - is standard input."
_STOP = "Make none after the first one that is refused."
_REFERENCE: Final = re.compile(r"\$(0|[1-9][0-9]*)")
_COLUMNS: Final = (
    table.Column("#"),
    table.Column("op"),
    table.Column("issue"),
    table.Column("what", elastic=True),
)


def batch(
    file: Annotated[str, Parameter(help=_FILE, allow_leading_hyphen=True)],
    /,
    *,
    stop: Annotated[bool, Parameter(negative="", show_default=False, help=_STOP)] = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Make many changes of issues, in order; each is made, or refused, by itself."""
    changes = lines.objects(lines.read(file))
    with desk.writing(where) as at:
        found = _made(at, changes, by.name(where), stop=stop)
    refused = [each for each in found if each["problem"] is not None]
    counts = {"refused": len(refused), "skipped": len(changes) - len(found)}
    if out.json:
        out.envelope("issue.batch", found, done=len(found) - len(refused), **counts)
    else:
        _show(out, found, counts)
    return _exit(refused)


def _made(
    at: desk.Desk, changes: list[dict[str, Any]], actor: str, *, stop: bool
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for begin in range(0, len(changes), AT_ONCE):
        named = _namer(found, begin)
        part = [_with_ids(change, named) for change in changes[begin : begin + AT_ONCE]]
        body = {"actor": actor, "changes": part, "stop": stop}
        told = at.send("POST", ADDRESS, body, key=str(uuid.uuid4()))
        found += [{**each, "index": begin + each["index"]} for each in told["data"]]
        if told["skipped"] or (stop and told["refused"]):
            break
    return found


def _namer(found: list[dict[str, Any]], begin: int) -> Callable[[object], object]:
    """What stands for a change in another request becomes its issue's id."""

    def named(value: object) -> object:
        meant = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if meant is None:
            return value
        number = int(meant[1])
        if number >= begin:
            return f"${number - begin}"
        return found[number]["id"] or value

    return named


def _with_ids(change: dict[str, Any], named: Callable[[object], object]) -> dict[str, Any]:
    """The same with `id`, `parent` and `depends_on` by the names that hold in its request."""
    placed: dict[str, Any] = {
        name: named(change[name]) for name in ("id", "parent") if name in change
    }
    edges = change.get("depends_on")
    if isinstance(edges, list):
        placed["depends_on"] = [
            {**edge, "id": named(edge.get("id"))} if isinstance(edge, dict) else edge
            for edge in edges
        ]
    elif edges is not None:
        placed["depends_on"] = named(edges)
    return {**change, **placed}


def _show(out: Output, found: list[dict[str, Any]], counts: dict[str, int]) -> None:
    rows = [(str(each["index"]), each["op"], each["id"] or "", _what(each)) for each in found]
    out.table(_COLUMNS, rows)
    out.note(", ".join(f"{count} {name}" for name, count in counts.items() if count))


def _what(outcome: dict[str, Any]) -> str:
    if outcome["problem"] is not None:
        return records.text(outcome["problem"], "detail")
    return records.text(outcome["issue"], "title")


def _exit(refused: list[dict[str, Any]]) -> ExitCode:
    if not refused:
        return ExitCode.OK
    first = refused[0]["problem"]
    return for_status(first["status"], first["code"])
