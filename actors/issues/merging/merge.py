"""Merging two versions of an issue that grew from one base: per field, deterministic, lossless.

The two sides are equals: swapping them gives the same bytes. A field that one side changed takes
that change; one that both changed takes the value of the row written later (its `updated_at`; at
one time, the greater text), and a long text that loses is kept as a comment. Priority 0 and a
cleared field are values like any other. Which rule a field has, `merge_rules.py` says.

Some fields only make sense together and are taken as one: a status with its closing or deletion,
the facts of a compaction. Sets keep what either side added; what one side removed and the other
left alone is gone. An edit beats a deletion, whether the deletion is a missing row or a tombstone.

A row tells one time for all its fields, so which of two values wins can depend on whom a third
clone merged with first. It does not matter for long: the merged rows then tell the same time, and
from there on every order gives the same bytes.

Pure: no clock, no database. `storage/issues` knows the format, this module what it means.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from actors.issues.merging import comments as merge_comments
from actors.issues.merging.rules import Rule, fields_of, rule_of
from actors.issues.merging.values import (
    ABSENT,
    Settle,
    merge_maps,
    merge_sets,
    rank,
    same,
    three_way,
)
from storage.issues import instants, jsonl
from storage.issues.jsonl import Row

STATE: Final = fields_of(Rule.STATE)
COMPACTION: Final = fields_of(Rule.COMPACTION)
_TOGETHER: Final = frozenset((*STATE, *COMPACTION))
_DELETED: Final = frozenset({"tombstone", "deleted"})
_NEVER: Final = -(2**80)


def merge(base: Row | None, ours: Row | None, theirs: Row | None) -> Row | None:
    """Merge two versions of one issue; None stands for a side, or a base, without it."""
    if ours is not None and theirs is not None:
        return merge_rows(base, ours, theirs)
    remaining = ours if theirs is None else theirs
    untouched = base and remaining and same(jsonl.shape(remaining), jsonl.shape(base))
    return None if untouched else remaining


def merge_rows(base: Row | None, ours: Row, theirs: Row) -> Row:
    """Merge two versions that both exist."""
    root = base and jsonl.shape(base)
    merged: Row = three_way((root, jsonl.shape(ours), jsonl.shape(theirs)), _merge_fields)
    return merged


def part(row: Row, names: Iterable[str]) -> Row:
    return {name: row[name] for name in names if name in row}


def ahead_ns(ours: Row, theirs: Row) -> int:
    """Return how much later ours was written; negative when theirs was."""
    return instants.to_ns(ours["updated_at"]) - instants.to_ns(theirs["updated_at"])


def survivor(base: Row | None, ours: Row, theirs: Row) -> Row | None:
    """Return the side that edited an issue while the other one deleted it."""
    if not base or is_deleted(base) or is_deleted(ours) == is_deleted(theirs):
        return None
    living = theirs if is_deleted(ours) else ours
    return None if same(living | {"updated_at": base["updated_at"]}, base) else living


def is_deleted(row: Row) -> bool:
    return row.get("status") in _DELETED


def _merge_fields(base: Row | None, ours: Row, theirs: Row) -> Row:
    root = base or {}
    newer = _newer(ours, theirs)
    merged = _merge_state(root, ours, theirs, newer)
    kept: list[merge_comments.Kept] = []
    for name in sorted((root.keys() | ours.keys() | theirs.keys()) - _TOGETHER):
        values = [row.get(name, ABSENT) for row in (root, ours, theirs)]
        rule = rule_of(name)
        if rule is Rule.LATEST:
            merged[name] = _later_time(*values[1:])
        else:
            merged[name] = three_way(values, _settle(rule, newer))
        if rule is Rule.TEXT:
            kept += _losers(name, values, (ours, theirs), merged[name])
    merged["comments"] = merge_comments.keep(ours["id"], merged.get("comments", ABSENT), kept)
    return jsonl.shape({name: value for name, value in merged.items() if value is not ABSENT})


def _merge_state(root: Row, ours: Row, theirs: Row, newer: Settle) -> Row:
    merged: Row = {}
    for names in (STATE, COMPACTION):
        merged |= three_way((part(row, names) for row in (root, ours, theirs)), newer)
    if living := survivor(root, ours, theirs):
        merged = part(merged, COMPACTION) | part(living, STATE)
    return merged


def _settle(rule: Rule, newer: Settle) -> Settle:
    match rule:
        case Rule.WORDS | Rule.RECORDS:
            return _merge_list
        case Rule.EDGES:
            return _merge_dependencies
        case Rule.COMMENTS:
            return merge_comments.merge
        case Rule.KEYS:
            return _merge_metadata(newer)
        case _:
            return newer


def _newer(ours: Row, theirs: Row) -> Settle:
    """Return the choice of the side written later; between equals, of the greater text."""
    ahead = ahead_ns(ours, theirs)

    def choose(_base: Any, left: Any, right: Any) -> Any:
        if ahead:
            return left if ahead > 0 else right
        return max(left, right, key=rank)

    return choose


def _later_time(ours: str, theirs: str) -> str:
    """Return the later of two times, also when one side turned it back (clocks do).

    Else a result could be older than the side whose values it took, and lose them when it is
    merged with the other side again.
    """
    return max(ours, theirs, key=lambda text: (instants.to_ns(text), text))


def _losers(
    name: str, values: Sequence[Any], rows: tuple[Row, Row], chosen: Any
) -> list[merge_comments.Kept]:
    """Return the texts that one side wrote and the merged row does not hold."""
    base, *written = values
    if any(same(value, base) for value in written):
        return []
    return [
        merge_comments.Kept(name, text, row["updated_at"])
        for text, row in zip(written, rows, strict=True)
        if text is not ABSENT and text != chosen
    ]


def _merge_list(base: Any, ours: Any, theirs: Any) -> Any:
    return merge_sets(_list(base), _list(ours), _list(theirs))


def _merge_metadata(newer: Settle) -> Settle:
    """Merge objects by their top-level keys, and any other value whole."""

    def both(base: Any, ours: Any, theirs: Any) -> Any:
        if not (isinstance(ours, dict) and isinstance(theirs, dict)):
            return newer(base, ours, theirs)
        root = base if isinstance(base, dict) else {}
        return merge_maps((root, ours, theirs), newer)

    return both


def _merge_dependencies(base: Any, ours: Any, theirs: Any) -> Any:
    """Merge edges by their target: the format allows one edge between two issues."""
    sides = [_by_target(_list(side)) for side in (base, ours, theirs)]
    edges = [edge for group in merge_maps(sides, _kept_edge).values() for edge in group]
    return sorted(edges, key=lambda edge: (_instant(edge), edge["depends_on_id"], rank(edge)))


def _by_target(edges: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for edge in sorted(edges, key=rank):
        groups.setdefault(edge["depends_on_id"], []).append(edge)
    return groups


def _kept_edge(_base: Any, ours: Any, theirs: Any) -> Any:
    return max(ours, theirs, key=lambda group: (_newest(_list(group)), rank(group)))


def _newest(edges: Sequence[Row]) -> int:
    return max((_instant(edge) for edge in edges), default=_NEVER)


def _instant(edge: Row) -> int:
    return instants.to_ns(edge["created_at"])


def _list(value: Any) -> Sequence[Any]:
    return () if value is ABSENT else value
