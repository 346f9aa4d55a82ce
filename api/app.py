"""The Quart app: made anew for each incarnation of the API actor.

A Quart app can be served once (its start-up hooks are one-shot generators), so the actor gets a
factory and not an app. Everything every request has in common is here: its id, the guard against
foreign host names, the size of a body, and what errors look like.
"""

import re
import secrets
from typing import Any

import structlog
from quart import Response, g, request, websocket
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from api import problem
from api.body import BODY_LIMIT_BYTES
from api.doors import Doors
from api.routes import events, health, system, workflows
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

log = structlog.get_logger("beadflow.api")


class ForeignHost(Refused):
    """The request names a host that is not this machine: a page elsewhere made a browser ask."""

    code = "foreign_host"
    status = 403
    retryable = False
    hint = "use the address that the server printed"
    message = "this server answers to loopback names only"


def create_app(doors: Doors) -> QuartTrio:
    """An app whose requests go to the actors of `doors`."""
    app = QuartTrio("beadflow")
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT_BYTES
    app.config["BODY_TIMEOUT"] = 30
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.before_request(_begin)
    app.before_websocket(_begin_websocket)
    app.after_request(_mark)
    for blueprint in (
        workflows.routes(doors),
        events.routes(doors),
        system.routes(doors),
        health.routes(doors),
    ):
        app.register_blueprint(blueprint)
    app.register_error_handler(Refused, _refusal)
    app.register_error_handler(ActorDeadError, _absence)
    app.register_error_handler(ActorRestarting, _absence)
    app.register_error_handler(AskTimeout, _absence)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _fault)
    return app


async def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    _refuse_foreign_host(request.headers.get("Host", ""))


async def _begin_websocket() -> None:
    g.request_id = secrets.token_hex(8)
    _refuse_foreign_host(websocket.headers.get("Host", ""))
    origin = websocket.headers.get("Origin")
    if origin is not None:
        _refuse_foreign_host(origin.partition("://")[2])


def _refuse_foreign_host(host: str) -> None:
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    if name.lower() not in LOOPBACK_NAMES:
        raise ForeignHost


async def _mark(response: Response) -> Response:
    response.headers["X-Request-Id"] = _request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _request_id() -> str:
    return str(g.get("request_id", "unknown"))


async def _refusal(error: Refused) -> Response:
    return problem.of_refusal(error, _request_id())


async def _absence(error: Any) -> Response:
    log.warning("no answer", request_id=_request_id(), why=str(error))
    return problem.of_absence(error, _request_id())


async def _http(error: HTTPException) -> Response:
    return problem.of_http(error, _request_id())


async def _fault(error: Exception) -> Response:
    log.error("request failed", request_id=_request_id(), exc_info=error)
    return problem.of_fault(_request_id())
