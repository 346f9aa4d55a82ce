"""/api/v1/issues/export: all issues, in the lines of the published file."""

from quart import Blueprint, Response, request

from actors.issues.messages import ComposeFile
from api.body import read_query
from api.doors import Doors
from api.models import NoQuery
from supervision import ask

DEADLINE_S = 60.0
MEDIA_TYPE = "application/x-ndjson"


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("export", __name__, url_prefix="/api/v1/issues")

    @blueprint.get("/export")
    async def export() -> Response:
        """All lines are of one moment: what is published, or about to be."""
        read_query(request, NoQuery)
        composed = await ask(doors.files, ComposeFile(), deadline_s=DEADLINE_S)
        return Response(composed.data, content_type=MEDIA_TYPE)

    return blueprint
