"""The Quart apps: made anew for each incarnation of the actor that serves them.

What every request has in common is here: its id, the guard against foreign host names, the size of
a body, and what errors look like.
"""

import contextlib
import inspect
import re
import secrets
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
import trio
from prometheus_client import CollectorRegistry
from quart import Response, current_app, g, request
from quart.utils import encode_headers
from quart.wrappers.base import BaseRequestWebsocket
from quart.wrappers.response import DataBody
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, PathConverter

from actors.auth.errors import Unauthenticated
from actors.errors import Forbidden
from api import overload, permissions, problem
from api.body import BODY_LIMIT_BYTES, bounded
from api.conventions import tracing
from api.conventions.freshness import freshen
from api.conventions.repeats import Repeats
from api.credentials import chosen
from api.doors import Doors
from api.entrance import Entrance, instead_of
from api.etags import refuse_unheeded
from api.exposure import DEFAULT, Exposure
from api.guard import Guard, Trust
from api.lapsing import while_it_holds
from api.origins import AUTHORITY, ForeignHost
from api.routes import (
    actors,
    agents,
    analytics,
    artifacts,
    assignments,
    audit,
    auth,
    auth_keys,
    batches,
    claims,
    control,
    docs,
    events,
    export,
    gates,
    handoff,
    health,
    imports,
    issues,
    metrics,
    openapi,
    readiness,
    reconcile,
    results,
    sessions,
    sync,
    system,
    verbs,
    workflows,
)
from api.uploads import BODY_CLOSED, CLIENT_GONE, UploadBody, is_upload
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused

BODY_TIMEOUT_S = 30
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger("beadflow.api")


class Connection(TrioASGIHTTPConnection):
    """Quart's, where a body that comes after the answer is no reason to lose the answer.

    From Python 3.13 on a request that has been answered refuses the rest of its body by raising in
    the task that reads, which would cancel the one that is still sending; and an answer to a client
    that has gone raises, where before it went nowhere.
    """

    def _create_request_from_scope(self, send: Any) -> Any:
        request = super()._create_request_from_scope(send)
        if is_upload(self.scope):
            request.body = UploadBody()
        return request

    async def handle_messages(self, nursery: trio.Nursery, request: Any, receive: Any) -> None:  # type: ignore[override]
        if isinstance(request.body, UploadBody):
            receive = request.body.paced(receive)
        else:
            receive = bounded(request.body, receive)
        with contextlib.suppress(BODY_CLOSED):
            await super().handle_messages(nursery, request, receive)

    async def _send_response(self, send: Any, response: Any) -> None:
        """Send it all, unless whoever it is for may not have the rest of it any more."""
        with contextlib.suppress(CLIENT_GONE):
            if isinstance(response.response, DataBody):
                await _send_whole(send, response)
                return
            sending = partial(super()._send_response, send, response)
            lapsed = getattr(response, "lapsed", None)
            await (sending() if lapsed is None else while_it_holds(lapsed, sending))


class Channel(TrioASGIWebsocketConnection):
    """Quart's, where the credential that came as a subprotocol is answered as one."""

    async def accept_connection(self, send: Any, headers: Headers, subprotocol: str | None) -> None:
        offered = list(self.scope.get("subprotocols", []))
        await super().accept_connection(send, headers, subprotocol or chosen(offered))


class App(QuartTrio):
    """Quart, with a path for every request.

    Quart fails before any handler of ours on a target that names none (`?a=1`, `x://[`).
    """

    asgi_http_class = Connection
    asgi_websocket_class = Channel
    guard: Guard | None = None
    repeats: Repeats | None = None

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Routes have nothing to do with the name in Host, which may be no name at all.

        Quart's own reads it, and fails on some before any handler of ours.
        """
        if request is None:
            return super().create_url_adapter(request)
        return self.url_map.bind(
            "localhost",
            request.root_path,
            None,
            request.scheme,
            request.method,
            request.path,
            request.query_string.decode("latin1"),
        )

    def ensure_async(self, func: Any) -> Any:
        """As Quart's, which takes ten times as long to see that a function is one already."""
        code = getattr(func, "__code__", None)
        if code is not None and code.co_flags & inspect.CO_COROUTINE:
            return func
        return super().ensure_async(func)

    async def full_dispatch_request(self, request_context: Any = None) -> Any:
        try:
            return await super().full_dispatch_request(request_context)
        finally:
            overload.over()

    async def asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        if "path" in scope:
            target = (scope.get("raw_path") or b"").decode("latin1")
            scope = {**scope, "path": _path(scope["path"]), AUTHORITY: _authority(target)}
        await super().asgi_app(scope, receive, send)

    async def dispatch_request(self, request_context: Any = None) -> Any:
        """Runs once nothing refuses the request any more; what came before is not done again."""
        if self.repeats is None:
            return await super().dispatch_request(request_context)
        return await self.repeats.answer(request, partial(self._done, request_context))

    async def _done(self, request_context: Any) -> Any:
        return await self.make_response(await super().dispatch_request(request_context))

    async def dispatch_websocket(self, websocket_context: Any = None) -> Any:
        serve = partial(super().dispatch_websocket, websocket_context)
        return await (serve() if self.guard is None else self.guard.while_admitted(serve))


class Anything(PathConverter):
    """The rest of an address, whatever it holds: its route says what is wrong with it."""

    regex = "(?s:.+)"
    part_isolating = False  # it may hold slashes


