"""What becomes of the issues when two clones meet, and what that means for each side.

The rules are those of the merge (`merge.py`, `collisions.py`, `merge_bases.py`), with one more for
clones: a database or a file may be behind, so a missing row is no deletion, and an older row is no
change.

Lines that both sides have alike are settled, and are not even read, unless two issues with one id
are about: then every reference on either side may have to follow. Pure; the Git worker brings
lines and commits.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from actors.issues.merging.bases import base_of
from actors.issues.merging.collisions import Renamed, Rows, different, settle_collisions
from actors.issues.merging.files import read_side
from actors.issues.merging.merge import merge
from storage.issues import instants, jsonl
from storage.issues.jsonl import Row

_TOMBSTONES: Final = ("tombstone", "deleted")


class Past(Protocol):
    """The commits of the issues' ref."""

    def read(self, commit: str) -> bytes: ...

    def merge_bases(self, commit: str, others: Collection[str]) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class Met:
    """Rows that are not alike on both sides: ours, theirs, and what they come to.

    Args:
        unread: lines of theirs that are no issues.
    """

    ours: Rows
    theirs: Rows
    merged: Rows
    renamed: tuple[Renamed, ...]
    unread: tuple[bytes, ...]


def meet(
    lines: Mapping[str, str], theirs: bytes, commits: tuple[str, str] | None, past: Past
) -> Met:
    """Merge another clone's file `theirs` with our lines, by id.

    `commits` are ours and theirs, whose common past is read; None where one side has none.
    """
    alike = frozenset(line.encode() for line in lines.values()) & frozenset(theirs.split(b"\n"))
    found = _met(lines, theirs, commits, past, alike)
    return found if found is not None else _forced(lines, theirs, commits, past)


def _forced(
    lines: Mapping[str, str], theirs: bytes, commits: tuple[str, str] | None, past: Past
) -> Met:
    found = _met(lines, theirs, commits, past, None)
    assert found is not None  # noqa: S101 - only lines left out make it give up
    return found


def _met(
    lines: Mapping[str, str],
    theirs: bytes,
    commits: tuple[str, str] | None,
    past: Past,
    alike: frozenset[bytes] | None,
) -> Met | None:
    """Merge what is not alike; None where ids have to be told apart, which takes all of it."""
    other = read_side("theirs", _without(theirs, alike), {})
    ours = {
        name: jsonl.parse(line)
        for name, line in lines.items()
        if alike is None or name in other.rows or line.encode() not in alike
    }
    if alike is not None and (other.renamed or _two_of_one_id(ours, other.rows)):
        return None
    common = _common(commits, past, alike)
    base = {name: row for name, row in common.items() if name in ours or name in other.rows}
    # What could not be read there is not gone from there.
    unread = tuple(line.raw for line in other.loaded.quarantined)
    there = {**base, **other.rows} if unread else other.rows
    merged, renamed = _merge_rows(base, ours, there)
    return Met(ours, other.rows, merged, (*other.renamed, *renamed), unread)


def _two_of_one_id(ours: Rows, theirs: Rows) -> bool:
    return any(different(ours[name], theirs[name]) for name in ours.keys() & theirs.keys())


def _common(commits: tuple[str, str] | None, past: Past, alike: frozenset[bytes] | None) -> Rows:
    """Read what both sides began with; of several merge bases, the bases are merged first."""
    if commits is None:
        return {}
    nothing: Rows = {}
    history = _History(past, alike)
    return base_of(*commits, history, lambda *rows: _merge_rows(*rows)[0], nothing)


@dataclass(frozen=True, slots=True)
class _History:
    past: Past
    alike: frozenset[bytes] | None

    def read(self, commit: str) -> Rows:
        return read_side("base", _without(self.past.read(commit), self.alike), {}).rows

    def merge_bases(self, commit: str, others: Collection[str]) -> Collection[str]:
        return self.past.merge_bases(commit, others)


def _without(data: bytes, lines: frozenset[bytes] | None) -> bytes:
    if not lines:
        return data
    return b"\n".join(line for line in data.split(b"\n") if line not in lines)


def _merge_rows(base: Rows, ours: Rows, theirs: Rows) -> tuple[Rows, tuple[Renamed, ...]]:
    settled = settle_collisions(base, ours, theirs)
    base, ours, theirs = settled.base, settled.ours, settled.theirs
    names = sorted(ours.keys() | theirs.keys())
    merged = ((name, settle(base.get(name), ours.get(name), theirs.get(name))) for name in names)
    return {name: row for name, row in merged if row is not None}, settled.renamed


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


def changes(before: Rows, after: Rows) -> Iterable[tuple[str, str]]:
    """Yield the ids that differ, with what became of each."""
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield name, "new"
        elif name not in after:
            yield name, "removed"
        elif jsonl.encode(before[name]) != jsonl.encode(after[name]):
            yield name, "changed"
