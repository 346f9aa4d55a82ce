"""Which names this server answers to, and which pages may use it from a browser.

A page elsewhere can make a browser ask for any address, and give it any name (DNS rebinding). So a
request has to name this machine, or a host that the operator has listed; and one that a page has
made (browsers say so by Origin) has to come from a page of this server, or from one that is listed,
letter by letter. Credentials of the browser's own are never invited (no Access-Control-Allow-
Credentials).
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

from quart import Response
from werkzeug.datastructures import Headers

from api.exposure import Exposure
from supervision import Refused

REMEMBERED: Final = 64
"""Names of which it is known whether they are loopback's: a client repeats its own."""

HOST: Final = re.compile(r"(?P<name>\[[^]]+\]|[^:]+)(:(?P<port>\d+))?")

METHODS: Final = "GET, HEAD, POST, PUT, DELETE"

TAKEN: Final = ", ".join(
    (
        *("Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match"),
        *("If-None-Match", "Last-Event-ID", "Prefer", "X-Request-Id"),
        *("traceparent", "tracestate"),
    )
)
"""Headers that pages elsewhere may send."""

SHOWN: Final = ", ".join(
    (
        *("Accept-Ranges", "Artifact-Version", "Content-Disposition", "Content-Range", "ETag"),
        *("Idempotency-Replayed", "Link", "Location", "Preference-Applied", "RateLimit"),
        *("RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-Id", "traceparent"),
    )
)
"""Headers of answers that pages elsewhere may read."""

AUTHORITY: Final = "beadflow.authority"
"""Where in an ASGI scope the host stands that the request target names; None where it has none."""

KNOWN_S: Final = 600
"""How long a browser may keep in mind what a page is allowed."""


class ForeignHost(Refused):
    """The request names a host that is not this machine: a page elsewhere made a browser ask."""

    code = "foreign_host"
    status = 403
    retryable = False
    hint = "use the address that the server printed, or one of its setting allowed_hosts"
    message = "this server answers to loopback names, and to those that it is told to"


class ForeignOrigin(ForeignHost):
    """A page that is not this server's made a browser ask."""

    hint = "open the page from this server, or list its origin in the server's cors_origins"
    message = "a page elsewhere makes this request, and only pages of loopback or listed ones may"


class Origins:
    """What one door says to names and pages."""

    def __init__(self, exposure: Exposure) -> None:
        self._hosts = frozenset(host.lower() for host in exposure.allowed_hosts)
        self._pages = frozenset(exposure.cors_origins)

    def check(self, headers: Headers, authority: str | None = None) -> None:
        """See that a request is meant for this server, and made by nobody else's page.

        Args:
            headers: of the request.
            authority: the host that the request target names, which counts more than the header.

        Raises:
            ForeignHost: it is not.
        """
        host = headers.get("Host", "")
        if not self._answers_to(host):
            raise ForeignHost
        if authority is not None:
            host = authority
            if not self._answers_to(host):
                raise ForeignHost
        origin = headers.get("Origin")
        if origin is not None and origin not in self._pages and not _is_same(origin, host):
            raise ForeignOrigin

    def preflight(self, method: str, headers: Headers) -> Response | None:
        """The answer to a browser that asks whether a listed page may; None to all others."""
        asks = method == "OPTIONS" and "Access-Control-Request-Method" in headers
        if not asks or headers.get("Origin") not in self._pages:
            return None
        response = Response(b"", status=204)
        del response.headers["Content-Type"]
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = TAKEN
        response.headers["Access-Control-Max-Age"] = str(KNOWN_S)
        return response

    def mark(self, asked: Headers, answered: Headers) -> None:
        """Let a listed page read the answer."""
        if not self._pages:
            return
        answered.add("Vary", "Origin")
        origin = asked.get("Origin")
        if origin in self._pages:
            answered["Access-Control-Allow-Origin"] = origin
            answered["Access-Control-Expose-Headers"] = SHOWN

    def _answers_to(self, host: str) -> bool:
        found = HOST.fullmatch(host)
        if found is None:
            return False
        name = found["name"].lower()
        return is_loopback(name) or name in self._hosts


@lru_cache(REMEMBERED)
def is_loopback(name: str) -> bool:
    """Whether a name, or an address as it stands in a URL, can only mean this machine."""
    if name == "localhost":
        return True
    bare = name[1:-1] if name.startswith("[") else name
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    return address.is_loopback and (address.version == 6) == (bare is not name)  # noqa: PLR2004


def _is_same(origin: str, host: str) -> bool:
    """Whether a page came from the server it asks, by the name or another of this machine."""
    scheme, _, place = origin.lower().partition("://")
    if scheme not in {"http", "https"}:
        return False
    host = host.lower()
    if place == host:
        return True
    page, asked = HOST.fullmatch(place), HOST.fullmatch(host)
    return (
        page is not None
        and asked is not None
        and page["port"] == asked["port"]
        and is_loopback(page["name"])
        and is_loopback(asked["name"])
    )
