"""/api/v1/issues/import: issues that come as lines of the published format.

They are read into memory like any other body, and bounded like it: who has more sends it in parts,
which come to the same.
"""

from dataclasses import asdict
from typing import Any

from quart import Blueprint, g, request

from actors.auth.messages import Principal
from actors.auth.roles import Permission
from actors.issues.import_messages import Imported, ImportIssues
from api.body import UnsupportedMediaType, read_bytes, read_query, said_of_itself
from api.doors import Doors
from api.models import Strict
from supervision import ask

DEADLINE_S = 60.0
LINES = ("application/x-ndjson", "application/jsonl")


class NoLines(UnsupportedMediaType):
    """What came does not say that it is lines of JSON."""

    hint = "send Content-Type: application/x-ndjson, without Content-Encoding"


class ImportQuery(Strict):
    """Query of POST /api/v1/issues/import."""

    dry_run: bool = False


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("imports", __name__, url_prefix="/api/v1/issues")

    @blueprint.post("/import")
    async def take_in() -> dict[str, Any]:
        query = read_query(request, ImportQuery)
        if request.mimetype not in LINES or "Content-Encoding" in request.headers:
            raise NoLines(f"cannot read lines of {said_of_itself(request)}")
        data = await read_bytes(request)
        message = ImportIssues(data=data, dry_run=query.dry_run, gates=_may_answer_gates())
        told: Imported = await ask(doors.tracker, message, deadline_s=DEADLINE_S)
        return asdict(told)

    return blueprint


def _may_answer_gates() -> bool:
    principal: Principal | None = g.get("principal")
    return principal is None or principal.may(Permission.WORKFLOW_WRITE)
