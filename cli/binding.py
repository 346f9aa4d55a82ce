"""What a server may listen on: this machine alone, until there is a key that others have to show.

Asked before a port is bound, from the database and under the lock of the data directory.
"""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from api.local_socket import local_socket
from api.server import listen
from cli.access import MAKE_A_KEY
from cli.exits import ExitCode
from cli.problem import Problem
from cli.settings import Settings
from storage.coordination.standing import Keys
from storage.errors import plain


def refuse_without_key(settings: Settings, keys: Keys) -> None:
    """See that nobody elsewhere is let in because there is nothing that they have to show.

    Raises:
        Problem: the server would be reached from elsewhere, and no key opens anything.
    """
    if keys.opens:
        return
    reached = next(_ways_in(settings), None)
    if reached is None:
        return
    raise Problem(
        f"Without a key the server {reached}",
        "no API key opens anything, so nobody elsewhere could be told from the machine's own user",
        code="no_key",
        exit_code=ExitCode.AUTH,
        hint=f"make one first: {MAKE_A_KEY}",
    )


def _ways_in(settings: Settings) -> Iterator[str]:
    """What lets others in; through a proxy of this machine everybody seems to be its own user."""
    for host in (settings.host, settings.metrics_host):
        if not is_loopback(host):
            yield f"does not listen on {host}, which is not loopback"
    if settings.behind_tls_proxy or settings.trusted_proxies:
        yield "does not stand behind a proxy"
    if settings.allowed_hosts:
        yield f"does not answer to {settings.allowed_hosts[0]}, which may be asked for elsewhere"
    if settings.cors_origins:
        yield f"is not for pages of {settings.cors_origins[0]}, which would act as its own user"


def warnings_of(settings: Settings, keys: Keys) -> Iterator[str]:
    """What an operator should know of how far the server is open."""
    if not keys.made:
        yield (
            "there is no API key yet: whatever runs on this machine may do anything here;"
            f" make the first with: {MAKE_A_KEY}"
        )
    if is_loopback(settings.host):
        return
    if not settings.behind_tls_proxy:
        yield (
            f"warning: {settings.host} is reached without encryption: let a proxy speak TLS before"
            " it, and say behind_tls_proxy = true"
        )
    if not settings.allowed_hosts and _is_everywhere(settings.host):
        yield (
            "warning: allowed_hosts is empty: only requests that name this machine's loopback are"
            " answered"
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's alone; a name is, when it is that of one that is."""
    address = _address(host)
    return address is not None and address.is_loopback


def _is_everywhere(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_unspecified


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
        return ipaddress.ip_address(str(found[0][4][0]))
    except (OSError, ValueError, UnicodeError):
        return None


@contextmanager
def port(host: str, number: int, option: str) -> Iterator[socket.socket]:
    """A listening TCP socket.

    Raises:
        Problem: it cannot be bound.
    """
    try:
        listening = listen(host, number)
    except (OSError, UnicodeError) as error:
        raise Problem(
            f"Cannot listen on {host} port {number}",
            str(error),
            code="cannot_listen",
            exit_code=ExitCode.FAILED,
            hint=f"{option} 0 picks a free port; the host is 127.0.0.1 by default",
        ) from error
    with closing(listening):
        yield listening


@contextmanager
def unix(path: Path) -> Iterator[socket.socket]:
    """The data directory's listening Unix socket.

    Raises:
        Problem: it cannot be made.
    """
    with ExitStack() as stack:
        try:
            listening = stack.enter_context(local_socket(path))
        except OSError as error:
            raise Problem(
                f"Cannot listen on {path}",
                plain(error),
                code="cannot_listen",
                exit_code=ExitCode.FAILED,
                hint="the data directory has to lie where Unix sockets can be made",
            ) from error
        yield listening
