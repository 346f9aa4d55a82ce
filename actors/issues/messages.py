"""What the issues answer to: commands for their database, questions, and the published file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NewType

from actors.writer import Command
from storage.issues.file import Stamp
from storage.issues.jsonl import Row
from supervision import Ask, Refused

IssueId = NewType("IssueId", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """An issue as readers want it; `row` is the whole record with everything else it holds.

    Times are RFC 3339, in the zone of whoever wrote them. `work` is what beadflow noted about the
    workflow behind the issue: home, workflow_id, workflow_type, agent_id, step.
    """

    id: IssueId
    title: str
    description: str
    status: str
    priority: int
    issue_type: str
    assignee: str
    labels: tuple[str, ...]
    created_at: str
    updated_at: str
    closed_at: str | None
    close_reason: str
    work: Mapping[str, Any]
    row: Row


# --- changes: what ApplyChange carries ---------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus:
    """`reason` becomes the close reason of a closed issue; prose belongs into a comment."""

    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddComment:
    author: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWork:
    """Set keys of `metadata.beadflow`; null removes one, the others stay."""

    fields: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """An empty assignee means nobody."""

    assignee: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLabels:
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """Set title and priority; None leaves one as it is."""

    title: str | None = None
    priority: int | None = None


Change = Describe | SetStatus | AddComment | SetWork | Assign | ChangeLabels


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The event that asks for a change: its feed's consumer, and its number there."""

    consumer: str
    seq: int


# --- commands for the writer of beads.db -------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    issue_id: IssueId
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIssue(Command[Created]):
    """Store a new issue. The same creation twice is one issue, and the same answer.

    It is the same when the issue there carries `key` as its workflow, or was created by the same
    actor at the same instant. Refused with `Conflict` when another issue has the id, with
    `ValidationError` when the row is none that may be written.

    Args:
        row: made by `issue.new_issue`.
        key: the workflow's id; empty for an issue without one.
    """

    row: Row
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """`applied` is False when nothing changed: done before, or nothing differed."""

    issue_id: IssueId
    seq: int
    applied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyChange(Command[Applied]):
    """Change an issue: row, journal and cursor in one transaction.

    With a source, each event is applied exactly once: a position at or below the stored cursor
    changes nothing. An event that needs several changes sends them together. Refused with
    `NotFound`, `Conflict` (a deleted issue), `ValidationError`.

    Args:
        at: when it happened, RFC 3339.
        key: the workflow whose issue it must be, else `Conflict`; empty for any.
        takes_back: its status takes back a close by hand, which else stays closed; where nobody
            has closed the issue so, the status stays.
    """

    issue_id: str
    changes: tuple[Change, ...]
    at: str
    source: Position | None = None
    key: str = ""
    takes_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyChanges(Command[tuple[str, ...]]):
    """Several changes in one command, in order; each is made or left alone by itself.

    Answers why, for each that was refused.
    """

    changes: tuple[ApplyChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """How many issues the file's other writers changed, and how many of them were gone from it."""

    changed: int
    removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptRows(Command[Adopted]):
    """Take in what someone else wrote into the published file.

    Each row is merged, inside the transaction, with what is there by then. Adopting the same file
    again changes nothing.

    Args:
        rows: id and line of every issue that differs from what was last published; None where
            the file no longer holds it.
        file_sha256: the file they come from.
        more: further rows of it follow; only the last of them settle that it was taken in.
    """

    rows: tuple[tuple[str, str | None], ...]
    file_sha256: str
    at: str
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkFlushIntent(Command[None]):
    seq: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkFlushed(Command[None]):
    """The published file holds every change up to `seq`; `place` is where that file lies."""

    seq: int
    sha256: str
    place: str | None = None


# --- questions for the tracker -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MintIssueId(Ask[IssueId]):
    """Choose an id that no issue has and that is handed out once. Nothing is stored.

    Args:
        created_at: RFC 3339; the same text goes into the row.
    """

    title: str
    description: str
    creator: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetIssue(Ask[Issue]):
    """Refused with `NotFound`."""

    issue_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListIssues(Ask[tuple[Issue, ...]]):
    """The most recently updated first.

    Args:
        status: None lists all, deleted ones included.
        limit: 1 to 1000.
    """

    status: str | None = None
    limit: int = 100


# --- the published file ------------------------------------------------------------------------


class PublicationFailed(Refused):
    """The file could not be written or read now; what is acknowledged stays in the database."""

    code = "publication_failed"
    status = 503
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalAdvanced:
    """Told to the publisher after each commit of beads.db. A hint: losing one loses nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    seq: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush(Ask[Flushed]):
    """Bring the file up to every change committed before this; answered when it is on disk.

    Refused with `PublicationFailed`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """`commit` is None when the ref had this content, or Git is not used."""

    commit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNow(Ask[Recorded]):
    """Publish, then record the file on its ref without waiting for the interval.

    Refused with `PublicationFailed`, also for what Git objects to.
    """


# --- for the Git worker, from the tracker and the publisher ------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """The file as it should be, and what is known of the one that is there.

    `data` is the whole file, passed by reference. `present_sha256` is None where there is no file.
    `known` holds the hashes that need no reading. `place` is where the file lies, and `is_placed`
    tells whether it is known already that this file, not that of another work tree, holds it all.
    """

    seq: int
    sha256: str
    data: bytes
    present_sha256: str | None
    flushed_sha256: str | None
    intended_seq: int
    intended_sha256: str | None
    known: frozenset[str]
    place: str
    is_placed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeFile(Ask[Composed]):
    """Read all lines and the last change in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What another writer's file changes, ready for `AdoptRows`."""

    sha256: str | None
    rows: tuple[tuple[str, str | None], ...]
    quarantined: int
    duplicates: int
    conflict_markers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareFile(Ask[Outside]):
    """Read the file and compare it with what was last published; keep its unreadable lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallFile(Ask[Stamp | None]):
    """Put the file in its place; None, and nothing done, when it is not the expected one."""

    data: bytes
    expected_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile(Ask[Recorded]):
    """Commit the file on its ref."""
