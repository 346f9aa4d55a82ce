"""Tickets: each opens one WebSocket, once, for half a minute. They live in memory only."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from actors.auth.credentials import Entropy, is_ticket, new_ticket, sha256
from actors.auth.errors import Unauthenticated
from actors.auth.messages import Principal, Ticket
from actors.errors import Overloaded

LIFE_S: Final = 30

EACH: Final = 100
"""Tickets of one user that live at once."""

ALL: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Made:
    principal: Principal
    until: float


class Tickets:
    """Those that were made and not used yet, by their hash, the oldest first."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._made: OrderedDict[str, _Made] = OrderedDict()
        self._of_user: dict[str, int] = {}

    def make(self, principal: Principal, now: float) -> Ticket:
        """Raises `Overloaded` when there are too many that nobody has used."""
        self._forget(now)
        own = self._of_user.get(principal.user_id, 0)
        if own >= EACH or len(self._made) >= ALL:
            raise Overloaded(f"there are {own} tickets of {principal.user_id} that wait to be used")
        ticket = new_ticket(self._entropy)
        self._made[sha256(ticket)] = _Made(principal, now + LIFE_S)
        self._of_user[principal.user_id] = own + 1
        return Ticket(ticket=ticket, expires_in=LIFE_S)

    def use(self, ticket: str, now: float) -> Principal:
        """Raises `Unauthenticated` when it is none, was used, or is too old."""
        self._forget(now)
        made = self._take(sha256(ticket)) if is_ticket(ticket) else None
        if made is None:
            raise Unauthenticated("this ticket opens nothing")
        return made.principal

    def _forget(self, now: float) -> None:
        while self._made:
            digest, oldest = next(iter(self._made.items()))
            if now < oldest.until:
                return
            self._take(digest)

    def _take(self, digest: str) -> _Made | None:
        made = self._made.pop(digest, None)
        if made is not None:
            user_id = made.principal.user_id
            self._of_user[user_id] -= 1
            if not self._of_user[user_id]:
                del self._of_user[user_id]
        return made
