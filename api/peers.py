"""Who is at the other end of a connection, for those who let somebody in for it."""

from collections.abc import Mapping
from typing import Any, Final

from quart import g

from actors.auth.messages import Principal
from actors.auth.roles import Permission, Role
from api.addresses import Peer
from api.local_socket import LOCAL_USER

STATE: Final = "local_user"
"""Where in an ASGI scope's state the name stands of who is at the other end of a Unix socket."""


def own_user(scope: Mapping[str, Any]) -> Principal:
    """This machine's own user: it may do anything, since the files are its own."""
    return Principal(
        user_id=(scope.get("state") or {}).get(STATE) or LOCAL_USER,
        roles=frozenset({Role.ADMIN}),
        permissions=frozenset(Permission),
        via="local",
    )


def address() -> str:
    """Where the present request comes from: an IP address, or "local" for a Unix socket."""
    peer: Peer | None = g.get("peer")
    return "" if peer is None else peer.address
