"""What clients send and get about gates, as models; fields that are not listed are refused."""

from typing import Literal, Self

from pydantic import BaseModel, Field, StrictStr

from actors.issues import gates
from actors.issues.messages import Issue
from actors.issues.questions import IssueFilter, QueryIssues
from api.issue_models import Actor
from api.models import Strict, Words

WHY_LIMIT = 10_000
PAGE_LIMIT = 1000

GateStatus = Literal["open", "approved", "rejected", "withdrawn"]


class GatesQuery(Strict):
    """Query of GET /api/v1/gates."""

    status: Literal["open", "answered", "all"] = "open"
    workflow_id: str | None = None
    limit: int = Field(default=50, ge=1, le=PAGE_LIMIT)
    cursor: str | None = None
    fields: Words = Field(default_factory=list)

    def question(self) -> QueryIssues:
        of = IssueFilter(
            issue_type=(gates.TYPE,), status=("closed",) if self.status == "answered" else ()
        )
        return QueryIssues(
            filter=of,
            sort="created",
            limit=self.limit,
            cursor=self.cursor,
            closed=self.status != "open",
        )

    def wants(self, gate: "GateView") -> bool:
        """Whether an issue that was found is one that was asked for."""
        if self.workflow_id not in (None, gate.workflow_id):
            return False
        return self.status == "all" or (gate.status == "open") == (self.status == "open")


class AnswerRequest(Strict):
    """Body of POST /api/v1/gates/{id}/approve and reject."""

    by: Actor
    why: StrictStr = Field(default="", max_length=WHY_LIMIT)


class GateView(BaseModel):
    """A gate. Times are RFC 3339."""

    id: str
    title: str
    description: str
    status: GateStatus
    workflow_id: str | None
    step: str | None
    opened_at: str
    expires_at: str | None
    by: str | None
    why: str | None
    answered_at: str | None
    timed_out: bool

    @classmethod
    def of(cls, issue: Issue) -> Self:
        note, answer = gates.note_of(issue.row), gates.answer_of(issue.row)
        known = {name: note.get(name) for name in ("workflow_id", "step", "expires_at")}
        texts = {n: value if isinstance(value, str) else None for n, value in known.items()}
        return cls.model_validate(
            {
                "id": issue.id,
                "title": issue.title,
                "description": issue.description,
                "status": "open" if answer is None else answer.status,
                "opened_at": issue.created_at,
                "by": None if answer is None else answer.by or None,
                "why": None if answer is None else answer.why or None,
                "answered_at": None if answer is None else answer.at,
                "timed_out": answer is not None and answer.timed_out,
                **texts,
            }
        )
