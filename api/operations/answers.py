"""Bodies of answers that routes put together themselves: lists, and what stands beside a record.

No route makes them; the tests hold every answer to them.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from actors.coordination.assignment_messages import AssignmentRecord
from actors.coordination.messages import HistoryRecord, WorkflowTypeRecord
from actors.coordination.reconciling.messages import Divergence
from actors.coordination.results.messages import ArtifactRecord, ResultRecord, ResultTypeRecord
from actors.issues.publishing.sync_messages import Difference, IssueVersion
from api.agent_models import Agent, AgentType
from api.gate_models import GateView
from api.issue_models import CauseView
from api.models import Circuit, Workflow


class FieldProblem(BaseModel):
    """One field that is wrong."""

    pointer: str = Field(description="where it is: a JSON pointer into the request")
    msg: str = Field(description="what is wrong with it")


class Problem(BaseModel):
    """A refusal or a fault (RFC 9457)."""

    type: str = Field(description="`urn:beadflow:problem:<code>`")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="what was attempted, and why not")
    code: str = Field(description="stable; what programs go by")
    hint: str = Field(description="what to do about it")
    retryable: bool = Field(description="whether the same request may succeed later")
    request_id: str = Field(description="by which to find it in the server's log")
    trace_id: str | None = Field(
        default=None, description="of the trace that the request named, if it named one"
    )
    errors: list[FieldProblem] | None = Field(
        default=None, description="only where a field is wrong"
    )


class WorkflowPage(BaseModel):
    """Workflows, newest first; `next_cursor` is null on the last page."""

    data: list[Workflow]
    next_cursor: str | None


class WorkflowTypes(BaseModel):
    """The workflows that can be started, by name."""

    data: list[WorkflowTypeRecord]


class QueryAnswer(BaseModel):
    """What a workflow answers to one of its queries: any JSON."""

    result: Any


class HistoryEvents(BaseModel):
    """Events of a workflow's history in order; `next_after` is null on the last page."""

    data: list[HistoryRecord]
    next_after: int | None


class LogLine(BaseModel):
    """One event as a line for people."""

    seq: int
    at: str
    level: str
    source: str
    message: str


class LogLines(BaseModel):
    """Lines of a workflow's log; `next_after` goes on with what follows."""

    data: list[LogLine]
    next_after: int


class ResultList(BaseModel):
    """Results; `next_cursor` is null on the last page."""

    data: list[ResultRecord]
    next_cursor: str | None


class ResultTypes(BaseModel):
    """What results hold, where the code says so."""

    data: list[ResultTypeRecord]


class ArtifactList(BaseModel):
    """Artifacts by name and version; `next_cursor` is null on the last page."""

    data: list[ArtifactRecord]
    next_cursor: str | None


class AssignmentList(BaseModel):
    """Assignments, newest first; `next_cursor` is null on the last page."""

    data: list[AssignmentRecord]
    next_cursor: str | None


class AgentList(BaseModel):
    """Agents by their ids."""

    data: list[Agent]


class AgentTypes(BaseModel):
    """Types of agents, by name."""

    data: list[AgentType]


class Issue(BaseModel):
    """An issue: what it always has. What else its record holds follows as it is in the file."""

    model_config = ConfigDict(extra="allow")

    id: str
    title: str
    description: str
    status: str
    priority: int
    issue_type: str
    assignee: str
    labels: list[str]
    created_at: str
    updated_at: str
    closed_at: str | None
    close_reason: str


class IssueLine(BaseModel):
    """An issue as the published file has it: what is empty is left out."""

    model_config = ConfigDict(extra="allow")

    id: str


class IssueList(BaseModel):
    """Issues; `total` counts all that fit, `next_cursor` is null on the last page."""

    data: list[Issue]
    next_cursor: str | None
    total: int


class DeletedIssues(BaseModel):
    """All issues that were deleted."""

    data: list[Issue]


class IssueClaim(BaseModel):
    """Who has claimed an issue, and until when."""

    holder: str
    token: int
    expires_at: str


class DependencyEnd(BaseModel):
    """The other end of a dependency; `issue` is null where it is not here."""

    id: str
    type: str
    issue: Issue | None


class IssueDetail(BaseModel):
    """An issue with what surrounds it."""

    issue: Issue
    depends_on: list[DependencyEnd]
    dependents: list[DependencyEnd]
    children: list[Issue]
    claim: IssueClaim | None


class ExplainedIssue(BaseModel):
    """An issue, whether it is ready, and why."""

    issue: Issue
    ready: bool
    causes: list[CauseView]


class ExplainedIssues(BaseModel):
    """Issues with their reasons."""

    data: list[ExplainedIssue]


class Claimed(BaseModel):
    """A claim: an issue is somebody's until it runs out."""

    issue: Issue
    holder: str
    token: int
    expires_at: str


class DependencyNode(BaseModel):
    """An issue in a tree of dependencies; one that is `seen` stands elsewhere with its children."""

    id: str
    type: str
    seen: bool
    issue: Issue | None
    children: list["DependencyNode"]


class Cycles(BaseModel):
    """Circles of dependencies, each by its ids."""

    data: list[list[str]]


class Renamed(BaseModel):
    """An issue whose id another one had, too."""

    old: str
    new: str


class SyncReport(BaseModel):
    """What a sync did or, at a dry run, would do."""

    mode: str
    remote: str | None
    dry_run: bool
    incoming: list[Difference]
    outgoing: list[Difference]
    incoming_count: int
    outgoing_count: int
    commit: str | None
    pushed: bool
    attempts: int
    quarantined: int
    renamed: list[Renamed]


class IssueHistory(BaseModel):
    """Commits that changed an issue, newest first; `next_before` is null at the end."""

    data: list[IssueVersion]
    next_before: str | None


class GateList(BaseModel):
    """Gates, newest first; `next_cursor` is null on the last page."""

    data: list[GateView]
    next_cursor: str | None


class Event(BaseModel):
    """One event of the log; what `data` holds depends on the type."""

    seq: int
    type: str
    workflow_id: str | None
    issue_id: str | None
    at: str
    data: dict[str, Any]


class LostPlace(BaseModel):
    """What follows is not all that happened since the number that was given (`after`).

    Events up to `forgotten` may have been archived; the log ends at `last`, and a number beyond it
    is of another log.
    """

    after: int
    forgotten: int
    last: int


class EventPage(BaseModel):
    """Events in order; `more` says whether there is something after `next_after` already."""

    data: list[Event]
    next_after: int
    more: bool
    reset: LostPlace | None


class EventTypes(BaseModel):
    """JSON schemas of what events hold, by type."""

    data: dict[str, dict[str, Any]]


class Circuits(BaseModel):
    """Circuit breakers of the services outside, by name."""

    data: list[Circuit]


class ReconcileReport(BaseModel):
    """What a comparison of all stores found."""

    data: list[Divergence]
    looked_at: int
    complete: bool
    repaired: int
    reported: int


class Live(BaseModel):
    """The process turns its event loop."""

    status: str


class Whole(BaseModel):
    """Of which version it is, whether it can take work, and which of its parts can."""

    version: str
    status: str
    parts: dict[str, bool]


class Ready(BaseModel):
    """Whether the system can take work, and which of its parts can."""

    status: str
    parts: dict[str, bool]
