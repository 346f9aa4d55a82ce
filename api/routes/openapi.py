"""/openapi.json: the description of this API, for programs that make clients of it."""

import json
from hashlib import sha256

import trio
from quart import Blueprint, Response, current_app, request

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
        return described(built[0])

    return blueprint


def described(body: bytes) -> Response:
    """A description, or that it is the one that the client has."""
    tag = sha256(body).hexdigest()[:32]
    headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
    if request.if_none_match.contains_weak(tag):
        return Response(b"", status=304, headers=headers)
    return Response(body, headers=headers, content_type=MEDIA_TYPE)
