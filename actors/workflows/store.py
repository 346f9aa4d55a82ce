"""How the engine's commands change its database. Its writer runs them inside its transaction.

Every command may come twice, because a writer that died may have committed before it could answer:
the second time finds the first by its natural key and changes nothing.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from actors.batch import StartOver
from actors.errors import Conflict
from actors.workflows import requests, retries, segments
from actors.workflows.definition import ActivityFailure
from actors.workflows.events import ABANDON, add_event, insert_events, relatives, request_cancel
from actors.workflows.history import CLOSED, ENDED_BY_OTHERS, OUTER, Kind, NewEvent, Status
from actors.workflows.loading import Loaded, origin_of
from actors.workflows.messages import (
    ActivateInstance,
    Appended,
    AppendHistory,
    BeginLife,
    CreateInstance,
    EndAttempt,
    EndLife,
    GiveUpTask,
    Life,
    NewChild,
    NewTask,
    Park,
    RecordHeartbeat,
    RunTransaction,
    SetAside,
    StartTask,
    StoreSegment,
    Transacted,
    TrySuspects,
    Unpark,
    WakeDue,
)
from actors.workflows.replay import Replay
from actors.workflows.segments import store_segment
from actors.workflows.transaction import TakenBack, transact
from actors.writer import Handler
from storage import payload
from storage.workflows import queries
from storage.workflows.records import InstanceRow, TaskRow

SUSPECT = 2
"""Bad ends in a row after which a workflow may be what kills the process, and is run apart."""


def create_instance(connection: sqlite3.Connection, command: CreateInstance) -> None:
    status = Status.QUEUED if command.queued else Status.RUNNING
    new = queries.insert_instance(
        connection,
        workflow_id=command.workflow_id,
        name=command.name,
        version=command.version,
        status=status,
        input=command.variables,
        at=command.at,
        priority=command.priority,
    )
    if new:
        facts = facts_of_start(command)
        _start(connection, command.workflow_id, command.name, facts, command.at)


def facts_of_start(command: CreateInstance) -> dict[str, Any]:
    """What the first event of a history holds."""
    return {
        "issue_id": command.issue_id,
        "version": command.version,
        "queued": command.queued,
        "agent_type": command.agent_type,
        "agent_id": command.agent_id,
    }


def as_created(command: CreateInstance) -> Loaded:
    """What would be read of an instance that was just created."""
    row = InstanceRow(
        workflow_id=command.workflow_id,
        name=command.name,
        version=command.version,
        status=Status.RUNNING,
        input=command.variables,
        recoveries=0,
    )
    origin = origin_of(facts_of_start(command))
    return Loaded(row=row, origin=origin, replay=Replay(command.workflow_id), is_visited=False)


def _start(
    connection: sqlite3.Connection,
    workflow_id: str,
    name: str,
    facts: Mapping[str, object],
    at: str,
) -> None:
    text = payload.encode(facts)
    event = NewEvent(kind=Kind.WORKFLOW_STARTED, name=name, payload=text, at=at)
    insert_events(connection, workflow_id, [event], first=1)


def activate_instance(connection: sqlite3.Connection, command: ActivateInstance) -> bool:
    """A workflow that was paused while it was queued has its agent, and stays paused."""
    row = queries.instance(connection, command.workflow_id)
    if row is None or not requests.is_queued(connection, row):
        return False
    paused = row.status == Status.PAUSED
    text = payload.encode({"agent_id": command.agent_id, **({"paused": True} if paused else {})})
    event = NewEvent(kind=Kind.WORKFLOW_ACTIVATED, name=row.name, payload=text, at=command.at)
    status = Status.PAUSED if paused else Status.RUNNING
    add_event(connection, command.workflow_id, event, status=status)
    return True


def append_history(connection: sqlite3.Connection, command: AppendHistory) -> Appended:
    later = queries.events_after(connection, command.workflow_id, command.after)
    if any(kind not in OUTER for _, kind, *_ in later):
        return _repeated(connection, command, later)
    refuse_if_ended(command.workflow_id, later)
    last = _last_seq(connection, command, later)
    woken = insert_events(connection, command.workflow_id, command.events, first=last + 1)
    if command.is_progress:
        queries.note_progress(connection, command.workflow_id)
    at = command.events[0].at
    for task in command.tasks:
        _insert_task(connection, command.workflow_id, task, at)
    for op in command.consumed:
        queries.consume_task(connection, command.workflow_id, op, at)
        queries.delete_heartbeat(connection, command.workflow_id, op)
    for op in command.cancelled:
        queries.cancel_task(connection, command.workflow_id, op, at)
        queries.delete_heartbeat(connection, command.workflow_id, op)
    for message_id, op in command.messages:
        queries.consume_message(connection, command.workflow_id, message_id, op)
    for op in command.heartbeats:
        queries.delete_heartbeat(connection, command.workflow_id, op)
    for child in command.children:
        _start_child(connection, command.workflow_id, child, at)
    if command.children and queries.status(connection, command.workflow_id) == Status.PAUSED:
        # Its actor has recorded them before it heard of the pause.
        woken += requests.pause_children(connection, command.workflow_id, at)
    for child in command.children:
        # The same for a cancellation: children that were there when it was asked for have it.
        if child.on_parent_close != ABANDON and (reason := _asked_to_end(later)) is not None:
            woken += request_cancel(connection, child.workflow_id, reason, at)
    for op in command.cancelled_children:
        for child_id in queries.children_of(connection, command.workflow_id, op):
            reason = "the operation that started it was cancelled"
            woken += request_cancel(connection, child_id, reason, at)
    last += len(command.events)
    if command.run is not None:
        queries.begin_run(
            connection,
            command.workflow_id,
            version=command.run.version,
            input=command.run.variables,
            seq=last,
        )
        if last > segments.EVENTS:
            queries.delete_segments(connection, command.workflow_id)
    started = tuple(child.workflow_id for child in command.children)
    return Appended(seq=last, woken=(*started, *woken))


def _asked_to_end(later: Sequence[tuple[int, str, str, str, str]]) -> str | None:
    """Why, where the workflow's actor has not heard yet that it is to end."""
    for _, kind, _, _, text in later:
        if kind == Kind.WORKFLOW_CANCEL_REQUESTED:
            return str(payload.decode(text)["reason"])
    return None


