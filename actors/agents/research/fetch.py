"""Reads one URL of a package index, within a deadline and a number of bytes.

Blocking, so it runs in a worker thread. `https`, `http` and `file` are read, the last only when the
index itself is a local one. Redirects are followed here and not by the client, because every hop is
checked: a page of an index must not lead to this machine, to a link-local address (where clouds
keep their credentials) or from TLS to plain text. Credentials of an index go to its own host only.

An index that is busy or cannot be reached is asked again, within the deadline; one that fails
again and again is left alone for a while, by all candidates (`actors.breakers`).
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom
from typing import Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as UrllibTimeoutError

from actors.agents.kit.untrusted import plain, without_credentials
from actors.agents.research.indexes import Indexes
from actors.breakers import Breakers
from actors.clock import system_clock
from actors.errors import CircuitOpen
from actors.retrying import Retries, retry_after_s, retrying_in_thread

PAGE_CAP_BYTES: Final = 32 << 20  # the page of a project with 7,000 files is 3 MiB
_CHUNK_BYTES: Final = 65_536
_REDIRECTS: Final = 5
_CONNECT_S: Final = 5.0
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})
_ABSENT: Final = frozenset({404, 410})
_PARTIAL: Final = 206
_ERRORS_FROM: Final = 400
_FAULTS_FROM: Final = 500
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
RETRIES: Final = Retries(attempts=3, initial_s=0.2, maximum_s=2.0)
_AWAY: Final = (requests.ConnectionError, requests.Timeout, TimeoutError, HTTPError)
_NOT_AWAY: Final = (requests.exceptions.SSLError, requests.exceptions.ProxyError)
_CHANCE: Final = SystemRandom()


class Absent(Exception):  # noqa: N818 - a fact, not a fault
    """The index was asked and does not have it."""


class Unreachable(Exception):  # noqa: N818 - likewise
    """It could not be asked; the message says why in one line, without credentials.

    Args:
        retryable: whether asking once more may help.
        is_down: whether it is the server that failed.
        retry_after_s: when the server said that it may be asked again.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        is_down: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.is_down = is_down
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What was read: `start` and `total` differ from 0 and the size only for a range."""

    url: str
    content_type: str
    data: bytes
    start: int
    total: int


class Fetcher:
    """A client for one candidate: one session, one deadline.

    Args:
        indexes: The configured indexes; their hosts are the ones that are trusted.
        deadline_s: Seconds from now within which everything must have been read.
        clock: Seconds, monotonic.
        breakers: Where each index has a circuit, `index:HOST`.
        retries: How often an index is asked that is busy or cannot be reached.
        sleep: Blocks for so many seconds.
    """

    def __init__(
        self,
        indexes: Indexes,
        deadline_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        breakers: Breakers | None = None,
        retries: Retries = RETRIES,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._breakers = breakers or Breakers()
        self._retries = retries
        self._sleep = sleep
        self._roots = [urlsplit(url) for url in indexes.urls]
        self._clock = clock
        self._deadline = clock() + deadline_s
        self._session = requests.Session()
        self._session.verify = indexes.certificates or True
        self._proxies = dict.fromkeys(("http", "https"), indexes.proxy) if indexes.proxy else None

    def close(self) -> None:
        self._session.close()

    def get(
        self,
        url: str,
        *,
        cap_bytes: int,
        accept: str = "*/*",
        part: tuple[int, int] | None = None,
    ) -> Body:
        """Reads the URL, or the bytes from `part[0]` to before `part[1]` of it.

        A negative `part[0]` counts from the end. A server that does not serve ranges answers with
        the whole, which is taken when it fits under `cap_bytes`.

        Raises:
            Absent: there is no such thing.
            Unreachable: anything else that kept it from being read, also the deadline and the cap.
        """
        if urlsplit(url).scheme == "file":
            return self._read_file(url, cap_bytes, part)
        headers = {"Accept": accept}
        if part is not None:
            first, end = part
            headers["Range"] = f"bytes={first}" if first < 0 else f"bytes={first}-{end - 1}"
            headers["Accept-Encoding"] = "identity"
        return retrying_in_thread(
            lambda: self._guarded(url, headers, cap_bytes),
            replace(self._retries, deadline_s=max(0.0, self._deadline - self._clock())),
            _CHANCE,
            now=self._clock,
            sleep=self._sleep,
        )

    def _guarded(self, url: str, headers: dict[str, str], cap_bytes: int) -> Body:
        """One try. Only the indexes have circuits: names in their pages are anybody's."""
        parts = urlsplit(url)
        if not any(_origin(parts) == _origin(root) for root in self._roots):
            return self._read(url, headers, cap_bytes)
        breaker = self._breakers.of(f"index:{parts.hostname}")
        try:
            with breaker.guarding(parts.path, _is_down):
                return self._read(url, headers, cap_bytes)
        except CircuitOpen as err:
            raise Unreachable(str(err)) from err

    def _read(self, url: str, headers: dict[str, str], cap_bytes: int) -> Body:
        try:
            with self._follow(url, headers) as response:
                return self._receive(response, cap_bytes)
        except (requests.RequestException, HTTPError, OSError, ValueError) as err:
            is_away = isinstance(err, _AWAY) and not isinstance(err, _NOT_AWAY)
            raise Unreachable(_reason(err), retryable=is_away, is_down=is_away) from err

    def _follow(self, url: str, headers: dict[str, str]) -> requests.Response:
        url = _bare(url)
        for _ in range(_REDIRECTS + 1):
            self._check(url)
            left_s = self._left_s()
            response = self._session.get(
                url,
                headers=headers,
                auth=self._credentials(url),
                proxies=self._proxies,
                stream=True,
                allow_redirects=False,
                timeout=(min(_CONNECT_S, left_s), left_s),
            )
            if response.status_code not in _REDIRECTING:
                return response
            location = response.headers.get("Location", "")
            response.close()
            url = urljoin(url, location)  # with credentials in it, the check refuses it
        raise Unreachable(f"more than {_REDIRECTS} redirects")

    def _receive(self, response: requests.Response, cap_bytes: int) -> Body:
        if response.status_code in _ABSENT:
            raise Absent(without_credentials(response.url))
        if response.status_code >= _ERRORS_FROM:
            status = response.status_code
            raise Unreachable(
                f"the server answered {status}",
                retryable=status in _BUSY,
                is_down=status >= _FAULTS_FROM,
                retry_after_s=retry_after_s(
                    response.headers.get("Retry-After", ""), system_clock()
                ),
            )
        data = bytearray()
        for chunk in _chunks(response):
            data += chunk
            if len(data) > cap_bytes:
                raise Unreachable(f"the answer is larger than {cap_bytes:,} bytes")
            self._left_s()
        start, total = 0, len(data)
        if response.status_code == _PARTIAL:
            start, total = _range(response.headers.get("Content-Range", ""), len(data))
        return Body(
            url=response.url,
            content_type=response.headers.get("Content-Type", "text/html"),
            data=bytes(data),
            start=start,
            total=total,
        )

    def _read_file(self, url: str, cap_bytes: int, part: tuple[int, int] | None) -> Body:
        if not any(root.scheme == "file" for root in self._roots):
            raise Unreachable("a page of a remote index points to a local file")
        path = Path(unquote(urlsplit(url).path))
        try:
            with path.open("rb") as file:
                total = path.stat().st_size
                start = 0 if part is None else max(0, part[0] if part[0] >= 0 else total + part[0])
                size = total if part is None or part[0] < 0 else part[1] - start
                file.seek(start)
                data = file.read(min(size, cap_bytes + 1))
        except (FileNotFoundError, NotADirectoryError) as err:
            raise Absent(without_credentials(url)) from err
        except (OSError, ValueError) as err:
            raise Unreachable(_reason(err)) from err
        if len(data) > cap_bytes:
            raise Unreachable(f"the file is larger than {cap_bytes:,} bytes")
        return Body(url=url, content_type="text/html", data=data, start=start, total=total)

    def _left_s(self) -> float:
        left = self._deadline - self._clock()
        if left <= 0:
            raise Unreachable("it did not answer before the deadline")
        return left

    def _credentials(self, url: str) -> tuple[str, str] | None:
        """The index's own credentials, for its own origin only."""
        for root in self._roots:
            if root.username is not None and _origin(urlsplit(url)) == _origin(root):
                return unquote(root.username), unquote(root.password or "")
        return None

    def _check(self, url: str) -> None:
        """Refuses a URL that a page or a redirect should not lead to."""
        parts = urlsplit(url)
        if any(_origin(parts) == _origin(root) for root in self._roots):
            return
        shown = without_credentials(url)
        if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
            raise Unreachable(f"the index leads to {shown}, which is not asked: it is not https")
        if any(map(_is_near, _addresses(parts.hostname))):
            raise Unreachable(f"the index leads to {shown}, which is not asked: a local address")


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, parts.hostname or "", parts.port


