"""What clients send and get, as models; fields that are not listed are refused."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from actors.coordination.messages import WorkflowRecord

NAME_LIMIT = 200

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


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StartRequest(Strict):
    """Body of POST /api/v1/workflows."""

    issue_title: str = Field(strict=True)
    workflow_type: str = Field(strict=True, max_length=NAME_LIMIT)
    agent_type: str | None = Field(default=None, strict=True, max_length=NAME_LIMIT)
    priority: int = Field(default=2, strict=True)
    variables: dict[str, Any] = Field(default_factory=dict, strict=True)


class ListQuery(Strict):
    """Query of GET /api/v1/workflows."""

    status: Status | None = None
    type: str | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None


class LogsQuery(Strict):
    """Query of GET /api/v1/workflows/{id}/logs."""

    after: int = Field(default=0, ge=0, le=2**62)
    limit: int = Field(default=500, ge=1, le=1000)


class EventsQuery(Strict):
    """Query of the event stream."""

    workflow_id: str | None = None
    after: int | None = Field(default=None, ge=0, le=2**62)


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

    @classmethod
    def of(cls, record: WorkflowRecord) -> Self:
        error = None
        if record.error_code is not None:
            error = WorkflowError(code=record.error_code, message=record.error_message or "")
        return cls(
            id=record.id,
            beads_issue_id=record.beads_issue_id,
            type=record.type,
            version=record.version,
            title=record.title,
            status=record.status,
            priority=record.priority,
            agent_type=record.agent_type,
            agent_id=record.agent_id,
            variables=record.variables,
            created_at=record.created_at,
            started_at=record.started_at,
            completed_at=record.completed_at,
            error=error,
        )
