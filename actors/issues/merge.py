"""Merging two versions of an issue that grew from one base: per field, deterministic, lossless.

The two sides are equals: swapping them gives the same bytes. A field that one side changed takes
that change; a field that both changed takes the value of the row written later (then the larger
text). Priority 0 and a cleared field are values like any other.

Some fields only make sense together and are taken as one: a status with its closing or deletion,
the facts of a compaction. Labels, waiters, dependencies and comments are sets: what either side
added is there, what one side removed and the other left alone is gone. Comments are the same
comment when author, time and text agree; their numbers are local to a database and are given
anew. An edit beats a deletion, whether the deletion is a missing row or a tombstone.

Pure: no clock, no database. `storage/issues` knows the format, this module what it means.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from storage.issues import instants, jsonl
from storage.issues.jsonl import Row

_STATE: Final = (
    "status",
    "closed_at",
    "close_reason",
    "closed_by_session",
    "deleted_at",
    "deleted_by",
    "delete_reason",
    "original_type",
)
_COMPACTION: Final = ("compaction_level", "compacted_at", "compacted_at_commit", "original_size")
_TOGETHER: Final = (*_STATE, *_COMPACTION)
_DELETED: Final = frozenset({"tombstone", "deleted"})
_ABSENT: Final = object()
"""A key that is not there; null is a value an unknown key may hold."""
_NEVER: Final = -(2**80)

Settle = Callable[[Any, Any, Any], Any]
"""Choose among base, ours and theirs when both sides changed the base in different ways."""


def merge(base: Row | None, ours: Row | None, theirs: Row | None) -> Row | None:
    """Merge two versions of one issue; None stands for a side, or a base, without it."""
    if ours is not None and theirs is not None:
        return merge_rows(base, ours, theirs)
    remaining = ours if theirs is None else theirs
    untouched = base and remaining and _same(jsonl.shape(remaining), jsonl.shape(base))
    return None if untouched else remaining


def merge_rows(base: Row | None, ours: Row, theirs: Row) -> Row:
    """Merge two versions that both exist."""
    sides = (row and jsonl.shape(row) for row in (base, ours, theirs))
    return _three_way(sides, _merge_fields)  # type: ignore[no-any-return]


def _three_way(sides: Iterable[Any], both: Settle) -> Any:
    base, ours, theirs = sides
    if _same(ours, theirs):
        return max(ours, theirs, key=_exact)
    if _same(ours, base):
        return theirs
    if _same(theirs, base):
        return ours
    return both(base, ours, theirs)


def _merge_fields(base: Row | None, ours: Row, theirs: Row) -> Row:
    root, left, right = base or {}, ours, theirs
    newer = _newer(left, right)
    merged: Row = {}
    for names in (_STATE, _COMPACTION):
        merged |= _three_way((_part(row, names) for row in (root, left, right)), newer)
    if survivor := _survivor(root, left, right):
        merged = _part(merged, _COMPACTION) | _part(survivor, _STATE)
    rules = _RULES | {"metadata": _merge_metadata(newer)}
    for name in sorted((root.keys() | left.keys() | right.keys()) - set(_TOGETHER)):
        values = (row.get(name, _ABSENT) for row in (root, left, right))
        merged[name] = _three_way(values, rules.get(name, newer))
    merged["updated_at"] = _later_time(left["updated_at"], right["updated_at"])
    return jsonl.shape({name: value for name, value in merged.items() if value is not _ABSENT})


def _newer(ours: Row, theirs: Row) -> Settle:
    """Return the choice of the side written later; between equals, of the larger text."""
    ahead = instants.to_ns(ours["updated_at"]) - instants.to_ns(theirs["updated_at"])

    def choose(_base: Any, left: Any, right: Any) -> Any:
        if ahead:
            return left if ahead > 0 else right
        return max(left, right, key=_rank)

    return choose


def _survivor(base: Row, ours: Row, theirs: Row) -> Row | None:
    """Return the side that edited an issue while the other one deleted it."""
    if not base or _is_deleted(base) or _is_deleted(ours) == _is_deleted(theirs):
        return None
    living = theirs if _is_deleted(ours) else ours
    return None if _same(living | {"updated_at": base["updated_at"]}, base) else living


def _is_deleted(row: Row) -> bool:
    return row.get("status") in _DELETED


def _later_time(ours: str, theirs: str) -> str:
    """Return the later of two times, also when one side turned it back (clocks do).

    Else a result could be older than the side whose values it took, and lose them when it is
    merged with the other side again.
    """
    return max(ours, theirs, key=lambda text: (instants.to_ns(text), text))


def _merge_words(base: Any, ours: Any, theirs: Any) -> Any:
    root, left, right = (set(_list(side)) for side in (base, ours, theirs))
    return sorted((left & right) | ((left | right) - root))


def _merge_metadata(newer: Settle) -> Settle:
    """Merge objects by their top-level keys, and any other value whole."""

    def both(base: Any, ours: Any, theirs: Any) -> Any:
        if not (isinstance(ours, dict) and isinstance(theirs, dict)):
            return newer(base, ours, theirs)
        root = base if isinstance(base, dict) else {}
        return _merge_maps((root, ours, theirs), newer)

    return both


def _merge_maps(sides: Sequence[Mapping[str, Any]], both: Settle) -> Row:
    names = sorted({name for side in sides for name in side})
    merged = {name: _three_way((side.get(name, _ABSENT) for side in sides), both) for name in names}
    return {name: value for name, value in merged.items() if value is not _ABSENT}


def _merge_dependencies(base: Any, ours: Any, theirs: Any) -> Any:
    """Merge edges by their target: the format allows one edge between two issues."""
    sides = [_by_target(_list(side)) for side in (base, ours, theirs)]
    edges = [edge for group in _merge_maps(sides, _kept_edge).values() for edge in group]
    return sorted(edges, key=lambda edge: (_instant(edge), edge["depends_on_id"], _rank(edge)))


def _by_target(edges: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for edge in sorted(edges, key=_rank):
        groups.setdefault(edge["depends_on_id"], []).append(edge)
    return groups


def _kept_edge(_base: Any, ours: Any, theirs: Any) -> Any:
    return max(ours, theirs, key=lambda group: (_newest(_list(group)), _rank(group)))


def _merge_comments(base: Any, ours: Any, theirs: Any) -> Any:
    sides = [_by_content(_list(side)) for side in (base, ours, theirs)]
    if _same(sides[1], sides[2]):
        return max(ours, theirs, key=_rank)
    if _same(sides[1], sides[0]):
        return theirs
    if _same(sides[2], sides[0]):
        return ours
    comments = _merge_maps(sides, _merge_comment).values()
    ordered = sorted(comments, key=lambda comment: (_instant(comment), _rank(comment)))
    return [{"id": number, **comment} for number, comment in enumerate(ordered, start=1)]


def _merge_comment(base: Any, ours: Any, theirs: Any) -> Any:
    """Merge what else two copies of one comment say."""
    if ours is _ABSENT or theirs is _ABSENT:
        return theirs if ours is _ABSENT else ours
    return _merge_maps(({} if base is _ABSENT else base, ours, theirs), _larger)


def _larger(_base: Any, ours: Any, theirs: Any) -> Any:
    return max(ours, theirs, key=_rank)


def _by_content(comments: Iterable[Row]) -> dict[str, Row]:
    """Key comments by what they say; saying the same twice at one instant is saying it once."""
    return {
        json.dumps([_instant(comment), comment["author"], comment["text"]]): {
            name: value for name, value in comment.items() if name != "id"
        }
        for comment in sorted(comments, key=_rank)
    }


def _part(row: Row, names: Iterable[str]) -> Row:
    return {name: row[name] for name in names if name in row}


def _list(value: Any) -> Sequence[Any]:
    return () if value is _ABSENT else value


def _newest(edges: Sequence[Row]) -> int:
    return max((_instant(edge) for edge in edges), default=_NEVER)


def _instant(part: Row) -> int:
    return instants.to_ns(part["created_at"])


def _same(one: Any, other: Any) -> bool:
    return _meaning(one) == _meaning(other)


def _meaning(value: Any) -> str:
    """Return a text that is equal for equal values, whatever the order of their keys."""
    return "" if value is _ABSENT else json.dumps(value, sort_keys=True)


def _exact(value: Any) -> str:
    return "" if value is _ABSENT else jsonl.spell(value)


def _rank(value: Any) -> tuple[str, str]:
    return _meaning(value), _exact(value)


_RULES: Final[dict[str, Settle]] = {
    "labels": _merge_words,
    "waiters": _merge_words,
    "dependencies": _merge_dependencies,
    "comments": _merge_comments,
}
