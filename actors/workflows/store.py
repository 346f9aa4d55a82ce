"""How the engine's commands change its database. Its writer runs them inside its transaction.

Every command may come twice, because a writer that died may have committed before it could answer:
the second time finds the first by its natural key and changes nothing.
"""

import sqlite3
from collections.abc import Mapping

from actors.errors import Conflict
from actors.workflows.history import STATUS_AFTER, HistoryEvent, Kind, Status
from actors.workflows.messages import (
    ActivateInstance,
    AppendHistory,
    BeginLife,
    CreateInstance,
    EndAttempt,
    EndLife,
    Life,
    StartTask,
)
from actors.writer import Handler
from storage import payload
from storage.workflows import queries
from storage.workflows.records import TaskRow


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
    )
    if new:
        facts = {
            "issue_id": command.issue_id,
            "version": command.version,
            "queued": command.queued,
            "agent_type": command.agent_type,
            "agent_id": command.agent_id,
        }
        _insert(connection, command.workflow_id, [_started(command, facts)])


def _started(command: CreateInstance, facts: Mapping[str, object]) -> HistoryEvent:
    return HistoryEvent(
        seq=1,
        kind=Kind.WORKFLOW_STARTED,
        name=command.name,
        payload=payload.encode(facts),
        at=command.at,
    )


def activate_instance(connection: sqlite3.Connection, command: ActivateInstance) -> bool:
    row = queries.instance(connection, command.workflow_id)
    if row is None or row.status != Status.QUEUED:
        return False
    event = HistoryEvent(
        seq=queries.last_seq(connection, command.workflow_id) + 1,
        kind=Kind.WORKFLOW_ACTIVATED,
        name=row.name,
        payload=payload.encode({"agent_id": command.agent_id}),
        at=command.at,
    )
    _insert(connection, command.workflow_id, [event])
    return True


def append_history(connection: sqlite3.Connection, command: AppendHistory) -> None:
    events = command.events
    last = queries.last_seq(connection, command.workflow_id)
    if last >= events[0].seq:
        _refuse_unless_same(connection, command)
        return
    if last != events[0].seq - 1:
        raise Conflict(
            f"the history of {command.workflow_id} ends at {last}, "
            f"an event {events[0].seq} cannot follow it"
        )
    _insert(connection, command.workflow_id, events)
    queries.note_progress(connection, command.workflow_id)
    for task in command.tasks:
        queries.insert_task(
            connection,
            (
                command.workflow_id,
                task.op,
                task.agent_type,
                task.activity,
                task.input,
                task.policy,
                events[0].at,
            ),
        )
    for op in command.consumed:
        queries.consume_task(connection, command.workflow_id, op, events[0].at)


def _refuse_unless_same(connection: sqlite3.Connection, command: AppendHistory) -> None:
    wanted = [(e.seq, str(e.kind), e.op, e.name, e.payload) for e in command.events]
    stored = queries.stored_events(connection, command.workflow_id, wanted[0][0], wanted[-1][0])
    if stored != wanted:
        raise Conflict(
            f"the history of {command.workflow_id} already holds other events "
            f"from {wanted[0][0]} on: another incarnation has gone on with it"
        )


def _insert(
    connection: sqlite3.Connection,
    workflow_id: str,
    events: list[HistoryEvent] | tuple[HistoryEvent, ...],
) -> None:
    queries.insert_events(
        connection,
        workflow_id,
        [(e.seq, str(e.kind), e.op, e.name, e.payload, e.at) for e in events],
    )
    for event in events:
        status = STATUS_AFTER.get(event.kind)
        if status is not None:
            queries.set_status(connection, workflow_id, status, event.at)


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
        at=command.at,
    )
    return closed or _ended_so(connection, command)


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
            queries.count_recovery(connection, command.at)
            dead = queries.poisoned(connection, command.recovery_limit)
        for workflow_id in dead:
            _set_aside(connection, workflow_id, command)
        queries.set_meta(connection, "incarnation", command.incarnation)
        queries.set_meta(connection, "epoch", str(epoch))
    queries.set_meta(connection, "clean", "no")  # also when only the engine was restarted
    return Life(epoch=epoch, clean=clean, dead_letters=tuple(dead))


def _set_aside(connection: sqlite3.Connection, workflow_id: str, command: BeginLife) -> None:
    reason = f"live in more than {command.recovery_limit} unclean ends of the process"
    event = HistoryEvent(
        seq=queries.last_seq(connection, workflow_id) + 1,
        kind=Kind.WORKFLOW_DEAD_LETTERED,
        payload=payload.encode({"code": "dead_letter", "message": reason}),
        at=command.at,
    )
    _insert(connection, workflow_id, [event])


def end_life(connection: sqlite3.Connection, command: EndLife) -> None:
    if queries.meta(connection, "incarnation") == command.incarnation:
        queries.set_meta(connection, "clean", "yes")


HANDLERS: Mapping[type, Handler] = {
    CreateInstance: create_instance,
    ActivateInstance: activate_instance,
    AppendHistory: append_history,
    StartTask: start_task,
    EndAttempt: end_attempt,
    BeginLife: begin_life,
    EndLife: end_life,
}
