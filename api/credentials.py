"""What a request shows of who asks, and what a door remembers of those that it has seen.

A credential is read from a header alone: addresses end up in logs and histories.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio
from werkzeug.datastructures import Headers

from actors.auth.errors import Unauthenticated
from actors.auth.messages import Principal
from actors.errors import ValidationError

REMEMBERED_S: Final = 60.0
REMEMBERED: Final = 4096
"""Credentials at a time; the one that came first is forgotten first."""

SUBPROTOCOL: Final = "beadflow.bearer."
PLAIN: Final = "beadflow"
"""Offered beside the one with the credential, which no answer may repeat."""

_FORM: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,8192}=*")


class BadCredential(Unauthenticated):
    """A credential was shown that opens nothing, or is none at all."""


def bearer(headers: Headers) -> str | None:
    """The credential of the header Authorization, None without one.

    Raises:
        BadCredential: there are several, or it is of another kind.
    """
    given = headers.getlist("Authorization")
    if not given:
        return None
    scheme, _, credential = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise BadCredential("Authorization is one credential, of the kind Bearer")
    return well_formed(credential.strip())


def of_subprotocols(offered: list[str]) -> str | None:
    """The credential among the subprotocols of a WebSocket, where a browser can put one.

    Raises:
        BadCredential: there are several, or it cannot be one.
        ValidationError: nothing is offered beside it that could be chosen.
    """
    found = [name.removeprefix(SUBPROTOCOL) for name in offered if name.startswith(SUBPROTOCOL)]
    if found and PLAIN not in offered:
        raise ValidationError(
            "a credential is no subprotocol that could be chosen",
            field="Sec-WebSocket-Protocol",
            hint=f"offer {PLAIN} beside {SUBPROTOCOL}<credential>",
        )
    if len(found) > 1:
        raise BadCredential("there is more than one credential")
    return well_formed(found[0]) if found else None


def chosen(offered: list[str]) -> str | None:
    """The subprotocol that a WebSocket is accepted with: a browser gives up without one."""
    shown = any(name.startswith(SUBPROTOCOL) for name in offered)
    return PLAIN if shown and PLAIN in offered else None


def well_formed(credential: str) -> str:
    """Raises `BadCredential` for what cannot be one, whoever made it."""
    if _FORM.fullmatch(credential) is None:
        raise BadCredential("what was shown is no credential")
    return credential


@dataclass(frozen=True, slots=True)
class _Seen:
    principal: Principal
    until: float


class Memory:
    """Principals by the hash of their credentials: for a while, and within one epoch only."""

    def __init__(self, epoch: Callable[[], int]) -> None:
        self._epoch = epoch
        self._of = 0
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()

    def get(self, credential: str) -> Principal | None:
        """Who has shown this before; whether it has ended meanwhile is the caller's to see."""
        if self._of != self._epoch():
            self._seen.clear()
            self._of = self._epoch()
        found = self._seen.get(_hash(credential))
        return None if found is None or found.until <= trio.current_time() else found.principal

    def keep(self, credential: str, principal: Principal, *, since: int) -> None:
        """Remember somebody who was asked about in the epoch `since`."""
        if since != self._epoch() or since != self._of:
            return
        self._seen[_hash(credential)] = _Seen(principal, trio.current_time() + REMEMBERED_S)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def __len__(self) -> int:
        return len(self._seen)


def _hash(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()