def create_app(
    doors: Doors,
    closing: trio.Event | None = None,
    *,
    exposure: Exposure = DEFAULT,
    trust: Trust = "machine",
) -> App:
    """An app whose requests go to the actors of `doors`.

    Args:
        doors: the mailboxes that requests end up in.
        closing: once it is set, event streams end; a request does so by itself.
        exposure: how far it is open.
        trust: "machine" where only this machine's own user can reach the app; with "keys" everybody
            shows a credential from the first key on, and before that asks from this machine.

    Raises:
        UnlistedError: a route does not say what it needs.
    """
    closing = trio.Event() if closing is None else closing
    app = _app(exposure)
    app.repeats = Repeats(doors)
    guard = app.guard = Guard(doors, trust)
    app.before_request(guard.admit)
    app.before_request(refuse_unheeded)
    app.before_websocket(guard.admit_websocket)
    app.after_request(guard.mark)
    app.register_error_handler(Unauthenticated, guard.refuse)
    app.register_error_handler(Forbidden, guard.refuse)
    app.register_error_handler(ForeignHost, guard.refuse)
    for blueprint in (
        workflows.routes(doors, closing),
        batches.routes(doors),
        imports.routes(doors),
        results.routes(doors),
        artifacts.routes(doors),
        control.routes(doors),
        handoff.routes(doors),
        readiness.routes(doors),
        issues.routes(doors),
        sync.routes(doors),
        export.routes(doors),
        verbs.routes(doors),
        claims.routes(doors),
        gates.routes(doors),
        events.routes(doors, closing),
        actors.routes(doors),
        agents.routes(doors),
        analytics.routes(doors),
        assignments.routes(doors),
        system.routes(doors),
        reconcile.routes(doors),
        health.routes(doors),
        docs.routes(),
        openapi.routes(),
        auth.routes(doors),
        auth_keys.routes(doors),
        sessions.routes(doors, guard),
        audit.routes(doors),
    ):
        app.register_blueprint(blueprint)
    permissions.check(rule.endpoint for rule in app.url_map.iter_rules())
    return app


def create_metrics_app(
    registry: CollectorRegistry,
    closing: trio.Event | None = None,
    *,
    exposure: Exposure = DEFAULT,
) -> App:
    """An app that shows a registry at /metrics. It has no streams, so `closing` is not needed."""
    del closing
    app = _app(exposure)
    app.register_blueprint(metrics.routes(registry))
    return app


def _app(exposure: Exposure) -> App:
    # no static folder: Quart would serve the files of a directory called "static"
    app = App("beadflow", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT_BYTES
    app.config["BODY_TIMEOUT"] = BODY_TIMEOUT_S
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.converters["anything"] = Anything
    app.url_map.merge_slashes = False  # a doubled slash is a 404, not a redirect in HTML
    entrance = app.extensions["entrance"] = Entrance(exposure)
    app.before_request(_begin)
    app.before_websocket(_begin_websocket)
    app.before_request(entrance.request)
    app.before_websocket(entrance.socket)
    app.after_request(_mark)
    app.after_request(freshen)  # the last one is the first to run: what follows marks a 304, too
    app.after_websocket(_mark_refusal)  # type: ignore[type-var]  # it is given None, too
    app.register_error_handler(Refused, _refusal)
    app.register_error_handler(ActorDeadError, _absence)
    app.register_error_handler(ActorRestarting, _absence)
    app.register_error_handler(AskTimeout, _absence)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _fault)
    return app


def _path(target: str) -> str:
    """The path of a request target; an absolute one, as for a proxy, holds it."""
    if target.startswith("/"):
        return target
    try:
        path = urlsplit(target).path
    except ValueError:
        return "/"
    return path if path.startswith("/") else "/"


def _authority(target: str) -> str | None:
    """The host that an absolute request target names; None of one that names none.

    It counts more than the header Host (RFC 9112, 3.2.2), and is held against the same names. What
    cannot be read is nobody's host.
    """
    if target.startswith("/") or "://" not in target:
        return None
    try:
        return urlsplit(target).netloc
    except ValueError:
        return ""


async def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    g.trace = tracing.of(request.headers)


async def _begin_websocket() -> None:
    g.request_id = secrets.token_hex(8)


async def _mark(response: Response) -> Response:
    response.headers["X-Request-Id"] = _request_id()
    tracing.mark(response)
    entrance: Entrance = current_app.extensions["entrance"]
    entrance.mark(response)
    return response


async def _mark_refusal(response: Response | None) -> Response | None:
    return None if response is None else await _mark(response)


def _request_id() -> str:
    return str(g.get("request_id", "unknown"))


async def _refusal(error: Refused) -> Response:
    return problem.of_refusal(instead_of(error), _request_id())


async def _send_whole(send: Any, response: Response) -> None:
    """An answer that is in memory, in two messages; Quart asks it for pieces and sends three."""
    headers = encode_headers(response.headers)
    status = response.status_code
    await send({"type": "http.response.start", "status": status, "headers": headers})
    whole: Any = response.response
    body = whole.data[whole.begin : whole.end]
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _absence(error: Any) -> Response:
    log.warning("no answer", request_id=_request_id(), **tracing.words(), why=str(error))
    return problem.of_absence(error, _request_id())


async def _http(error: HTTPException) -> Response:
    return problem.of_http(error, _request_id())


async def _fault(error: Exception) -> Response:
    log.error("request failed", request_id=_request_id(), **tracing.words(), exc_info=error)
    return problem.of_fault(_request_id())
