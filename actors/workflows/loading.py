"""What a workflow's actor begins with: its row, and the events of its present run."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from actors.workflows.document import event_of
from actors.workflows.history import OUTER, HistoryEvent, Kind
from actors.workflows.replay import Replay
from storage import payload
from storage.workflows import bulk, queries
from storage.workflows.records import InstanceRow

INLINE_EVENTS = 100
"""Histories up to this length are read on the trio thread: about 0.3 ms, less than a hop costs."""


@dataclass(slots=True, kw_only=True)
class Loaded:
    """One run of a workflow, as far as it is stored.

    Args:
        row: the instance's.
        origin: what does not change from run to run: the issue, the agent, the parent.
        replay: what is recorded of the operations of its present run.
        last_seq: the number of its last event.
        own_seq: the number of its last own event.
        count: how many events its present run has.
        cancel_reason: why it is to end, where that was asked for in this run or carried over.
        is_visited: signals may wait for it, or attempts of an earlier life have said how far they
            were.
    """

    row: InstanceRow
    origin: dict[str, Any]
    replay: Replay
    last_seq: int = 1
    own_seq: int = 1
    count: int = 1
    cancel_reason: str | None = None
    is_visited: bool = True

    @classmethod
    def of(cls, row: InstanceRow, events: Sequence[HistoryEvent]) -> Self:
        """Of a row, and the events of its present run in order."""
        first = payload.decode(events[0].payload)
        return cls(
            row=row,
            origin=_origin_of(first, events),
            replay=Replay.of(row.workflow_id, events),
            last_seq=events[-1].seq,
            own_seq=max(event.seq for event in events if event.kind not in OUTER),
            count=len(events),
            cancel_reason=_cancel_reason_of(first, events),
        )


def load_short(reader: sqlite3.Connection, row: InstanceRow) -> Loaded | None:
    """An instance with the events of its present run; None when those are many."""
    parameters = (row.workflow_id, row.run_seq, INLINE_EVENTS)
    rows = reader.execute(queries.RUN_BEGIN, parameters).fetchall()
    if len(rows) == INLINE_EVENTS:
        return None
    return Loaded.of(row, [event_of(found) for found in rows])


def load_all(reader: sqlite3.Connection, rows: Sequence[InstanceRow]) -> list[Loaded]:
    """Those of them whose present runs are short, with two statements for all."""
    begins = {row.workflow_id: row.run_seq for row in rows}
    found = bulk.runs(reader, begins, INLINE_EVENTS)
    visited = bulk.visited(reader, list(begins))
    loaded = []
    for row in rows:
        if row.workflow_id in found:
            one = Loaded.of(row, [event_of(event) for event in found[row.workflow_id]])
            one.is_visited = row.workflow_id in visited
            loaded.append(one)
    return loaded


def origin_of(facts: dict[str, Any]) -> dict[str, Any]:
    """The part of a first event's facts that is the same in every run."""
    return {
        "issue_id": facts["issue_id"],
        "agent_type": facts.get("agent_type"),
        "agent_id": facts.get("agent_id"),
        "generation": facts.get("generation", 0),
    }


def _origin_of(first: dict[str, Any], events: Sequence[HistoryEvent]) -> dict[str, Any]:
    origin = origin_of(first)
    for event in events:
        if event.kind is Kind.WORKFLOW_ACTIVATED:
            body = payload.decode(event.payload) or {}
            origin["agent_id"] = body.get("agent_id") or origin["agent_id"]
    return origin


def _cancel_reason_of(first: dict[str, Any], events: Sequence[HistoryEvent]) -> str | None:
    for event in events:
        if event.kind is Kind.WORKFLOW_CANCEL_REQUESTED:
            return str(payload.decode(event.payload)["reason"])
    carried = first.get("cancel_reason")
    return None if carried is None else str(carried)
