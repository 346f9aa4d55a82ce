"""How far a door is open: to which names and pages it answers, and how much it takes from whom.

Plain values, checked when they are made; what acts on them stands in modules of their own.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from actors.errors import ValidationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What may come in the long run, and what may come at once.

    Args:
        per_s: requests per second; 0 for as many as anybody likes.
        burst: requests that may come at once after a while of silence, 1 or more.
    """

    per_s: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one user, and one address, may ask for.

    Args:
        reads: of one user, all of their keys and tokens together.
        writes: the same, of requests that may change something.
        address: of one address, whoever asks from there; of this machine's own, nobody counts.
        logins: of one address: keys and tokens that open nothing, and exchanges for tokens.
    """

    reads: Rate = Rate(per_s=500.0, burst=5000)
    writes: Rate = Rate(per_s=200.0, burst=2000)
    address: Rate = Rate(per_s=1000.0, burst=10_000)
    logins: Rate = Rate(per_s=5.0, burst=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How far one door is open.

    Args:
        allowed_hosts: names that requests may ask for beside those of loopback, without a port.
        cors_origins: pages elsewhere that may use the API from a browser, such as
            `https://example.org`; each is exact, scheme and port included.
        trusted_proxies: addresses and networks whose X-Forwarded-For is believed.
        behind_tls: whether clients come by TLS, so that browsers may be told to insist on it.
        rates: None for a door at which nobody is counted.
        connections: that are open at the same time, at most.
        connections_per_address: the same, of one address; this machine's own are not counted.
        in_flight: requests that are worked on at the same time, at most; more wait for a moment.

    Raises:
        ValidationError: one of them is not what it should be; its `field` says which.
    """

    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    behind_tls: bool = False
    rates: Rates | None = field(default_factory=Rates)
    connections: int = 4096
    connections_per_address: int = 256
    in_flight: int = 128

    def __post_init__(self) -> None:
        for host in self.allowed_hosts:
            if HOST_NAME.fullmatch(host) is None:
                raise _wrong("allowed_hosts", host, "is no name of a host, without a port")
        for origin in self.cors_origins:
            if not _is_origin(origin):
                raise _wrong("cors_origins", origin, "is no origin, such as https://example.org")
        for proxy in self.trusted_proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise _wrong("trusted_proxies", proxy, "is no address and no network") from error

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The trusted proxies, as networks."""
        return tuple(ipaddress.ip_network(proxy) for proxy in self.trusted_proxies)


DEFAULT: Final = Exposure()


def _is_origin(text: str) -> bool:
    """Whether a browser could say it: what it compares is the whole text."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    said = f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
    usual = {"http": 80, "https": 443}
    return (
        parts.scheme in usual
        and port != usual[parts.scheme]
        and HOST_NAME.fullmatch(host) is not None
        and said == text
    )


def _wrong(name: str, value: str, why: str) -> ValidationError:
    return ValidationError(f"{name}: {value!r} {why}", field=name, value=value)
