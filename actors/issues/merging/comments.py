"""Merging the comments of an issue, and keeping long texts that lost as comments.

A comment is its author, its time and its text; who says the same twice at one instant says it
once. Its number is a matter of one database: it stays as it was read unless two comments have the
same one, or one comment has two. Then it is made from the content, the same in every clone.

A text that lost a merge is kept as a comment of `beadflow` that names its field. Its time is that
of the row it stood in; the same text kept twice, from two rows, keeps the earlier time.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors.issues.merging.comment_ids import comment_id
from actors.issues.merging.rules import Rule, fields_of
from actors.issues.merging.values import ABSENT, greater, merge_maps, rank
from storage.issues import instants
from storage.issues.jsonl import Row

KEEPER: Final = "beadflow"
"""The author of what is kept."""
_HEADS: Final = {name: f"A merge replaced this {name}:\n\n" for name in fields_of(Rule.TEXT)}


@dataclass(frozen=True, slots=True)
class Kept:
    """A text that lost: the field, what it said, and when its row was written (RFC 3339)."""

    field: str
    text: str
    at: str


def merge(base: Any, ours: Any, theirs: Any) -> Any:
    """Merge lists of comments that both sides changed."""
    sides = [_by_content(_list(side)) for side in (base, ours, theirs)]
    merged = merge_maps([_unnumbered(side) for side in sides], _merge_comment)
    numbers = {
        key: [side[key].get("id") or 0 for side in sides[1:] if key in side] for key in merged
    }
    return _numbered(merged, numbers)


def keep(issue_id: str, comments: Any, texts: Iterable[Kept]) -> Any:
    """Add the texts that are not kept yet to the comments of an issue."""
    added = [
        {
            "issue_id": issue_id,
            "author": KEEPER,
            "text": _HEADS[kept.field] + kept.text,
            "created_at": instants.in_utc(kept.at),
        }
        for kept in texts
    ]
    return merge(ABSENT, comments, added) if added else comments


def _merge_comment(base: Any, ours: Any, theirs: Any) -> Any:
    """Merge what else two copies of one comment say."""
    if ours is ABSENT or theirs is ABSENT:
        return theirs if ours is ABSENT else ours
    if instants.to_ns(ours["created_at"]) != instants.to_ns(theirs["created_at"]):
        return min(ours, theirs, key=_order)
    return merge_maps(({} if base is ABSENT else base, ours, theirs), greater)


def _by_content(comments: Iterable[Row]) -> dict[str, Row]:
    return {_key(comment): comment for comment in sorted(comments, key=rank, reverse=True)}


def _key(comment: Row) -> str:
    author, text = comment["author"], comment["text"]
    at = "" if is_kept(comment) else instants.to_ns(comment["created_at"])
    return repr((at, author, text))


def is_kept(comment: Row) -> bool:
    """Return whether the comment is a text that lost a merge."""
    author, text = str(comment["author"]), str(comment["text"])
    return author == KEEPER and text.startswith(tuple(_HEADS.values()))


def _unnumbered(comments: dict[str, Row]) -> dict[str, Row]:
    return {
        key: {name: value for name, value in comment.items() if name != "id"}
        for key, comment in comments.items()
    }


def _numbered(comments: dict[str, Row], numbers: dict[str, list[Any]]) -> list[Row]:
    """Give each its number, in the order of time; the first of two with one number keeps it."""
    ordered = sorted(comments, key=lambda key: _order(comments[key]))
    owners = {_agreed(numbers[key]): key for key in reversed(ordered)}
    taken = set(owners)
    rows = []
    for key in ordered:
        number = _agreed(numbers[key])
        if not number or owners[number] != key:
            number = _fresh(comments[key], taken)
            taken.add(number)
        rows.append({"id": number, **comments[key]})
    return rows


def _agreed(numbers: Sequence[int]) -> int:
    """Return the number that all copies of a comment have, or 0."""
    return numbers[0] if numbers and len(set(numbers)) == 1 else 0


def _fresh(comment: Row, taken: Collection[int]) -> int:
    author, at, text = comment["author"], comment["created_at"], comment["text"]
    number = comment_id(comment["issue_id"], author, at, text)
    while number in taken:
        number += 1
    return number


def _order(comment: Row) -> tuple[int, tuple[str, str]]:
    return instants.to_ns(comment["created_at"]), rank(comment)


def _list(value: Any) -> Sequence[Row]:
    return () if value is ABSENT else value
