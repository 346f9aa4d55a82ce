"""What clients send and get about issues, as models; fields that are not listed are refused.

The values of fields are checked where the issues are (lengths, ranges, times, whether an id is
known); here only their JSON types are.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, StrictBool, StrictInt, StrictStr

from actors.issues.messages import Issue
from actors.issues.questions import (
    Cause,
    Edge,
    Explained,
    IssueFilter,
    IssueStats,
    Shown,
    TreeNode,
)
from actors.issues.verbs import Claim
from api.models import Strict, words

ACTOR_LIMIT = 200
LIST_LIMIT = 1000
WORDS_LIMIT = 100
TTL_LIMIT_S = 7 * 24 * 3600.0

Sort = Literal["updated", "created", "priority", "id"]
Policy = Literal["hybrid", "priority", "oldest"]
Direction = Literal["down", "up"]

Actor = Annotated[str, Field(strict=True, min_length=1, max_length=ACTOR_LIMIT, pattern=r"\S")]
Seconds = Annotated[float, Field(strict=True, ge=1.0, le=TTL_LIMIT_S, allow_inf_nan=False)]
Token = Annotated[int, Field(strict=True, ge=0, le=2**62)]
Minutes = Annotated[int, Field(strict=True, ge=0, le=2**31)]
Labels = Annotated[list[StrictStr], Field(max_length=LIST_LIMIT)]

CALLS = frozenset(
    (
        "parent",
        "depends_on",
        "id",
        "actor",
        "op",
        "append_notes",
        "add_labels",
        "remove_labels",
        "token",
        "force",
    )
)
"""What of a request is about the request, not a field of the issue."""


Words = Annotated[list[str], BeforeValidator(words), Field(max_length=WORDS_LIMIT)]
Numbers = Annotated[list[int], BeforeValidator(words), Field(max_length=WORDS_LIMIT)]


class Fields(Strict):
    """Fields of an issue that may be set, whether it is new or not."""

    description: StrictStr | None = None
    design: StrictStr | None = None
    acceptance_criteria: StrictStr | None = None
    notes: StrictStr | None = None
    spec_id: StrictStr | None = None
    priority: StrictInt | None = None
    issue_type: StrictStr | None = None
    assignee: StrictStr | None = None
    owner: StrictStr | None = None
    estimated_minutes: Minutes | None = None
    due_at: StrictStr | None = None
    defer_until: StrictStr | None = None
    external_ref: StrictStr | None = None
    metadata: Any = None
    labels: Labels | None = None
    pinned: StrictBool | None = None
    ephemeral: StrictBool | None = None

    def given(self) -> dict[str, Any]:
        """The fields that the request names, null where it says so."""
        named = self.model_fields_set - CALLS
        return {name: getattr(self, name) for name in type(self).model_fields if name in named}


class DependsOn(Strict):
    """A dependency of a new issue."""

    id: StrictStr
    type: StrictStr = "blocks"


class NewIssueRequest(Fields):
    """Body of POST /api/v1/issues."""

    title: StrictStr
    actor: Actor
    parent: StrictStr | None = None
    depends_on: list[DependsOn] = Field(default_factory=list, max_length=LIST_LIMIT)
    id: StrictStr | None = None

    def fields(self) -> dict[str, Any]:
        return {name: value for name, value in self.given().items() if value is not None}


class UpdateRequest(Fields):
    """Body of PUT /api/v1/issues/{id}."""

    actor: Actor
    title: StrictStr | None = None
    status: StrictStr | None = None
    add_labels: Labels = Field(default_factory=list)
    remove_labels: Labels = Field(default_factory=list)
    append_notes: StrictStr = ""
    token: Token | None = None
    force: StrictBool = False


class ActorRequest(Strict):
    """Body of POST …/restore."""

    actor: Actor


class CloseRequest(ActorRequest):
    """Body of POST …/close."""

    reason: StrictStr = ""
    force: StrictBool = False
    token: Token | None = None


class ReopenRequest(ActorRequest):
    """Body of POST …/reopen."""

    reason: StrictStr = ""


class DeferRequest(ActorRequest):
    """Body of POST …/defer."""

    until: StrictStr | None = None


class DeleteQuery(Strict):
    """Query of DELETE /api/v1/issues/{id}."""

    actor: str = Field(min_length=1, max_length=ACTOR_LIMIT, pattern=r"\S")
    reason: str = ""
    cascade: bool = False
    force: bool = False


class ActorQuery(Strict):
    """Query of DELETE …/dependencies/{other}."""

    actor: str = Field(min_length=1, max_length=ACTOR_LIMIT, pattern=r"\S")


class DependencyRequest(ActorRequest):
    """Body of POST …/dependencies."""

    depends_on: StrictStr
    type: StrictStr = "blocks"
    metadata: StrictStr = ""


class CommentRequest(ActorRequest):
    """Body of POST …/comments."""

    text: StrictStr


class LabelsRequest(ActorRequest):
    """Body of POST …/labels."""

    add: Labels = Field(default_factory=list)
    remove: Labels = Field(default_factory=list)


class ClaimRequest(ActorRequest):
    """Body of POST …/claim."""

    ttl_s: Seconds = 1800.0
    force: StrictBool = False


class HeartbeatRequest(Strict):
    """Body of POST …/heartbeat."""

    token: Token
    ttl_s: Seconds = 1800.0


class ReleaseRequest(ActorRequest):
    """Body of POST …/release."""

    token: Token | None = None


class Filter(Strict):
    """Which issues; each parameter that is given must hold."""

    status: Words = Field(default_factory=list)
    type: Words = Field(default_factory=list)
    priority: Numbers = Field(default_factory=list)
    assignee: str | None = None
    labels: Words = Field(default_factory=list)
    any_labels: Words = Field(default_factory=list)
    without_labels: Words = Field(default_factory=list)
    parent: str | None = None
    created_by: str | None = None
    updated_before: str | None = None
    updated_after: str | None = None

    def filter(self, text: str = "") -> IssueFilter:
        return IssueFilter(
            status=tuple(self.status),
            issue_type=tuple(self.type),
            priority=tuple(self.priority),
            assignee=self.assignee,
            labels=tuple(self.labels),
            any_labels=tuple(self.any_labels),
            without_labels=tuple(self.without_labels),
            parent=self.parent,
            text=text,
            created_by=self.created_by,
            updated_before=self.updated_before,
            updated_after=self.updated_after,
        )


class IssuesQuery(Filter):
    """Query of GET /api/v1/issues."""

    sort: Sort = "updated"
    reverse: bool = False
    limit: int = Field(default=50, ge=1, le=LIST_LIMIT)
    cursor: str | None = None
    closed: bool = False
    fields: Words = Field(default_factory=list)


class SearchQuery(IssuesQuery):
    """Query of GET /api/v1/issues/search."""

    q: str = Field(min_length=1, pattern=r"\S")


class ReadyQuery(Filter):
    """Query of GET /api/v1/issues/ready."""

    policy: Policy = "priority"
    classic: bool = False
    limit: int = Field(default=10, ge=1, le=LIST_LIMIT)


class BlockedQuery(Filter):
    """Query of GET /api/v1/issues/blocked."""

    limit: int = Field(default=50, ge=1, le=LIST_LIMIT)


class ClaimReadyRequest(Filter):
    """Body of POST /api/v1/issues/ready/claim: the filter of ready, and who claims."""

    actor: Actor
    policy: Policy = "priority"
    ttl_s: Seconds = 1800.0


class TreeQuery(Strict):
    """Query of GET …/tree."""

    direction: Direction = "down"
    depth: int = Field(default=50, ge=1, le=100)


ALWAYS = (
    *("id", "title", "description", "status", "priority", "issue_type", "assignee", "labels"),
    *("created_at", "updated_at", "closed_at", "close_reason"),
)
"""Fields of an issue that an answer always has."""


def issue_of(issue: Issue) -> dict[str, Any]:
    """An issue: what it always has first, then whatever else its record holds, as it is there."""
    always = {name: getattr(issue, name) for name in ALWAYS} | {"labels": list(issue.labels)}
    return always | {name: value for name, value in issue.row.items() if name not in always}


class ClaimView(BaseModel):
    """A claim. `expires_at` is RFC 3339."""

    issue: dict[str, Any]
    holder: str
    token: int
    expires_at: str

    @classmethod
    def of(cls, claim: Claim) -> Self:
        return cls(
            issue=issue_of(claim.issue),
            holder=claim.holder,
            token=claim.token,
            expires_at=claim.expires_at,
        )


class CauseView(BaseModel):
    """One link of why an issue waits, or waited."""

    kind: str
    path: list[str]
    text: str

    @classmethod
    def of(cls, cause: Cause) -> Self:
        return cls(kind=cause.kind, path=list(cause.path), text=cause.text)


class ExplainedView(BaseModel):
    """An issue, whether it is ready, and why."""

    issue: dict[str, Any]
    ready: bool
    causes: list[CauseView]

    @classmethod
    def of(cls, found: Explained) -> Self:
        return cls(
            issue=issue_of(found.issue),
            ready=found.ready,
            causes=[CauseView.of(cause) for cause in found.causes],
        )


class EdgeView(BaseModel):
    """The other end of a dependency; `issue` is null where it is not here."""

    id: str
    type: str
    issue: dict[str, Any] | None

    @classmethod
    def of(cls, edge: Edge) -> Self:
        there = None if edge.issue is None else issue_of(edge.issue)
        return cls(id=edge.id, type=edge.type, issue=there)


class ShownView(BaseModel):
    """An issue with what surrounds it."""

    issue: dict[str, Any]
    depends_on: list[EdgeView]
    dependents: list[EdgeView]
    children: list[dict[str, Any]]
    claim: dict[str, Any] | None

    @classmethod
    def of(cls, shown: Shown) -> Self:
        return cls(
            issue=issue_of(shown.issue),
            depends_on=[EdgeView.of(edge) for edge in shown.depends_on],
            dependents=[EdgeView.of(edge) for edge in shown.dependents],
            children=[issue_of(child) for child in shown.children],
            claim=None if shown.claim is None else dict(shown.claim),
        )


def tree_of(node: TreeNode) -> dict[str, Any]:
    """A tree of dependencies; written without recursion, since a chain may be long."""
    root: dict[str, Any] = {}
    waiting = [(node, root)]
    while waiting:
        each, into = waiting.pop()
        issue = None if each.issue is None else issue_of(each.issue)
        below: list[dict[str, Any]] = [{} for _ in each.children]
        into |= {"id": each.id, "type": each.type, "seen": each.seen, "issue": issue}
        into["children"] = below
        waiting.extend(zip(each.children, below, strict=True))
    return root


class StatsView(BaseModel):
    """Counts of issues."""

    total: int
    by_status: dict[str, int]
    by_type: dict[str, int]
    by_priority: dict[str, int]
    ready: int
    blocked: int
    epics_to_close: int
    lead_time_h: float | None

    @classmethod
    def of(cls, stats: IssueStats) -> Self:
        return cls(
            total=stats.total,
            by_status=dict(stats.by_status),
            by_type=dict(stats.by_type),
            by_priority={str(number): count for number, count in stats.by_priority.items()},
            ready=stats.ready,
            blocked=stats.blocked,
            epics_to_close=stats.epics_to_close,
            lead_time_h=stats.lead_time_h,
        )
