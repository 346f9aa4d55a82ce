"""Imports: lines of the published format, merged into the issues one by one.

What becomes of an issue is settled here, by the rules of the merge, and written as what a merge
with another clone made: what was changed meanwhile is merged once more in the writer's transaction.
"""

import sqlite3
from dataclasses import dataclass, field
from typing import Final

import trio

from actors.clock import Clock
from actors.errors import ValidationError
from actors.issues import gates, ids, issue
from actors.issues.import_messages import Imported, ImportIssues, LineProblem
from actors.issues.merging.collisions import different
from actors.issues.merging.merge import merge_rows
from actors.issues.publishing.meeting import settle
from actors.issues.publishing.sync_messages import AdoptMerge
from actors.issues.writing.fields import STATUSES
from actors.writer import write
from storage.issues import instants, jsonl, published, queries
from storage.issues.jsonl import Row
from supervision import Target

AT_ONCE: Final = 1000
"""Rows in one transaction."""

BREATH: Final = 50
"""Issues that are settled before others have their turn."""

_LEFT_OUT: Final = ("created_at", "created_by", "status", "priority", "issue_type")

TOLD: Final = 100
"""Problems that are told one by one; the rest are counted."""


class NotTaken(Exception):  # noqa: N818 - an outcome of one line, which nobody else sees
    """An issue cannot be taken in."""


@dataclass(slots=True)
class _Tally:
    rows: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    created: int = 0
    unchanged: int = 0
    refused: int = 0
    problems: list[LineProblem] = field(default_factory=list)

    def told(self, line: int, issue_id: str | None, why: str) -> None:
        if len(self.problems) < TOLD:
            self.problems.append(LineProblem(line=line, id=issue_id, why=why))


async def take_in(
    message: ImportIssues, conn: sqlite3.Connection, writer: Target, clock: Clock
) -> Imported:
    """Carry out an import; `conn` reads the issues.

    Cancelling it leaves some of the issues taken in, each whole.

    Raises:
        DatabaseError: as `actors.writer.write` does.
    """
    at = instants.from_datetime(clock())
    raws: dict[str, bytes] = {}

    def parse(raw: bytes) -> Row:
        row = jsonl.parse(raw)
        raws.setdefault(row["id"], raw)
        return row

    loaded = await trio.to_thread.run_sync(published.load, message.data, merge_rows, parse)
    tally = _Tally()
    for line in loaded.quarantined:
        tally.told(line.line, None, line.reason)
    for count, row in enumerate(loaded.rows.values(), start=1):
        if count % BREATH == 0:
            await trio.lowlevel.checkpoint()
        try:
            _settle(conn, row, at, tally, gates_too=message.gates)
        except NotTaken as refusal:
            tally.refused += 1
            number = message.data.count(b"\n", 0, message.data.index(raws[row["id"]])) + 1
            tally.told(number, row["id"], str(refusal))
    if not message.dry_run:
        for begin in range(0, len(tally.rows), AT_ONCE):
            part = tuple(tally.rows[begin : begin + AT_ONCE])
            await write(writer, AdoptMerge(rows=part, at=at))
    return Imported(
        dry_run=message.dry_run,
        created=tally.created,
        changed=len(tally.rows) - tally.created,
        unchanged=tally.unchanged,
        duplicates=loaded.duplicates,
        quarantined=len(loaded.quarantined),
        refused=tally.refused,
        problems=tuple(sorted(tally.problems, key=lambda each: each.line)),
    )


def _settle(conn: sqlite3.Connection, row: Row, at: str, tally: _Tally, *, gates_too: bool) -> None:
    issue_id = row["id"]
    seen = queries.get_line(conn, issue_id)
    ours = None if seen is None else jsonl.parse(seen)
    theirs = _completed(row, at) if ours is None else {**_said_of(ours), **row}
    _refuse(ours, theirs, gates_too=gates_too)
    base = queries.published_line(conn, issue_id)
    merged = settle(None if base is None else jsonl.parse(base), ours, theirs)
    made = None if merged is None else jsonl.encode_text(merged)
    if made == seen or merged is None:
        tally.unchanged += 1
        return
    _check(merged)
    tally.rows.append((issue_id, seen, made))
    tally.created += ours is None


def _refuse(ours: Row | None, theirs: Row, *, gates_too: bool) -> None:
    if ours is None and not ids.is_chosen_id(theirs["id"]):
        raise NotTaken("it has no id of an issue: a prefix, a hyphen and a name")
    if ours is not None and different(ours, theirs):
        raise NotTaken("another issue has this id here: it was created elsewhere, or by others")
    if not gates_too and any(row is not None and gates.is_gate(row) for row in (ours, theirs)):
        raise NotTaken("it is a gate: whoever answers it may write workflows")


def _check(row: Row) -> None:
    """Refuse what could not have been written here; states of other tools are left to them."""
    if issue.is_deleted(row):
        return
    try:
        issue.check(row, {*STATUSES, str(row.get("status"))})
    except ValidationError as error:
        raise NotTaken(error.message) from error


def _said_of(ours: Row) -> Row:
    """What a line may leave out of an issue that is here; without its time it is an old one."""
    return {name: ours[name] for name in _LEFT_OUT if name in ours}


def _completed(row: Row, at: str) -> Row:
    """A new issue with what its line leaves out, as a new one has it."""
    created = row.get("created_at") or at
    whole: Row = {
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        **row,
        "created_at": created,
        "updated_at": row.get("updated_at") or created,
    }
    if whole["status"] == "closed" and not whole.get("closed_at"):
        whole["closed_at"] = whole["updated_at"]
    return whole
