"""A history as one JSON document: what is exported, kept in a repository, and replayed elsewhere.

The document says its format and version, and holds plain values instead of stored text, so that
people and other programs can read it. Reading one back refuses what is damaged, foreign or newer,
with the place. `recorded` and `live` read the engine's database; nothing here writes to it.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from actors.workflows.history import HistoryEvent, Kind, Status
from storage import payload
from storage.errors import PayloadError
from storage.workflows import queries

FORMAT = "beadflow-history"
VERSION = 1

LIVE = frozenset({Status.QUEUED, Status.RUNNING, Status.PAUSED, Status.STALLED})
KINDS = {str(kind): kind for kind in Kind}
"""Half of what it takes to make an event of a row is saved by not asking the enumeration."""

BEGINS_RUN = frozenset({Kind.WORKFLOW_STARTED, Kind.WORKFLOW_CONTINUED_AS_NEW})


class DocumentError(Exception):
    """A text is no history that this program can read; the message says where and why."""

    code: ClassVar[str] = "bad_history"
    hint: ClassVar[str] = ""


class DamagedDocument(DocumentError):  # noqa: N818 - a state
    """It is a history, but something in it is missing or wrong."""

    code = "damaged_history"
    hint = "export it again: beadflow workflow export ID --to FILE"


class ForeignDocument(DocumentError):  # noqa: N818 - a state
    """It is something else."""

    code = "foreign_document"
    hint = "`beadflow workflow export ID --to FILE` writes a history"


class NewerDocument(DocumentError):  # noqa: N818 - a state
    """A newer program has written it."""

    code = "newer_history"
    hint = "read it with the program that wrote it, or a newer one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """Whose child a workflow is, and which operation there started it."""

    workflow_id: str
    op: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedWorkflow:
    """One workflow with all that is recorded of it.

    Args:
        version: of the code that its last run follows.
        input: what its last run was given, as plain JSON.
        run: the number of its last run.
        parent: None for one that nobody's operation started.
    """

    workflow_id: str
    name: str
    version: int
    input: Any
    run: int
    parent: Parent | None
    events: tuple[HistoryEvent, ...]

    @property
    def last_run(self) -> tuple[HistoryEvent, ...]:
        """The events of the last run, from the one that began it."""
        for index in range(len(self.events) - 1, -1, -1):
            if _begins_run(self.events[index]):
                return self.events[index:]
        return self.events


def _begins_run(event: HistoryEvent) -> bool:
    """Whether a run begins with it, as it may with a retry."""
    if event.kind is Kind.WORKFLOW_RETRIED:
        return "run" in payload.decode(event.payload)
    return event.kind in BEGINS_RUN


def recorded(connection: sqlite3.Connection, workflow_id: str) -> RecordedWorkflow | None:
    """Read a workflow from the engine's database; None when there is none of that id."""
    row = queries.instance(connection, workflow_id)
    if row is None:
        return None
    parent = None
    if row.parent_id is not None:
        parent = Parent(workflow_id=row.parent_id, op=row.parent_op or "")
    rows = connection.execute(queries.RUN, (workflow_id, 1)).fetchall()
    return RecordedWorkflow(
        workflow_id=workflow_id,
        name=row.name,
        version=row.version,
        input=payload.decode(row.input),
        run=row.run,
        parent=parent,
        events=tuple(event_of(found) for found in rows),
    )


def live(connection: sqlite3.Connection) -> list[str]:
    """The ids of all workflows that have code to run yet, or would have if they were resumed."""
    return [
        workflow_id
        for workflow_id in sorted(queries.workflow_ids(connection))
        if queries.status(connection, workflow_id) in LIVE
    ]


def event_of(row: Iterable[Any]) -> HistoryEvent:
    """An event from its row, as `queries.RUN` selects it."""
    seq, kind, op, name, text, at = row
    return HistoryEvent(seq=seq, kind=KINDS[kind], op=op, name=name, payload=text, at=at)


