"""What stands in the rows of keys and tokens, as what it means."""

import sqlite3
from collections.abc import Collection

from actors.auth.messages import KeyRecord
from actors.auth.roles import Permission, Role, granted
from storage import payload

_ROLES = frozenset(map(str, Role))
_PERMISSIONS = frozenset(map(str, Permission))


def key_record(row: sqlite3.Row) -> KeyRecord:
    """An API key, without what opens it."""
    return KeyRecord(
        id=row["id"],
        name=row["name"],
        user_id=row["user_id"],
        roles=roles_of(row["roles"]),
        scopes=scopes_of(row["scopes"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
        revoked_by=row["revoked_by"],
    )


def roles_of(text: str) -> tuple[Role, ...]:
    """A role that this program does not know gives nothing."""
    return tuple(Role(name) for name in payload.decode(text) if name in _ROLES)


def scopes_of(text: str | None) -> tuple[Permission, ...] | None:
    if text is None:
        return None
    return tuple(Permission(name) for name in payload.decode(text) if name in _PERMISSIONS)


def scopes_text(scopes: Collection[Permission] | None) -> str | None:
    return None if scopes is None else payload.encode(sorted(scopes))


def narrowed(
    roles: Collection[Role], *scopes: Collection[Permission] | None
) -> frozenset[Permission]:
    """What roles hold, narrowed by all of the scopes there are."""
    held = granted(frozenset(roles), None)
    for each in scopes:
        held = held if each is None else held & frozenset(each)
    return held
