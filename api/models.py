"""What clients send and get, as models; fields that are not listed are refused."""

from collections import Counter
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from actors.breakers import CircuitState
from actors.clock import rfc3339
from actors.coordination.messages import WorkflowRecord
from actors.event_filter import EventFilter, check
from actors.feed import CUT, Lag
from supervision import ActorInfo, DeadLetter
from supervision.info import Kind, State

NAME_LIMIT = 200
PATH_LIMIT = 1000

REASON_LIMIT = 500
"""Characters of an exit reason, which holds the text of an exception, that a client is shown."""

Status = Literal[
    "queued",
    "active",
    "paused",
    "stalled",
    "completed",
    "failed",
    "cancelled",
    "terminated",
    "dead_letter",
]


def words(given: object) -> object:
    """A list in a parameter: words with commas between them."""
    return [word for word in given.split(",") if word] if isinstance(given, str) else given


Words = Annotated[list[str], BeforeValidator(words), Field(max_length=100)]
Statuses = Annotated[list[Status], BeforeValidator(words), Field(max_length=len(get_args(Status)))]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StartRequest(Strict):
    """Body of POST /api/v1/workflows."""

    issue_title: str = Field(strict=True)
    workflow_type: str = Field(strict=True, max_length=NAME_LIMIT)
    agent_type: str | None = Field(default=None, strict=True, max_length=NAME_LIMIT)
    priority: int = Field(default=2, strict=True)
    variables: dict[str, Any] = Field(default_factory=dict, strict=True)
    workflow_id: str | None = Field(default=None, strict=True)


class SignalRequest(Strict):
    """Body of POST /api/v1/workflows/{id}/signal."""

    name: str = Field(strict=True)
    value: Any = None
    message_id: str | None = Field(default=None, strict=True)


class QueryRequest(Strict):
    """Body of POST /api/v1/workflows/{id}/query."""

    name: str = Field(strict=True)
    argument: Any = None


class HandoffRequest(Strict):
    """Body of POST /api/v1/workflows/{id}/handoff."""

    from_agent: str = Field(strict=True)
    to_agent: str | None = Field(default=None, strict=True)
    to_type: str | None = Field(default=None, strict=True)
    reason: str = Field(default="", strict=True)
    payload: Any = None
    assignment_id: int | None = Field(default=None, strict=True, ge=1, le=2**62)
    author: str = Field(default="operator", strict=True)


class ReasonRequest(Strict):
    """Body of POST /api/v1/workflows/{id}/pause, cancel and terminate."""

    reason: str = Field(default="", strict=True)


class RetryRequest(Strict):
    """Body of POST /api/v1/workflows/{id}/retry."""

    author: str = Field(default="operator", strict=True)


class UpdateRequest(Strict):
    """Body of PUT /api/v1/workflows/{id}."""

    title: str | None = Field(default=None, strict=True)
    priority: int | None = Field(default=None, strict=True)
    variables: dict[str, Any] | None = Field(default=None, strict=True)
    status: Status | None = None
    reason: str = Field(default="", strict=True)
    result: Any = None


class ReasonQuery(Strict):
    """Query of DELETE /api/v1/workflows/{id}."""

    reason: str = ""


class NoBody(Strict):
    """Body of a route that takes no fields."""


class HistoryQuery(Strict):
    """Query of GET /api/v1/workflows/{id}/history."""

    after: int = Field(default=0, ge=0, le=2**62)
    limit: int = Field(default=200, ge=1, le=1000)


class ListQuery(Strict):
    """Query of GET /api/v1/workflows."""

    status: Statuses = Field(default_factory=list)
    type: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    priority: int | None = Field(default=None, ge=0, le=4)
    issue: str | None = None
    created_after: str | None = None
    created_before: str | None = None
    q: str = Field(default="", max_length=NAME_LIMIT)
    sort: Literal["created"] = "created"
    reverse: bool = False
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None
    fields: Words = Field(default_factory=list)


class AssignmentsQuery(Strict):
    """Query of GET /api/v1/assignments."""

    workflow_id: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    status: str | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None
    fields: Words = Field(default_factory=list)


class AssignRequest(Strict):
    """Body of POST /api/v1/assignments."""

    workflow_id: str = Field(strict=True)
    agent_id: str = Field(strict=True)
    reason: str = Field(default="", strict=True)
    author: str = Field(default="operator", strict=True)


class LogsQuery(Strict):
    """Query of GET /api/v1/workflows/{id}/logs."""

    after: int = Field(default=0, ge=0, le=2**62)
    limit: int = Field(default=500, ge=1, le=1000)
    follow: bool = False

    @model_validator(mode="after")
    def _all_or_some(self) -> Self:
        if self.follow and "limit" in self.model_fields_set:
            raise ValueError("who follows a log gets all of it, without a limit")
        return self


class EventsWanted(Strict):
    """Which events are meant."""

    topics: Words = Field(default_factory=list)
    workflow_id: Words = Field(default_factory=list)
    issue_id: str | None = None
    agent_id: str | None = None

    def filter(self) -> EventFilter:
        """Raises `ValidationError`."""
        wanted = EventFilter(
            topics=tuple(self.topics),
            workflow_ids=tuple(self.workflow_id),
            issue_id=self.issue_id,
            agent_id=self.agent_id,
        )
        check(wanted)
        return wanted


class EventStreamQuery(EventsWanted):
    """Query of events as they happen."""

    after: int | None = Field(default=None, ge=0, le=2**62)
    lag: Lag = CUT


