"""From the issues' journal to facts: how its outbox reads to everybody else."""

import sqlite3

from actors import facts
from actors.bus import Outbox
from actors.facts import Fact
from actors.issues.writing.entries import PRIVATE
from storage.issues.queries import JournalEntry, read_journal


def fact_of(entry: JournalEntry) -> Fact:
    """The fact that one journal entry states. Pure."""
    return Fact(
        type=_type(entry),
        workflow_id=None,
        issue_id=entry.issue_id,
        at=entry.at,
        data={**_public(entry), "change": entry.kind},
    )


def _public(entry: JournalEntry) -> dict[str, object]:
    return {name: value for name, value in entry.detail.items() if name not in PRIVATE}


def _type(entry: JournalEntry) -> str:
    if entry.kind == "created":
        return facts.ISSUE_CREATED
    closed = entry.detail["status"] == "closed"
    if closed and entry.detail["status_before"] != "closed":
        return facts.ISSUE_CLOSED
    return facts.ISSUE_UPDATED


def issue_outbox(reader: sqlite3.Connection) -> Outbox:
    """The issues' journal, read as an outbox."""

    def read(after: int, limit: int) -> tuple[int, list[Fact]]:
        entries = read_journal(reader, after, limit)
        return (entries[-1].seq if entries else after), [fact_of(entry) for entry in entries]

    return Outbox(source="beads", read=read)
