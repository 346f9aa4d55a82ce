"""/api/v1/assignments: who has which workflow, who had it before, and giving one by hand."""

from dataclasses import asdict, fields

from quart import Blueprint, Response, jsonify, request

from actors.coordination.assignment_messages import (
    AssignmentRecord,
    AssignWorkflow,
    ListAssignments,
)
from api.body import read_model, read_query
from api.conventions import links
from api.conventions.selection import select
from api.doors import Doors
from api.keys import idempotency_key
from api.models import AssignmentsQuery, AssignRequest, NoQuery
from supervision import ask

WRITE_DEADLINE_S = 50.0
READ_DEADLINE_S = 10.0


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("assignments", __name__, url_prefix="/api/v1/assignments")

    @blueprint.get("")
    async def listing() -> Response:
        query = read_query(request, AssignmentsQuery)
        message = ListAssignments(**query.model_dump(exclude={"fields"}))
        page = await ask(doors.manager, message, deadline_s=READ_DEADLINE_S)
        data = [asdict(record) for record in page.records]
        known = [each.name for each in fields(AssignmentRecord)]
        return links.page(request, select(data, query.fields, known), page.next_cursor)

    @blueprint.post("")
    async def assign() -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, AssignRequest)
        message = AssignWorkflow(idempotency_key=idempotency_key(request), **body.model_dump())
        record = await ask(doors.manager, message, deadline_s=WRITE_DEADLINE_S)
        response = jsonify(asdict(record))
        response.status_code = 201
        return response

    return blueprint
