"""What two clones make of their issues: rows merged, and what it means for each side.

Works on lines first: one that both sides have is settled, so that only what differs is read.
Pure; the Git worker brings the lines.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.issues.merge import merge, merge_rows
from storage.issues import instants, jsonl, published
from storage.issues.jsonl import Row

_TOMBSTONES: Final = ("tombstone", "deleted")


@dataclass(slots=True)
class Side:
    """One file: what could be read of it, and the lines that could not."""

    rows: dict[str, Row] = field(default_factory=dict)
    quarantined: tuple[bytes, ...] = ()


def read_side(data: bytes, without: frozenset[bytes] = frozenset()) -> Side:
    """Read a file, apart from the lines in `without`."""
    lines = [line for line in data.split(b"\n") if line not in without]
    loaded = published.load(b"\n".join(lines), merge_rows)
    return Side(rows=loaded.rows, quarantined=tuple(line.raw for line in loaded.quarantined))


def meet(
    bases: Sequence[Mapping[str, Row]],
    ours: Mapping[str, Row],
    theirs: Mapping[str, Row],
) -> dict[str, Row]:
    """Merge two files' rows; of several bases, the bases are merged first."""
    base = _one_base(bases)
    names = sorted(ours.keys() | theirs.keys())
    merged = ((name, settle(base.get(name), ours.get(name), theirs.get(name))) for name in names)
    return {name: row for name, row in merged if row is not None}


def _one_base(bases: Sequence[Mapping[str, Row]]) -> Mapping[str, Row]:
    if not bases:
        return {}
    base, *others = bases
    for other in others:
        base = meet((), base, other)
    return base


def settle(base: Row | None, ours: Row | None, theirs: Row | None) -> Row | None:
    """Merge one issue.

    A row that is missing is no deletion, because deleting leaves a tombstone; only a tombstone may
    go. A row older than the base is one that was published before: it changed nothing.
    """
    left, right = _not_behind(base, ours), _not_behind(base, theirs)
    merged = merge(base, left, right)
    if merged is None:
        there = left or right
        return there if there and there.get("status") not in _TOMBSTONES else None
    return merged


def _not_behind(base: Row | None, row: Row | None) -> Row | None:
    return base if base and row and _updated(row) < _updated(base) else row


def _updated(row: Row) -> int:
    return instants.to_ns(row.get("updated_at") or instants.ZERO)


def changes(before: Mapping[str, Row], after: Mapping[str, Row]) -> Iterable[tuple[str, str]]:
    """Yield the ids that differ, with what became of each."""
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield name, "new"
        elif name not in after:
            yield name, "removed"
        elif jsonl.encode(before[name]) != jsonl.encode(after[name]):
            yield name, "changed"