def write(workflow: RecordedWorkflow) -> str:
    """The document, with one event a line, so that two of them can be compared line by line.

    It is pure ASCII, so that no character in it is lost on the way, or steers a terminal.
    """
    parent = workflow.parent
    head = {
        "id": workflow.workflow_id,
        "name": workflow.name,
        "version": workflow.version,
        "input": workflow.input,
        "run": workflow.run,
        "parent": None if parent is None else {"id": parent.workflow_id, "op": parent.op},
    }
    events = ",\n".join(f"    {_json(_event(event))}" for event in workflow.events)
    return (
        f'{{\n  "format": "{FORMAT}",\n  "version": {VERSION},\n'
        f'  "workflow": {_json(head)},\n  "events": [\n{events}\n  ]\n}}\n'
    )


def _event(event: HistoryEvent) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "kind": str(event.kind),
        "op": event.op,
        "name": event.name,
        "at": event.at,
        "payload": payload.decode(event.payload),
    }


def _json(value: Any) -> str:
    return json.dumps(value)


def read(text: str) -> RecordedWorkflow:
    """The workflow of a document.

    Raises:
        ForeignDocument: the text is no JSON, or says that it is something else.
        NewerDocument: its version, or a kind of event in it, is not known here.
        DamagedDocument: a field is missing or wrong, or an event is missing.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(text, error) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ForeignDocument(f'it does not say "format": "{FORMAT}"')
    version = _field(found, "version", int, "the document")
    if version > VERSION:
        raise NewerDocument(f"it has version {version}, this program reads up to {VERSION}")
    if version < 1:
        raise DamagedDocument(f"its version is {version}")
    return _workflow(
        _field(found, "workflow", dict, "the document"),
        _field(found, "events", list, "the document"),
    )


def _unreadable(text: str, error: Exception) -> DocumentError:
    if FORMAT in text[:100]:
        return DamagedDocument(f"it is cut off or broken: {error}")
    return ForeignDocument(f"it is no JSON: {error}")


def _workflow(head: Mapping[str, Any], events: Sequence[Any]) -> RecordedWorkflow:
    where = "its workflow"
    if "input" not in head:
        raise DamagedDocument(f"{where} lacks 'input'")
    parent = None
    if head.get("parent") is not None:
        above = _field(head, "parent", dict, where)
        parent = Parent(
            workflow_id=_field(above, "id", str, "its parent"),
            op=_field(above, "op", str, "its parent"),
        )
    found = tuple(_read_event(number, event) for number, event in enumerate(events, 1))
    if not found or found[0].kind is not Kind.WORKFLOW_STARTED:
        raise DamagedDocument(f"its first event is not {Kind.WORKFLOW_STARTED}")
    return RecordedWorkflow(
        workflow_id=_field(head, "id", str, where),
        name=_field(head, "name", str, where),
        version=_field(head, "version", int, where),
        input=head["input"],
        run=_field(head, "run", int, where),
        parent=parent,
        events=found,
    )


def _read_event(number: int, found: Any) -> HistoryEvent:
    where = f"event {number}"
    if not isinstance(found, dict):
        raise DamagedDocument(f"{where} is no object")
    if _field(found, "seq", int, where) != number:
        raise DamagedDocument(f"{where} has the number {found['seq']}: one is missing, or twice")
    kind = _field(found, "kind", str, where)
    if kind not in Kind.__members__.values():
        raise NewerDocument(f"{where} is of the kind {kind!r}, which this program does not know")
    if "payload" not in found:
        raise DamagedDocument(f"{where} lacks 'payload'")
    try:
        text = payload.encode(found["payload"])
    except PayloadError as error:
        raise DamagedDocument(f"{where}: {error}") from error
    return HistoryEvent(
        seq=number,
        kind=Kind(kind),
        op=_field(found, "op", str, where),
        name=_field(found, "name", str, where),
        payload=text,
        at=_field(found, "at", str, where),
    )


def _field(found: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    if name not in found:
        raise DamagedDocument(f"{where} lacks {name!r}")
    if type(found[name]) is not kind:
        raise DamagedDocument(f"{where}: {name!r} is {found[name]!r:.60}, no {_WORDS[kind]}")
    return found[name]


_WORDS = {int: "whole number", str: "text", dict: "object", list: "list"}
