"""What others ask of a workflow: signals, cancel, pause, resume, terminate.

Inside the writer's transaction, so that a request is durable, and has reached every child, before
it is answered. The workflow's actor learns of it afterwards, from the rows.
"""

import sqlite3
from collections.abc import Mapping

from actors.errors import Conflict, NotFound
from actors.workflows.events import (
    ABANDON,
    add_event,
    awaits_agent,
    relatives,
    request_cancel,
    terminate,
)
from actors.workflows.history import CLOSED, Kind, NewEvent, Status
from actors.workflows.messages import (
    AddSignal,
    CompleteInstance,
    PauseInstance,
    RequestCancel,
    ResumeInstance,
    SetPriority,
    SetVariables,
    TerminateInstance,
)
from actors.writer import Handler
from storage import payload
from storage.workflows import queries
from storage.workflows.records import InstanceRow

WAITING_LIMIT = 10_000
"""Signals that may wait for one workflow (Temporal's limit for one that has not taken them)."""


def live(connection: sqlite3.Connection, workflow_id: str) -> InstanceRow:
    """Raises `NotFound`, or `Conflict` when it is closed."""
    row = existing(connection, workflow_id)
    if row.status in CLOSED:
        raise closed(row)
    return row


def closed(row: InstanceRow) -> Conflict:
    may_go_on = row.status == "failed" and row.parent_id is None
    what = "retry it first" if may_go_on else "start another one"
    return Conflict(
        f"workflow {row.workflow_id} is {row.status}",
        code="workflow_closed",
        hint=f"a closed workflow takes no requests; {what}",
    )


def existing(connection: sqlite3.Connection, workflow_id: str) -> InstanceRow:
    """Raises `NotFound`."""
    row = queries.instance(connection, workflow_id)
    if row is None:
        raise NotFound(f"no workflow {workflow_id!r}")
    return row


def is_queued(connection: sqlite3.Connection, row: InstanceRow) -> bool:
    """Whether it still waits for its agent, paused or not."""
    if row.status == Status.PAUSED:
        return awaits_agent(connection, row.workflow_id)
    return row.status == Status.QUEUED


def add_signal(connection: sqlite3.Connection, command: AddSignal) -> tuple[str, ...]:
    row = existing(connection, command.workflow_id)
    known = queries.message(connection, command.workflow_id, command.message_id)
    if known is not None:
        return _known_signal(command, known)
    live(connection, command.workflow_id)
    if command.replaces is not None:
        queries.replace_message(connection, command.workflow_id, command.name, command.replaces)
    if queries.count_messages(connection, command.workflow_id) >= WAITING_LIMIT:
        raise Conflict(
            f"{WAITING_LIMIT} signals wait for workflow {command.workflow_id} already",
            code="too_many_signals",
            hint="wait until the workflow has taken some",
        )
    message = (command.message_id, command.name, command.value, command.at)
    queries.insert_message(connection, command.workflow_id, message)
    queries.unpark(connection, command.workflow_id)
    body = payload.encode({"message_id": command.message_id})
    event = NewEvent(kind=Kind.WORKFLOW_SIGNALED, name=command.name, payload=body, at=command.at)
    add_event(connection, command.workflow_id, event)
    return (command.workflow_id,) if row.status == Status.RUNNING else ()


def _known_signal(command: AddSignal, known: tuple[str, str]) -> tuple[str, ...]:
    name, value = known
    if name != command.name or value not in ("", command.value):
        raise Conflict(
            f"workflow {command.workflow_id} has taken another signal {command.message_id!r}",
            hint="use a new message id for a new signal",
        )
    return (command.workflow_id,)


def cancel(connection: sqlite3.Connection, command: RequestCancel) -> tuple[str, ...]:
    row = existing(connection, command.workflow_id)
    if row.status == Status.CANCELLED:
        return relatives(connection, row.workflow_id)
    live(connection, command.workflow_id)
    if row.status == Status.RUNNING and _cancel_requested(connection, row):
        return relatives(connection, row.workflow_id)
    return request_cancel(connection, command.workflow_id, command.reason, command.at)


def _cancel_requested(connection: sqlite3.Connection, row: InstanceRow) -> bool:
    """A retry revokes what was asked for before it."""
    retried = queries.last_seq_of_kind(connection, row.workflow_id, Kind.WORKFLOW_RETRIED)
    kind, after = Kind.WORKFLOW_CANCEL_REQUESTED, max(row.run_seq, retried)
    return queries.has_event(connection, row.workflow_id, kind, after)


def pause(connection: sqlite3.Connection, command: PauseInstance) -> tuple[str, ...]:
    row = live(connection, command.workflow_id)
    if row.status in (Status.STALLED, Status.DEAD_LETTER):
        raise Conflict(f"workflow {row.workflow_id} is {row.status}: it does nothing to be paused")
    return _pause(connection, row, command.reason, command.at)


