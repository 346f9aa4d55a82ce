"""/api/v1/workflows: start, look at and list workflows, and read what came of them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import structlog
import trio
from quart import Blueprint, Response, g, jsonify, request

from actors.auth.roles import Permission
from actors.coordination.messages import (
    GetWorkflow,
    ListWorkflows,
    ListWorkflowTypes,
    ReadEvents,
    StartWorkflow,
    UpdateWorkflow,
    WorkflowRecord,
)
from api import noting
from api.authority import principal, require
from api.body import read_model, read_query
from api.conventions import links, tracing
from api.conventions.ends import until_ended
from api.conventions.preferences import Preferences, applied
from api.conventions.selection import select
from api.doors import Doors
from api.etags import etag, expected
from api.keys import idempotency_key
from api.logs import line_of
from api.models import (
    ListQuery,
    LogsQuery,
    NoQuery,
    OneQuery,
    StartRequest,
    UpdateRequest,
    Workflow,
)
from api.streams import live_logs, sse
from api.streams.seeing import seen
from supervision import ask

log = structlog.get_logger("beadflow.api")

START_DEADLINE_S = 30.0
WRITE_DEADLINE_S = 35.0
READ_DEADLINE_S = 10.0

ENDS = frozenset({"cancelled", "completed"})
"""States that whoever asks for one may as well have deleted the workflow."""


def routes(doors: Doors, closing: trio.Event) -> Blueprint:
    blueprint = Blueprint("workflows", __name__, url_prefix="/api/v1/workflows")

    @blueprint.post("")
    async def start() -> Response:
        body = await read_model(request, StartRequest)
        record = await ask(
            doors.manager,
            StartWorkflow(
                title=body.issue_title,
                workflow_type=body.workflow_type,
                agent_type=body.agent_type,
                priority=body.priority,
                variables=body.variables,
                idempotency_key=idempotency_key(request),
                workflow_id=body.workflow_id,
            ),
            deadline_s=START_DEADLINE_S,
        )
        if trace := tracing.words():
            log.info("workflow asked for", workflow_id=record.id, request_id=g.request_id, **trace)
        prefers = Preferences.of(request)
        if prefers.wait_s is not None:
            record = await until_ended(doors, record.id, prefers.wait_s)
        response = jsonify(Workflow.shown(record))
        response.status_code = 201
        response.headers["Location"] = f"/api/v1/workflows/{record.id}"
        if prefers.wait_s is not None:
            applied(response, f"wait={prefers.wait_s}")
        elif prefers.accepted:
            response.status_code = 202
            applied(response, "respond-async")
        return response

    @blueprint.get("")
    async def listing() -> Response:
        query = read_query(request, ListQuery)
        message = ListWorkflows(
            statuses=tuple(query.status),
            workflow_type=query.type,
            agent_id=query.agent_id,
            agent_type=query.agent_type,
            priority=query.priority,
            issue_id=query.issue,
            created_after=query.created_after,
            created_before=query.created_before,
            text=query.q,
            oldest_first=query.reverse,
            limit=query.limit,
            cursor=query.cursor,
        )
        page = await ask(doors.manager, message, deadline_s=READ_DEADLINE_S)
        data = [Workflow.shown(record) for record in page.records]
        chosen = select(data, query.fields, Workflow.model_fields)
        return links.page(request, chosen, page.next_cursor)

    @blueprint.get("/types")
    async def types() -> dict[str, Any]:
        read_query(request, NoQuery)
        found = await ask(doors.manager, ListWorkflowTypes(), deadline_s=READ_DEADLINE_S)
        return {"data": [asdict(record) for record in found]}

    @blueprint.get("/<workflow_id>")
    async def get(workflow_id: str) -> Response:
        query, prefers = read_query(request, OneQuery), Preferences.of(request)
        if prefers.wait_s is not None:
            response = one(await until_ended(doors, workflow_id, prefers.wait_s), query.fields)
            applied(response, f"wait={prefers.wait_s}")
            return response
        message = GetWorkflow(workflow_id=workflow_id)
        record = await ask(doors.manager, message, deadline_s=READ_DEADLINE_S)
        return one(record, query.fields)

    @blueprint.put("/<workflow_id>")
    async def update(workflow_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, UpdateRequest)
        if body.status in ENDS:
            require(Permission.WORKFLOW_DELETE)
        message = UpdateWorkflow(
            workflow_id=workflow_id,
            title=body.title,
            priority=body.priority,
            variables=body.variables,
            status=body.status,
            reason=body.reason,
            result=body.result,
            expected=expected(request),
            idempotency_key=idempotency_key(request),
        )
        record = await ask(doors.manager, message, deadline_s=WRITE_DEADLINE_S)
        if body.status in ENDS:
            noting.ends((workflow_id,))
        return one(record)

    @blueprint.get("/<workflow_id>/logs")
    async def logs(workflow_id: str) -> Response:
        query = read_query(request, LogsQuery)
        if query.follow or sse.is_wanted():
            return await live_logs.response(doors, workflow_id, query.after, closing)
        message = ReadEvents(workflow_id=workflow_id, after=query.after, limit=query.limit)
        found = await ask(doors.manager, message, deadline_s=READ_DEADLINE_S)
        last = found[-1].seq if found else query.after
        after = last if len(found) == query.limit else None
        data = [line_of(fact) for fact in seen(principal(), found)]
        return links.numbered(request, data, after=after, next_after=last)

    return blueprint


def one(record: WorkflowRecord, fields: Sequence[str] = ()) -> Response:
    """One workflow, or some of its fields, with the tag of its state."""
    data = Workflow.shown(record)
    response = jsonify(*select([data], fields, Workflow.model_fields))
    response.headers["ETag"] = etag(record)
    return response
