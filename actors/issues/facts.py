"""From the issues' journal to facts: how its outbox reads to everybody else."""

import sqlite3
from collections.abc import Mapping
from typing import Any

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


def facts_of(entry: JournalEntry) -> list[Fact]:
    """The facts that one journal entry states: what became of the issue, and of a gate. Pure."""
    gate = entry.detail.get("gate")
    return [fact_of(entry), *([_of_gate(entry, gate)] if isinstance(gate, dict) else [])]


def _of_gate(entry: JournalEntry, gate: Mapping[str, Any]) -> Fact:
    answer = gate.get("answer")
    names = ("title", "step", "expires_at")
    data: dict[str, Any] = {name: gate[name] for name in names if name in gate}
    kind = facts.GATE_OPENED
    if answer and answer.get("withdrawn"):
        kind, data["why"] = facts.GATE_WITHDRAWN, answer.get("why", "")
    elif answer:
        kind = facts.GATE_ANSWERED
        data |= {"approved": answer["approved"]}
        data |= {name: answer.get(name, "") for name in ("by", "why")}
        data |= {"timed_out": True} if answer.get("timed_out") else {}
    workflow_id = gate.get("workflow_id")
    return Fact(type=kind, workflow_id=workflow_id, issue_id=entry.issue_id, at=entry.at, data=data)


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
        told = [fact for entry in entries for fact in facts_of(entry)]
        return (entries[-1].seq if entries else after), told

    return Outbox(source="beads", read=read)
