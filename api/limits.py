"""How much one user, and one address, may ask for; beyond it requests are refused with 429.

Users are counted by name and not by credential, so that a new key, a new token or a new connection
is no fresh start; addresses by what the connection comes from; and neither by anything that stands
in the request. Requests that may change something and those that may not are counted apart. Whoever
sends credentials that open nothing is counted in a bucket that is much smaller; the owner of a good
one at the same address is not refused for it.

The machine's own user is not counted, nor are addresses of this machine: they share one, and who
sits there has other means.
"""

from collections.abc import Callable

import trio
from quart import g

from actors.auth.messages import Principal
from actors.errors import WorkflowError
from api import overload
from api.addresses import Peer
from api.authority import READING
from api.buckets import Buckets, Drawn
from api.exposure import Rate, Rates
from supervision import Refused


class RateLimited(WorkflowError, Refused):  # noqa: N818 - the word of HTTP's others
    """Too much was asked in too short a time; nothing was done."""

    code = "rate_limited"
    status = 429
    retryable = True
    hint = "wait as long as Retry-After says, and ask more slowly from then on"

    def __init__(self, message: str, *, retry_after_s: float, told: dict[str, str]) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.told = told


class _Policy:
    """One rate under its name, and how it is told."""

    def __init__(self, name: str, rate: Rate) -> None:
        self.name = name
        self._told = f'"{name}";q={rate.burst};w={_whole(rate.burst / (rate.per_s or 1.0))}'
        self._buckets = Buckets(rate) if rate.per_s else None

    def draw(self, key: str) -> dict[str, str]:
        """Take a token; answers what the client is told.

        Raises:
            RateLimited: there was none.
        """
        if self._buckets is None:
            return {}
        return self._granted(self._buckets.draw(key, trio.current_time()))

    def _granted(self, drawn: Drawn) -> dict[str, str]:
        told = {
            "RateLimit-Policy": self._told,
            "RateLimit": f'"{self.name}";r={drawn.left};t={_whole(drawn.full_s)}',
        }
        if not drawn.granted:
            raise RateLimited(
                f"more was asked than the policy {self.name!r} allows",
                retry_after_s=drawn.wait_s,
                told=told,
            )
        return told


class RateLimits:
    """The buckets of one door."""

    def __init__(self, rates: Rates) -> None:
        self._reads = _Policy("read", rates.reads)
        self._writes = _Policy("write", rates.writes)
        self._address = _Policy("address", rates.address)
        self._logins = _Policy("login", rates.logins)

    def come(self, peer: Peer) -> dict[str, str]:
        """Count a request by where it comes from, before anybody looks at who sends it."""
        return {} if peer.is_this_machine else self._address.draw(peer.network)

    def ask(self, principal: Principal, method: str) -> dict[str, str]:
        """Count a request of somebody who is known."""
        if principal.via == "local":
            return {}
        policy = self._reads if method in READING else self._writes
        return policy.draw(principal.user_id)

    def log_in(self, peer: Peer) -> dict[str, str]:
        """Count an exchange of a credential, or one that opened nothing."""
        return self._logins.draw(peer.network)


def count_arrival() -> None:
    """Count the request at hand by where it comes from.

    Raises:
        RateLimited: too many do.
    """
    found = _here()
    if found is not None:
        _tell(found.come, g.peer)


def count_request(principal: Principal, method: str = "GET") -> None:
    """Count the request at hand, or one more over its WebSocket, by who sends it.

    Raises:
        RateLimited: they have sent too many.
    """
    found = _here()
    if found is not None:
        _tell(found.ask, principal, method)


def count_login() -> None:
    """Count an attempt to log in, or a credential that opened nothing.

    Raises:
        RateLimited: there were too many from that address.
    """
    found = _here()
    if found is not None:
        _tell(found.log_in, g.peer)


def _here() -> RateLimits | None:
    found: RateLimits | None = g.get("limits")
    return found


def _tell(count: Callable[..., dict[str, str]], *args: object) -> None:
    """Count, and keep what the answer tells of it."""
    try:
        g.told = count(*args) or g.get("told", {})
    except RateLimited as limited:
        g.told = limited.told
        overload.calm()
        raise


def _whole(seconds: float) -> int:
    """Rounded up, as clients wait for it."""
    return max(1, int(-(-seconds // 1)))
