"""`beadflow issue dep …`: what depends on what."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import asked, desk, editing, problem, records, table, tracked
from cli.asked import Given, Id, Silent
from cli.author import ANYBODY, By
from cli.desk import Desk
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE

Others = Annotated[str, Parameter(help="What it depends on: ids, or external:project:capability.")]

_CYCLES: Final = (table.Column("cycle"),)
_NODES: Final = (
    table.Column("level", right=True),
    table.Column("dependency"),
    *tracked.COLUMNS,
)


def add(
    issue_id: Id,
    /,
    *others: Others,
    kind: Annotated[
        str, Parameter(name=["--type", "-t"], help="blocks, parent-child, related, waits-for ….")
    ] = "blocks",
    metadata: Annotated[str, Parameter(help="What this type of dependency takes, as JSON.")] = "",
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Make an issue depend on others: it waits until they are closed.

    One that would close a circle is refused, and the circle is shown.
    """
    body = {"actor": by.name(where), "type": kind, "metadata": metadata}

    def do(at: Desk, other: str) -> list[Any]:
        given = {**body, "depends_on": other}
        return [at.send("POST", f"{asked.address(issue_id)}/dependencies", given)]

    _refuse_none(others)
    return editing.each(others, "dep.add", do, where, out, silent=silent)


def remove(
    issue_id: Id,
    /,
    *others: Others,
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Take dependencies away."""
    params = {"actor": by.name(where)}

    def do(at: Desk, other: str) -> list[Any]:
        beyond = asked.address(other).removeprefix(f"{desk.ISSUES}/")
        path = f"{asked.address(issue_id)}/dependencies/{beyond}"
        return [at.send("DELETE", path, params=params)]

    _refuse_none(others)
    return editing.each(others, "dep.remove", do, where, out, silent=silent)


def tree(
    issue_id: Id,
    /,
    *,
    up: Annotated[
        bool, Parameter(negative="", show_default=False, help="What depends on it instead.")
    ] = False,
    depth: Annotated[int, WHOLE, Parameter(help="At most so many levels.")] = 50,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Show what an issue depends on, and what that depends on, and so on."""
    params: dict[str, str | int] = {"direction": "up" if up else "down", "depth": depth}
    with desk.reading(where) as at:
        root = at.get(f"{asked.address(issue_id)}/tree", params)
    if out.json:
        out.envelope("issue.dep.tree", root)
    elif out.form == "csv":
        out.table(_NODES, [_node(level, raw) for level, raw in _walk(root, 0)])
    else:
        out.text("\n".join(_drawn(root, "", "")))
    return ExitCode.OK


def cycles(*, where: Where = ANYWHERE, out: Given) -> int:
    """List circles of dependencies; there should be none."""
    with desk.reading(where) as at:
        found = records.items(at.get(f"{desk.ISSUES}/cycles"))
    if out.json:
        out.envelope("issue.dep.cycles", found)
        return ExitCode.OK
    out.table(_CYCLES, [(" → ".join(map(str, [*cycle, cycle[0]])),) for cycle in found if cycle])
    if not found:
        out.note("no cycles")
    return ExitCode.OK


def _refuse_none(others: tuple[str, ...]) -> None:
    if not others:
        raise problem.usage("Name what it depends on", hint="beadflow issue dep add ID OTHER")


def _drawn(raw: object, first: str, rest: str) -> Iterator[str]:
    node = records.mapping(raw, "a node")
    yield f"{first}{_said(node)}"
    below = _below(node)
    for number, child in enumerate(below, start=1):
        is_last = number == len(below)
        mark, under = ("└── ", "    ") if is_last else ("├── ", "│   ")
        yield from _drawn(child, f"{rest}{mark}", f"{rest}{under}")


def _said(node: Mapping[str, Any]) -> str:
    there = node.get("issue")
    name = records.text(node, "id") if there is None else tracked.Issue.parse(there).line
    kind = records.text(node, "type")
    seen = " (see above)" if node.get("seen") is True else ""
    return f"{kind}: {name}{seen}" if kind else f"{name}{seen}"


def _walk(raw: object, level: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    node = records.mapping(raw, "a node")
    yield level, node
    for child in _below(node):
        yield from _walk(child, level + 1)


def _node(level: int, node: Mapping[str, Any]) -> tuple[str, ...]:
    there = node.get("issue")
    row = (
        (records.text(node, "id"), *[""] * (len(tracked.COLUMNS) - 1))
        if there is None
        else tracked.Issue.parse(there).row
    )
    return (str(level), records.text(node, "type"), *row)


def _below(node: Mapping[str, Any]) -> list[Any]:
    found = node.get("children")
    return found if isinstance(found, list) else []
