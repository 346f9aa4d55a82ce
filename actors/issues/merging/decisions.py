"""Why a merge came out as it did: one decision for each field in which the two sides differed.

Told after the fact from the rows and the merged row, so that telling never changes what is merged;
what was chosen is read from the merged row itself.

Pure. For `merge --explain`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from actors.issues.merging.merge import COMPACTION, STATE, ahead_ns, is_deleted, part, survivor
from actors.issues.merging.rules import Rule, rule_of
from actors.issues.merging.values import ABSENT, same
from storage.issues import jsonl
from storage.issues.jsonl import Row

_SETS: Final = frozenset({Rule.WORDS, Rule.EDGES, Rule.COMMENTS, Rule.RECORDS})


@dataclass(frozen=True, slots=True)
class Decision:
    """One field of one issue; None stands for a value that is not there.

    `field` is "issue" where a whole row was added or removed, and "id" where it was renamed.
    """

    issue_id: str
    field: str
    base: Any
    ours: Any
    theirs: Any
    chosen: Any
    why: str


def decisions(
    base: Row | None, ours: Row | None, theirs: Row | None, merged: Row | None
) -> Iterator[Decision]:
    """Yield what was decided for one issue."""
    root, left, right, chosen = (
        None if row is None else jsonl.shape(row) for row in (base, ours, theirs, merged)
    )
    if left is not None and right is not None and chosen is not None:
        yield from _of_fields(root, left, right, chosen)
    elif left is not None or right is not None:
        there = left or right or {}
        titles = [_title(row) for row in (root, left, right, chosen)]
        why = _of_presence(root, right is None, chosen)
        yield Decision(there["id"], "issue", titles[0], titles[1], titles[2], titles[3], why)


def _title(row: Row | None) -> str | None:
    return None if row is None else str(row["title"])


def _of_presence(root: Row | None, is_ours: bool, chosen: Row | None) -> str:
    has, lacks = ("ours", "theirs") if is_ours else ("theirs", "ours")
    if root is None:
        return f"added by {has}"
    if chosen is None:
        return f"removed by {lacks}, untouched by {has}"
    return f"removed by {lacks}, edited by {has}: an edit beats a deletion"


def _of_fields(root: Row | None, left: Row, right: Row, chosen: Row) -> Iterator[Decision]:
    names = {**left, **right, **chosen}
    for name in names:
        values = [(row or {}).get(name, ABSENT) for row in (root, left, right, chosen)]
        if same(values[1], values[2]) and same(values[1], values[3]):
            continue
        was, mine, yours, now = (None if value is ABSENT else value for value in values)
        why = _why(name, root, left, right, chosen)
        yield Decision(chosen["id"], name, was, mine, yours, now, why)


def _why(name: str, root: Row | None, left: Row, right: Row, chosen: Row) -> str:
    block = next((names for names in (STATE, COMPACTION) if name in names), (name,))
    was, mine, yours = (part(row or {}, block) for row in (root, left, right))
    if block == STATE and (living := survivor(root, left, right)):
        edited, deleted = ("theirs", "ours") if living is right else ("ours", "theirs")
        return f"deleted by {deleted}, edited by {edited}: an edit beats a deletion"
    if same(mine, yours):
        return "the texts that lost are kept as comments"
    if same(mine, was):
        return f"only theirs changed it{_kept(name)}"
    if same(yours, was):
        return f"only ours changed it{_kept(name)}"
    return _why_of_two(rule_of(name), left, right, same(part(chosen, block), mine))


def _kept(name: str) -> str:
    return "; texts that lost are kept" if name == "comments" else ""


def _why_of_two(rule: Rule, left: Row, right: Row, is_ours: bool) -> str:
    if rule in _SETS:
        return "both changed it: what either added, without what either removed"
    if rule is Rule.LATEST:
        return "the later of the two"
    if rule is Rule.KEYS:
        return "both changed it: each key by itself"
    ahead = ahead_ns(left, right)
    winner = "ours" if is_ours else "theirs"
    reason = f"{winner} was written later" if ahead else "both at one time: the greater value"
    if is_deleted(left) != is_deleted(right) and rule is Rule.STATE:
        reason += ", with no base to tell an edit from a deletion"
    return f"both changed it: {reason}"
