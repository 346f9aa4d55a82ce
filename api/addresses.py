"""Who is at the other end of a request, as far as the network tells.

What a header says of it counts only from a proxy that the operator has named: anybody can write
X-Forwarded-For. The last entries are the proxies' own, so it is read from the end, up to the first
that is none of them.
"""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from werkzeug.datastructures import Headers

from api.exposure import Network

HOPS_LIMIT: Final = 32
"""Entries of X-Forwarded-For that are looked at."""

UNKNOWN: Final = "unknown"

_FORWARDED: Final = frozenset({"forwarded", "x-forwarded-for", "x-real-ip", "via"})
_REMEMBERED: Final = 256


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end.

    Args:
        address: its IP address; "local" for a Unix socket.
        is_this_machine: it is on this machine, and asks for itself: nothing says that it passes
            on what somebody else has asked.
    """

    address: str
    is_this_machine: bool

    @property
    def network(self) -> str:
        """What is counted together: an address, or the 2^64 that one IPv6 subscriber has."""
        if ":" not in self.address:
            return self.address
        return str(ipaddress.ip_network((self.address, 64), strict=False))


def peer_of(client: tuple[str, int] | None, headers: Headers, proxies: tuple[Network, ...]) -> Peer:
    """Who asks, from a connection's other end and the headers of a request."""
    if client is None or not client[0]:
        return Peer("local", True)
    direct = _direct(client[0])
    if direct is None:
        return Peer(UNKNOWN, False)
    if proxies and _is_among(direct, proxies):
        return Peer(str(_first_stranger(direct, headers, proxies)), False)
    if any(name.lower() in _FORWARDED for name, _ in headers):
        return Peer(str(direct), False)
    return _itself(direct)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _first_stranger(direct: Address, headers: Headers, proxies: tuple[Network, ...]) -> Address:
    hops = ",".join(headers.getlist("X-Forwarded-For")).split(",")
    found = direct
    for text in reversed(hops[-HOPS_LIMIT:]):
        hop = _parsed(text.strip())
        if hop is None:
            break
        found = hop
        if not _is_among(hop, proxies):
            break
    return found


@lru_cache(_REMEMBERED)
def _direct(text: str) -> Address | None:
    """The other end of a connection. Few ask often, and parsing takes longer than all the rest."""
    return _parsed(text)


@lru_cache(_REMEMBERED)
def _itself(address: Address) -> Peer:
    """Whoever asks for nobody else."""
    return Peer(str(address), address.is_loopback)


def _parsed(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


def _is_among(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