def _repeated(
    connection: sqlite3.Connection,
    command: AppendHistory,
    later: Sequence[tuple[int, str, str, str, str]],
) -> Appended:
    wanted = [(str(e.kind), e.op, e.name, e.payload) for e in command.events]
    own = [event for event in later if event[1] not in OUTER]
    if [event[1:] for event in own[: len(wanted)]] != wanted:
        raise Conflict(
            f"the history of {command.workflow_id} already holds other events "
            f"after {command.after}: another incarnation has gone on with it"
        )
    seq = own[len(wanted) - 1][0]
    all_of_them = relatives(connection, command.workflow_id)
    return Appended(seq=seq, woken=tuple(w for w in all_of_them if w != command.workflow_id))


def refuse_if_ended(workflow_id: str, later: Sequence[tuple[int, str, str, str, str]]) -> None:
    """Nothing follows the event by which somebody else has ended a workflow."""
    for seq, kind, *_ in later:
        if kind in ENDED_BY_OTHERS:
            raise Conflict(f"workflow {workflow_id} has ended: {kind} is its event {seq}")


def _last_seq(
    connection: sqlite3.Connection,
    command: AppendHistory | RunTransaction,
    later: Sequence[tuple[int, str, str, str, str]],
) -> int:
    """The number of the last event. A gap is never stored: the history would not replay."""
    if later:
        return later[-1][0]
    last = queries.last_seq(connection, command.workflow_id)
    if last != command.after:
        raise Conflict(
            f"the history of {command.workflow_id} ends at {last},"
            f" an event {command.after + 1} cannot follow"
        )
    return last


def _insert_task(connection: sqlite3.Connection, workflow_id: str, task: NewTask, at: str) -> None:
    values = (task.op, task.agent_type, task.activity, task.input, task.policy)
    queries.insert_task(connection, (workflow_id, *values, task.start_by, task.close_by, at))


