"""Operations on workflows, and on what came of them."""

from typing import Final

from actors.coordination.assignment_messages import AssignmentRecord
from actors.coordination.results.messages import ArtifactRecord, ResultRecord
from api.models import (
    AssignmentsQuery,
    AssignRequest,
    HandoffRequest,
    HistoryQuery,
    ListQuery,
    LogsQuery,
    NoBody,
    OneQuery,
    QueryRequest,
    ReasonQuery,
    ReasonRequest,
    RetryRequest,
    SignalRequest,
    StartRequest,
    UpdateRequest,
    Workflow,
)
from api.operations.answers import (
    ArtifactList,
    AssignmentList,
    HistoryEvents,
    LogLines,
    QueryAnswer,
    ResultList,
    ResultTypes,
    WorkflowPage,
    WorkflowTypes,
)
from api.operations.operation import ANY_FILE, FILE_MODEL, STREAM, Operation
from api.result_models import ArtifactQuery, ArtifactsQuery, ResultRequest, ResultsQuery

HOLDERS: Final = (
    *("workflow_closed", "child_workflow", "not_the_holder", "already_the_holder"),
    *("wrong_agent_type", "agent_busy", "agent_draining", "agent_lost"),
)

STARTING: Final[dict[str, Operation]] = {
    "workflows.start": Operation(
        summary="Start a workflow",
        description="Answered once the start is committed; its address is in `Location`.",
        body=StartRequest,
        answer=Workflow,
        status=201,
        also=(202,),
        headers=("Prefer",),
        answer_headers=("Location",),
        codes=("not_found",),
        example={
            "issue_title": "Which SQLite client library should this project use?",
            "workflow_type": "research",
            "priority": 1,
            "variables": {"candidates": ["aiosqlite", "apsw"]},
        },
    ),
    "workflows.listing": Operation(
        summary="List workflows", description="Newest first.", query=ListQuery, answer=WorkflowPage
    ),
    "workflows.types": Operation(summary="List what can be started", answer=WorkflowTypes),
    "workflows.get": Operation(
        summary="Get a workflow",
        query=OneQuery,
        answer=Workflow,
        headers=("Prefer",),
        answer_headers=("ETag",),
    ),
    "workflows.update": Operation(
        summary="Change a workflow",
        description="All that the body names, or nothing.",
        body=UpdateRequest,
        answer=Workflow,
        headers=("Idempotency-Key", "If-Match"),
        answer_headers=("ETag",),
        codes=(
            *("status_transition", "variables_fixed", "child_workflow", "workflow_changed"),
            *("workflow_closed", "not_retryable"),
        ),
        example={"title": "Which SQLite client library?", "priority": 0},
    ),
    "workflows.logs": Operation(
        summary="Read a workflow's log",
        description="Its events as lines for people; as `text/event-stream`, until it has ended.",
        query=LogsQuery,
        answer=LogLines,
        other_types=(STREAM,),
        other_statuses=(204,),
        headers=("Last-Event-ID",),
    ),
}

