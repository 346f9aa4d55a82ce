"""What a merge has lost: the test's own reading of the format, sharing no code with the merge.

Nothing of either side may be gone unless the other side removed or replaced it.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]

TEXTS = ("description", "design", "acceptance_criteria", "notes")
STATE = (
    *("status", "closed_at", "close_reason", "closed_by_session"),
    *("deleted_at", "deleted_by", "delete_reason", "original_type"),
)
SETS = ("labels", "waiters", "dependencies", "comments", "bonded_from", "validations")
EMPTY = (None, "", 0, False, [], {})


def lost(base: Row | None, ours: Row | None, theirs: Row | None, merged: Row | None) -> list[str]:
    """Return a sentence for each thing that should be in the merged row and is not."""
    if ours is None or theirs is None:
        return list(_of_one(base, ours or theirs, merged))
    if merged is None:
        return ["the issue"]
    root = base or {}
    return [
        *_of_fields(root, ours, theirs, merged),
        *_of_texts(root, ours, theirs, merged),
        *_of_sets(root, ours, theirs, merged),
        *_of_metadata(root, ours, theirs, merged),
        *_of_life(base, ours, theirs, merged),
    ]


def _of_one(base: Row | None, there: Row | None, merged: Row | None) -> Iterator[str]:
    """An issue that one side removed is gone only if the other left it as it was."""
    if there is None or (base is not None and _alike(there, base)):
        if merged is not None:
            yield "the removal"
    elif merged is None or not _alike(merged, there):
        yield "the issue, or a part of it"


def _of_fields(root: Row, ours: Row, theirs: Row, merged: Row) -> Iterator[str]:
    """A field that one side changed has that value; one that both did has that of one of them."""
    deletion = _dead(ours) != _dead(theirs)
    for name in {*root, *ours, *theirs} - {*SETS, "metadata", "updated_at"}:
        was, mine, yours = (_value(row, name) for row in (root, ours, theirs))
        now = _value(merged, name)
        if now not in (mine, yours):
            yield f"{name}: {now!r} is of neither side"
        if (name in STATE and deletion) or _in_block(name, root, ours, theirs):
            continue
        if mine == was and now != yours:
            yield f"{name}: their {yours!r}"
        if yours == was and now != mine:
            yield f"{name}: our {mine!r}"
    times = {_ns(row["updated_at"]) for row in (ours, theirs)}
    if _ns(merged["updated_at"]) < max(times) and not (_alike(ours, root) or _alike(theirs, root)):
        yield "the later time"


def _in_block(name: str, root: Row, ours: Row, theirs: Row) -> bool:
    """Of what belongs together one side's is taken, when both changed any of it."""
    compaction = ("compaction_level", "compacted_at", "compacted_at_commit", "original_size")
    for block in (STATE, compaction):
        if name in block:
            parts = [[_value(row, one) for one in block] for row in (root, ours, theirs)]
            return parts[0] not in parts[1:]
    return False


def _of_texts(root: Row, ours: Row, theirs: Row, merged: Row) -> Iterator[str]:
    said = [comment.get("text", "") for comment in merged.get("comments") or ()]
    for name in TEXTS:
        was, mine, yours = (_value(row, name) for row in (root, ours, theirs))
        for text, other in ((mine, yours), (yours, mine)):
            if text is None or text in (was, _value(merged, name)) or other == was:
                continue
            if sum(one.endswith(text) and name in one.partition("\n")[0] for one in said) != 1:
                yield f"{name}: {text!r} is not kept once"


def _of_sets(root: Row, ours: Row, theirs: Row, merged: Row) -> Iterator[str]:
    for name, key in KEYS.items():
        rows = (root, ours, theirs, merged)
        was, mine, yours, now = ({key(item) for item in row.get(name) or ()} for row in rows)
        for gone in ((mine | yours) - was) - now:
            yield f"{name}: {gone} was added"
        for gone in (was & mine & yours) - now:
            yield f"{name}: {gone} was removed by nobody"
        for back in (was - (mine & yours)) & now:
            if not _edited(name, back, root, ours, theirs):
                yield f"{name}: {back} is back"
        made_up = now - mine - yours
        if name != "comments" and made_up:
            yield f"{name}: {made_up} come from nowhere"


def _edited(name: str, key: Any, *rows: Row) -> bool:
    """An entry that a side wrote otherwise outlives its removal by the other."""

    def entries(row: Row) -> list[str]:
        found = [entry for entry in row.get(name) or () if KEYS[name](entry) == key]
        return sorted(_whole({k: v for k, v in entry.items() if k != "id"}) for entry in found)

    base, *sides = map(entries, rows)
    return name in ("dependencies", "comments") and any(one not in ([], base) for one in sides)


def _of_metadata(root: Row, ours: Row, theirs: Row, merged: Row) -> Iterator[str]:
    sides = [row.get("metadata") for row in (root, ours, theirs, merged)]
    if not all(isinstance(side, dict) for side in sides[1:]):
        return
    was = sides[0] if isinstance(sides[0], dict) else {}
    mine, yours, now = sides[1:]
    for name in {*mine, *yours}:
        if name not in now and name not in was:
            yield f"metadata.{name}"


def _of_life(base: Row | None, ours: Row, theirs: Row, merged: Row) -> Iterator[str]:
    """An edit outlives a deletion."""
    if base is None or _dead(base) or _dead(ours) == _dead(theirs):
        return
    living = theirs if _dead(ours) else ours
    edited = not _alike({**living, "updated_at": base["updated_at"]}, base)
    if edited == _dead(merged):
        yield "the edit" if edited else "the deletion"


def _dead(row: Row) -> bool:
    return row.get("status") in ("tombstone", "deleted")


def _value(row: Row, name: str) -> Any:
    """Return a value, None where the format writes nothing for it."""
    value = row.get(name, ABSENT)
    if name == "priority" and row:
        return row.get(name) or 0
    if value is ABSENT or (name in KNOWN and value in EMPTY):
        return None
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


ABSENT = object()
OTHERS = """
title spec_id issue_type assignee owner created_by due_at defer_until source_system sender ephemeral
wisp_type pinned is_template crystallizes await_type await_id timeout holder metadata
compaction_level compacted_at compacted_at_commit original_size
"""
KNOWN = {*TEXTS, *STATE, *SETS, *OTHERS.split()}


def _alike(one: Row, other: Row) -> bool:
    names = {*one, *other}
    return all(_value(one, name) == _value(other, name) for name in names)


def _ns(text: str) -> int:
    """Return nanoseconds since 1970; `datetime` alone stops at microseconds."""
    head, point, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))] if point else ""
    zone = rest[len(digits) :] if point else ""
    moment = datetime.fromisoformat(head + zone)
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + int(digits.ljust(9, "0") or 0)


def _said(comment: Row) -> tuple[Any, ...]:
    kept = comment["author"] == "beadflow" and comment["text"].startswith("A merge replaced this ")
    return kept or _ns(comment["created_at"]), comment["author"], comment["text"]


def _whole(record: Row) -> str:
    return json.dumps(record, sort_keys=True)


KEYS: dict[str, Callable[[Any], Any]] = {
    "labels": str,
    "waiters": str,
    "dependencies": lambda edge: edge["depends_on_id"],
    "comments": _said,
    "bonded_from": _whole,
    "validations": _whole,
}