def _start_child(connection: sqlite3.Connection, parent_id: str, child: NewChild, at: str) -> None:
    new = queries.insert_child(
        connection,
        workflow_id=child.workflow_id,
        name=child.name,
        version=child.version,
        status=Status.RUNNING,
        input=child.variables,
        at=at,
        parent=(parent_id, child.op, child.on_parent_close),
    )
    if new:
        facts = {
            "issue_id": "",
            "version": child.version,
            "queued": False,
            "agent_type": child.agent_type,
            "agent_id": None,
            "parent_id": parent_id,
            "generation": child.generation,
        }
        _start(connection, child.workflow_id, child.name, facts, at)


def run_transaction(connection: sqlite3.Connection, command: RunTransaction) -> Transacted:
    later = queries.events_after(connection, command.workflow_id, command.after)
    for seq, kind, op, _, text in later:
        if op == command.op and kind in (Kind.TRANSACTION_COMPLETED, Kind.TRANSACTION_FAILED):
            return Transacted(seq=seq, kind=Kind(kind), payload=text)
    if any(kind not in OUTER for _, kind, *_ in later):
        raise Conflict(f"another incarnation has gone on with {command.workflow_id}")
    refuse_if_ended(command.workflow_id, later)
    last = _last_seq(connection, command, later)
    try:
        kind, text = transact(connection, command.function, command.value, command.name)
    except TakenBack as lost:
        raise StartOver(command, replace(command, function=_fail, value=lost.failure)) from lost
    event = NewEvent(kind=kind, op=command.op, name=command.name, payload=text, at=command.at)
    insert_events(connection, command.workflow_id, [event], first=last + 1)
    queries.note_progress(connection, command.workflow_id)
    return Transacted(seq=last + 1, kind=kind, payload=text)


def _fail(transaction: object, failure: ActivityFailure) -> None:
    """Stand for a function that cannot be run again, because it would cost everybody's writes."""
    del transaction
    raise failure


def park(connection: sqlite3.Connection, command: Park) -> bool:
    later = queries.events_after(connection, command.workflow_id, command.seq)
    if any(kind in OUTER or kind == Kind.WORKFLOW_RETRIED for _, kind, *_ in later):
        return False
    if queries.waiting_messages(connection, command.workflow_id, command.position):
        return False
    if any(queries.status(connection, child_id) in CLOSED for child_id in command.children):
        return False
    return queries.park(connection, command.workflow_id, command.wake_at)


def unpark(connection: sqlite3.Connection, command: Unpark) -> None:
    queries.unpark(connection, command.workflow_id)


def wake_due(connection: sqlite3.Connection, command: WakeDue) -> tuple[str, ...]:
    return tuple(queries.unpark_due(connection, command.until, command.limit))


def record_heartbeat(connection: sqlite3.Connection, command: RecordHeartbeat) -> None:
    """Keep it, unless it comes too late and nobody would take it away again."""
    row = queries.task(connection, command.workflow_id, command.op)
    if row is not None and (row.state, row.attempt) != ("running", command.attempt):
        return
    if queries.status(connection, command.workflow_id) not in CLOSED:
        values = (command.op, command.attempt, command.details, command.at)
        queries.set_heartbeat(connection, command.workflow_id, values)


def start_task(connection: sqlite3.Connection, command: StartTask) -> TaskRow | None:
    started = queries.start_task(
        connection,
        workflow_id=command.workflow_id,
        op=command.op,
        agent_id=command.agent_id,
        fence=command.fence,
        at=command.at,
    )
    return started or _started_so(connection, command)


def _started_so(connection: sqlite3.Connection, command: StartTask) -> TaskRow | None:
    row = queries.task(connection, command.workflow_id, command.op)
    if row is None or (row.fence, row.agent_id) != (command.fence + 1, command.agent_id):
        return None
    return row if row.state == "running" else None


def end_attempt(connection: sqlite3.Connection, command: EndAttempt) -> bool:
    closed = queries.end_attempt(
        connection,
        workflow_id=command.workflow_id,
        op=command.op,
        fence=command.fence,
        state=command.state,
        outcome=command.outcome,
        next_at=command.next_at,
        at=command.at,
    )
    if closed and command.state == "ready" and command.heartbeat is not None:
        row = queries.task(connection, command.workflow_id, command.op)
        attempt = 0 if row is None else row.attempt
        values = (command.op, attempt, command.heartbeat, command.at)
        queries.set_heartbeat(connection, command.workflow_id, values)
    return closed or _ended_so(connection, command)


