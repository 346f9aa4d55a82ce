"""/api/v1/audit: who did what, or was refused what, in a log that nobody can change unseen."""

from dataclasses import asdict
from typing import Any, Final

from quart import Blueprint, Response, request

from actors.auth.messages import ReadAudit, VerifyAudit
from api.auth_models import AuditLine, AuditQuery, AuditVerdict
from api.body import read_query
from api.conventions import links
from api.doors import Doors
from api.models import NoQuery
from supervision import ask

READ_DEADLINE_S: Final = 10.0
VERIFY_DEADLINE_S: Final = 300.0


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("audit", __name__, url_prefix="/api/v1/audit")

    @blueprint.get("")
    async def listing() -> Response:
        message = ReadAudit(**read_query(request, AuditQuery).model_dump())
        page = await ask(doors.auth, message, deadline_s=READ_DEADLINE_S)
        data = [AuditLine.of(record).model_dump() for record in page.records]
        after = page.next_after
        return links.numbered(request, data, after=after, next_after=after)

    @blueprint.get("/verify")
    async def verify() -> dict[str, Any]:
        read_query(request, NoQuery)
        found = await ask(doors.auth, VerifyAudit(), deadline_s=VERIFY_DEADLINE_S)
        return AuditVerdict.model_validate(asdict(found)).model_dump()

    return blueprint
