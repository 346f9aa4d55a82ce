"""An issue here whose id the published file, or a merge, gives to another issue: it moves.

The file's owner of an id keeps it: other clones know it so. Ours goes to the id it has in the
file, or else to the one that every clone would choose for it (`collisions.new_ids`), with its
unpublished edits, the issues below it, its claim, and whatever refers to it here. A file from
before such a move, of a branch checked out again, is read with the ids that are in use now.

For handlers of the issues' commands; inside the writer's transaction.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from actors.issues.merging.collisions import different, new_ids, with_ids
from actors.issues.merging.merge import is_deleted, merge_rows
from actors.issues.writing import entries
from storage.issues import jsonl, leases, queries
from storage.issues.jsonl import Row

Lines = tuple[tuple[str, str | None], ...]
_NONE: Final[Mapping[str, str]] = {}


def read_as_here(conn: sqlite3.Connection, lines: Lines) -> Lines:
    """Return a file's lines with the ids that their issues have been given here since."""
    names = dict(_moved_before(conn, lines))
    if not names:
        return lines
    moved = [_with_ids(line, names) for _, line in lines if line is not None]
    there = {issue_id for issue_id, _ in moved}
    gone = (each for each in lines if each[1] is None and each[0] not in there)
    return (*moved, *gone)


def _moved_before(conn: sqlite3.Connection, lines: Lines) -> Iterator[tuple[str, str]]:
    for issue_id, ours, theirs in _met(conn, lines):
        if different(ours, theirs):
            new = next(new_ids(theirs))
            here = entries.find(conn, new)
            if here is not None and not different(here, theirs):
                yield issue_id, new


def _with_ids(line: str, names: Mapping[str, str]) -> tuple[str, str]:
    row = with_ids(jsonl.parse(line), names)
    return row["id"], jsonl.encode_text(row)


def make_room(conn: sqlite3.Connection, lines: Lines, at: str) -> None:
    """Move the issues away whose ids these lines of the file give to others."""
    held = {issue_id: line for issue_id, line in lines if line is not None}
    for issue_id, ours, theirs in _met(conn, lines):
        if entries.find(conn, issue_id) == ours and _are_two(conn, ours, theirs, held):
            move(conn, issue_id, _free_id(conn, ours, held), at)


def _met(conn: sqlite3.Connection, lines: Lines) -> Iterator[tuple[str, Row, Row]]:
    for issue_id, line in lines:
        mine = queries.get_line(conn, issue_id) if line is not None else None
        if line is not None and mine is not None and mine != line:
            yield issue_id, jsonl.parse(mine), jsonl.parse(line)


def _are_two(conn: sqlite3.Connection, ours: Row, theirs: Row, held: Mapping[str, str]) -> bool:
    """Whether the file's row is another issue than the one here.

    One that was never published is, when it was created otherwise. Of a published one the time of
    creation alone does not say it, since old versions of bd wrote that anew: the file must also
    hold ours under its new id, or another title.
    """
    if not different(ours, theirs):
        return False
    if queries.published_line(conn, ours["id"]) is None:
        return True
    elsewhere = held.get(next(new_ids(ours)))
    if elsewhere is not None and not different(jsonl.parse(elsewhere), ours):
        return True
    is_renamed = ours.get("title") != theirs.get("title")
    return is_renamed and not (is_deleted(ours) or is_deleted(theirs))


def _free_id(conn: sqlite3.Connection, row: Row, held: Mapping[str, str]) -> str:
    """Return the first id that no other issue has; one that this very issue has is free."""
    for candidate in new_ids(row):
        lines = (queries.get_line(conn, candidate), held.get(candidate))
        if not any(line is not None and different(jsonl.parse(line), row) for line in lines):
            return candidate
    raise AssertionError(f"no free id could be made for {row['id']}")


def move(conn: sqlite3.Connection, old: str, new: str, at: str) -> None:
    """Give an issue and all below it new ids, wherever they stand here."""
    names = {old: new}
    below = (each for each in queries.ids_below(conn, old) if queries.get_line(conn, each))
    moved = [old, *sorted(below)]
    for issue_id in moved:
        _move_row(conn, issue_id, names, at)
    for issue_id in moved:
        for line in queries.lines_naming(conn, issue_id):
            _rename(conn, jsonl.parse(line), names, at)


def follow(
    conn: sqlite3.Connection, names: Mapping[str, str], issue_ids: Iterable[str], at: str
) -> None:
    """Have these issues follow others that got new ids: in what they refer to, and below them."""
    for issue_id in sorted(issue_ids):
        if row := entries.find(conn, issue_id):
            _rename(conn, row, names, at)


def _rename(conn: sqlite3.Connection, row: Row, names: Mapping[str, str], at: str) -> None:
    after = with_ids(row, names)
    if after["id"] != row["id"]:
        _move_row(conn, row["id"], dict(names), at)
    else:
        entries.put_changed(conn, row, after, at)


def _move_row(conn: sqlite3.Connection, old: str, names: dict[str, str], at: str) -> None:
    row, base = entries.need(conn, old), queries.published_line(conn, old)
    is_shared = queries.shared_line(conn, old) is not None
    moved = with_ids(row, names)
    there = entries.find(conn, moved["id"])
    if there is not None and different(there, moved):
        names[old] = _free_id(conn, moved, _NONE)
        moved = with_ids(row, names)
        there = entries.find(conn, moved["id"])
    if there is not None:
        base = queries.published_line(conn, moved["id"])
        moved = merge_rows(None, there, moved)
    elif base is not None:
        _, base = _with_ids(base, names)
    queries.put_row(conn, moved, from_file=is_shared)
    leases.move(conn, old, moved["id"])
    queries.delete_row(conn, old)
    gone = entries.detail(row, {})
    gone.pop("gate", None)  # it waits on, under its other id
    queries.append_journal(conn, old, "removed", detail=gone, base=None, at=at)
    came = entries.detail(there or {}, moved)
    queries.append_journal(conn, moved["id"], "adopted", detail=came, base=base, at=at)
