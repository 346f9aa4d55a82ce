"""/api/v1/issues/sync, and the past of an issue: what the issues have to do with Git.

A sync may wait for the network, so it takes as long as it takes; it can be repeated at will.
"""

from dataclasses import asdict
from typing import Any

from pydantic import Field
from quart import Blueprint, Response, jsonify, request

from actors.errors import NotFound
from actors.issues.publishing.sync_messages import ReadPast, SyncIssues
from actors.issues.questions import ShowIssue
from api.body import read_model, read_query
from api.conventions import links
from api.doors import Doors
from api.models import NoQuery, Strict
from supervision import ask

SYNC_DEADLINE_S = 600.0
PAST_DEADLINE_S = 150.0
READ_DEADLINE_S = 10.0

_REMOTE_LIMIT = 200
_COMMIT = r"[0-9a-f]{40}"


class SyncRequest(Strict):
    """Body of POST /api/v1/issues/sync."""

    remote: str | None = Field(default=None, strict=True, max_length=_REMOTE_LIMIT)
    dry_run: bool = Field(default=False, strict=True)
    allow_unrelated: bool = Field(default=False, strict=True)


class PastQuery(Strict):
    """Query of GET /api/v1/issues/{id}/history."""

    before: str | None = Field(default=None, pattern=f"^{_COMMIT}$")


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("sync", __name__, url_prefix="/api/v1/issues")

    @blueprint.post("/sync")
    async def sync() -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, SyncRequest)
        message = SyncIssues(
            remote=body.remote, dry_run=body.dry_run, allow_unrelated=body.allow_unrelated
        )
        told = await ask(doors.sync, message, deadline_s=SYNC_DEADLINE_S)
        renamed = [{"old": old, "new": new} for old, new in told.renamed]
        return asdict(told) | {"renamed": renamed}

    @blueprint.get("/<issue_id>/history")
    async def history(issue_id: str) -> Response:
        query = read_query(request, PastQuery)
        name, unknown = await whole(issue_id)
        message = ReadPast(issue_id=name, before=query.before)
        past = await ask(doors.sync, message, deadline_s=PAST_DEADLINE_S)
        if unknown and not past.versions and past.next_before is None:
            raise unknown
        response = jsonify(
            {
                "data": [asdict(version) for version in past.versions],
                "next_before": past.next_before,
            }
        )
        if past.next_before is not None:
            response.headers["Link"] = links.next_link(request, before=past.next_before)
        return response

    async def whole(issue_id: str) -> tuple[str, NotFound | None]:
        """Complete the id; one that is not here any more may still have a past."""
        message = ShowIssue(issue_id=issue_id)
        try:
            shown = await ask(doors.tracker, message, deadline_s=READ_DEADLINE_S)
        except NotFound as err:
            return issue_id, err
        return shown.issue.id, None

    return blueprint
