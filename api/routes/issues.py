"""/api/v1/issues: create, list, show, change and delete issues.

What else may be done to one is in verbs.py and claims.py, what can be worked on in readiness.py.
"""

from typing import Any

from quart import Blueprint, Response, jsonify, request

from actors.issues.messages import Issue
from actors.issues.questions import CountIssues, IssueFilter, QueryIssues, ShowIssue
from actors.issues.verbs import (
    DeleteIssue,
    NewIssue,
    UpdateIssue,
)
from api.body import read_model, read_query
from api.consequences import allowed
from api.conventions import links
from api.conventions.selection import select
from api.doors import Doors
from api.etags import etag, expected
from api.issue_models import (
    DeleteQuery,
    IssuesQuery,
    NewIssueRequest,
    SearchQuery,
    ShownView,
    StatsView,
    UpdateRequest,
    issue_of,
)
from api.keys import idempotency_key
from api.models import NoQuery, OneQuery
from api.pointers import sent_as
from supervision import ask

WRITE_DEADLINE_S = 30.0
READ_DEADLINE_S = 10.0
ADDRESS = "/api/v1/issues"


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("issues", __name__, url_prefix=ADDRESS)

    async def told(message: NewIssue | UpdateIssue, status: int = 200) -> Response:
        async with allowed(doors, message):
            issue = await ask(doors.tracker, message, deadline_s=WRITE_DEADLINE_S)
        return answer(issue, status)

    async def page(query: IssuesQuery, chosen: IssueFilter) -> Response:
        message = QueryIssues(
            filter=chosen,
            sort=query.sort,
            reverse=query.reverse,
            limit=query.limit,
            cursor=query.cursor,
            closed=query.closed,
        )
        found = await ask(doors.tracker, message, deadline_s=READ_DEADLINE_S)
        data = select([issue_of(issue) for issue in found.issues], query.fields, None)
        return links.page(request, data, found.next_cursor, total=found.total)

    @blueprint.post("")
    async def create() -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, NewIssueRequest)
        message = NewIssue(
            fields=body.fields(),
            actor=body.actor,
            parent=body.parent,
            depends_on=tuple((each.type, each.id) for each in body.depends_on),
            issue_id=body.id,
            key=idempotency_key(request) or "",
        )
        with sent_as(issue_id="id"):
            return await told(message, 201)

    @blueprint.get("")
    async def listing() -> Response:
        query = read_query(request, IssuesQuery)
        return await page(query, query.filter())

    @blueprint.get("/search")
    async def search() -> Response:
        query = read_query(request, SearchQuery)
        return await page(query, query.filter(query.q))

    @blueprint.get("/stats")
    async def stats() -> dict[str, Any]:
        read_query(request, NoQuery)
        found = await ask(doors.tracker, CountIssues(), deadline_s=READ_DEADLINE_S)
        return StatsView.of(found).model_dump()

    @blueprint.get("/<issue_id>")
    async def show(issue_id: str) -> Response:
        query = read_query(request, OneQuery)
        message = ShowIssue(issue_id=issue_id)
        shown = await ask(doors.tracker, message, deadline_s=READ_DEADLINE_S)
        whole = ShownView.of(shown).model_dump()
        response = jsonify(*select([whole], query.fields, ShownView.model_fields))
        response.headers["ETag"] = etag(shown.issue)
        return response

    @blueprint.put("/<issue_id>")
    async def update(issue_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, UpdateRequest)
        return await told(
            UpdateIssue(
                issue_id=issue_id,
                actor=body.actor,
                fields=body.given(),
                add_labels=tuple(body.add_labels),
                remove_labels=tuple(body.remove_labels),
                append_notes=body.append_notes,
                expected=expected(request),
                token=body.token,
                force=body.force,
            )
        )

    @blueprint.delete("/<issue_id>")
    async def delete(issue_id: str) -> dict[str, Any]:
        asked = read_query(request, DeleteQuery)
        message = DeleteIssue(
            issue_id=issue_id,
            actor=asked.actor,
            reason=asked.reason,
            cascade=asked.cascade,
            force=asked.force,
        )
        async with allowed(doors, message):
            deleted = await ask(doors.tracker, message, deadline_s=WRITE_DEADLINE_S)
        return {"data": [issue_of(issue) for issue in deleted]}

    return blueprint


def answer(issue: Issue, status: int = 200) -> Response:
    """One issue, with the tag of its state; a new one with its address."""
    response = jsonify(issue_of(issue))
    response.status_code = status
    response.headers["ETag"] = etag(issue)
    if status == 201:  # noqa: PLR2004 - HTTP's own number for what is new
        response.headers["Location"] = f"{ADDRESS}/{issue.id}"
    return response
