"""/openapi.json: the description of this API, for programs that make clients of it."""

import json

import trio
from quart import Blueprint, Response, current_app

from api.operations.openapi import build
from api.operations.table import OPERATIONS
from api.permissions import PERMISSIONS

MEDIA_TYPE = "application/json"


def routes() -> Blueprint:
    blueprint = Blueprint("openapi", __name__)
    built: list[bytes] = []

    @blueprint.get("/openapi.json")
    async def document() -> Response:
        await trio.lowlevel.checkpoint()
        if not built:  # not before it is asked for: a start is faster without it
            rules = current_app.url_map.iter_rules()
            built.append(json.dumps(build(rules, OPERATIONS, PERMISSIONS)).encode())
        return Response(built[0], content_type=MEDIA_TYPE)

    return blueprint
