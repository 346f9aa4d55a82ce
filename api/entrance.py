"""What every request passes before anybody asks who sends it: name, page, address, room.

Each door has one. Nothing here reads a body or asks an actor, so that a refusal costs next to
nothing.
"""

from typing import Any, Final

from quart import Response, g, has_request_context, request, websocket
from quart.wrappers.base import BaseRequestWebsocket

from api import limits
from api.addresses import peer_of
from api.credentials import BadCredential
from api.exposure import Exposure
from api.headers import secure
from api.limits import RateLimited, RateLimits
from api.origins import AUTHORITY, Origins
from api.overload import InFlight, Place
from supervision import Refused

ALWAYS: Final = frozenset({"health.live", "health.ready", "health.whole"})
"""Endpoints that answer however much there is to do: they say whether there is too much."""

LOGINS: Final = frozenset({"auth.token", "auth.refresh", "sessions.begin"})
"""Endpoints that give something for a credential; they are counted as attempts to log in."""


class Entrance:
    """The way into one app."""

    def __init__(self, exposure: Exposure) -> None:
        self._origins = Origins(exposure)
        self._limits = None if exposure.rates is None else RateLimits(exposure.rates)
        self._proxies = exposure.proxies
        self._behind_tls = exposure.behind_tls
        self.in_flight = InFlight(exposure.in_flight)

    async def request(self) -> Response | None:
        """Let a request in; an answer is all that there is to say to it.

        Raises:
            ForeignHost: it is not meant for this server.
            RateLimited: too many come from there.
            Overloaded: there is no room.
        """
        preflight = self._origins.preflight(request.method, request.headers)
        self._look(request)
        if preflight is not None:
            return preflight
        if request.endpoint in LOGINS:
            limits.count_login()
        if request.endpoint not in ALWAYS:
            place = Place(self.in_flight)
            await place.take()
            g.place = place
        return None

    async def socket(self) -> None:
        """Let a WebSocket in; its place is its connection."""
        self._look(websocket)

    def _look(self, asked: BaseRequestWebsocket) -> None:
        assert asked.scope is not None  # noqa: S101 - an ASGI app has one
        g.peer = peer_of(asked.scope.get("client"), asked.headers, self._proxies)
        g.limits = self._limits
        if asked.endpoint not in ALWAYS:
            limits.count_arrival()
        authority: Any = asked.scope.get(AUTHORITY)
        self._origins.check(asked.headers, authority)

    def mark(self, response: Response) -> None:
        """Add to an answer what belongs to all of them."""
        asked = (request if has_request_context() else websocket).headers
        secure(response.headers, behind_tls=self._behind_tls)
        self._origins.mark(asked, response.headers)
        response.headers.update(g.get("told", {}))


def instead_of(refusal: Refused) -> Refused:
    """The refusal, or another one for whoever has tried too many credentials."""
    if isinstance(refusal, BadCredential):
        try:
            limits.count_login()
        except RateLimited as limited:
            return limited
    return refusal
