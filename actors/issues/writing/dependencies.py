"""Edges between issues: what one may be, and which would close a circle.

An edge stands in the row of the issue that depends. Between two issues there is at most one in each
direction, whatever its type, as in bd's files. Following edges of all types must never lead back,
because bd drops an edge that does when it reads the file; only `relates-to` may be added anywhere.

Files of others may hold circles, ends that are not there, and several parents; nothing here minds.

Pure. Refusals are `ValidationError`, `NotFound`, `Conflict` and `DependencyCycle`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from actors.errors import Conflict, NotFound, ValidationError
from actors.issues.verbs import DependencyCycle
from actors.issues.writing import fields
from storage.issues.jsonl import Row

TYPE_CHARS: Final = 50
EXTERNAL: Final = "external:"
PARENT_CHILD: Final = "parent-child"
WAITS_FOR: Final = "waits-for"
EXEMPT: Final = "relates-to"
SHOWN: Final = 20
"""Steps at the beginning, and at the end, that the way of a long circle is shown by."""
GATES: Final = ("all-children", "any-children")

Follow = Callable[[str], Sequence[Row]]
"""The edges of an issue, by its id; none for one that is not here, or deleted."""


def is_external(target: str) -> bool:
    return target.startswith(EXTERNAL)


def edge(*, issue_id: str, target: str, kind: str, at: str, actor: str, metadata: str = "") -> Row:
    """Return the record of an edge.

    Raises:
        ValidationError: type, target or metadata is none.
    """
    made = {"issue_id": issue_id, "depends_on_id": target, "type": kind, "created_at": at}
    if actor:
        made["created_by"] = actor
    if metadata:
        made["metadata"] = metadata
    check(made)
    return made


def check(made: Row) -> None:
    """Refuse an edge that may not be, whatever its ends are.

    Raises:
        ValidationError: with what is wrong about it.
    """
    kind, target = made["type"], made["depends_on_id"]
    fields.filled("type", kind)
    if len(kind) > TYPE_CHARS:
        raise ValidationError(
            f"a dependency's type has 1 to {TYPE_CHARS} characters", field="type", value=kind
        )
    fields.filled("depends_on_id", target, most=fields.WORD_BYTES)
    if target == made["issue_id"]:
        raise ValidationError(
            f"issue {target} cannot depend on itself", field="depends_on_id", value=target
        )
    if is_external(target):
        _check_external(kind, target)
    _check_metadata(kind, fields.text("metadata", made.get("metadata", "")))


def _check_external(kind: str, target: str) -> None:
    project, _, capability = target.removeprefix(EXTERNAL).partition(":")
    if not (project.strip() and capability.strip()):
        raise ValidationError(
            f"{target!r} is not external:<project>:<capability>",
            field="depends_on_id",
            value=target,
        )
    if kind == PARENT_CHILD:
        raise ValidationError(
            "a parent is an issue of this repository", field="depends_on_id", value=target
        )


def _check_metadata(kind: str, metadata: str) -> None:
    if not metadata:
        return
    try:
        value = json.loads(metadata)
    except (ValueError, RecursionError) as err:
        raise ValidationError(
            "the metadata of a dependency is JSON", field="metadata", value=metadata
        ) from err
    fields.json_value("metadata", value)  # Python reads NaN, and 1e999
    gate = value.get("gate", GATES[0]) if isinstance(value, dict) else None
    if kind == WAITS_FOR and gate not in GATES:
        raise ValidationError(
            f"a waits-for dependency has a gate, {' or '.join(GATES)}",
            field="metadata",
            value=metadata,
        )


def edges_of(row: Row) -> list[Row]:
    return list(row.get("dependencies") or ())


def parents(row: Row) -> list[str]:
    return [one["depends_on_id"] for one in edges_of(row) if one["type"] == PARENT_CHILD]


def added(row: Row, made: Row, target: Row | None, follow: Follow) -> Row:
    """Return the row with an edge; the row itself where it has it.

    `target` is the issue at the other end, None where there is none, or it is elsewhere. `follow`
    must not know of the edge yet.

    Raises:
        ValidationError: the edge is none.
        NotFound: there is no target.
        Conflict: the target is deleted, another edge leads there, or it is no fit parent.
        DependencyCycle: it leads back.
    """
    check(made)
    other = made["depends_on_id"]
    for there in edges_of(row):
        if there["depends_on_id"] == other:
            return _same(row, there, made)
    if not is_external(other):
        if target is None:
            raise NotFound(f"issue {row['id']} cannot depend on {other}: there is no such issue")
        _check_living(row, target)
    if made["type"] == PARENT_CHILD and target is not None:
        check_parent(row, target)
    if made["type"] != EXEMPT:
        refuse_circle(row["id"], made, follow)
    return row | {"dependencies": [*edges_of(row), made]}


def _same(row: Row, there: Row, made: Row) -> Row:
    if there["type"] == made["type"]:
        return row
    raise Conflict(
        f"issue {row['id']} depends on {made['depends_on_id']} already, by {there['type']}",
        hint="remove that dependency first: between two issues there is one",
    )


def _check_living(row: Row, target: Row) -> None:
    if target.get("status") in ("tombstone", "deleted"):
        raise Conflict(f"issue {row['id']} cannot depend on {target['id']}, which is deleted")


def check_parent(row: Row, parent: Row) -> None:
    """Refuse a parent that this issue cannot have.

    Raises:
        Conflict: it has one, or is an epic and the parent is none.
    """
    there = [one for one in parents(row) if one != parent["id"]]
    if there:
        raise Conflict(
            f"issue {row['id']} has a parent already, {there[0]}",
            hint="update its `parent`, which takes the old one away",
        )
    if row.get("issue_type") == "epic" and parent.get("issue_type") != "epic":
        raise Conflict(
            f"epic {row['id']} cannot be a child of {parent['id']}, which is no epic",
            hint="make the parent an epic, or let it depend on the epic by `blocks`",
        )


def removed(row: Row, target: str) -> Row:
    """Return the row without its edge to a target.

    Raises:
        NotFound: it has none.
    """
    kept = [one for one in edges_of(row) if one["depends_on_id"] != target]
    if len(kept) == len(edges_of(row)):
        raise NotFound(f"issue {row['id']} does not depend on {target}")
    return _with(row, kept)


def without_parents(row: Row, keep: str = "") -> Row:
    """Return the row without its edges to parents, but for one."""
    kept = [
        one for one in edges_of(row) if one["type"] != PARENT_CHILD or one["depends_on_id"] == keep
    ]
    return row if len(kept) == len(edges_of(row)) else _with(row, kept)


def _with(row: Row, edges: list[Row]) -> Row:
    rest = {name: value for name, value in row.items() if name != "dependencies"}
    return rest | ({"dependencies": edges} if edges else {})


def refuse_circle(issue_id: str, made: Row, follow: Follow) -> None:
    """Refuse an edge whose target leads back to the issue.

    Raises:
        DependencyCycle: with the way, the new edge first.
    """
    way = path(made["depends_on_id"], issue_id, follow)
    if way is None:
        return
    raise DependencyCycle(
        f"{issue_id} cannot depend on {made['depends_on_id']}, which leads back:"
        f" {issue_id}{_shown([made, *way])}"
    )


def _shown(way: list[Row]) -> str:
    steps = [f" -{one['type']}-> {one['depends_on_id']}" for one in way]
    more = len(steps) - 2 * SHOWN
    if more > 0:
        steps[SHOWN:-SHOWN] = [f" … {more} more …"]
    return "".join(steps)


def path(start: str, goal: str, follow: Follow) -> list[Row] | None:
    """Return the edges of a shortest way from one issue to another; None where there is none.

    Each issue is looked at once, however many ways lead to it.
    """
    came: dict[str, Row | None] = {start: None}
    ahead = [start]
    while ahead:
        beyond: list[str] = []
        for one in ahead:
            if one == goal:
                return list(_way(came, goal))[::-1]
            for step in follow(one):
                target = step["depends_on_id"]
                if target not in came:
                    came[target] = {**step, "issue_id": one}
                    beyond.append(target)
        ahead = beyond
    return None


def _way(came: dict[str, Any], goal: str) -> Iterator[Row]:
    """Walk back from the goal; a row's edges may name another issue than the row is."""
    step = came[goal]
    while step is not None:
        yield step
        step = came[step["issue_id"]]
