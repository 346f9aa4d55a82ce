"""Merging whole published files: every issue of the two sides, and what could not be read.

Row by row as `merge.py` says, after ids that two clones gave to different issues are settled. The
result is sorted and written as bd writes it, so it is the same from either side.

A line that cannot be read must not stay in the file, which bd would refuse to read, and must not
be lost either: it is handed back, for whoever writes the file to keep in a side file. In a side
with such lines an issue that is missing has not been removed; its line may be the damaged one. An
empty side removes nothing for the same reason.

Pure. For the merge driver, the offline command and `sync`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from actors.issues.merging.collisions import (
    Renamed,
    Rows,
    Settled,
    different,
    new_ids,
    seniority,
    settle_collisions,
    with_ids,
)
from actors.issues.merging.decisions import Decision, decisions
from actors.issues.merging.merge import merge, merge_rows
from storage.issues import jsonl, published
from storage.issues.jsonl import Row
from storage.issues.published import Loaded, Quarantined


class NotIssuesError(ValueError):
    """A side holds something, and not one line of it is an issue."""


@dataclass(frozen=True, slots=True)
class MergedFile:
    """The merged file, and what there is to say about it.

    Args:
        unreadable: the lines of either side that are no issues, by the side's name.
        duplicates: rows of a side that repeated an id and were merged with the first.
        conflict_markers: lines that Git had left in a side.
    """

    data: bytes
    issues: int
    decisions: tuple[Decision, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    unreadable: Mapping[str, tuple[Quarantined, ...]] = field(default_factory=dict)
    duplicates: int = 0
    conflict_markers: int = 0

    @property
    def kept_aside(self) -> tuple[bytes, ...]:
        """The unreadable lines as they were, each once."""
        lines = (line.raw for side in self.unreadable.values() for line in side)
        return tuple(dict.fromkeys(lines))


@dataclass(frozen=True, slots=True)
class Side:
    """What one file holds: issues by id, of which none means two."""

    rows: Rows
    loaded: Loaded
    renamed: tuple[Renamed, ...] = ()

    @property
    def is_whole(self) -> bool:
        return bool(self.rows) and not self.loaded.quarantined


def merge_files(base: bytes, ours: bytes, theirs: bytes, *, explain: bool = False) -> MergedFile:
    """Merge two files that grew from one base; an empty base is none.

    With `explain` each decision is told, which takes as long again.

    Raises:
        NotIssuesError: a side holds no issue and is not empty.
    """
    parse = cache(jsonl.parse)  # most lines are the same in all three
    root = read_side("base", base, {}, parse)
    left = read_side("ours", ours, root.rows, parse)
    right = read_side("theirs", theirs, root.rows, parse)
    sides = {"ours": left, "theirs": right}
    for name, side in sides.items():
        if side.loaded.quarantined and not side.rows:
            raise NotIssuesError(f"no line of {name} is an issue: {_first(side.loaded)}")
    settled = settle_collisions(root.rows, _filled(left, root.rows), _filled(right, root.rows))
    merged = dict(_merged(settled))
    renamed = (*left.renamed, *right.renamed, *settled.renamed)
    return MergedFile(
        data=b"".join(jsonl.encode(row) + b"\n" for row in merged.values()),
        issues=len(merged),
        decisions=tuple(_explained(settled, merged, renamed)) if explain else (),
        renamed=renamed,
        unreadable={
            name: tuple(side.loaded.quarantined)
            for name, side in sides.items()
            if side.loaded.quarantined
        },
        duplicates=left.loaded.duplicates + right.loaded.duplicates,
        conflict_markers=len(left.loaded.conflict_markers) + len(right.loaded.conflict_markers),
    )


def read_side(
    name: str, data: bytes, base: Rows, parse: Callable[[bytes], Row] = jsonl.parse
) -> Side:
    """Read a file in which one id may stand for two issues, as Git's union merge leaves it.

    Rows of one issue are merged on top of the base's; another issue gets an id of its own. What
    depends on the id stays with the issue that keeps it: the file does not say which is meant.
    """
    others: list[Row] = []

    def join(common: Row | None, first: Row, second: Row) -> Row:
        known = base.get(first["id"]) if common is None else common
        if known is None and different(first, second):
            keeper, other = sorted((first, second), key=seniority)
            others.append(other)
            return keeper
        return merge_rows(known, first, second)

    loaded = published.load(data, join, parse)
    rows, renamed = dict(loaded.rows), []
    for row in sorted(others, key=seniority):
        new = next(i for i in new_ids(row) if i not in rows or not different(rows[i], row))
        moved = with_ids(row, {row["id"]: new})
        rows[new] = merge_rows(base.get(new), rows[new], moved) if new in rows else moved
        renamed.append(Renamed(name, row["id"], new))
    return Side(rows, loaded, tuple(renamed))


def _filled(side: Side, base: Rows) -> Rows:
    return side.rows if side.is_whole else {**base, **side.rows}


def _merged(settled: Settled) -> Iterator[tuple[str, Row]]:
    base, ours, theirs = settled.base, settled.ours, settled.theirs
    for issue_id in sorted(ours.keys() | theirs.keys(), key=str.encode):
        known, left, right = (rows.get(issue_id) for rows in (base, ours, theirs))
        # Rows of one line are one object; telling so is much cheaper than merging them.
        row = left if left is right else merge(known, left, right)
        if row is not None:
            yield issue_id, row


def _explained(settled: Settled, merged: Rows, renamed: Iterable[Renamed]) -> Iterator[Decision]:
    for one in renamed:
        ours, theirs = (one.new if side == one.side else one.old for side in ("ours", "theirs"))
        why = f"another issue made earlier has it; that of {one.side} is now {one.new}"
        yield Decision(one.old, "id", None, ours, theirs, one.new, why)
    base, left, right = settled.base, settled.ours, settled.theirs
    for issue_id in sorted(left.keys() | right.keys(), key=str.encode):
        if left.get(issue_id) is not right.get(issue_id):
            rows = (side.get(issue_id) for side in (base, left, right, merged))
            yield from decisions(*rows)


def _first(loaded: Loaded) -> str:
    line = loaded.quarantined[0]
    return f"line {line.line}: {line.reason}"
