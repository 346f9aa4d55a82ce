"""/api/v1/workflows/{id}/…: what an operator does to a workflow, and its history.

Each request is durable once it is answered. What it leads to is in the events.
"""

from dataclasses import asdict
from typing import Any

from quart import Blueprint, Response, jsonify, request

from actors.coordination.messages import (
    CancelWorkflow,
    GetHistory,
    PauseWorkflow,
    ResumeWorkflow,
    RetryWorkflow,
    SignalWorkflow,
    TerminateWorkflow,
    WorkflowRecord,
)
from actors.workflows.messages import QueryWorkflow
from api.body import read_model, read_query
from api.conventions import links
from api.doors import Doors
from api.keys import idempotency_key
from api.models import (
    HistoryQuery,
    NoBody,
    NoQuery,
    QueryRequest,
    ReasonQuery,
    ReasonRequest,
    RetryRequest,
    SignalRequest,
    Workflow,
)
from supervision import Ask, ask

WRITE_DEADLINE_S = 35.0
READ_DEADLINE_S = 10.0


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("control", __name__, url_prefix="/api/v1/workflows/<workflow_id>")

    async def told(message: Ask[WorkflowRecord], *done: str) -> Response:
        """The workflow; where it is to come to one of some states and is not there yet, 202."""
        record = await ask(doors.manager, message, deadline_s=WRITE_DEADLINE_S)
        response = jsonify(Workflow.shown(record))
        if done and record.status not in done:
            response.status_code = 202
            response.headers["Location"] = f"/api/v1/workflows/{record.id}"
        return response

    @blueprint.post("/signal")
    async def signal(workflow_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, SignalRequest)
        message_id = idempotency_key(request) if body.message_id is None else body.message_id
        return await told(
            SignalWorkflow(
                workflow_id=workflow_id, name=body.name, value=body.value, message_id=message_id
            )
        )

    @blueprint.post("/query")
    async def query(workflow_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, QueryRequest)
        message = QueryWorkflow(workflow_id=workflow_id, name=body.name, argument=body.argument)
        return {"result": await ask(doors.manager, message, deadline_s=READ_DEADLINE_S)}

    @blueprint.post("/pause")
    async def pause(workflow_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, ReasonRequest)
        return await told(PauseWorkflow(workflow_id=workflow_id, reason=body.reason))

    @blueprint.post("/resume")
    async def resume(workflow_id: str) -> Response:
        read_query(request, NoQuery)
        await read_model(request, NoBody)
        return await told(ResumeWorkflow(workflow_id=workflow_id))

    @blueprint.post("/cancel")
    async def cancel(workflow_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, ReasonRequest)
        return await told(CancelWorkflow(workflow_id=workflow_id, reason=body.reason), "cancelled")

    @blueprint.delete("")
    async def delete(workflow_id: str) -> Response:
        """It stays and can be looked at: what is deleted is the work that is left."""
        asked = read_query(request, ReasonQuery)
        message = CancelWorkflow(workflow_id=workflow_id, reason=asked.reason)
        return await told(message, "cancelled")

    @blueprint.post("/terminate")
    async def terminate(workflow_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, ReasonRequest)
        return await told(TerminateWorkflow(workflow_id=workflow_id, reason=body.reason))

    @blueprint.post("/retry")
    async def retry(workflow_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, RetryRequest)
        return await told(RetryWorkflow(workflow_id=workflow_id, author=body.author))

    @blueprint.get("/history")
    async def history(workflow_id: str) -> Response:
        asked = read_query(request, HistoryQuery)
        message = GetHistory(workflow_id=workflow_id, after=asked.after, limit=asked.limit)
        page = await ask(doors.manager, message, deadline_s=READ_DEADLINE_S)
        data = [asdict(record) for record in page.records]
        return links.numbered(request, data, after=page.next_after, next_after=page.next_after)

    return blueprint
