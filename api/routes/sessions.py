"""/api/v1/auth/session: a browser signs in with an API key, and out again.

No page can read the cookie. Its address is the host's own, over TLS or on loopback: browsers keep a
cookie of this name from nobody else.
"""

from typing import Any

import trio
from quart import Blueprint, Response, jsonify, request

from actors.errors import NotFound
from api.auth_models import PrincipalView, SessionRequest, SessionView
from api.body import read_model, read_query
from api.credentials import BadCredential
from api.doors import Doors
from api.guard import Admission, Guard
from api.models import NoQuery
from api.routes.auth import keep_nowhere, refuse_large
from api.sessions import COOKIE, Session


def routes(doors: Doors, guard: Guard) -> Blueprint:
    del doors
    blueprint = Blueprint("sessions", __name__, url_prefix="/api/v1/auth/session")
    blueprint.before_request(refuse_large)
    blueprint.after_request(keep_nowhere)

    @blueprint.post("")
    async def begin() -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, SessionRequest)
        found = await guard.by_credential(body.key)
        if found.principal.via != "key":
            raise BadCredential("a session begins with an API key")
        guard.sessions.end(request.cookies.get(COOKIE, ""))
        name, session = guard.sessions.begin(Admission.of_session(found))
        response = jsonify(_view(session))
        response.status_code = 201
        _set(response, name, int(session.ends - trio.current_time()))
        return response

    @blueprint.get("")
    async def show() -> dict[str, Any]:
        read_query(request, NoQuery)
        return _view(_own(guard))

    @blueprint.delete("")
    async def end() -> Response:
        read_query(request, NoQuery)
        _own(guard)
        guard.sessions.end(request.cookies[COOKIE])
        response = Response(b"", status=204)
        _set(response, "", 0)
        return response

    return blueprint


def _own(guard: Guard) -> Session:
    session = guard.sessions.of(request)
    if session is None:
        raise NotFound("there is no session: the request has no cookie")
    return session


def _view(session: Session) -> dict[str, Any]:
    who = PrincipalView.of(session.admission.principal)
    left_s = int(session.ends - trio.current_time())
    return SessionView(csrf_token=session.csrf_token, expires_in=left_s, principal=who).model_dump()


def _set(response: Response, name: str, age_s: int) -> None:
    response.set_cookie(
        COOKIE, name, max_age=age_s, path="/", secure=True, httponly=True, samesite="Strict"
    )
