"""How events get into a history, and what follows from them for the instances around it.

Inside the writer's transaction. A status, a parent that waits and the children of a closed workflow
change in the same transaction as the event that says so, so that no crash comes in between.
"""

import sqlite3
from collections.abc import Sequence

from actors.workflows import segments
from actors.workflows.history import CLOSED, STATUS_AFTER, Kind, NewEvent, Status
from storage import payload
from storage.workflows import queries

ABANDON = "abandon"
"""The policy of a child that goes on alone: nothing that its parent is asked for reaches it."""


def insert_events(
    connection: sqlite3.Connection, workflow_id: str, events: Sequence[NewEvent], *, first: int
) -> tuple[str, ...]:
    """Number and store events; answers the workflows that have to be run or told because of it."""
    queries.insert_events(
        connection,
        workflow_id,
        [
            (first + index, str(e.kind), e.op, e.name, e.payload, e.at)
            for index, e in enumerate(events)
        ],
    )
    woken: tuple[str, ...] = ()
    for event in events:
        status = STATUS_AFTER.get(event.kind)
        if status is not None:
            woken += set_status(connection, workflow_id, status, event.at)
            if status in CLOSED and first > segments.EVENTS:
                queries.delete_segments(connection, workflow_id)
    return woken


def add_event(
    connection: sqlite3.Connection,
    workflow_id: str,
    event: NewEvent,
    *,
    status: Status | None = None,
) -> tuple[str, ...]:
    """Store one outer event behind all there are; `status` where it is not the usual one."""
    first = queries.last_seq(connection, workflow_id) + 1
    woken = insert_events(connection, workflow_id, [event], first=first)
    if status is not None:
        queries.set_status(connection, workflow_id, status, event.at)
    return woken


def set_status(
    connection: sqlite3.Connection, workflow_id: str, status: Status, at: str
) -> tuple[str, ...]:
    queries.set_status(connection, workflow_id, status, at)
    if status not in CLOSED:
        return ()
    ties = queries.ties(connection, workflow_id)
    if ties.tasks or ties.heartbeats:
        queries.delete_waits(connection, workflow_id)
    woken: tuple[str, ...] = ()
    if ties.parent_id is not None:
        queries.unpark(connection, ties.parent_id)
        woken = (ties.parent_id,)
    if ties.children:
        woken += _close_children(connection, workflow_id, at)
    return woken


def _close_children(connection: sqlite3.Connection, workflow_id: str, at: str) -> tuple[str, ...]:
    """What the policy of each says; a child's own children follow by the same rule."""
    woken: tuple[str, ...] = ()
    for child, _, policy in queries.live_children(connection, workflow_id):
        match policy:
            case "terminate":
                woken += (
                    child,
                    *terminate(connection, child, f"its parent {workflow_id} closed", at),
                )
            case "cancel":
                woken += request_cancel(connection, child, f"its parent {workflow_id} closed", at)
            case _:  # abandoned
                pass
    return woken


def terminate(
    connection: sqlite3.Connection, workflow_id: str, reason: str, at: str
) -> tuple[str, ...]:
    return _end(connection, workflow_id, Kind.WORKFLOW_TERMINATED, reason, at)


def request_cancel(
    connection: sqlite3.Connection, workflow_id: str, reason: str, at: str
) -> tuple[str, ...]:
    """Ask one that runs its code to end; end one that does not."""
    row = queries.instance(connection, workflow_id)
    if row is None or row.status in CLOSED:
        return ()
    woken: tuple[str, ...] = (workflow_id,)
    if row.status not in (Status.RUNNING, Status.PAUSED) or _never_ran(connection, workflow_id):
        return woken + _end(connection, workflow_id, Kind.WORKFLOW_CANCELLED, reason, at)
    resumes = {"resumes": True} if row.status == Status.PAUSED else {}
    body = payload.encode({"reason": payload.short_text(reason), **resumes})
    event = NewEvent(kind=Kind.WORKFLOW_CANCEL_REQUESTED, name=row.name, payload=body, at=at)
    add_event(connection, workflow_id, event, status=Status.RUNNING)
    for child, _, policy in queries.live_children(connection, workflow_id):
        if policy != ABANDON:
            woken += request_cancel(connection, child, reason, at)
    return woken


def _never_ran(connection: sqlite3.Connection, workflow_id: str) -> bool:
    """Whether it was paused before it had its agent."""
    row = queries.instance(connection, workflow_id)
    return row is not None and row.status == Status.PAUSED and awaits_agent(connection, workflow_id)


def awaits_agent(connection: sqlite3.Connection, workflow_id: str) -> bool:
    """Whether its history says that it was queued, and not that it was activated since.

    It may be queued when it starts, and whenever it is retried.
    """
    retried = queries.last_of_kind(connection, workflow_id, Kind.WORKFLOW_RETRIED)
    first = queries.first_payload(connection, workflow_id) if retried is None else retried[1]
    if first is None or not payload.decode(first)["queued"]:
        return False
    after = queries.last_seq_of_kind(connection, workflow_id, Kind.WORKFLOW_RETRIED)
    return not queries.has_event(connection, workflow_id, Kind.WORKFLOW_ACTIVATED, after)


def relatives(connection: sqlite3.Connection, workflow_id: str) -> tuple[str, ...]:
    """A workflow, its parent, and all below it: whom its events may concern.

    For a command that comes a second time. The answer to the first was lost, and with it who has to
    be run or told; nobody would find that out before the next start.
    """
    row = queries.instance(connection, workflow_id)
    parent = () if row is None or row.parent_id is None else (row.parent_id,)
    return (*parent, *_family(connection, workflow_id))


def _family(connection: sqlite3.Connection, workflow_id: str) -> tuple[str, ...]:
    family: tuple[str, ...] = (workflow_id,)
    for child in queries.children(connection, workflow_id):
        family += _family(connection, child)
    return family


def _end(
    connection: sqlite3.Connection, workflow_id: str, kind: Kind, reason: str, at: str
) -> tuple[str, ...]:
    row = queries.instance(connection, workflow_id)
    name = "" if row is None else row.name
    body = payload.encode({"reason": payload.short_text(reason)})
    return add_event(connection, workflow_id, NewEvent(kind=kind, name=name, payload=body, at=at))
