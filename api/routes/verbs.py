"""/api/v1/issues/{id}/…: what may be done to an issue. Each is durable once it is answered."""

from dataclasses import replace

from quart import Blueprint, Response, request

from actors.issues.verbs import (
    AddDependency,
    CloseIssue,
    CommentIssue,
    DeferIssue,
    RemoveDependency,
    ReopenIssue,
    RestoreIssue,
    UpdateIssue,
)
from api.body import read_model, read_query
from api.consequences import allowed
from api.doors import Doors
from api.issue_models import (
    ActorQuery,
    ActorRequest,
    CloseRequest,
    CommentRequest,
    DeferRequest,
    DependencyRequest,
    LabelsRequest,
    ReopenRequest,
)
from api.keys import idempotency_key
from api.models import NoQuery
from api.pointers import sent_as
from api.routes.issues import WRITE_DEADLINE_S, answer
from supervision import ask

Verb = (
    UpdateIssue
    | CloseIssue
    | ReopenIssue
    | DeferIssue
    | RestoreIssue
    | AddDependency
    | RemoveDependency
    | CommentIssue
)


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("issue_verbs", __name__, url_prefix="/api/v1/issues/<issue_id>")

    async def told(message: Verb) -> Response:
        keyed = replace(message, key=idempotency_key(request) or "")
        async with allowed(doors, keyed):
            issue = await ask(doors.tracker, keyed, deadline_s=WRITE_DEADLINE_S)
        return answer(issue)

    @blueprint.post("/close")
    async def close(issue_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, CloseRequest)
        return await told(
            CloseIssue(
                issue_id=issue_id,
                actor=body.actor,
                reason=body.reason,
                force=body.force,
                token=body.token,
            )
        )

    @blueprint.post("/reopen")
    async def reopen(issue_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, ReopenRequest)
        return await told(ReopenIssue(issue_id=issue_id, actor=body.actor, reason=body.reason))

    @blueprint.post("/defer")
    async def defer(issue_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, DeferRequest)
        return await told(DeferIssue(issue_id=issue_id, actor=body.actor, until=body.until))

    @blueprint.post("/restore")
    async def restore(issue_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, ActorRequest)
        return await told(RestoreIssue(issue_id=issue_id, actor=body.actor))

    @blueprint.post("/dependencies")
    async def depend(issue_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, DependencyRequest)
        message = AddDependency(
            issue_id=issue_id,
            depends_on_id=body.depends_on,
            actor=body.actor,
            type=body.type,
            metadata=body.metadata,
        )
        with sent_as(depends_on_id="depends_on"):
            return await told(message)

    @blueprint.delete("/dependencies/<other>")
    async def free(issue_id: str, other: str) -> Response:
        asked = read_query(request, ActorQuery)
        message = RemoveDependency(issue_id=issue_id, depends_on_id=other, actor=asked.actor)
        return await told(message)

    @blueprint.post("/comments")
    async def comment(issue_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, CommentRequest)
        return await told(CommentIssue(issue_id=issue_id, actor=body.actor, text=body.text))

    @blueprint.post("/labels")
    async def label(issue_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, LabelsRequest)
        message = UpdateIssue(
            issue_id=issue_id,
            actor=body.actor,
            fields={},
            add_labels=tuple(body.add),
            remove_labels=tuple(body.remove),
        )
        with sent_as(add_labels="add", remove_labels="remove"):
            return await told(message)

    return blueprint
