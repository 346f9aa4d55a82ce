"""What whoever asks may do: one table of what routes need, and a principal beside it."""

from typing import Final

from quart import g

from actors.auth.errors import Unauthenticated
from actors.auth.messages import Principal
from actors.auth.roles import Permission
from actors.errors import Forbidden
from api.credentials import BadCredential
from api.permissions import KNOWN, OPEN, PERMISSIONS, Need
from supervision import Refused

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

_REALM: Final = 'Bearer realm="beadflow"'


class Missing(Forbidden):
    """The principal is known, and does not hold what the route needs."""

    def __init__(self, principal: Principal, permission: Permission) -> None:
        super().__init__(
            f"this needs the permission {permission}, which {principal.user_id} does not have here",
            hint=f"beadflow auth why {principal.user_id} {permission} says what would give it",
        )
        self.permission = permission


def principal() -> Principal:
    """Who asks, in a route that is not open to everybody."""
    found: Principal = g.principal
    return found


def require(permission: Permission) -> None:
    """See that whoever asks holds this, too.

    Raises:
        Missing: they do not.
    """
    authorise(principal(), permission)


def authorise(who: Principal, need: Need | None) -> None:
    """Raises `Forbidden` unless somebody may use what needs this."""
    if need is KNOWN or need is OPEN:
        return
    if not isinstance(need, Permission):
        raise Forbidden("nobody may use this route: it does not say what it needs")
    if not who.may(need):
        raise Missing(who, need)


def need_of(endpoint: str | None) -> Need | None:
    """What a route needs; None where there is no route, which is answered as such."""
    return None if endpoint is None else PERMISSIONS[endpoint]


def challenge_of(error: Refused) -> str | None:
    """What WWW-Authenticate says to a refusal (RFC 6750)."""
    match error:
        case BadCredential():
            return f'{_REALM}, error="invalid_token"'
        case Unauthenticated():
            return _REALM
        case Missing():
            return f'{_REALM}, error="insufficient_scope", scope="{error.permission}"'
        case _:
            return None