def give_up_task(connection: sqlite3.Connection, command: GiveUpTask) -> bool:
    given_up = queries.give_up_task(
        connection,
        workflow_id=command.workflow_id,
        op=command.op,
        fence=command.fence,
        outcome=command.outcome,
        at=command.at,
    )
    if given_up:
        return True
    row = queries.task(connection, command.workflow_id, command.op)
    return row is not None and (row.fence, row.state) == (command.fence, "failed")


def _ended_so(connection: sqlite3.Connection, command: EndAttempt) -> bool:
    row = queries.task(connection, command.workflow_id, command.op)
    if row is None or row.fence != command.fence:
        return False
    return row.state == command.state or (row.state == "consumed" and command.state != "ready")


def begin_life(connection: sqlite3.Connection, command: BeginLife) -> Life:
    life = queries.meta(connection, "incarnation")
    epoch = int(queries.meta(connection, "epoch") or 0)
    clean = queries.meta(connection, "clean") != "no"
    dead: list[str] = []
    if life != command.incarnation:
        epoch += 1
        if not clean:
            _count(connection, command.at)
            dead = queries.poisoned(connection, command.recovery_limit)
        for workflow_id in dead:
            reason = f"live in more than {command.recovery_limit} unclean ends of the process"
            _dead_letter(connection, workflow_id, reason, command.at)
        untried = "[]" if queries.has_suspects(connection, SUSPECT) else ""
        queries.set_meta(connection, "tried", untried)
        queries.set_meta(connection, "incarnation", command.incarnation)
        queries.set_meta(connection, "epoch", str(epoch))
    queries.set_meta(connection, "clean", "no")  # also when only the engine was restarted
    return Life(epoch=epoch, clean=clean, dead_letters=tuple(dead))


def _count(connection: sqlite3.Connection, at: str) -> None:
    """Count a bad end against those that ran then."""
    tried = queries.meta(connection, "tried")
    if tried:
        queries.count_trial(connection, at, tried, SUSPECT)
    else:
        queries.count_recovery(connection, at)


def try_suspects(connection: sqlite3.Connection, command: TrySuspects) -> None:
    tried = json.dumps(command.workflow_ids) if command.workflow_ids else ""
    queries.set_meta(connection, "tried", tried)


def set_aside(connection: sqlite3.Connection, command: SetAside) -> None:
    row = queries.instance(connection, command.workflow_id)
    if row is not None and row.status in (Status.RUNNING, Status.STALLED):
        _dead_letter(connection, command.workflow_id, command.reason, command.at)


def _dead_letter(connection: sqlite3.Connection, workflow_id: str, reason: str, at: str) -> None:
    row = queries.instance(connection, workflow_id)
    text = payload.encode({"code": "dead_letter", "message": payload.short_text(reason)})
    name = "" if row is None else row.name
    event = NewEvent(kind=Kind.WORKFLOW_DEAD_LETTERED, name=name, payload=text, at=at)
    add_event(connection, workflow_id, event)


def end_life(connection: sqlite3.Connection, command: EndLife) -> None:
    if queries.meta(connection, "incarnation") == command.incarnation:
        queries.set_meta(connection, "clean", "yes")


HANDLERS: Mapping[type, Handler] = {
    CreateInstance: create_instance,
    ActivateInstance: activate_instance,
    AppendHistory: append_history,
    RunTransaction: run_transaction,
    Park: park,
    Unpark: unpark,
    WakeDue: wake_due,
    RecordHeartbeat: record_heartbeat,
    StoreSegment: store_segment,
    StartTask: start_task,
    EndAttempt: end_attempt,
    GiveUpTask: give_up_task,
    SetAside: set_aside,
    BeginLife: begin_life,
    TrySuspects: try_suspects,
    EndLife: end_life,
    **requests.HANDLERS,
    **retries.HANDLERS,
}
