"""Values of two sides and their base: which are the same, which changed, which is greater.

Pure, and about JSON alone: what a field means is for `merge_rules.py` and `merge.py` to say.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from storage.issues import jsonl
from storage.issues.jsonl import Row

ABSENT: Final = object()
"""A key that is not there; null is a value an unknown key may hold."""

Settle = Callable[[Any, Any, Any], Any]
"""Choose among base, ours and theirs when both sides changed the base in different ways."""


def three_way(sides: Iterable[Any], both: Settle) -> Any:
    """Merge base, ours and theirs: a change of one side is taken, of two `both` decides."""
    base, ours, theirs = sides
    if same(ours, theirs):
        # The least text has unknown keys in the order of their names, as every merge writes them.
        return min(ours, theirs, key=exact)
    if same(ours, base):
        return theirs
    if same(theirs, base):
        return ours
    return both(base, ours, theirs)


def merge_maps(sides: Sequence[Mapping[str, Any]], both: Settle) -> Row:
    """Merge base, ours and theirs key by key."""
    base, ours, theirs = sides
    merged = {}
    for name in sorted(base.keys() | ours.keys() | theirs.keys()):
        values = (side.get(name, ABSENT) for side in (base, ours, theirs))
        value = three_way(values, both)
        if value is not ABSENT:
            merged[name] = value
    return merged


def merge_sets(base: Iterable[Any], ours: Iterable[Any], theirs: Iterable[Any]) -> list[Any]:
    """Return what either side added, and of the base what neither removed; sorted, each once."""
    root, left, right = ({rank(item): item for item in side} for side in (base, ours, theirs))
    kept = (left.keys() & right.keys()) | ((left.keys() | right.keys()) - root.keys())
    known = left | right
    return [known[key] for key in sorted(kept)]


def greater(_base: Any, ours: Any, theirs: Any) -> Any:
    return max(ours, theirs, key=rank)


def same(one: Any, other: Any) -> bool:
    return one is other or meaning(one) == meaning(other)


def meaning(value: Any) -> str:
    """Return a text that is equal for equal values, whatever the order of their keys."""
    return "" if value is ABSENT else json.dumps(value, sort_keys=True)


def exact(value: Any) -> str:
    """Return the text as the file would have it."""
    return "" if value is ABSENT else jsonl.spell(value)


def rank(value: Any) -> tuple[str, str]:
    return meaning(value), exact(value)
