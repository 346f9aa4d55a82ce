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
    """The facts that one event of a history states; some are nobody else's business."""
    return [] if row.kind in _SILENT else _facts(row, payload.decode(row.payload) or {})


def _facts(row: HistoryRow, body: Mapping[str, Any]) -> list[Fact]:
    if row.kind == _COMMONEST:
        return [_step_completed(row, body)]
    kind = Kind(row.kind)
    match kind:
        case Kind.WORKFLOW_STARTED:
            return _started(row, body)
        case Kind.WORKFLOW_ACTIVATED:
            return _activated(row, body)
        case Kind.WORKFLOW_RECOVERED:
            return [_fact(row, facts.WORKFLOW_RESUMED, {})]
        case Kind.WORKFLOW_COMPLETED | Kind.WORKFLOW_COMPLETED_BY_HAND:
            return [_completed(row, body)]
        case Kind.WORKFLOW_RETRIED:
            data = {name: body[name] for name in _OF_RETRY if name in body}
            return [_fact(row, facts.WORKFLOW_RETRIED, data)]
        case Kind.WORKFLOW_FAILED:
            return [_fact(row, facts.WORKFLOW_FAILED, {"type": row.name, **_error(body)})]
        case Kind.WORKFLOW_CANCELLED | Kind.WORKFLOW_TERMINATED:
            return [_fact(row, str(kind), {"type": row.name, "reason": body["reason"]})]
        case Kind.WORKFLOW_STALLED | Kind.WORKFLOW_DEAD_LETTERED:
            return [_fact(row, str(kind), _error(body))]
        case Kind.WORKFLOW_SIGNALED:
            return [_fact(row, facts.WORKFLOW_SIGNALED, {"name": row.name, **body})]
        case Kind.WORKFLOW_CONTINUED_AS_NEW:
            data = {"run": body["run"], "version": body["version"]}
            return [_fact(row, facts.WORKFLOW_CONTINUED_AS_NEW, data)]
        case Kind.WORKFLOW_PAUSED | Kind.WORKFLOW_RESUMED | Kind.WORKFLOW_CANCEL_REQUESTED:
            return [_fact(row, str(kind), body)]
        case _:
            return _of_operation(row, kind, body)


_OF_RETRY = ("author", "queued", "from", "run")
_COMMONEST = Kind.ACTIVITY_COMPLETED
_SILENT = frozenset({Kind.SIDE_EFFECT_RECORDED, Kind.BRANCH_CHOSEN, Kind.VERSION_MARKED})


def _of_operation(row: HistoryRow, kind: Kind, body: Mapping[str, Any]) -> list[Fact]:
    match kind:
        case Kind.ACTIVITY_SCHEDULED:
            data = {"step": row.op, "activity": row.name, "agent_type": body["agent_type"]}
            return [_fact(row, facts.STEP_SCHEDULED, data)]
        case Kind.ACTIVITY_STARTED:
            data = {"step": row.op, "activity": row.name, "attempt": body["attempt"]}
            return [_fact(row, facts.STEP_STARTED, data)]
        case Kind.ACTIVITY_RETRIED:
            data = {"attempt": body["attempt"], "next_at": body["next_at"], **_error(body)}
            return [_fact(row, facts.STEP_RETRIED, {**_step(row, {}), **data})]
        case Kind.ACTIVITY_COMPLETED | Kind.TRANSACTION_COMPLETED:
            return [_step_completed(row, body)]
        case Kind.ACTIVITY_FAILED | Kind.TRANSACTION_FAILED:
            return [_fact(row, facts.STEP_FAILED, {**_step(row, body), **_error(body)})]
        case Kind.OPERATION_CANCELLED:
            data = {"step": row.op, "operation": body["what"], "reason": body["reason"]}
            return [_fact(row, facts.STEP_CANCELLED, data)]
        case Kind.TIMER_STARTED:
            return [_fact(row, facts.TIMER_STARTED, {"step": row.op, "fire_at": body["fire_at"]})]
        case Kind.TIMER_FIRED:
            return [_fact(row, facts.TIMER_FIRED, {"step": row.op})]
        case Kind.SIGNAL_CONSUMED:
            return [_fact(row, facts.SIGNAL_CONSUMED, {"step": row.op, "name": row.name})]
        case Kind.GATE_REQUESTED:
            return [_fact(row, facts.GATE_REQUESTED, {"step": row.op, **body})]
        case Kind.CHILD_STARTED | Kind.CHILD_COMPLETED | Kind.CHILD_FAILED:
            data = {"step": row.op, "type": row.name, "child_id": body["workflow_id"]}
            failure = _error(body) if kind is Kind.CHILD_FAILED else {}
            return [_fact(row, str(kind), {**data, **failure})]
        case _:
            assert kind is Kind.COMPENSATION_STARTED, kind  # noqa: S101 - there are no more kinds
            data = {"step": row.op, "reason": body["reason"], "undos": body["undos"]}
            return [_fact(row, facts.COMPENSATION_STARTED, data)]


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
        _fact(row, facts.WORKFLOW_STARTED, {"type": row.name, **_paused(body)}),
        _fact(row, facts.AGENT_ASSIGNED, {"agent_id": body["agent_id"]}),
    ]


