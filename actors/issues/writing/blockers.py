"""What keeps an issue from being closed.

An issue that others must finish first is not done, whoever says so; nor is an epic whose children
are open, nor what is pinned. A template is never closed. What would only be done if another failed
may be closed once that one succeeded. What makes an issue ready is `ready.py`'s
to say; its truth about single edges is the same.

Pure.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from actors.issues.writing import dependencies
from storage.issues.jsonl import Row

OPEN: Final = frozenset({"open", "in_progress", "blocked", "deferred", "hooked"})
"""Statuses of an issue that holds others up. Those of others' making do not, as in bd."""
_DELETED: Final = ("tombstone", "deleted")
_DONE: Final = ("closed", *_DELETED)

Find = Callable[[str], Row | None]
Children = Callable[[str], Iterable[Row]]


def blocking(row: Row, find: Find, children: Children) -> list[str]:
    """Name the issues that must be closed first, each with the reason."""
    found = [
        text for edge in dependencies.edges_of(row) for text in _blocking(edge, find, children)
    ]
    if row.get("issue_type") == "epic":
        open_children = filter(is_unfinished, children(row["id"]))
        found += [f"{child['id']} (open child)" for child in open_children]
    return list(dict.fromkeys(found))


def _blocking(edge: Row, find: Find, children: Children) -> Iterator[str]:
    kind, target = edge["type"], edge["depends_on_id"]
    if kind == dependencies.WAITS_FOR:
        yield from _awaited(edge, find, children)
        return
    other = find(target)
    if other is None:
        return
    if kind in ("blocks", "conditional-blocks") and is_open(other):
        yield f"{target} ({kind}, {other.get('status') or 'open'})"


def _awaited(edge: Row, find: Find, children: Children) -> Iterator[str]:
    gate = _gate(edge)
    named = gate.get("spawner_id")
    spawner = find(named if isinstance(named, str) and named else edge["depends_on_id"])
    if spawner is None or spawner.get("status") in _DELETED:
        return
    there = list(children(spawner["id"]))
    if gate.get("gate") != "any-children":
        for child in there:
            if child.get("status") not in _DONE:
                yield f"{child['id']} (waits-for, a child of {spawner['id']})"
    elif not any(child.get("status") == "closed" for child in there):
        yield f"{spawner['id']} (waits-for, no child of it is closed)"


def _gate(edge: Row) -> dict[str, Any]:
    try:
        value = json.loads(edge.get("metadata") or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def is_open(row: Row) -> bool:
    return (row.get("status") or "open") in OPEN


def is_unfinished(row: Row) -> bool:
    """Return whether its parent waits for it. A pinned one is a note, and never done."""
    return row.get("status") not in _DONE and not is_pinned(row)


def is_pinned(row: Row) -> bool:
    return bool(row.get("pinned")) or row.get("status") == "pinned"
