"""The commonest of the engine's commands, many at once: creations, and appends of plain events.

They do what `create_instance` and `append_history` do one by one, with a fixed number of statements
for all of them. What is not plain is left to those: a command that has come before, one that finds
events of others in its place, and one from which something follows for other rows.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter

from actors.batch import LEFT, Group
from actors.workflows import segments
from actors.workflows.history import CLOSED, STATUS_AFTER, Kind, Status
from actors.workflows.messages import Appended, AppendHistory, CreateInstance
from actors.workflows.store import facts_of_start
from storage import payload
from storage.workflows import bulk

_PLAIN = frozenset({"workflow_id", "after", "events", "is_progress"})
_beside = attrgetter(*(field.name for field in fields(AppendHistory) if field.name not in _PLAIN))


def create_instances(
    connection: sqlite3.Connection, commands: Sequence[CreateInstance]
) -> list[object]:
    """The answers of commands for instances of different ids; `LEFT` for who is there already."""
    there = bulk.present(connection, [command.workflow_id for command in commands])
    new = [command for command in commands if command.workflow_id not in there]
    bulk.insert_instances(
        connection,
        [
            (c.workflow_id, c.name, c.version, _status(c), c.variables, c.at, c.at, c.priority)
            for c in new
        ],
    )
    started = str(Kind.WORKFLOW_STARTED)
    bulk.insert_events(
        connection,
        [
            (c.workflow_id, 1, started, "", c.name, payload.encode(facts_of_start(c)), c.at)
            for c in new
        ],
    )
    return [LEFT if command.workflow_id in there else None for command in commands]


def _status(command: CreateInstance) -> str:
    return str(Status.QUEUED if command.queued else Status.RUNNING)


def append_histories(
    connection: sqlite3.Connection, commands: Sequence[AppendHistory]
) -> list[object]:
    """The answers of appends to different histories; `LEFT` for those that are not plain."""
    plain = [command for command in commands if _is_plain(command)]
    left = bulk.elsewhere(connection, {c.workflow_id: c.after for c in plain})
    statuses = [found for c in plain if (found := _status_after(c)) is not None]
    closing = [workflow_id for workflow_id, status, _ in statuses if status in CLOSED]
    if closing:
        left |= bulk.tied(connection, closing)
    plain = [command for command in plain if command.workflow_id not in left]
    bulk.insert_events(
        connection,
        [
            (c.workflow_id, seq, str(e.kind), e.op, e.name, e.payload, e.at)
            for c in plain
            for seq, e in enumerate(c.events, start=c.after + 1)
        ],
    )
    statuses = [found for found in statuses if found[0] not in left]
    if statuses:
        bulk.set_statuses(connection, statuses)
    progress = [command.workflow_id for command in plain if command.is_progress]
    if progress:
        bulk.note_progress(connection, progress)
    done = {c.workflow_id: Appended(seq=c.after + len(c.events)) for c in plain}
    return [done.get(command.workflow_id, LEFT) for command in commands]


def _is_plain(command: AppendHistory) -> bool:
    """Whether it says nothing about other rows, and ends no history that has segments."""
    if any(_beside(command)):
        return False
    return command.after <= segments.EVENTS or _status_after(command) is None


def _status_after(command: AppendHistory) -> tuple[str, str, str] | None:
    """(workflow_id, status, at) where its events change the status; the last one counts."""
    for event in reversed(command.events):
        status = STATUS_AFTER.get(event.kind)
        if status is not None:
            return command.workflow_id, str(status), event.at
    return None


GROUPS: Mapping[type, Group] = {
    CreateInstance: Group(create_instances),
    AppendHistory: Group(append_histories),
}
