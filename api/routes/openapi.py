"""/openapi.json and /asyncapi.json: what this API offers, for programs that make clients of it.

Each is made once, when somebody asks for it, and in a thread: it takes a fifth of a second, for
which nothing else has to wait.
"""

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import trio
from quart import Blueprint, Response, current_app
from werkzeug.routing import Rule

from api.permissions import PERMISSIONS

MEDIA_TYPE = "application/json"


def routes() -> Blueprint:
    blueprint = Blueprint("openapi", __name__)
    built: dict[str, bytes] = {}
    building = trio.Lock()

    async def answer(name: str, build: Callable[[], Any]) -> Response:
        async with building:
            if name not in built:
                found = await trio.to_thread.run_sync(build)
                built[name] = json.dumps(found).encode()
        return Response(built[name], content_type=MEDIA_TYPE)

    @blueprint.get("/openapi.json")
    async def document() -> Response:
        return await answer("openapi", partial(_openapi, list(current_app.url_map.iter_rules())))

    @blueprint.get("/asyncapi.json")
    async def streams() -> Response:
        return await answer("asyncapi", _asyncapi)

    return blueprint


def _openapi(rules: Iterable[Rule]) -> Any:
    from api.operations import openapi  # noqa: PLC0415 - 35 ms of a start, with what it describes
    from api.operations.table import OPERATIONS  # noqa: PLC0415

    return openapi.build(rules, OPERATIONS, PERMISSIONS)


def _asyncapi() -> Any:
    from api.operations import asyncapi  # noqa: PLC0415

    return asyncapi.build()
