"""What a workflow's actor begins with: its row, and the events of its present run."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from actors.workflows.document import event_of
from actors.workflows.history import HistoryEvent, Kind
from storage import payload
from storage.workflows import queries
from storage.workflows.records import InstanceRow

INLINE_EVENTS = 100
"""Histories up to this length are read on the trio thread: about 0.3 ms, less than a hop costs."""

Loaded = tuple[InstanceRow, list[HistoryEvent]]
"""A row and the events of its present run, as they were read."""


def load_short(reader: sqlite3.Connection, row: InstanceRow) -> Loaded | None:
    """An instance with the events of its present run; None when those are many."""
    parameters = (row.workflow_id, row.run_seq, INLINE_EVENTS)
    rows = reader.execute(queries.RUN_BEGIN, parameters).fetchall()
    return None if len(rows) == INLINE_EVENTS else (row, [event_of(found) for found in rows])


def origin_of(events: Sequence[HistoryEvent]) -> dict[str, Any]:
    """What does not change from run to run: the issue, the agent, the parent."""
    first = payload.decode(events[0].payload)
    origin = {
        "issue_id": first["issue_id"],
        "agent_type": first.get("agent_type"),
        "agent_id": first.get("agent_id"),
        "generation": first.get("generation", 0),
    }
    for event in events:
        if event.kind is Kind.WORKFLOW_ACTIVATED:
            body = payload.decode(event.payload) or {}
            origin["agent_id"] = body.get("agent_id") or origin["agent_id"]
    return origin


def cancel_reason_of(events: Sequence[HistoryEvent]) -> str | None:
    """Why it is to end, where that was asked for in this run or carried over into it."""
    for event in events:
        if event.kind is Kind.WORKFLOW_CANCEL_REQUESTED:
            return str(payload.decode(event.payload)["reason"])
    carried = payload.decode(events[0].payload).get("cancel_reason")
    return None if carried is None else str(carried)
