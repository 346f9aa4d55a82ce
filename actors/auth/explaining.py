"""Why somebody may do something, or why not: each key, its roles, its scopes, and its end."""

import sqlite3
from datetime import datetime, timedelta
from typing import Final

from actors.auth import reading
from actors.auth.messages import Explain, Explanation, Grant, KeyRecord, ListKeys
from actors.auth.records import key_record, scopes_of
from actors.auth.roles import GRANTS, Permission
from actors.clock import rfc3339
from storage.lookups import Reads

LOCAL: Final = "local"

Scopes = tuple[Permission, ...] | None


async def explain(reads: Reads, request: Explain, now: str) -> Explanation:
    """What each key of the principal comes to at a moment."""
    if request.permission is None:
        return _explained(request, True, ["nobody has to say who they are for this"], ())
    if request.principal == LOCAL:
        return _explained(request, True, ["this machine's own user may do everything"], ())
    token = await reading.token_of_jti(reads, request.principal)
    if token is not None:
        keys = await _keys_of(reads, token["key_id"])
        scopes = scopes_of(token["scopes"])
        against = _against(token, now)
        grants = [_grant(key, request.permission, now, scopes, against) for key in keys]
    else:
        keys = await _keys_of(reads, request.principal)
        grants = [_grant(key, request.permission, now, None, "") for key in keys]
    allowed = any(grant.allows for grant in grants)
    return _explained(request, allowed, _why(request, grants), tuple(grants))


async def _keys_of(reads: Reads, principal: str) -> tuple[KeyRecord, ...]:
    row = await reading.key_row(reads, principal)
    if row is not None:
        return (key_record(row),)
    return await reading.list_keys(reads, ListKeys(user_id=principal))


def _against(token: sqlite3.Row, now: str) -> str:
    if token["revoked_at"] is not None:
        return f"the token was revoked at {token['revoked_at']}"
    made = datetime.fromisoformat(token["created_at"]).replace(microsecond=0)  # as its claims say
    end = rfc3339(made + timedelta(seconds=token["token_s"]))
    return f"the token ended at {end}" if end <= now else ""


def _grant(key: KeyRecord, permission: Permission, now: str, scopes: Scopes, against: str) -> Grant:
    narrowing = (each for each in (key.scopes, scopes) if each is not None)
    if key.revoked_at is not None:
        against = f"it was revoked at {key.revoked_at} by {key.revoked_by}"
    elif key.expires_at is not None and key.expires_at <= now:
        against = f"it ended at {key.expires_at}"
    return Grant(
        key_id=key.id,
        name=key.name,
        roles=key.roles,
        scopes=key.scopes if scopes is None else scopes,
        granted_by=tuple(role for role in key.roles if permission in GRANTS[role]),
        narrowed=any(permission not in each for each in narrowing),
        against=against,
    )


def _why(request: Explain, grants: list[Grant]) -> list[str]:
    if not grants:
        return [f"there is no key, user or token {request.principal!r}"]
    ordered = sorted(grants, key=lambda grant: not grant.allows)
    return [_sentence(grant, request.permission) for grant in ordered]


def _sentence(grant: Grant, permission: Permission | None) -> str:
    key = f"key {grant.key_id}"
    if not grant.granted_by:
        roles = ", ".join(grant.roles)
        return f"{key}: {permission} is not among what {roles} may do"
    if grant.narrowed:
        return f"{key}: its scopes leave {permission} out"
    if grant.against:
        return f"{key}: {grant.against}"
    return f"{key}: {permission} is among what {', '.join(grant.granted_by)} may do"


def _explained(
    request: Explain, allowed: bool, why: list[str], grants: tuple[Grant, ...]
) -> Explanation:
    return Explanation(
        principal=request.principal,
        action=request.action,
        permission=request.permission,
        allowed=allowed,
        why=tuple(why),
        grants=grants,
    )
