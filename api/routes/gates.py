"""/api/v1/gates: what waits for a person, and the answers. An answer is durable once it is told."""

from dataclasses import replace
from typing import Any

from quart import Blueprint, Response, request

from actors.errors import NotFound
from actors.issues import gates
from actors.issues.questions import ShowIssue
from actors.issues.verbs import AnswerGate
from api.body import read_model, read_query
from api.conventions import links
from api.conventions.selection import select
from api.doors import Doors
from api.gate_models import AnswerRequest, GatesQuery, GateView
from api.keys import idempotency_key
from api.models import NoQuery
from api.pointers import sent_as
from api.routes.issues import READ_DEADLINE_S, WRITE_DEADLINE_S
from supervision import ask


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("gates", __name__, url_prefix="/api/v1/gates")

    async def told(gate_id: str, *, approved: bool) -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, AnswerRequest)
        message = AnswerGate(issue_id=gate_id, actor=body.by, approved=approved, why=body.why)
        message = replace(message, key=idempotency_key(request) or "")
        with sent_as(actor="by"):
            answered = await ask(doors.tracker, message, deadline_s=WRITE_DEADLINE_S)
        return GateView.of(answered).model_dump()

    @blueprint.get("")
    async def listing() -> Response:
        query = read_query(request, GatesQuery)
        found = await ask(doors.tracker, query.question(), deadline_s=READ_DEADLINE_S)
        views = (GateView.of(issue) for issue in found.issues)
        data = [view.model_dump() for view in views if query.wants(view)]
        chosen = select(data, query.fields, GateView.model_fields)
        return links.page(request, chosen, found.next_cursor)

    @blueprint.get("/<gate_id>")
    async def show(gate_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        message = ShowIssue(issue_id=gate_id)
        shown = await ask(doors.tracker, message, deadline_s=READ_DEADLINE_S)
        if not gates.is_gate(shown.issue.row):
            raise NotFound(f"issue {shown.issue.id} is no gate, it is a {shown.issue.issue_type}")
        return GateView.of(shown.issue).model_dump()

    @blueprint.post("/<gate_id>/approve")
    async def approve(gate_id: str) -> dict[str, Any]:
        return await told(gate_id, approved=True)

    @blueprint.post("/<gate_id>/reject")
    async def reject(gate_id: str) -> dict[str, Any]:
        return await told(gate_id, approved=False)

    return blueprint
