"""What clients send who ask for many things at once; fields that are not listed are refused."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictStr

from actors.issues.verbs import (
    AddDependency,
    ClaimIssue,
    CloseIssue,
    CommentIssue,
    DeferIssue,
    DeleteIssue,
    NewIssue,
    ReleaseClaim,
    RemoveDependency,
    ReopenIssue,
    RestoreIssue,
    UpdateIssue,
)
from api.issue_models import ActorRequest, DependsOn, Fields, Labels, Seconds, Token
from api.models import StartRequest, Strict

ITEMS_LIMIT = 100
"""How much may be asked for at once."""

Verb = (
    NewIssue
    | UpdateIssue
    | CloseIssue
    | ReopenIssue
    | DeferIssue
    | RestoreIssue
    | DeleteIssue
    | CommentIssue
    | AddDependency
    | RemoveDependency
    | ClaimIssue
    | ReleaseClaim
)


class StartsRequest(Strict):
    """Body of POST /api/v1/workflows/batch."""

    workflows: list[StartRequest] = Field(min_length=1, max_length=ITEMS_LIMIT)


class Create(Fields):
    """A new issue."""

    op: Literal["create"]
    title: StrictStr
    parent: StrictStr | None = None
    depends_on: list[DependsOn] = Field(default_factory=list, max_length=ITEMS_LIMIT)
    id: StrictStr | None = None

    def verb(self, actor: str, key: str) -> Verb:
        return NewIssue(
            fields={name: value for name, value in self.given().items() if value is not None},
            actor=actor,
            parent=self.parent,
            depends_on=tuple((each.type, each.id) for each in self.depends_on),
            issue_id=self.id,
            key=key,
        )


class OfOne(Strict):
    """What is done to one issue that is there."""

    id: StrictStr


class Update(Fields):
    """Other fields of an issue."""

    op: Literal["update"]
    id: StrictStr
    title: StrictStr | None = None
    status: StrictStr | None = None
    add_labels: Labels = Field(default_factory=list)
    remove_labels: Labels = Field(default_factory=list)
    append_notes: StrictStr = ""
    token: Token | None = None
    force: StrictBool = False

    def verb(self, actor: str, key: str) -> Verb:
        return UpdateIssue(
            issue_id=self.id,
            actor=actor,
            fields=self.given(),
            add_labels=tuple(self.add_labels),
            remove_labels=tuple(self.remove_labels),
            append_notes=self.append_notes,
            token=self.token,
            force=self.force,
            key=key,
        )


class Close(OfOne):
    op: Literal["close"]
    reason: StrictStr = ""
    force: StrictBool = False
    token: Token | None = None

    def verb(self, actor: str, key: str) -> Verb:
        return CloseIssue(
            issue_id=self.id,
            actor=actor,
            reason=self.reason,
            force=self.force,
            token=self.token,
            key=key,
        )


class Reopen(OfOne):
    op: Literal["reopen"]
    reason: StrictStr = ""

    def verb(self, actor: str, key: str) -> Verb:
        return ReopenIssue(issue_id=self.id, actor=actor, reason=self.reason, key=key)


class Defer(OfOne):
    op: Literal["defer"]
    until: StrictStr | None = None

    def verb(self, actor: str, key: str) -> Verb:
        return DeferIssue(issue_id=self.id, actor=actor, until=self.until, key=key)


class Restore(OfOne):
    op: Literal["restore"]

    def verb(self, actor: str, key: str) -> Verb:
        return RestoreIssue(issue_id=self.id, actor=actor, key=key)


class Delete(OfOne):
    op: Literal["delete"]
    reason: StrictStr = ""
    cascade: StrictBool = False
    force: StrictBool = False

    def verb(self, actor: str, key: str) -> Verb:
        return DeleteIssue(
            issue_id=self.id,
            actor=actor,
            reason=self.reason,
            cascade=self.cascade,
            force=self.force,
            key=key,
        )


class Comment(OfOne):
    op: Literal["comment"]
    text: StrictStr

    def verb(self, actor: str, key: str) -> Verb:
        return CommentIssue(issue_id=self.id, actor=actor, text=self.text, key=key)


class Label(OfOne):
    op: Literal["label"]
    add: Labels = Field(default_factory=list)
    remove: Labels = Field(default_factory=list)

    def verb(self, actor: str, key: str) -> Verb:
        return UpdateIssue(
            issue_id=self.id,
            actor=actor,
            fields={},
            add_labels=tuple(self.add),
            remove_labels=tuple(self.remove),
            key=key,
        )


class Depend(OfOne):
    op: Literal["depend"]
    depends_on: StrictStr
    type: StrictStr = "blocks"
    metadata: StrictStr = ""

    def verb(self, actor: str, key: str) -> Verb:
        return AddDependency(
            issue_id=self.id,
            depends_on_id=self.depends_on,
            actor=actor,
            type=self.type,
            metadata=self.metadata,
            key=key,
        )


class Free(OfOne):
    op: Literal["free"]
    depends_on: StrictStr

    def verb(self, actor: str, key: str) -> Verb:
        return RemoveDependency(
            issue_id=self.id, depends_on_id=self.depends_on, actor=actor, key=key
        )


class Claim(OfOne):
    op: Literal["claim"]
    ttl_s: Seconds = 1800.0
    force: StrictBool = False

    def verb(self, actor: str, key: str) -> Verb:
        del key  # who holds it already renews it
        return ClaimIssue(issue_id=self.id, actor=actor, ttl_s=self.ttl_s, force=self.force)


class Release(OfOne):
    op: Literal["release"]
    token: Token | None = None

    def verb(self, actor: str, key: str) -> Verb:
        del key
        return ReleaseClaim(issue_id=self.id, actor=actor, token=self.token)


Change = Annotated[
    Create
    | Update
    | Close
    | Reopen
    | Defer
    | Restore
    | Delete
    | Comment
    | Label
    | Depend
    | Free
    | Claim
    | Release,
    Field(discriminator="op"),
]


class ChangesRequest(ActorRequest):
    """Body of POST /api/v1/issues/batch."""

    changes: list[Change] = Field(min_length=1, max_length=ITEMS_LIMIT)
    stop: StrictBool = False