def _paused(body: Mapping[str, Any]) -> dict[str, bool]:
    """{"paused": True} where it has its agent and still does not run."""
    return {"paused": True} if body.get("paused") else {}


def _step(row: HistoryRow, body: Mapping[str, Any]) -> dict[str, Any]:
    step = {"step": row.op, "activity": row.name}
    for name in _OF_STEP:
        if name in body:
            step[name] = body[name]
    return step


_OF_STEP = ("agent_id", "agent_type", "attempts", "seconds")


def _error(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": body["code"], "message": body["message"]}


def _step_completed(row: HistoryRow, body: Mapping[str, Any]) -> Fact:
    result = Result(
        step=row.op,
        result_type=row.name,
        agent_type=body.get("agent_type"),
        agent_id=body.get("agent_id"),
        value=_stored_result(row.payload, body),
        confidence_score=_confidence(body["result"]),
    )
    return _fact(row, facts.STEP_COMPLETED, _step(row, body), result)


def _completed(row: HistoryRow, body: Mapping[str, Any]) -> Fact:
    value = body["result"]
    result = Result(
        step="output",
        result_type="output",
        agent_type=None,
        agent_id=None,
        value=_stored_result(row.payload, body),
        confidence_score=_confidence(value),
    )
    data = {"type": row.name, "summary": _summary(value)}
    for name in ("agent_id", "author", "reason"):
        if name in body:
            data[name] = body[name]
    return _fact(row, facts.WORKFLOW_COMPLETED, data, result)


def _stored_result(text: str, body: Mapping[str, Any]) -> str:
    """The stored form of body["result"]: mostly a part of the text that the body came from.

    Keys are stored in their order. So when the result is the last of at most two, and the first is
    stored as it would be now, it is what lies between them and the end. Encoding it again takes
    five times as long, and more for a long one.
    """
    match len(body):
        case 1:
            before = '[1,{"result":'
        case 2 if "attempts" in body:
            before = f'[1,{{"attempts":{body["attempts"]},"result":'
        case _:
            return payload.encode(body["result"])
    if text.startswith(before) and text.endswith("}]"):
        return f"[1,{text[len(before) : -2]}]"
    return payload.encode(body["result"])


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
        rows = [history_row(row) for row in reader.execute(OUTBOX, (after, limit)).fetchall()]
        position = rows[-1].position if rows else after
        said = [row for row in rows if row.kind not in _SILENT]
        bodies = payload.decode_all([row.payload for row in said])
        stretch = zip(said, bodies, strict=True)
        return position, [fact for row, body in stretch for fact in _facts(row, body or {})]

    return Outbox(source="tempolite", read=read)
