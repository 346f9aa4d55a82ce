"""Carrying out the verbs: each becomes one command of the writer of beads.db.

The tracker owns one of these and answers with what `run` answers. Here ids are made whole, fields
are checked, an id is minted; what depends on other issues is decided in the writer's transaction
(`editor.py`), since another write may come in between. Claims are `Claiming`'s.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Final

from actors.clock import Clock
from actors.errors import NotFound, ValidationError
from actors.issues import ids, issue
from actors.issues.messages import Issue, IssueId, MintIssueId
from actors.issues.verbs import (
    AddDependency,
    AnswerGate,
    CloseIssue,
    CommentIssue,
    DeferIssue,
    DeleteIssue,
    NewIssue,
    RemoveDependency,
    ReopenIssue,
    RestoreIssue,
    UpdateIssue,
)
from actors.issues.writing import dependencies, fields
from actors.issues.writing.edits import (
    AddEdge,
    AnswerEdit,
    BuryIssues,
    Close,
    Comment,
    Defer,
    Edit,
    EditIssue,
    InsertIssue,
    RemoveEdge,
    Reopen,
    Restore,
    SetFields,
)
from actors.writer import write
from storage.issues import instants
from supervision import Target

Change = (
    UpdateIssue
    | CloseIssue
    | AnswerGate
    | ReopenIssue
    | DeferIssue
    | RestoreIssue
    | AddDependency
    | RemoveDependency
    | CommentIssue
)
Verb = NewIssue | DeleteIssue | Change

NOBODY: Final = "unknown"
"""Who is recorded where nobody says who asks, as bd does."""


class Editing:
    """Runs the verbs.

    Args:
        writer: the writer of beads.db.
        resolve: makes an id whole: itself, or the beginning that only one issue has. Raises
            `NotFound` or `AmbiguousId`.
        mint: chooses an id that is free and gives it to nobody else.
        types: issue types that the settings list besides the usual ones; so `statuses`.
    """

    def __init__(
        self,
        writer: Target,
        resolve: Callable[[str], str],
        mint: Callable[[MintIssueId], IssueId],
        clock: Clock,
        *,
        types: Iterable[str] = (),
        statuses: Iterable[str] = (),
    ) -> None:
        self._writer = writer
        self._resolve = resolve
        self._mint = mint
        self._clock = clock
        self._types = frozenset(types)
        self._statuses = frozenset(statuses)
        self._numbers = count(1)

    async def run(self, message: Verb) -> Issue | tuple[Issue, ...]:
        """Carry out a verb; when this returns, it is durable.

        Cancelling it does not undo it.

        Raises:
            Refused: as the verb says; `ValidationError` with the field.
            DatabaseError: as `actors.writer.write` does.
        """
        match message:
            case NewIssue():
                return await self._create(message)
            case DeleteIssue():
                return await self._delete(message)
            case _:
                return await self._change(message)

    async def _create(self, message: NewIssue) -> Issue:
        at, actor = self._now(), _actor(message.actor)
        given = fields.checked(message.fields, self._clock())
        title = fields.title(given.get("title", ""))
        edges = tuple(self._edge(pair, place) for place, pair in enumerate(message.depends_on))
        parent = None if message.parent is None else self._whole("parent", message.parent)
        explicit = message.issue_id is not None
        if message.issue_id is not None:
            issue_id = _chosen(message.issue_id)
            parent = parent if parent is not None else ids.parent_of(issue_id)
        elif parent is not None:
            issue_id = ""
        else:
            wanted = MintIssueId(
                title=title,
                description=given.get("description") or "",
                creator=actor,
                created_at=at,
            )
            issue_id = self._mint(wanted)
        keyed = bool(fields.text("key", message.key, most=fields.WORD_BYTES))
        command = InsertIssue(
            fields=given,
            actor=actor,
            at=at,
            key=f"key {message.key}" if keyed else self._request(message, at),
            issue_id=issue_id,
            explicit=explicit,
            keyed=keyed,
            asked=_asked(message, given) if keyed else "",
            parent=parent,
            depends_on=edges,
            types=self._types,
            statuses=self._statuses,
        )
        return issue.view((await write(self._writer, command)).row)

    def _edge(self, pair: object, place: int) -> tuple[str, str]:
        match pair:
            case (str(kind), str(target)):
                return kind, self._target(target, f"depends_on.{place}.id")
        raise ValidationError(
            "depends_on lists pairs of a type and an id", field="depends_on", value=pair
        )

    async def _delete(self, message: DeleteIssue) -> tuple[Issue, ...]:
        at = self._now()
        command = BuryIssues(
            issue_id=self._whole("issue_id", message.issue_id),
            actor=_actor(message.actor),
            at=at,
            request=self._request(message, at),
            reason=fields.text("reason", message.reason),
            cascade=message.cascade,
            force=message.force,
        )
        return tuple(issue.view(row) for row in await write(self._writer, command))

    async def _change(self, message: Change) -> Issue:
        at = self._now()
        command = EditIssue(
            issue_id=self._whole("issue_id", message.issue_id),
            edit=self._edit(message),
            actor=_actor(message.actor),
            at=at,
            request=self._request(message, at),
            token=_token(message),
            types=self._types,
            statuses=self._statuses,
        )
        return issue.view((await write(self._writer, command)).row)

    def _edit(self, message: Change) -> Edit:
        match message:
            case UpdateIssue():
                return self._fields(message)
            case CloseIssue():
                return Close(reason=fields.text("reason", message.reason), force=message.force)
            case AnswerGate():
                return AnswerEdit(
                    approved=message.approved,
                    why=fields.text("why", message.why),
                    timed_out=message.timed_out,
                    withdrawn=message.withdrawn,
                )
            case ReopenIssue():
                return Reopen(reason=fields.text("reason", message.reason).strip())
            case DeferIssue():
                return Defer(until=self._until(message.until))
            case RestoreIssue():
                return Restore()
            case AddDependency():
                return AddEdge(
                    depends_on_id=self._target(message.depends_on_id),
                    type=fields.filled("type", message.type),
                    metadata=fields.text("metadata", message.metadata),
                )
            case RemoveDependency():
                return RemoveEdge(depends_on_id=self._end(message.depends_on_id))
            case CommentIssue():
                return Comment(text=fields.filled("text", message.text))

    def _fields(self, message: UpdateIssue) -> SetFields:
        given: object = message.fields
        parent = None
        if isinstance(given, Mapping) and "parent" in given:
            given = dict(given)
            above = given.pop("parent")
            parent = "" if above in (None, "") else self._whole("parent", above)
        expected = message.expected
        add = fields.words("add_labels", message.add_labels)
        remove = fields.words("remove_labels", message.remove_labels)
        if both := sorted(set(add) & set(remove)):
            raise ValidationError(
                f"label {both[0]!r} is to be added and removed", field="remove_labels", value=both
            )
        return SetFields(
            fields=fields.checked(given, self._clock()),
            add_labels=tuple(add),
            remove_labels=tuple(remove),
            append_notes=fields.text("append_notes", message.append_notes),
            parent=parent,
            expected=None if expected is None else fields.known_time("expected", expected),
            force=message.force,
        )

    def _until(self, until: object) -> str | None:
        return None if until is None else fields.future("until", until, self._clock())

    def _whole(self, name: str, issue_id: object) -> str:
        return self._resolve(fields.filled(name, issue_id, most=fields.WORD_BYTES))

    def _target(self, target: object, name: str = "depends_on_id") -> str:
        named = fields.filled(name, target, most=fields.WORD_BYTES)
        return named if dependencies.is_external(named) else self._resolve(named)

    def _end(self, target: object) -> str:
        """Return the end of an edge that is there, though the issue may not be."""
        try:
            return self._target(target)
        except NotFound:
            return str(target)

    def _now(self) -> str:
        return instants.from_datetime(self._clock())

    def _request(self, message: Verb, at: str) -> str:
        """Name an operation: the same content at the same instant is another one, by its number.

        The command carries it, so that it is the same when the writer gets it again. One with a key
        of the asker's is the same for as long as the journal is looked at for it.
        """
        digest = hashlib.sha256(repr(message).encode(errors="replace")).hexdigest()
        if message.key and not isinstance(message, NewIssue):
            return f"key {digest}"
        return f"{at} {next(self._numbers)} {digest[:16]}"


def _asked(message: NewIssue, given: Mapping[str, Any]) -> str:
    """Tell a repeated request from another one with the same key."""
    asked = [given, message.actor, message.parent, message.depends_on, message.issue_id]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _actor(actor: object) -> str:
    return fields.actor(actor) or NOBODY


def _chosen(issue_id: object) -> str:
    named = fields.filled("issue_id", issue_id, most=fields.WORD_BYTES)
    if not ids.is_chosen_id(named):
        raise ValidationError(
            f"{named!r} is no id: it needs a prefix, a hyphen and a name of letters, digits,"
            " dots and underscores",
            field="issue_id",
            value=issue_id,
        )
    return named


def _token(message: Any) -> int | None:
    token = getattr(message, "token", None)
    if token is not None and type(token) is not int:
        raise ValidationError("a token is a whole number", field="token", value=token)
    return token