CONTROL: Final[dict[str, Operation]] = {
    "control.signal": Operation(
        summary="Send a signal",
        description="Durable once it is answered, and taken exactly once.",
        body=SignalRequest,
        answer=Workflow,
        codes=("workflow_closed", "too_many_signals"),
        example={"name": "go", "value": {"by": "ann"}, "message_id": "go-1"},
    ),
    "control.query": Operation(
        summary="Ask a query",
        body=QueryRequest,
        answer=QueryAnswer,
        codes=("workflow_closed", "workflow_not_running", "workflow_stalled", "query_failed"),
        example={"name": "progress"},
    ),
    "control.pause": Operation(
        summary="Pause a workflow",
        body=ReasonRequest,
        answer=Workflow,
        codes=("workflow_closed",),
        example={"reason": "the index is down"},
    ),
    "control.resume": Operation(
        summary="Resume a workflow",
        body=NoBody,
        answer=Workflow,
        codes=("workflow_closed",),
        example={},
    ),
    "control.cancel": Operation(
        summary="Ask a workflow to end in order",
        body=ReasonRequest,
        answer=Workflow,
        also=(202,),
        codes=("workflow_closed",),
        example={"reason": "not needed any more"},
    ),
    "control.delete": Operation(
        summary="Cancel a workflow",
        description="The same as cancel: the workflow, its results and its history stay.",
        query=ReasonQuery,
        answer=Workflow,
        also=(202,),
        codes=("workflow_closed",),
    ),
    "control.terminate": Operation(
        summary="End a workflow where it stands",
        body=ReasonRequest,
        answer=Workflow,
        codes=("workflow_closed",),
        example={"reason": "it does not end"},
    ),
    "control.retry": Operation(
        summary="Retry a workflow",
        body=RetryRequest,
        answer=Workflow,
        codes=("workflow_closed", "not_retryable"),
        example={"author": "ann"},
    ),
    "control.history": Operation(
        summary="Read a workflow's history",
        description="What its engine has recorded, in order.",
        query=HistoryQuery,
        answer=HistoryEvents,
    ),
    "handoff.handoff": Operation(
        summary="Hand a workflow on to the next agent",
        body=HandoffRequest,
        answer=AssignmentRecord,
        codes=HOLDERS,
        example={
            "from_agent": "research-1",
            "to_type": "validation",
            "reason": "the report is written",
            "payload": {"report": "documentation/report.md"},
        },
    ),
}

RESULTS: Final[dict[str, Operation]] = {
    "results.everywhere": Operation(
        summary="Find results",
        description="Of all workflows, the newest first.",
        query=ResultsQuery,
        answer=ResultList,
        lines=ResultRecord,
    ),
    "results.types": Operation(summary="List what results hold", answer=ResultTypes),
    "results.of_workflow": Operation(
        summary="Read a workflow's results",
        query=ResultsQuery,
        answer=ResultList,
        lines=ResultRecord,
    ),
    "results.store": Operation(
        summary="Store a result by hand",
        body=ResultRequest,
        answer=ResultRecord,
        status=201,
        codes=("child_workflow", "result_too_large"),
        example={
            "result_type": "review",
            "result_data": {"verdict": "take it"},
            "confidence_score": 0.9,
        },
    ),
    "artifacts.listing": Operation(
        summary="List a workflow's artifacts", query=ArtifactsQuery, answer=ArtifactList
    ),
    "artifacts.read": Operation(
        summary="Read an artifact",
        description="The file; it was verified against its hash, which is its `ETag`.",
        query=ArtifactQuery,
        answer=FILE_MODEL,
        answer_type=ANY_FILE,
        headers=("If-None-Match", "Range", "If-Range"),
        answer_headers=("ETag", "Artifact-Version", "Content-Disposition"),
        other_statuses=(206, 304),
        codes=("range_not_satisfiable", "artifact_damaged"),
    ),
    "artifacts.store": Operation(
        summary="Store an artifact",
        description="The body is the file as it is, of any type, in pieces of any size.",
        body=FILE_MODEL,
        body_type=ANY_FILE,
        answer=ArtifactRecord,
        status=201,
        answer_headers=("Location", "ETag"),
        codes=(
            *("artifact_cut_off", "artifact_too_large", "artifacts_too_large"),
            *("artifact_damaged", "artifact_not_stored", "unsupported_media_type"),
        ),
    ),
}

ASSIGNMENTS: Final[dict[str, Operation]] = {
    "assignments.listing": Operation(
        summary="List who has and had which workflow",
        query=AssignmentsQuery,
        answer=AssignmentList,
    ),
    "assignments.assign": Operation(
        summary="Give a workflow to an agent",
        body=AssignRequest,
        answer=AssignmentRecord,
        status=201,
        codes=("not_found", *HOLDERS),
        example={"workflow_id": "research-mwrndwno9zixou4r", "agent_id": "research-1"},
    ),
}

OPERATIONS: Final = STARTING | CONTROL | RESULTS | ASSIGNMENTS
