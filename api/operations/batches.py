"""Operations that do many things at once."""

from typing import Final

from pydantic import BaseModel, Field

from actors.issues.import_messages import Imported
from api.batch_models import ChangesRequest, StartsRequest
from api.models import Workflow
from api.operations.answers import Issue, Problem
from api.operations.operation import LINES, Operation
from api.routes.imports import ImportQuery


class StartOutcome(BaseModel):
    """What became of one start: the workflow, or why it was not started."""

    index: int = Field(description="its place in the request, from 0")
    status: int = Field(description="what it would have been answered by itself: 201, or why not")
    workflow: Workflow | None
    problem: Problem | None


class StartOutcomes(BaseModel):
    """What became of each start, in the order of the request."""

    data: list[StartOutcome]
    done: int
    refused: int


class ClaimOfIssue(BaseModel):
    """What a claim gives beside the issue."""

    holder: str
    token: int
    expires_at: str


class ChangeOutcome(BaseModel):
    """What became of one change: the issue as it is then, or why it was not changed."""

    index: int = Field(description="its place in the request, from 0")
    op: str
    status: int = Field(description="what it would have been answered by itself")
    id: str | None = Field(description="the issue's whole id; null where it was refused")
    issue: Issue | None
    claim: ClaimOfIssue | None = Field(description="of a claim")
    deleted: list[str] = Field(description="ids of all that a deletion has deleted")
    problem: Problem | None


class ChangeOutcomes(BaseModel):
    """What became of each change, in the order of the request."""

    data: list[ChangeOutcome]
    done: int
    refused: int
    skipped: int = Field(description="changes after the first refused one, with `stop`")


OPERATIONS: Final[dict[str, Operation]] = {
    "batches.start": Operation(
        summary="Start many workflows",
        description="Up to 100; each is started, or refused, by itself.",
        body=StartsRequest,
        answer=StartOutcomes,
        headers=("Idempotency-Key",),
        example={
            "workflows": [
                {
                    "issue_title": "Which queue should we use?",
                    "workflow_type": "research",
                    "variables": {"question": "Which queue should we use?"},
                }
            ]
        },
    ),
    "imports.take_in": Operation(
        summary="Import issues",
        description="Lines of the published format, merged into the issues one by one.",
        body=bytes,
        body_type=LINES,
        query=ImportQuery,
        answer=Imported,
        codes=("body_too_large", "request_timeout", "unsupported_media_type"),
    ),
    "batches.change": Operation(
        summary="Change many issues",
        description="Up to 100 changes in order; each is done, or refused, by itself. `$0` in place"
        " of an id is the issue of the first change.",
        body=ChangesRequest,
        answer=ChangeOutcomes,
        codes=("no_such_part",),
        headers=("Idempotency-Key",),
        example={
            "actor": "ann",
            "changes": [
                {"op": "create", "title": "Move to the new API", "issue_type": "epic"},
                {"op": "create", "title": "Move the list", "parent": "$0"},
                {"op": "claim", "id": "$1"},
            ],
        },
    ),
}