def _pause(
    connection: sqlite3.Connection, row: InstanceRow, reason: str, at: str
) -> tuple[str, ...]:
    woken: tuple[str, ...] = (row.workflow_id,)
    if row.status in (Status.QUEUED, Status.RUNNING):
        body = payload.encode({"reason": payload.short_text(reason)})
        event = NewEvent(kind=Kind.WORKFLOW_PAUSED, name=row.name, payload=body, at=at)
        add_event(connection, row.workflow_id, event)
    return woken + _pause_children(connection, row.workflow_id, reason, at)


def _pause_children(
    connection: sqlite3.Connection, workflow_id: str, reason: str, at: str
) -> tuple[str, ...]:
    woken: tuple[str, ...] = ()
    for child, _, policy in queries.live_children(connection, workflow_id):
        if policy != ABANDON:
            woken += _pause(connection, existing(connection, child), reason, at)
    return woken


def pause_children(connection: sqlite3.Connection, workflow_id: str, at: str) -> tuple[str, ...]:
    """Pause the children that a paused workflow has begun nevertheless."""
    return _pause_children(connection, workflow_id, f"its parent {workflow_id} is paused", at)


def resume(connection: sqlite3.Connection, command: ResumeInstance) -> tuple[str, ...]:
    row = live(connection, command.workflow_id)
    return _resume(connection, row, command.at)


def _resume(connection: sqlite3.Connection, row: InstanceRow, at: str) -> tuple[str, ...]:
    woken: tuple[str, ...] = (row.workflow_id,)
    if row.status == Status.PAUSED:
        waits = awaits_agent(connection, row.workflow_id)
        body = payload.encode({"queued": waits})
        event = NewEvent(kind=Kind.WORKFLOW_RESUMED, name=row.name, payload=body, at=at)
        status = Status.QUEUED if waits else Status.RUNNING
        add_event(connection, row.workflow_id, event, status=status)
    for child, _, policy in queries.live_children(connection, row.workflow_id):
        if policy != ABANDON:
            woken += _resume(connection, existing(connection, child), at)
    return woken


def terminate_instance(
    connection: sqlite3.Connection, command: TerminateInstance
) -> tuple[str, ...]:
    row = existing(connection, command.workflow_id)
    if row.status == Status.TERMINATED:
        return relatives(connection, row.workflow_id)
    live(connection, command.workflow_id)
    woken: tuple[str, ...] = (command.workflow_id,)
    woken += terminate(connection, command.workflow_id, command.reason, command.at)
    return woken


def complete(connection: sqlite3.Connection, command: CompleteInstance) -> tuple[str, ...]:
    row = existing(connection, command.workflow_id)
    why = {"reason": command.reason} if command.reason else {}
    body = {"author": command.author, **why, "result": payload.decode(command.output)}
    text = payload.encode(body)
    if row.status == Status.COMPLETED:
        _, kind, said = queries.last_event(connection, row.workflow_id)
        if (kind, said) == (Kind.WORKFLOW_COMPLETED_BY_HAND, text):
            return relatives(connection, row.workflow_id)
    live(connection, row.workflow_id)
    event = NewEvent(
        kind=Kind.WORKFLOW_COMPLETED_BY_HAND, name=row.name, payload=text, at=command.at
    )
    return (row.workflow_id, *add_event(connection, row.workflow_id, event))


def set_variables(connection: sqlite3.Connection, command: SetVariables) -> None:
    row = existing(connection, command.workflow_id)
    if row.input == command.variables:
        return
    if row.status in CLOSED or not is_queued(connection, row):
        raise Conflict(
            f"workflow {row.workflow_id} has begun, and has its variables",
            code="variables_fixed",
            hint="variables can be changed while a workflow waits for its agent; start a new one",
        )
    queries.set_input(connection, command.workflow_id, command.variables, command.at)


def set_priority(connection: sqlite3.Connection, command: SetPriority) -> None:
    existing(connection, command.workflow_id)
    _set_priority(connection, command.workflow_id, command.priority)


def _set_priority(connection: sqlite3.Connection, workflow_id: str, priority: int) -> None:
    queries.set_priority(connection, workflow_id, priority)
    for child, _, policy in queries.live_children(connection, workflow_id):
        if policy != ABANDON:
            _set_priority(connection, child, priority)


HANDLERS: Mapping[type, Handler] = {
    AddSignal: add_signal,
    RequestCancel: cancel,
    PauseInstance: pause,
    ResumeInstance: resume,
    TerminateInstance: terminate_instance,
    CompleteInstance: complete,
    SetPriority: set_priority,
    SetVariables: set_variables,
}
