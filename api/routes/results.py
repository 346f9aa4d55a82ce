"""/api/v1/results and /api/v1/workflows/{id}/results: find results, and store one.

Who accepts `application/x-ndjson` gets all of them, a line each, one page in memory at a time.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from quart import Blueprint, Response, request

from actors.coordination.results.messages import (
    ListResults,
    ListResultTypes,
    ResultPage,
    ResultRecord,
    StoreResult,
)
from api.attribution import see_that_it_holds
from api.body import read_model, read_query
from api.conventions import links
from api.conventions.selection import select
from api.doors import Doors
from api.keys import idempotency_key
from api.models import NoQuery
from api.result_models import ResultRequest, ResultsQuery
from supervision import ask

READ_DEADLINE_S = 10.0
WRITE_DEADLINE_S = 35.0
LINES = "application/x-ndjson"
LINES_PAGE = 200
FIELDS = [each.name for each in fields(ResultRecord)]


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("results", __name__, url_prefix="/api/v1")

    @blueprint.get("/results")
    async def everywhere() -> Response:
        return await _found(doors, None)

    @blueprint.get("/results/types")
    async def types() -> dict[str, Any]:
        read_query(request, NoQuery)
        found = await ask(doors.results, ListResultTypes(), deadline_s=READ_DEADLINE_S)
        return {"data": [asdict(record) for record in found]}

    @blueprint.get("/workflows/<workflow_id>/results")
    async def of_workflow(workflow_id: str) -> Response:
        return await _found(doors, workflow_id)

    @blueprint.post("/workflows/<workflow_id>/results")
    async def store(workflow_id: str) -> tuple[dict[str, Any], int]:
        read_query(request, NoQuery)
        body = await read_model(request, ResultRequest)
        agent_id = await see_that_it_holds(doors, workflow_id, agent_id=body.agent_id)
        message = StoreResult(
            workflow_id=workflow_id,
            result_type=body.result_type,
            data=body.result_data,
            step=body.step,
            agent_type=body.agent_type,
            agent_id=agent_id,
            confidence_score=body.confidence_score,
            idempotency_key=idempotency_key(request),
        )
        record = await ask(doors.results, message, deadline_s=WRITE_DEADLINE_S)
        return asdict(record), 201

    return blueprint


async def _found(doors: Doors, workflow_id: str | None) -> Response:
    query = read_query(request, ResultsQuery)
    message = ListResults(
        workflow_id=workflow_id,
        result_type=query.type,
        step=query.step,
        agent_id=query.agent_id,
        agent_type=query.agent_type,
        since=query.since,
        until=query.until,
        min_confidence=query.min_confidence,
        version=query.version,
        latest=query.latest,
        limit=query.limit,
        cursor=query.cursor,
    )
    in_lines = LINES in request.accept_mimetypes.values()
    if in_lines:
        message = replace(message, limit=min(message.limit, LINES_PAGE))
    select([], query.fields, FIELDS)  # refused before anything is read, or sent
    page = await ask(doors.results, message, deadline_s=READ_DEADLINE_S)
    if in_lines:
        lines = _lines(doors, message, page, query.fields)
        response = Response(lines, content_type=LINES)
        response.timeout = None  # as long as it takes; each piece of it has its deadline
    else:
        data = [asdict(record) for record in page.records]
        chosen = select(data, query.fields, FIELDS)
        response = links.page(request, chosen, page.next_cursor)
    response.headers["Vary"] = "Accept"
    return response


async def _lines(
    doors: Doors, message: ListResults, page: ResultPage, names: Sequence[str]
) -> AsyncIterator[bytes]:
    """All results from this page on. What fails on the way breaks the answer off."""
    while True:
        for each in select([asdict(record) for record in page.records], names, FIELDS):
            yield json.dumps(each, ensure_ascii=False).encode() + b"\n"
        if page.next_cursor is None:
            return
        message = replace(message, cursor=page.next_cursor)
        page = await ask(doors.results, message, deadline_s=READ_DEADLINE_S)