def _addresses(host: str) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, None)]
    except (OSError, UnicodeError):  # behind a proxy names need not resolve here
        return []


def _is_near(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    ip = mapped or ip
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast


def _bare(url: str) -> str:
    """The URL without user and password: they are given to the client apart, per origin."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _is_down(error: Exception) -> bool:
    return isinstance(error, Unreachable) and error.is_down


def _chunks(response: requests.Response) -> Iterator[bytes]:
    # read1 answers with what has come: a server that drips cannot hold the deadline's check up.
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        yield chunk


def _range(header: str, size: int) -> tuple[int, int]:
    """Start and total of `Content-Range: bytes 5-9/40`."""
    span, _, total = header.removeprefix("bytes ").partition("/")
    start = int(span.partition("-")[0])
    if start < 0 or int(total) < start + size:
        raise ValueError(f"the server sent an impossible range: {header}")
    return start, int(total)


def _reason(error: BaseException) -> str:
    """One line for why: the innermost cause tells the most."""
    if isinstance(error, (requests.Timeout, TimeoutError, UrllibTimeoutError)):
        return "it did not answer before the deadline"
    if isinstance(error, requests.exceptions.SSLError):
        return "its TLS certificate was not accepted"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy did not let the request through"
    while error.__context__ is not None and not (isinstance(error, OSError) and error.strerror):
        error = error.__context__
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"connection failed ({plain(said, 120)})" if said else type(error).__name__
