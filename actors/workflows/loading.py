"""What a workflow's actor begins with: its row, and the events of its present run."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from actors.workflows.document import event_of
from actors.workflows.history import OUTER, HistoryEvent, Kind
from actors.workflows.replay import Replay
from actors.workflows.voiding import in_force, taken
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
        replay = Replay.of(row.workflow_id, in_force(events))
        replay.taken = taken(events)
        return cls(
            row=row,
            origin=origin_in(events),
            replay=replay,
            last_seq=events[-1].seq,
            own_seq=max(event.seq for event in events if event.kind not in OUTER),
            count=len(events),
            cancel_reason=_cancel_reason_of(events),
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


def origin_in(events: Sequence[HistoryEvent]) -> dict[str, Any]:
    """The same of the events of a run: the agent is the one that it was given last."""
    origin = origin_of(payload.decode(events[0].payload))
    for event in events:
        if event.kind is Kind.WORKFLOW_ACTIVATED:
            body = payload.decode(event.payload) or {}
            origin["agent_id"] = body.get("agent_id") or origin["agent_id"]
    return origin


def _cancel_reason_of(events: Sequence[HistoryEvent]) -> str | None:
    """Of the first request since the run began, or since the last retry, which revokes them."""
    carried = payload.decode(events[0].payload).get("cancel_reason")
    asked: str | None = None
    for event in events:
        if event.kind is Kind.WORKFLOW_RETRIED:
            asked = carried = None
        elif event.kind is Kind.WORKFLOW_CANCEL_REQUESTED and asked is None:
            asked = str(payload.decode(event.payload)["reason"])
    return asked if asked is not None or carried is None else str(carried)
