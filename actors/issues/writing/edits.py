"""What a person or an agent may do to an issue, as the writer of beads.db is told it.

`Editing` makes these from the verbs: ids are whole by then, fields are checked. What depends on the
other issues is checked by `editor.py`, in the writer's transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.writer import Command
from storage.issues.jsonl import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFields:
    """Set several fields at once.

    Args:
        fields: made by `fields.checked`; None clears one.
        parent: None leaves it, "" takes it away.
        expected: the `updated_at` that must be there.
    """

    fields: Mapping[str, Any]
    add_labels: tuple[str, ...] = ()
    remove_labels: tuple[str, ...] = ()
    append_notes: str = ""
    parent: str | None = None
    expected: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    reason: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEdit:
    """Answer a gate; see `AnswerGate`."""

    approved: bool
    why: str = ""
    timed_out: bool = False
    withdrawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defer:
    until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class AddEdge:
    depends_on_id: str
    type: str
    metadata: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveEdge:
    depends_on_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    text: str


Edit = SetFields | Close | AnswerEdit | Reopen | Defer | Restore | AddEdge | RemoveEdge | Comment


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The issue after the command, and the number of its change in the journal."""

    row: Row
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InsertIssue(Command[Edited]):
    """Store a new issue with its edges.

    Args:
        fields: made by `fields.checked`.
        issue_id: the minted id, or the one asked for (`explicit`); "" for a child, whose number is
            chosen in the transaction.
        depends_on: type and target of each edge.
        key: the same key is the same issue.
        asked: digest of what was asked for with a key of the asker's own; another one with the same
            key is refused with `Conflict`.
        types: issue types that the settings list besides the usual ones; so `statuses`.
    """

    fields: Mapping[str, Any]
    actor: str
    at: str
    key: str
    issue_id: str = ""
    explicit: bool = False
    keyed: bool = False
    asked: str = ""
    parent: str | None = None
    depends_on: tuple[tuple[str, str], ...] = ()
    types: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class EditIssue(Command[Edited]):
    """Change one issue. A request that was carried out is not again.

    Args:
        request: names this one among all there ever are.
        token: of a claim that must still be held.
    """

    issue_id: str
    edit: Edit
    actor: str
    at: str
    request: str
    token: int | None = None
    types: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuryIssues(Command[tuple[Row, ...]]):
    """Make an issue a tombstone; answers all that were deleted, the one asked for first."""

    issue_id: str
    actor: str
    at: str
    request: str
    reason: str = ""
    cascade: bool = False
    force: bool = False
