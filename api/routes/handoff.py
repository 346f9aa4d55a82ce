"""/api/v1/workflows/{id}/handoff: an agent passes a workflow on to the next one."""

from dataclasses import asdict
from typing import Any

from quart import Blueprint, request

from actors.coordination.assignment_messages import AssignmentRecord, HandOff
from api.attribution import see_that_it_holds
from api.body import read_model, read_query
from api.doors import Doors
from api.keys import idempotency_key
from api.models import HandoffRequest, NoQuery
from supervision import ask

WRITE_DEADLINE_S = 50.0


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("handoff", __name__, url_prefix="/api/v1/workflows/<workflow_id>")

    @blueprint.post("/handoff")
    async def handoff(workflow_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, HandoffRequest)
        await see_that_it_holds(doors, workflow_id, agent_id=body.from_agent)
        message = HandOff(
            workflow_id=workflow_id,
            idempotency_key=idempotency_key(request),
            **body.model_dump(),
        )
        record: AssignmentRecord = await ask(doors.manager, message, deadline_s=WRITE_DEADLINE_S)
        return asdict(record)

    return blueprint