class EventsQuery(EventStreamQuery):
    """Query of the WebSocket of events."""

    ops: bool = False

    @model_validator(mode="after")
    def _ops_alone(self) -> Self:
        """Who subscribes by ops says there what is wanted."""
        if self.ops and self.model_fields_set != {"ops"}:
            raise ValueError("with ops=true, what is wanted is said by ops and not in the query")
        return self


class EventsPageQuery(EventsWanted):
    """Query of GET /api/v1/events."""

    after: int = Field(default=0, ge=0, le=2**62)
    limit: int = Field(default=500, ge=1, le=1000)


class ActorsQuery(Strict):
    """Query of GET /api/v1/actors."""

    path: str | None = Field(default=None, min_length=1, max_length=PATH_LIMIT)
    depth: int | None = Field(default=None, ge=0, le=100)
    limit: int = Field(default=100, ge=1, le=1000)


class OneQuery(Strict):
    """Query of a route that answers one thing."""

    fields: Words = Field(default_factory=list)


class NoQuery(Strict):
    """Query of a route that takes none."""


class WorkflowError(BaseModel):
    code: str
    message: str


class Workflow(BaseModel):
    """A workflow. Times are RFC 3339, UTC."""

    id: str
    beads_issue_id: str
    type: str
    version: int
    title: str
    status: str
    priority: int
    agent_type: str | None
    agent_id: str | None
    variables: dict[str, Any]
    created_at: str
    started_at: str | None
    completed_at: str | None
    error: WorkflowError | None
    parent_id: str | None
    updated_at: str
    waits_for_agent: str | None

    @staticmethod
    def shown(record: WorkflowRecord) -> dict[str, Any]:
        """What this model of a record would be dumped to; a list of 100 has no time to make it."""
        error = None
        if record.error_code is not None:
            error = {"code": record.error_code, "message": record.error_message or ""}
        return {
            "id": record.id,
            "beads_issue_id": record.beads_issue_id,
            "type": record.type,
            "version": record.version,
            "title": record.title,
            "status": record.status,
            "priority": record.priority,
            "agent_type": record.agent_type,
            "agent_id": record.agent_id,
            "variables": record.variables,
            "created_at": record.created_at,
            "started_at": record.started_at,
            "completed_at": record.completed_at,
            "error": error,
            "parent_id": record.parent_id,
            "updated_at": record.updated_at,
            "waits_for_agent": record.waits_for_agent,
        }


class Mailbox(BaseModel):
    depth: int
    bound: int


class Actor(BaseModel):
    """One actor of the tree, with those below."""

    id: str
    path: str
    name: str | None
    kind: Kind
    state: State
    restarts: int
    last_exit: str | None
    mailbox: Mailbox
    handled: int
    refused: int
    uptime_s: float
    memory_bytes: int
    children: list["Actor"]
    more: int

    @classmethod
    def of(cls, info: ActorInfo) -> Self:
        return cls(
            id=info.id,
            path=info.path,
            name=info.name,
            kind=info.kind,
            state=info.state,
            restarts=info.restarts,
            last_exit=None if info.last_exit is None else reason(info.last_exit),
            mailbox=Mailbox(depth=info.mailbox_depth, bound=info.mailbox_bound),
            handled=info.handled,
            refused=info.refused,
            uptime_s=round(info.uptime_s, 3),
            memory_bytes=info.memory_bytes,
            children=[cls.of(child) for child in info.children],
            more=info.more,
        )


class ActorTotals(BaseModel):
    """The actors that are shown, counted; `more` is how many children are not."""

    shown: int
    more: int
    by_state: dict[State, int]
    by_kind: dict[Kind, int]

    @classmethod
    def of(cls, info: ActorInfo) -> Self:
        shown = list(info.walk())
        return cls(
            shown=len(shown),
            more=sum(actor.more for actor in shown),
            by_state=Counter(actor.state for actor in shown),
            by_kind=Counter(actor.kind for actor in shown),
        )


class Letter(BaseModel):
    """A message that nobody handled. What it held is not kept."""

    path: str
    message_type: str
    reason: str
    at: str

    @classmethod
    def of(cls, letter: DeadLetter, now: datetime, now_s: float) -> Self:
        """`now` and `now_s` are the present, in UTC and on the letter's own clock."""
        return cls(
            path=letter.path,
            message_type=letter.message_type,
            reason=reason(letter.reason),
            at=rfc3339(now - timedelta(seconds=now_s - letter.at_s)),
        )


class DeadLetters(BaseModel):
    """How many there were in this life of the process, and the last of them, newest last."""

    count: int
    recent: list[Letter]


class Actors(BaseModel):
    """Answer of GET /api/v1/actors."""

    tree: Actor
    totals: ActorTotals
    dead_letters: DeadLetters


class Circuit(BaseModel):
    """The circuit breaker of a service outside."""

    service: str
    state: str
    failures: int
    retry_in_s: float
    rejected: int
    last_error: str

    @classmethod
    def of(cls, state: CircuitState) -> "Circuit":
        told = {**asdict(state), "retry_in_s": round(state.retry_in_s, 3)}
        return cls(**told | {"last_error": reason(state.last_error)})


def reason(text: str) -> str:
    """One line of at most `REASON_LIMIT` characters, which any encoding can carry."""
    start = text[: REASON_LIMIT * 4].encode("utf-8", "backslashreplace").decode()
    line = " ".join(start.split())
    return line if len(line) <= REASON_LIMIT else f"{line[: REASON_LIMIT - 1]}…"
