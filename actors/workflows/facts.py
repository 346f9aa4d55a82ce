"""From the engine's history to facts: how its outbox reads to everybody else. Pure."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from actors import facts
from actors.bus import Outbox
from actors.facts import Fact, Result
from actors.workflows.history import Kind
from storage import payload
from storage.workflows.queries import OUTBOX, history_row
from storage.workflows.records import HistoryRow

SUMMARY_CHARACTERS = 400


def facts_of(row: HistoryRow) -> list[Fact]:
    """The facts that one event of a history states; side effects are nobody else's business."""
    body = payload.decode(row.payload) or {}
    match Kind(row.kind):
        case Kind.WORKFLOW_STARTED:
            return _started(row, body)
        case Kind.WORKFLOW_ACTIVATED:
            return _activated(row, body)
        case Kind.ACTIVITY_SCHEDULED:
            data = {"step": row.op, "activity": row.name, "agent_type": body["agent_type"]}
            return [_fact(row, facts.STEP_SCHEDULED, data)]
        case Kind.ACTIVITY_COMPLETED:
            return [_step_completed(row, body)]
        case Kind.ACTIVITY_FAILED:
            return [_fact(row, facts.STEP_FAILED, {**_step(row, body), **_error(body)})]
        case Kind.SIDE_EFFECT_RECORDED:
            return []
        case Kind.WORKFLOW_STALLED:
            return [_fact(row, facts.WORKFLOW_STALLED, _error(body))]
        case Kind.WORKFLOW_COMPLETED:
            return [_completed(row, body)]
        case Kind.WORKFLOW_FAILED:
            return [_fact(row, facts.WORKFLOW_FAILED, {"type": row.name, **_error(body)})]
        case Kind.WORKFLOW_DEAD_LETTERED:  # pragma: no branch - there are no more kinds
            return [_fact(row, facts.WORKFLOW_DEAD_LETTERED, _error(body))]


def _fact(
    row: HistoryRow, kind: str, data: Mapping[str, Any], result: Result | None = None
) -> Fact:
    return Fact(type=kind, workflow_id=row.workflow_id, at=row.at, data=data, result=result)


def _started(row: HistoryRow, body: Mapping[str, Any]) -> list[Fact]:
    kind = facts.WORKFLOW_QUEUED if body["queued"] else facts.WORKFLOW_STARTED
    started = _fact(row, kind, {"type": row.name, "version": body["version"]})
    if body["agent_id"] is None:
        return [started]
    data = {"agent_id": body["agent_id"], "agent_type": body["agent_type"]}
    return [started, _fact(row, facts.AGENT_ASSIGNED, data)]


def _activated(row: HistoryRow, body: Mapping[str, Any]) -> list[Fact]:
    if "agent_id" not in body:
        return [_fact(row, facts.WORKFLOW_RESUMED, {})]
    return [
        _fact(row, facts.WORKFLOW_STARTED, {"type": row.name}),
        _fact(row, facts.AGENT_ASSIGNED, {"agent_id": body["agent_id"]}),
    ]


def _step(row: HistoryRow, body: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        name: body[name]
        for name in ("agent_id", "agent_type", "attempts", "seconds")
        if name in body
    }
    return {"step": row.op, "activity": row.name, **known}


def _error(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": body["code"], "message": body["message"]}


def _step_completed(row: HistoryRow, body: Mapping[str, Any]) -> Fact:
    value = body["result"]
    result = Result(
        step=row.op,
        result_type=row.name,
        agent_type=body.get("agent_type"),
        agent_id=body.get("agent_id"),
        value=value,
        confidence_score=_confidence(value),
    )
    return _fact(row, facts.STEP_COMPLETED, _step(row, body), result)


def _completed(row: HistoryRow, body: Mapping[str, Any]) -> Fact:
    value = body["result"]
    result = Result(
        step="output",
        result_type="output",
        agent_type=None,
        agent_id=None,
        value=value,
        confidence_score=_confidence(value),
    )
    data = {"type": row.name, "summary": _summary(value)}
    if "agent_id" in body:
        data["agent_id"] = body["agent_id"]
    return _fact(row, facts.WORKFLOW_COMPLETED, data, result)


def _confidence(value: Any) -> float | None:
    found = value.get("confidence") if isinstance(value, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if 0 <= found <= 1 else None


def _summary(value: Any) -> str:
    """What the workflow itself calls its summary, or its output if that is a short text."""
    text = value.get("summary") if isinstance(value, dict) else value
    return text.strip()[:SUMMARY_CHARACTERS] if isinstance(text, str) else ""


def workflow_outbox(reader: sqlite3.Connection) -> Outbox:
    """The engine's history, read as an outbox."""

    def read(after: int, limit: int) -> tuple[int, list[Fact]]:
        rows = [history_row(row) for row in reader.execute(OUTBOX, (after, limit))]
        position = rows[-1].position if rows else after
        return position, [fact for row in rows for fact in facts_of(row)]

    return Outbox(source="tempolite", read=read)
