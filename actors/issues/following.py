"""How issues follow what happens to their workflows. Run by the writer, inside its transaction.

An event is applied exactly once: the feed's cursor moves in the transaction that changes the row.
What several events of one command say of an issue is one change of it: one row, one entry of the
journal. Rows are read and written with a fixed number of statements, however many they are.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from actors.errors import Conflict, NotFound, ValidationError
from actors.issues import issue
from actors.issues.messages import Applied, ApplyChange, ApplyChanges, IssueId, SetStatus
from actors.issues.writing import entries
from actors.writer import Handler
from storage.issues import bulk, jsonl, provenance, queries
from storage.issues.bulk import Edit, Line
from storage.issues.jsonl import Row

_Refusal = NotFound | Conflict | ValidationError


def apply_change(conn: sqlite3.Connection, command: ApplyChange) -> Applied:
    issue_id = IssueId(command.issue_id)
    before = queries.last_seq_of(conn, issue_id)
    for _, refusal in _follow(conn, (command,)):
        raise refusal
    seq = queries.last_seq_of(conn, issue_id)
    return Applied(issue_id=issue_id, seq=seq, applied=seq != before)


def apply_changes(conn: sqlite3.Connection, command: ApplyChanges) -> tuple[str, ...]:
    return tuple(f"{issue_id}: {why}" for issue_id, why in _follow(conn, command.changes))


@dataclass(slots=True)
class _Followed:
    """One issue, and what it becomes.

    Args:
        line: what is there; None where there is no such issue.
        moved: whether its status is no longer what somebody may have made it.
        at: when it became what it becomes.
    """

    line: Line | None
    before: Row = field(default_factory=dict)
    after: Row = field(default_factory=dict)
    changes: list[ApplyChange] = field(default_factory=list)
    moved: bool = False
    at: str = ""

    def __post_init__(self) -> None:
        if self.line is not None:
            self.before = self.after = jsonl.parse_written(self.line.text)


def _follow(
    conn: sqlite3.Connection, changes: Sequence[ApplyChange]
) -> Iterator[tuple[str, _Refusal]]:
    """Make what is new of these changes; gives why some were refused, each by itself."""
    lines = bulk.lines_of(conn, list({change.issue_id for change in changes}))
    followed = {change.issue_id: _Followed(lines.get(change.issue_id)) for change in changes}
    consumers = {change.source.consumer for change in changes if change.source is not None}
    positions = {consumer: queries.cursor(conn, consumer) for consumer in consumers}
    for change in changes:
        source = change.source
        if source is not None and source.seq <= positions[source.consumer]:
            continue
        try:
            _apply(conn, followed[change.issue_id], change)
        except (NotFound, Conflict, ValidationError) as refusal:
            yield change.issue_id, refusal
            continue
        if source is not None:
            positions[source.consumer] = source.seq
    yield from _store(conn, followed)
    for consumer, position in positions.items():
        if position:
            queries.advance_cursor(conn, consumer, position)


def _apply(conn: sqlite3.Connection, found: _Followed, command: ApplyChange) -> None:
    issue_id = command.issue_id
    if found.line is None:
        raise NotFound(f"there is no issue {issue_id}")
    before = after = found.after
    if command.key and issue.work_of(before).get("workflow_id") != command.key:
        raise Conflict(f"issue {issue_id} is not that of workflow {command.key}")
    for change in command.changes:
        if not isinstance(change, SetStatus) or _may_move(conn, found, after, change, command):
            after = issue.apply(after, change, command.at)
    if after is not before:
        found.after, found.at = after, command.at
        found.moved |= after.get("status") != before.get("status")
        found.changes.append(command)


def _may_move(
    conn: sqlite3.Connection,
    found: _Followed,
    row: Row,
    change: SetStatus,
    command: ApplyChange,
) -> bool:
    """Whether what follows from a workflow may move its issue: nothing opens what somebody closed.

    Only an answer to that close takes it back, and it does nothing else.
    """
    if row.get("status") != "closed":
        return not command.takes_back
    if change.status == "closed":
        return True
    last = None if found.moved else provenance.last_stroke(conn, command.issue_id)
    by_hand = last is not None and not last.automatic
    return by_hand is command.takes_back


def _store(
    conn: sqlite3.Connection, followed: Mapping[str, _Followed]
) -> Iterator[tuple[str, _Refusal]]:
    edits = []
    for issue_id, found in followed.items():
        try:
            edit = _edit(found)
        except UnicodeEncodeError:
            yield from _one_by_one(conn, issue_id, found.changes)
        else:
            if edit is not None:
                edits.append(edit)
    bulk.edit(conn, edits)


def _edit(found: _Followed) -> Edit | None:
    """What is written of an issue; None when nothing differs from what is there."""
    if found.line is None or found.after is found.before:
        return None
    line = jsonl.encode_text(found.after)
    if line == found.line.text:
        return None
    line.encode()
    return Edit(
        row=found.after,
        line=line,
        detail=entries.detail(found.before, found.after) | {"automatic": True},
        base=None if found.line.local else found.line.text,
        at=found.at,
    )


def _one_by_one(
    conn: sqlite3.Connection, issue_id: str, changes: Sequence[ApplyChange]
) -> Iterator[tuple[str, _Refusal]]:
    """One of several changes cannot be written: the others are made without it."""
    if len(changes) == 1:
        yield issue_id, entries.no_unicode(issue_id)
        return
    for change in changes:
        yield from _follow(conn, (replace(change, source=None),))


HANDLERS: Final[Mapping[type, Handler]] = {
    ApplyChange: apply_change,
    ApplyChanges: apply_changes,
}
