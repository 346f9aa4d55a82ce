"""How many may be connected to a door at the same time, in all and from one address.

A connection costs a descriptor and memory whether it asks for something or not. When there is no
room left, the one that has asked for nothing for the longest time makes room for who comes: so
neither kept connections nor those that send their request a byte at a time can shut others out.
Only where all of them are at work is the newcomer turned away. Connections of this machine are not
counted by address: they share one.
"""

import resource
from collections import defaultdict
from typing import Final, Protocol

from api.addresses import Peer
from api.exposure import Exposure

KEPT_FREE: Final = 200
"""Descriptors that files, databases and programs need."""


class Guest(Protocol):
    """A connection, as far as it matters here."""

    is_idle: bool
    idle_since: float

    def cut(self) -> None:
        """Have it end."""


class Crowd:
    """Everybody who is connected."""

    def __init__(self, exposure: Exposure) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = exposure.connections
        self._most = room if soft == resource.RLIM_INFINITY else min(room, soft - KEPT_FREE)
        self._most_each = exposure.connections_per_address
        self._inside: dict[Guest, str] = {}
        self._of: defaultdict[str, dict[Guest, None]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._inside)

    def enter(self, guest: Guest, peer: Peer) -> bool:
        """Let somebody in, if there is room or somebody idle can make some."""
        network = "" if peer.is_this_machine else peer.network
        if network and len(self._of[network]) >= self._most_each:
            self._have_go(self._of[network])
        if len(self._inside) >= self._most:
            self._have_go(self._inside)
        is_full = network and len(self._of[network]) >= self._most_each
        if is_full or len(self._inside) >= self._most:
            return False
        self._inside[guest] = network
        self._of[network][guest] = None
        return True

    def leave(self, guest: Guest) -> None:
        """Forget somebody who is on the way out, or never was inside."""
        network = self._inside.pop(guest, None)
        if network is None:
            return
        del self._of[network][guest]
        if not self._of[network]:
            del self._of[network]

    def _have_go(self, among: dict[Guest, str] | dict[Guest, None]) -> None:
        idle = [guest for guest in among if guest.is_idle]
        if idle:
            longest = min(idle, key=lambda guest: guest.idle_since)
            self.leave(longest)
            longest.cut()
