"""Retries: an operator has a workflow go on that has failed, was set aside, or is stalled.

Inside the writer's transaction: the event that says what no longer counts, the status, the signals
that wait again and the children that go on, too, are there together or not at all. What a retry of
a failed workflow voids is decided in `voiding`; here is what that means for the rows.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from actors.errors import Conflict
from actors.workflows.document import event_of
from actors.workflows.events import ABANDON, add_event, relatives
from actors.workflows.history import CLOSED, HistoryEvent, Kind, NewEvent, Status
from actors.workflows.loading import origin_in
from actors.workflows.messages import GATE_SIGNAL, RetryInstance
from actors.workflows.requests import closed, existing
from actors.workflows.voiding import TOLD, Voided, in_force, voided
from actors.writer import Handler
from storage import payload
from storage.workflows import queries
from storage.workflows.records import InstanceRow

_TOLD = json.dumps(TOLD)


def retry_instance(connection: sqlite3.Connection, command: RetryInstance) -> tuple[str, ...]:
    row = existing(connection, command.workflow_id)
    last = queries.last_of_kind(connection, row.workflow_id, Kind.WORKFLOW_RETRIED)
    if last is not None and _is_same(command, last):
        return relatives(connection, row.workflow_id)
    match row.status:
        case Status.COMPLETED | Status.CANCELLED | Status.TERMINATED:
            raise closed(row)
        case Status.FAILED:
            _refuse_child(connection, row)
            return _retry_failed(connection, row, command)
        case Status.STALLED | Status.DEAD_LETTER:
            return _try_again(connection, row, command)
        case _ if last is not None:
            return relatives(connection, row.workflow_id)
    shown = "active" if row.status == Status.RUNNING else row.status
    raise Conflict(
        f"workflow {row.workflow_id} is {shown}: there is nothing to retry",
        code="not_retryable",
        hint="only what has failed, is stalled or was set aside is retried",
    )


def _is_same(command: RetryInstance, last: tuple[str, str]) -> bool:
    """Whether the last retry is this very one, which came twice."""
    at, text = last
    return at == command.at and payload.decode(text)["author"] == command.author


def _refuse_child(connection: sqlite3.Connection, row: InstanceRow) -> None:
    """A child's end is recorded with its parent, whose retry reaches the child, too."""
    if row.parent_id is None:
        return
    parent = queries.status(connection, row.parent_id)
    if row.on_parent_close == ABANDON and parent in CLOSED:
        recorded = queries.outcome_of_child(connection, row.parent_id, row.parent_op or "")
        if recorded is None:
            return
    raise Conflict(
        f"workflow {row.workflow_id} is a child, and has failed",
        code="not_retryable",
        hint=f"its parent {row.parent_id} has heard of that: when it has failed, retry the parent",
    )


def _retry_failed(
    connection: sqlite3.Connection, row: InstanceRow, command: RetryInstance
) -> tuple[str, ...]:
    events = _events_of_run(connection, row)
    children = queries.children_with_status(connection, row.workflow_id)
    found = voided(events, children)
    body: dict[str, Any] = found.body if not found.undone else {"from": row.run_seq}
    _deliver_again(connection, row.workflow_id, events, found)
    woken = _record(connection, row, command, events, body, anew=found.undone)
    if found.undone:
        return woken
    for child_id in _going_on(events, found):
        if children[child_id] == Status.FAILED:
            child = existing(connection, child_id)
            woken += _retry_failed(connection, child, command)
    return woken


def _try_again(
    connection: sqlite3.Connection, row: InstanceRow, command: RetryInstance
) -> tuple[str, ...]:
    """All that is recorded still counts."""
    events = _events_of_run(connection, row)
    body = {"from": queries.last_seq(connection, row.workflow_id)}
    return _record(connection, row, command, events, body)


def _events_of_run(connection: sqlite3.Connection, row: InstanceRow) -> list[HistoryEvent]:
    asked = {"id": row.workflow_id, "first": row.run_seq, "told": _TOLD}
    found = connection.execute(queries.SKELETON, asked)
    events = [event_of(event) for event in found]
    if not events or events[0].seq != row.run_seq:
        raise Conflict(
            f"the history of workflow {row.workflow_id} is being archived",
            code="not_retryable",
            hint="start a new one",
        )
    if _never_began(events[-1]):
        raise Conflict(
            f"workflow {row.workflow_id} was never begun: it could not be started",
            code="not_retryable",
            hint="start a new one",
        )
    return events


def _never_began(end: HistoryEvent) -> bool:
    """Whether it was closed because another issue has its issue's id."""
    if end.kind is not Kind.WORKFLOW_FAILED:
        return False
    body = payload.decode(end.payload)
    return end.seq == 2 and body["code"] == "start_failed" and "failed" not in body  # noqa: PLR2004 - its second event


def _record(
    connection: sqlite3.Connection,
    row: InstanceRow,
    command: RetryInstance,
    events: Sequence[HistoryEvent],
    body: dict[str, Any],
    *,
    anew: bool = False,
) -> tuple[str, ...]:
    """Store the event, and have the workflow run, or wait for an agent."""
    origin = origin_in(events)
    ended = row.status != Status.STALLED  # one that is stalled still has its agent
    queued = ended and origin["agent_type"] is not None and row.parent_id is None
    said = {"author": command.author, "queued": queued, **body}
    if anew:
        said |= {**origin, "version": row.version, "run": row.run + 1}
    event = NewEvent(
        kind=Kind.WORKFLOW_RETRIED, name=row.name, payload=payload.encode(said), at=command.at
    )
    status = Status.QUEUED if queued else Status.RUNNING
    add_event(connection, row.workflow_id, event, status=status)
    queries.note_progress(connection, row.workflow_id)
    if anew:
        queries.begin_run(
            connection,
            row.workflow_id,
            version=row.version,
            input=row.input,
            seq=queries.last_seq(connection, row.workflow_id),
        )
    return (row.workflow_id,)


def _deliver_again(
    connection: sqlite3.Connection,
    workflow_id: str,
    events: Sequence[HistoryEvent],
    found: Voided,
) -> None:
    """Let the signals wait again that were consumed where nothing counts any more."""
    for event in in_force(events):
        if event.kind is not Kind.SIGNAL_CONSUMED or event.name.startswith(GATE_SIGNAL):
            continue  # a gate is asked for anew
        if found.undone or found.covers(event.op):
            queries.restore_message(connection, workflow_id, event.op, event.seq)


def _going_on(events: Sequence[HistoryEvent], found: Voided) -> list[str]:
    """The children that the failed operations have started, and still wait for."""
    return [
        payload.decode(event.payload)["workflow_id"]
        for event in in_force(events)
        if event.kind is Kind.CHILD_STARTED and event.op in found.begun
    ]


HANDLERS: Mapping[type, Handler] = {RetryInstance: retry_instance}
