"""/api/v1/auth/keys and signing-keys: an administrator makes and ends what others show."""

from dataclasses import asdict
from typing import Any

from quart import Blueprint, Response, jsonify, request

from actors.auth.messages import (
    CreateKey,
    ListKeys,
    ListSigningKeys,
    RevokeKey,
    RotateSigningKey,
)
from actors.auth.roles import granted
from actors.errors import Forbidden
from api import peers
from api.auth_models import KeyRequest, KeysQuery, KeyView, MadeKey, SigningKey
from api.authority import principal
from api.body import read_model, read_query
from api.doors import Doors
from api.models import NoBody, NoQuery
from api.routes.auth import READ_DEADLINE_S, WRITE_DEADLINE_S, keep_nowhere, refuse_large
from supervision import ask


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("auth_keys", __name__, url_prefix="/api/v1/auth")
    blueprint.before_request(refuse_large)
    blueprint.after_request(keep_nowhere)

    @blueprint.get("/keys")
    async def listing() -> dict[str, Any]:
        query = read_query(request, KeysQuery)
        message = ListKeys(user_id=query.user_id)
        found = await ask(doors.auth, message, deadline_s=READ_DEADLINE_S)
        return {"data": [KeyView.of(record).model_dump() for record in found]}

    @blueprint.post("/keys")
    async def create() -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, KeyRequest)
        refuse_more_than_own(body)
        message = CreateKey(
            user_id=body.user_id,
            roles=tuple(body.roles),
            by=principal().user_id,
            name=body.name,
            scopes=None if body.scopes is None else tuple(body.scopes),
            expires_at=body.expires_at,
            address=peers.address(),
        )
        made = await ask(doors.auth, message, deadline_s=WRITE_DEADLINE_S)
        view = MadeKey.model_validate(asdict(made.record) | {"secret": made.secret})
        response = jsonify(view.model_dump())
        response.status_code = 201
        response.headers["Location"] = f"/api/v1/auth/keys/{made.record.id}"
        return response

    @blueprint.delete("/keys/<key_id>")
    async def revoke(key_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        message = RevokeKey(key_id=key_id, by=principal().user_id, address=peers.address())
        return KeyView.of(await ask(doors.auth, message, deadline_s=WRITE_DEADLINE_S)).model_dump()

    @blueprint.get("/signing-keys")
    async def signing() -> dict[str, Any]:
        read_query(request, NoQuery)
        found = await ask(doors.auth, ListSigningKeys(), deadline_s=READ_DEADLINE_S)
        return {"data": [SigningKey.of(record).model_dump() for record in found]}

    @blueprint.post("/signing-keys")
    async def rotate() -> tuple[dict[str, Any], int]:
        read_query(request, NoQuery)
        await read_model(request, NoBody)
        message = RotateSigningKey(by=principal().user_id, address=peers.address())
        made = await ask(doors.auth, message, deadline_s=WRITE_DEADLINE_S)
        return SigningKey.of(made).model_dump(), 201

    return blueprint


def refuse_more_than_own(body: KeyRequest) -> None:
    """Raises `Forbidden` where the key would give what whoever makes it does not hold.

    Else a key that is narrowed by its scopes would be as good as one that is not.
    """
    scopes = None if body.scopes is None else frozenset(body.scopes)
    more = sorted(granted(frozenset(body.roles), scopes) - principal().permissions)
    if more:
        raise Forbidden(
            f"the key would give {', '.join(more)}, which whoever makes it does not hold",
            hint="narrow the key with scopes that you hold, or have somebody make it who has more",
        )
