"""/openapi.json and /asyncapi.json: what this API offers, for programs that make clients of it."""

import json

import trio
from quart import Blueprint, Response, current_app

from api.operations import asyncapi, openapi
from api.operations.table import OPERATIONS
from api.permissions import PERMISSIONS

MEDIA_TYPE = "application/json"


def routes() -> Blueprint:
    blueprint = Blueprint("openapi", __name__)
    built: dict[str, bytes] = {}  # not before it is asked for: a start is faster without it

    @blueprint.get("/openapi.json")
    async def document() -> Response:
        await trio.lowlevel.checkpoint()
        if "openapi" not in built:
            rules = current_app.url_map.iter_rules()
            found = openapi.build(rules, OPERATIONS, PERMISSIONS)
            built["openapi"] = json.dumps(found).encode()
        return Response(built["openapi"], content_type=MEDIA_TYPE)

    @blueprint.get("/asyncapi.json")
    async def streams() -> Response:
        await trio.lowlevel.checkpoint()
        if "asyncapi" not in built:
            built["asyncapi"] = json.dumps(asyncapi.build()).encode()
        return Response(built["asyncapi"], content_type=MEDIA_TYPE)

    return blueprint
