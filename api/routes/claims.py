"""/api/v1/issues/…/claim: who works on what. A claim is durable once it is answered."""

from typing import Any

from quart import Blueprint, Response, request

from actors.issues.questions import ClaimReady
from actors.issues.verbs import Claim, ClaimIssue, HeartbeatClaim, ReleaseClaim
from api.body import read_model, read_query
from api.consequences import allowed
from api.doors import Doors
from api.issue_models import (
    ClaimReadyRequest,
    ClaimRequest,
    ClaimView,
    HeartbeatRequest,
    ReleaseRequest,
)
from api.models import NoQuery
from api.routes.issues import WRITE_DEADLINE_S, answer
from supervision import Ask, ask


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("claims", __name__, url_prefix="/api/v1/issues")

    async def claimed(message: Ask[Claim]) -> dict[str, Any]:
        claim = await ask(doors.tracker, message, deadline_s=WRITE_DEADLINE_S)
        return ClaimView.of(claim).model_dump()

    @blueprint.post("/ready/claim")
    async def claim_ready() -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, ClaimReadyRequest)
        return await claimed(
            ClaimReady(actor=body.actor, filter=body.filter(), policy=body.policy, ttl_s=body.ttl_s)
        )

    @blueprint.post("/<issue_id>/claim")
    async def claim(issue_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, ClaimRequest)
        message = ClaimIssue(
            issue_id=issue_id, actor=body.actor, ttl_s=body.ttl_s, force=body.force
        )
        async with allowed(doors, message):
            return await claimed(message)

    @blueprint.post("/<issue_id>/heartbeat")
    async def heartbeat(issue_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, HeartbeatRequest)
        return await claimed(HeartbeatClaim(issue_id=issue_id, token=body.token, ttl_s=body.ttl_s))

    @blueprint.post("/<issue_id>/release")
    async def release(issue_id: str) -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, ReleaseRequest)
        message = ReleaseClaim(issue_id=issue_id, actor=body.actor, token=body.token)
        async with allowed(doors, message):
            issue = await ask(doors.tracker, message, deadline_s=WRITE_DEADLINE_S)
        return answer(issue)

    return blueprint
