"""Two different issues with one id, made by two clones that did not know of each other.

Both count the children of one parent, so both make the same next one; short hashes meet by chance.
The issue made first keeps the id (then by who made it, then by its bytes). The other gets an id
that follows from what it is, so that every clone that meets the two chooses the same: a child the
number 1000 or more, a top-level issue another hash. Dependencies and children of its side follow
it, and so does the base where it knew the issue by the old id. Texts are left alone.

Whether two rows are one issue: with the same time and author of creation, always. Without a base,
different ones make them different. With a base they are one issue, since old versions of bd wrote
`created_at` anew, unless the other side holds the base's issue under the id it was renamed to, or
both sides changed the row and neither the title nor the time of one is the base's. (Not a
tombstone: bd made some without either.)

Pure. Called before rows are merged one by one.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from actors.issues import ids
from actors.issues.merging.merge import is_deleted
from actors.issues.merging.values import exact, same
from storage.issues import instants
from storage.issues.jsonl import Row

Rows = Mapping[str, Row]

_FIRST: Final = 1000
_NUMBERS: Final = 9000


@dataclass(frozen=True, slots=True)
class Renamed:
    """What an issue of one side ("ours" or "theirs") is called after the merge."""

    side: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The three sides with every id meaning one issue, and what was renamed for it."""

    base: Rows
    ours: Rows
    theirs: Rows
    renamed: tuple[Renamed, ...]


def settle_collisions(base: Rows, ours: Rows, theirs: Rows) -> Settled:
    """Rename the issues whose id another side gave to another issue."""
    done: list[Renamed] = []
    while found := list(_outermost(_collisions(base, ours, theirs))):
        taken = _Taken((base, ours, theirs))
        for side, row in found:
            done.append(Renamed(side, row["id"], taken.new_id(row)))
        now = {one.old: one for one in done[-len(found) :]}
        for side in ("ours", "theirs"):
            names = {one.old: one.new for one in now.values() if one.side == side}
            rows = ours if side == "ours" else theirs
            of_base = {old: new for old, new in names.items() if _is_of(base, rows, old)}
            base = _renamed(base, of_base)
            if side == "ours":
                ours = _renamed(ours, names)
            else:
                theirs = _renamed(theirs, names)
    return Settled(base, ours, theirs, tuple(done))


def different(one: Row, other: Row) -> bool:
    """Return whether two rows were created at different times or by different people."""
    if _created(one) != _created(other):
        return True
    makers = {row.get("created_by") or "" for row in (one, other)} - {""}
    return len(makers) > 1


def seniority(row: Row) -> tuple[int, str, str]:
    """Return what decides who keeps an id: the least does."""
    return _created(row), row.get("created_by") or "", exact(row)


def new_ids(row: Row) -> Iterator[str]:
    """Yield the ids an issue may be renamed to, the best first.

    They follow from its old id and its creation alone: whatever else is edited meanwhile, each
    clone comes to the same.
    """
    old, author = row["id"], row.get("created_by") or ""
    made = f"{old}|{instants.in_utc(row.get('created_at') or instants.ZERO)}|{author}"
    parent, dot, number = old.rpartition(".")
    if dot and number.isdecimal():
        digest = hashlib.sha256(made.encode(errors="surrogatepass")).digest()
        first = (int.from_bytes(digest[:3], "big") >> 4) % _NUMBERS
        yield from (f"{parent}.{_FIRST + (first + n) % _NUMBERS}" for n in range(_NUMBERS))
    prefix = ids.prefix_of(old) or ids.FALLBACK_PREFIX
    shortest = min(max(len(old) - len(prefix) - 1, ids.MIN_LENGTH), ids.MAX_LENGTH)
    for length in range(shortest, ids.MAX_LENGTH + 1):
        yield from (f"{prefix}-{ids.hash36(f'{made}|{n}', length)}" for n in range(ids.NONCES))


class _Taken:
    """Which ids stand for another issue than the one that wants them."""

    def __init__(self, sides: tuple[Rows, ...]) -> None:
        self._sides = sides
        self._given: dict[str, Row] = {}

    def new_id(self, row: Row) -> str:
        """Return the first free id; one that is this very issue, renamed before, is free."""
        for candidate in new_ids(row):
            holders = [side[candidate] for side in self._sides if candidate in side]
            given = self._given.setdefault(candidate, row)
            if given is row and not any(different(holder, row) for holder in holders):
                return candidate
        raise ids.IdsExhaustedError(f"no free id could be made for {row['id']}")


def _collisions(base: Rows, ours: Rows, theirs: Rows) -> Iterator[tuple[str, Row]]:
    """Yield the side and the row of each issue that cannot keep its id."""
    for issue_id in sorted(ours.keys() & theirs.keys()):
        left, right = ours[issue_id], theirs[issue_id]
        if left is right or not different(left, right):
            continue
        if _are_two(base.get(issue_id), (left, ours), (right, theirs)):
            loser = max(left, right, key=seniority)
            yield ("ours", left) if loser is left else ("theirs", right)


def _are_two(base: Row | None, left: tuple[Row, Rows], right: tuple[Row, Rows]) -> bool:
    if base is None:
        return True
    for (row, _), (other, others) in ((left, right), (right, left)):
        if not different(base, row) and different(base, other) and _knows(others, base):
            return True
    if same(left[0], base) or same(right[0], base):
        return False
    return any(
        _created(row) != _created(base)
        and row.get("title") != base.get("title")
        and not is_deleted(row)
        for row, _ in (left, right)
    )


def _knows(rows: Rows, issue: Row) -> bool:
    """Return whether these rows hold the issue under the id it is renamed to."""
    first = rows.get(next(new_ids(issue)))
    return first is not None and not different(first, issue)


def _outermost(found: Iterator[tuple[str, Row]]) -> Iterator[tuple[str, Row]]:
    """Leave out what is below another one: a child follows its parent first."""
    collisions = list(found)
    names = {row["id"] for _, row in collisions}
    for side, row in collisions:
        if not any(above in names for above in _above(row["id"])):
            yield side, row


def _above(issue_id: str) -> Iterator[str]:
    while "." in issue_id:
        issue_id = issue_id.rpartition(".")[0]
        yield issue_id


def _is_of(base: Rows, side: Rows, issue_id: str) -> bool:
    return issue_id in base and not different(base[issue_id], side[issue_id])


def _renamed(rows: Rows, names: Mapping[str, str]) -> Rows:
    if not names:
        return rows
    moved = (with_ids(row, names) for row in rows.values())
    return {row["id"]: row for row in moved}


def with_ids(row: Row, names: Mapping[str, str]) -> Row:
    """Return the row in which the ids, those below them and all references to them are new."""

    def rename(issue_id: str) -> str:
        for above in (issue_id, *_above(issue_id)):
            if above in names:
                return names[above] + issue_id[len(above) :]
        return issue_id

    after = row | {"id": rename(row["id"])}
    for part in ("dependencies", "comments"):
        if row.get(part):
            after[part] = [
                one | {name: rename(one[name]) for name in _REFERENCES if one.get(name)}
                for one in row[part]
            ]
    return row if after == row else after


_REFERENCES: Final = ("issue_id", "depends_on_id")


def _created(row: Row) -> int:
    return instants.to_ns(row.get("created_at") or instants.ZERO)
