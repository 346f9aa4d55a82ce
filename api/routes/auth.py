"""/api/v1/auth: tokens, tickets, who one is, and why somebody may do something, or may not.

Secrets are in bodies and headers only, and no answer of theirs is kept anywhere on its way.
"""

from dataclasses import asdict
from typing import Any, Final

from quart import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from actors.auth.credentials import masked
from actors.auth.messages import (
    ExchangeKey,
    Explain,
    MakeTicket,
    RefreshToken,
    RevokeTokens,
)
from actors.auth.roles import Permission
from actors.errors import ValidationError
from api import peers
from api.auth_models import (
    PrincipalView,
    RefreshRequest,
    Revoked,
    RevokeRequest,
    TicketView,
    TokenRequest,
    Tokens,
    Why,
    WhyQuery,
)
from api.authority import principal, require
from api.body import read_model, read_query
from api.credentials import bearer
from api.doors import Doors
from api.models import NoBody, NoQuery
from api.permissions import PERMISSIONS
from supervision import ask

READ_DEADLINE_S: Final = 10.0
WRITE_DEADLINE_S: Final = 30.0
BODY_BYTES: Final = 64 * 1024
"""Of a request here: nobody has to be known to send one."""


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("auth", __name__, url_prefix="/api/v1/auth")
    blueprint.before_request(refuse_large)
    blueprint.after_request(keep_nowhere)

    @blueprint.post("/token")
    async def token() -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, TokenRequest)
        message = ExchangeKey(
            key=_key(body.key),
            scopes=None if body.scopes is None else tuple(body.scopes),
            expires_in=body.expires_in,
            address=peers.address(),
        )
        return Tokens.of(await ask(doors.auth, message, deadline_s=WRITE_DEADLINE_S)).model_dump()

    @blueprint.post("/refresh")
    async def refresh() -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, RefreshRequest)
        message = RefreshToken(refresh_token=body.refresh_token, address=peers.address())
        return Tokens.of(await ask(doors.auth, message, deadline_s=WRITE_DEADLINE_S)).model_dump()

    @blueprint.post("/revoke")
    async def revoke() -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, RevokeRequest)
        message = _revocation(body)
        count = await ask(doors.auth, message, deadline_s=WRITE_DEADLINE_S)
        return Revoked(revoked=count).model_dump()

    @blueprint.post("/tickets")
    async def ticket() -> tuple[dict[str, Any], int]:
        read_query(request, NoQuery)
        await read_model(request, NoBody)
        message = MakeTicket(principal=principal())
        made = await ask(doors.auth, message, deadline_s=READ_DEADLINE_S)
        return TicketView.model_validate(asdict(made)).model_dump(), 201

    @blueprint.get("/me")
    async def me() -> dict[str, Any]:
        read_query(request, NoQuery)
        return PrincipalView.of(principal()).model_dump()

    @blueprint.get("/why")
    async def why() -> dict[str, Any]:
        _refuse_secret(request.args.get("principal", ""))
        query = read_query(request, WhyQuery)
        if query.principal not in (principal().user_id, principal().key_id):
            require(Permission.SYSTEM_ADMIN)
        message = Explain(
            principal=query.principal, action=query.action, permission=needed(query.action)
        )
        return Why.of(await ask(doors.auth, message, deadline_s=READ_DEADLINE_S)).model_dump()

    return blueprint


async def refuse_large() -> None:
    """A chunked body may be larger: it ends at the limit of all bodies."""
    if (request.content_length or 0) > BODY_BYTES:
        raise RequestEntityTooLarge


async def keep_nowhere(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _key(sent: str | None) -> str:
    """The API key that is to be exchanged: of the body, or of the header Authorization."""
    given = [each for each in (sent, bearer(request.headers)) if each is not None]
    if len(given) != 1:
        raise ValidationError(
            "give the API key once: as `key`, or as the Bearer of Authorization", field="key"
        )
    return given[0]


def _refuse_secret(name: str) -> None:
    """Raises `ValidationError` for what may be a credential: the answer repeats what was asked."""
    if masked(name) != name:
        raise ValidationError(
            "this looks like a credential: give the id of the key, that of the token, or a user",
            field="principal",
            hint="the id of a key is what stands between bf_ and the next _; if it was a secret, "
            "revoke it, since addresses end up in logs",
        )


def _revocation(body: RevokeRequest) -> RevokeTokens:
    """One token by its id, or all of a user; without either, the one that asks.

    Raises:
        Missing: they are somebody else's, which an administrator may end.
    """
    who, jti = principal(), body.jti
    if jti is None and body.user_id is None:
        if who.via != "token":
            raise ValidationError("name a token by its jti, or a user_id", field="jti")
        jti = who.credential
    is_own = body.user_id in (None, who.user_id) and jti in (None, who.credential)
    if not is_own:
        require(Permission.SYSTEM_ADMIN)
    return RevokeTokens(by=who.user_id, jti=jti, user_id=body.user_id, address=peers.address())


def needed(action: str) -> Permission | None:
    """The permission that an action is, or that a route needs; None where anybody may.

    Raises:
        ValidationError: it is neither a permission nor "METHOD /path".
    """
    if action in list(Permission):
        return Permission(action)
    method, _, path = action.partition(" ")
    adapter, is_stream = current_app.url_map.bind("localhost"), method.upper() == "WS"
    try:
        asked = "GET" if is_stream else method.upper()
        endpoint, _ = adapter.match(path, asked, websocket=is_stream)
    except HTTPException as error:
        known = ", ".join(Permission)
        raise ValidationError(
            f"an action is one of {known}, or a route such as GET /api/v1/workflows", field="action"
        ) from error
    need = PERMISSIONS[endpoint]
    return need if isinstance(need, Permission) else None
