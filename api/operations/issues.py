"""Operations on issues and gates."""

from typing import Final

from api import issue_models
from api.gate_models import AnswerRequest, GatesQuery, GateView
from api.models import OneQuery
from api.operations.answers import (
    Claimed,
    Cycles,
    DeletedIssues,
    DependencyNode,
    ExplainedIssue,
    ExplainedIssues,
    GateList,
    Issue,
    IssueDetail,
    IssueHistory,
    IssueLine,
    IssueList,
    SyncReport,
)
from api.operations.operation import LINES, Operation
from api.routes.sync import PastQuery, SyncRequest

WRITTEN: Final = ("ambiguous_id", "stale_claim", "gate_answered")
FOUND: Final = ("not_found", "ambiguous_id")
"""Of lists: the issue that they are to be below is named by a beginning of its id, too."""

ISSUES: Final[dict[str, Operation]] = {
    "issues.create": Operation(
        summary="Create an issue",
        body=issue_models.NewIssueRequest,
        answer=Issue,
        status=201,
        answer_headers=("Location", "ETag"),
        codes=("not_found", "ambiguous_id", "dependency_cycle"),
        example={
            "title": "The export leaves out deleted issues",
            "actor": "ann",
            "issue_type": "bug",
            "priority": 1,
            "labels": ["export"],
        },
    ),
    "issues.listing": Operation(
        summary="List issues", query=issue_models.IssuesQuery, answer=IssueList, codes=FOUND
    ),
    "issues.search": Operation(
        summary="Search issues",
        description="Those that hold each word in id, title, description, notes or comments.",
        query=issue_models.SearchQuery,
        answer=IssueList,
        codes=FOUND,
    ),
    "issues.stats": Operation(summary="Count issues", answer=issue_models.StatsView),
    "issues.show": Operation(
        summary="Get an issue",
        description="With what surrounds it.",
        query=OneQuery,
        answer=IssueDetail,
        answer_headers=("ETag",),
        codes=("ambiguous_id",),
    ),
    "issues.update": Operation(
        summary="Change an issue",
        description="Sets the fields that the body names; `null` clears one.",
        body=issue_models.UpdateRequest,
        answer=Issue,
        headers=("If-Match",),
        answer_headers=("ETag",),
        codes=(*WRITTEN, "issue_changed", "already_claimed", "issue_blocked"),
        example={"actor": "ann", "priority": 0, "add_labels": ["urgent"]},
    ),
    "issues.delete": Operation(
        summary="Delete an issue",
        description="A mark stays, by which other clones learn of it.",
        query=issue_models.DeleteQuery,
        answer=DeletedIssues,
        codes=WRITTEN,
    ),
    "export.export": Operation(
        summary="Export all issues",
        description="In the lines of the published file, one JSON object each.",
        answer=IssueLine,
        answer_type=LINES,
        codes=("publication_failed",),
    ),
    "sync.sync": Operation(
        summary="Meet other clones",
        description="Fetch, merge and push; it may take minutes, and repeating it does no harm.",
        body=SyncRequest,
        answer=SyncReport,
        codes=(
            *("sync_refused", "no_remote", "unrelated_histories", "sync_contended"),
            *("remote_unavailable", "circuit_open", "publication_failed"),
        ),
        example={"remote": "origin", "dry_run": True},
    ),
    "sync.history": Operation(
        summary="Read the past of an issue",
        description="The commits that changed it, newest first.",
        query=PastQuery,
        answer=IssueHistory,
        codes=("ambiguous_id", "sync_refused", "publication_failed"),
    ),
}

READINESS: Final[dict[str, Operation]] = {
    "readiness.ready": Operation(
        summary="List what can be worked on",
        query=issue_models.ReadyQuery,
        answer=ExplainedIssues,
        codes=FOUND,
    ),
    "readiness.blocked": Operation(
        summary="List what waits",
        query=issue_models.BlockedQuery,
        answer=ExplainedIssues,
        codes=FOUND,
    ),
    "readiness.cycles": Operation(summary="Find circles of dependencies", answer=Cycles),
    "readiness.why": Operation(
        summary="Explain why an issue waits", answer=ExplainedIssue, codes=("ambiguous_id",)
    ),
    "readiness.tree": Operation(
        summary="Show what an issue depends on",
        query=issue_models.TreeQuery,
        answer=DependencyNode,
        codes=("ambiguous_id",),
    ),
}

