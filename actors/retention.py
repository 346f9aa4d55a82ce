"""Retention: workflows that ended long ago leave the databases for the archive.

`retire` is the whole of it as a sequence of steps: it reads, appends to the archive, and yields the
commands that delete what it has appended, in small batches. Whoever drives it has each command
written before asking for the next: the keeper through the writers, `db archive` by itself. It may
be left at any step and begun anew at any time.

What may go, and why nothing misses it, is argued in `storage.retention`. The handlers look once
more, inside the transaction.
"""

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from actors.clock import rfc3339
from actors.errors import Conflict
from actors.writer import Command, Handler
from storage import archive, retention
from storage.coordination import queries, repeats
from storage.database import open_reader
from storage.databases import databases
from storage.errors import database_failure
from storage.retention import BATCH, KEY_DAYS, Due, Readers


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetEvents(Command[None]):
    """Delete events of the log that are archived; the last one there is stays."""

    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetResults(Command[None]):
    """Delete results that are archived."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetArtifacts(Command[None]):
    """Delete the rows of artifacts that are archived; a sweep takes their contents."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetHistory(Command[None]):
    """Delete tasks, signals and events of the history of an ended workflow; at last its instance.

    Refused with `Conflict` when the workflow has not ended, or one above it; and while it has
    children, which go first.

    Args:
        ops: of tasks.
        positions: of signals.
        seqs: of events.
    """

    workflow_id: str
    ops: tuple[str, ...] = ()
    positions: tuple[int, ...] = ()
    seqs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetWorkflow(Command[None]):
    """Delete the mapping and the assignments of an ended workflow: the last of it.

    Refused with `Conflict` when it has not ended, or an intent is open.
    """

    workflow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetKeys(Command[bool]):
    """Delete some idempotency keys that came before a moment. Answers whether there may be more.

    Those of starts stand beside their workflows and go with them.
    """

    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command, and the database whose writer is to run it."""

    database: Literal["coordination", "tempolite"]
    command: Command[None]


@dataclass(slots=True)
class Retired:
    """What has left the databases so far; `events` are those of the workflows, and of none."""

    workflows: int = 0
    events: int = 0


def retire(
    directory: Path, *, now: datetime, days: int, retired: Retired
) -> Generator[Step, None, None]:
    """Archive what ended more than `days` ago. Blocks; each step in whatever thread.

    Args:
        directory: the data directory, its databases at the present schema.
        now: the present.
        days: 1 or more.
        retired: counted up as it goes.

    Raises:
        StorageError: a database cannot be read.
        OSError: the archive cannot be written; nothing was deleted that is not in it.
    """
    before = rfc3339(now - timedelta(days=days))
    keyed_before = rfc3339(now - timedelta(days=max(days, KEY_DAYS)))
    with ExitStack() as stack:
        readers = Readers(
            **{
                database.name: stack.enter_context(closing(open_reader(database.path)))
                for database in databases(directory)
            }
        )
        try:
            for found in retention.due(readers, before=before, keyed_before=keyed_before):
                yield from _retire(directory, readers, found, retired)
                retired.workflows += 1
            yield from _retire_loose(directory, readers, before, retired)
        except sqlite3.Error as err:
            raise database_failure(directory, err) from err


def _retire(directory: Path, readers: Readers, found: Due, retired: Retired) -> Iterator[Step]:
    """Archive one workflow, then delete what was archived and nothing that came since."""
    workflow_ids = (*found.children, found.workflow_id)
    keys: dict[tuple[str, str], list[Any]] = {}

    def lines() -> Iterator[bytes]:
        for workflow_id in workflow_ids:
            for database, table, row in retention.rows_of(readers, workflow_id):
                keys.setdefault((workflow_id, table), []).append(row[_KEYS[table]])
                yield archive.line(database, table, row)

    archive.append(directory, found.completed_at, lines())
    for workflow_id in workflow_ids:
        for seqs in _batches(keys.get((workflow_id, "events"), ())):
            yield Step(database="coordination", command=ForgetEvents(seqs=seqs))
            retired.events += len(seqs)
        for ids in _batches(keys.get((workflow_id, "workflow_results"), ())):
            yield Step(database="coordination", command=ForgetResults(ids=ids))
        for ids in _batches(keys.get((workflow_id, "artifacts"), ())):
            yield Step(database="coordination", command=ForgetArtifacts(ids=ids))
    for workflow_id in workflow_ids:
        yield from _forget_history(workflow_id, keys)
    yield Step(database="coordination", command=ForgetWorkflow(workflow_id=found.workflow_id))


def _forget_history(workflow_id: str, keys: Mapping[tuple[str, str], list[Any]]) -> Iterator[Step]:
    for ops in _batches(keys.get((workflow_id, "tasks"), ())):
        command = ForgetHistory(workflow_id=workflow_id, ops=ops)
        yield Step(database="tempolite", command=command)
    for positions in _batches(keys.get((workflow_id, "inbox"), ())):
        command = ForgetHistory(workflow_id=workflow_id, positions=positions)
        yield Step(database="tempolite", command=command)
    for seqs in _batches(keys.get((workflow_id, "history"), ())):
        command = ForgetHistory(workflow_id=workflow_id, seqs=seqs)
        yield Step(database="tempolite", command=command)


_KEYS: Final = {
    "workflow_mappings": "tempolite_workflow_id",
    "agent_assignments": "id",
    "workflow_results": "id",
    "artifacts": "id",
    "events": "seq",
    "instances": "workflow_id",
    "tasks": "op",
    "inbox": "position",
    "history": "seq",
}


def _retire_loose(
    directory: Path, readers: Readers, before: str, retired: Retired
) -> Iterator[Step]:
    after = 0
    while rows := retention.loose_events(readers, before=before, after=after):
        months: dict[str, list[sqlite3.Row]] = {}
        for row in rows:
            months.setdefault(row["at"][:7], []).append(row)
        for found in months.values():
            lines = (archive.line("coordination", "events", row) for row in found)
            archive.append(directory, found[0]["at"], lines)
        seqs = tuple(row["seq"] for row in rows)
        yield Step(database="coordination", command=ForgetEvents(seqs=seqs))
        retired.events += len(rows)
        after = seqs[-1]


def _batches(keys: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    found = tuple(keys)
    for start in range(0, len(found), BATCH):
        yield found[start : start + BATCH]


def forget_events(connection: sqlite3.Connection, command: ForgetEvents) -> None:
    retention.delete_events(connection, command.seqs)
    known = queries.cursor(connection, queries.FORGOTTEN)
    gone = min(max(command.seqs, default=0), queries.last_event(connection) - 1)
    if gone > known:
        queries.set_cursor(connection, queries.FORGOTTEN, gone)


def forget_results(connection: sqlite3.Connection, command: ForgetResults) -> None:
    retention.delete_results(connection, command.ids)


def forget_artifacts(connection: sqlite3.Connection, command: ForgetArtifacts) -> None:
    retention.delete_artifacts(connection, command.ids)


def forget_history(connection: sqlite3.Connection, command: ForgetHistory) -> None:
    if not retention.has_ended(connection, command.workflow_id):
        raise Conflict(f"workflow {command.workflow_id} has not ended: its history stays")
    retention.delete_tasks(connection, command.workflow_id, command.ops)
    retention.delete_signals(connection, command.positions)
    retention.delete_history(connection, command.workflow_id, command.seqs)
    retention.delete_instance(connection, command.workflow_id)


def forget_workflow(connection: sqlite3.Connection, command: ForgetWorkflow) -> None:
    if not retention.is_settled(connection, command.workflow_id):
        raise Conflict(f"workflow {command.workflow_id} has not ended: it stays")
    retention.delete_mapping(connection, command.workflow_id)


def forget_keys(connection: sqlite3.Connection, command: ForgetKeys) -> bool:
    return repeats.forget(connection, command.before, BATCH) == BATCH


def keys_before(now: datetime) -> str:
    """Whatever came with a key before this is not known by it any more."""
    return rfc3339(now - timedelta(days=KEY_DAYS))


COORDINATION: Mapping[type, Handler] = {
    ForgetKeys: forget_keys,
    ForgetEvents: forget_events,
    ForgetResults: forget_results,
    ForgetArtifacts: forget_artifacts,
    ForgetWorkflow: forget_workflow,
}
TEMPOLITE: Mapping[type, Handler] = {ForgetHistory: forget_history}