VERBS: Final[dict[str, Operation]] = {
    "issue_verbs.close": Operation(
        summary="Close an issue",
        body=issue_models.CloseRequest,
        answer=Issue,
        answer_headers=("ETag",),
        codes=(*WRITTEN, "already_claimed", "issue_blocked"),
        example={"actor": "ann", "reason": "done"},
    ),
    "issue_verbs.reopen": Operation(
        summary="Reopen an issue",
        body=issue_models.ReopenRequest,
        answer=Issue,
        answer_headers=("ETag",),
        codes=WRITTEN,
        example={"actor": "ann", "reason": "it is back"},
    ),
    "issue_verbs.defer": Operation(
        summary="Hide an issue from ready work",
        body=issue_models.DeferRequest,
        answer=Issue,
        answer_headers=("ETag",),
        codes=WRITTEN,
        example={"actor": "ann"},
    ),
    "issue_verbs.restore": Operation(
        summary="Restore a deleted issue",
        body=issue_models.ActorRequest,
        answer=Issue,
        answer_headers=("ETag",),
        codes=WRITTEN,
        example={"actor": "ann"},
    ),
    "issue_verbs.comment": Operation(
        summary="Comment on an issue",
        body=issue_models.CommentRequest,
        answer=Issue,
        answer_headers=("ETag",),
        codes=WRITTEN,
        example={"actor": "ann", "text": "seen on two machines"},
    ),
    "issue_verbs.label": Operation(
        summary="Label an issue",
        body=issue_models.LabelsRequest,
        answer=Issue,
        answer_headers=("ETag",),
        codes=WRITTEN,
        example={"actor": "ann", "add": ["urgent"], "remove": ["later"]},
    ),
    "issue_verbs.depend": Operation(
        summary="Make an issue depend on another",
        body=issue_models.DependencyRequest,
        answer=Issue,
        answer_headers=("ETag",),
        codes=(*WRITTEN, "dependency_cycle"),
        example={"actor": "ann", "depends_on": "shop-a1b", "type": "blocks"},
    ),
    "issue_verbs.free": Operation(
        summary="Take a dependency away",
        query=issue_models.ActorQuery,
        answer=Issue,
        answer_headers=("ETag",),
        codes=WRITTEN,
    ),
}

CLAIMS: Final[dict[str, Operation]] = {
    "claims.claim_ready": Operation(
        summary="Claim the best ready issue",
        description="Of two who ask at once, each gets another one.",
        body=issue_models.ClaimReadyRequest,
        answer=Claimed,
        codes=(*FOUND, "nothing_ready"),
        example={"actor": "ann", "type": ["bug"], "ttl_s": 1800.0},
    ),
    "claims.claim": Operation(
        summary="Claim an issue",
        body=issue_models.ClaimRequest,
        answer=Claimed,
        codes=(*WRITTEN, "already_claimed", "issue_blocked"),
        example={"actor": "ann", "ttl_s": 1800.0},
    ),
    "claims.heartbeat": Operation(
        summary="Renew a claim",
        body=issue_models.HeartbeatRequest,
        answer=Claimed,
        codes=WRITTEN,
        example={"token": 7, "ttl_s": 1800.0},
    ),
    "claims.release": Operation(
        summary="Give an issue back",
        body=issue_models.ReleaseRequest,
        answer=Issue,
        answer_headers=("ETag",),
        codes=(*WRITTEN, "already_claimed"),
        example={"actor": "ann"},
    ),
}

GATES: Final[dict[str, Operation]] = {
    "gates.listing": Operation(summary="List gates", query=GatesQuery, answer=GateList),
    "gates.show": Operation(summary="Get a gate", answer=GateView, codes=("ambiguous_id",)),
    "gates.approve": Operation(
        summary="Approve a gate",
        description="Lets what waits behind it go on; the first answer counts.",
        body=AnswerRequest,
        answer=GateView,
        codes=("ambiguous_id", "gate_answered"),
        example={"by": "ann", "why": "the figures are right"},
    ),
    "gates.reject": Operation(
        summary="Reject a gate",
        body=AnswerRequest,
        answer=GateView,
        codes=("ambiguous_id", "gate_answered"),
        example={"by": "ann", "why": "the figures are old"},
    ),
}

OPERATIONS: Final = ISSUES | READINESS | VERBS | CLAIMS | GATES
