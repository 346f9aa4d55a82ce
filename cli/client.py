"""The HTTP side of every command: one request, one parsed answer, or one Problem.

The client is synchronous on purpose: a command does one thing at a time, and without an event loop
it starts faster and stops at once on Ctrl-C. It never prints and never retries an answer; only a
connection that broke under a request is tried once more, because then nobody knows whether the
server saw it. That is safe: reads change nothing, and a POST carries an idempotency key.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx2

from cli import credentials, problem
from cli.credentials import Credential
from cli.exits import ExitCode
from cli.problem import Problem

Params = Mapping[str, str | int]

_PIECE_BYTES = 1 << 18
LINES = "application/x-ndjson"
UNIX = "unix:"
_HERE = "http://localhost"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Client:
    """Talks to one server. Close it, or use it as a context manager."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 30.0,
        credential: str | None = None,
        keeps_secrets: bool = False,
    ) -> None:
        """Opens nothing yet.

        Args:
            base_url: the server's, such as http://127.0.0.1:8080, or `unix:` and a socket's path.
            timeout_s: how long one answer may take.
            credential: an API key or an access token; None where none is needed.
            keeps_secrets: whether what is sent must not be read by others either way.

        Raises:
            Problem: (usage) the URL is none for HTTP, or others could read the credential.
        """
        url, unix = _parsed(base_url)
        self.base_url = base_url
        if credential is not None or keeps_secrets:
            credentials.refuse_in_the_clear(url, is_loopback=url.host in _LOOPBACK)
        self.http = httpx2.Client(
            base_url=url,
            timeout=httpx2.Timeout(timeout_s, connect=5.0),
            # A proxy of the environment cannot reach this machine's loopback.
            trust_env=url.host not in _LOOPBACK,
            transport=unix,
            auth=None if credential is None else Credential(credential, url),
        )
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def be_patient(self, timeout_s: float) -> None:
        """Waits that long for answers from now on."""
        self.http.timeout = httpx2.Timeout(timeout_s, connect=5.0)
        self._timeout_s = timeout_s

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]:
        """Raises: Problem for every refusal, and when the server cannot be reached."""
        return self._answer(lambda: self.http.get(path, params=dict(params or {})))

    def post(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        """Sends `body`; the server does it once, however often the same `key` arrives."""
        headers = {"Idempotency-Key": key}
        return self._answer(lambda: self.http.post(path, json=dict(body), headers=headers))

    def fetch(self, path: str) -> bytes:
        """What is there, as it is."""
        return self._whole(lambda: self.http.get(path)).content

    def send_lines(self, path: str, data: bytes, params: Params | None = None) -> dict[str, Any]:
        """Sends lines of JSON, where sending them twice comes to the same as sending them once."""
        headers, asked = {"Content-Type": LINES}, dict(params or {})
        return self._answer(
            lambda: self.http.post(path, content=data, headers=headers, params=asked)
        )

    def download(self, path: str, params: Params, take: Callable[[bytes], object]) -> str:
        """Hands over what is there, piece by piece; answers its tag. It is not tried again."""
        reading = self.http.stream("GET", path, params=dict(params))
        with _in_words(self.base_url, self._timeout_s), reading as response:
            if not response.is_success:
                response.read()
                _accepted(response)
            for piece in response.iter_bytes(_PIECE_BYTES):
                take(piece)
            return str(response.headers.get("ETag", ""))

    def upload(self, path: str, file: BinaryIO, media_type: str | None) -> dict[str, Any]:
        """Sends a file. The same file twice is stored once, so it is tried again as a read is."""
        size = os.fstat(file.fileno()).st_size
        headers = {"Content-Length": str(size)}
        if media_type is not None:
            headers["Content-Type"] = media_type

        def once() -> httpx2.Response:
            file.seek(0)
            pieces = iter(partial(file.read, _PIECE_BYTES), b"")
            return self.http.put(path, content=pieces, headers=headers)

        return self._answer(once)

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Params | None = None,
        key: str | None = None,
        seen: str | None = None,
    ) -> dict[str, Any]:
        """Sends a request that changes something.

        A `key` makes the server do it once, however often it arrives. Without one it is not sent
        again when its connection breaks: whether it was done is then not known. With `seen`, an
        `updated_at`, it is refused when that is not the present state any more.
        """
        named = {"Idempotency-Key": key, "If-Match": None if seen is None else f'"{seen}"'}
        headers = {name: value for name, value in named.items() if value is not None}

        def once() -> httpx2.Response:
            asked = None if params is None else dict(params)
            given = None if body is None else dict(body)
            return self.http.request(method, path, headers=headers, params=asked, json=given)

        if key is not None:
            return self._answer(once)
        try:
            return self._answer(once, again=False)
        except _Broken as err:
            raise _unknown(self.base_url, str(err.__cause__)) from err

    def _answer(self, send: Callable[[], httpx2.Response], *, again: bool = True) -> dict[str, Any]:
        return _parse(self._whole(send, again=again))

    def _whole(self, send: Callable[[], httpx2.Response], *, again: bool = True) -> httpx2.Response:
        with _in_words(self.base_url, self._timeout_s):
            return _accepted(_sent_again_if_broken(send) if again else _sent_once(send))


@contextmanager
def _in_words(base_url: str, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as err:
        raise unreachable(base_url, str(err)) from err
    except httpx2.TimeoutException as err:
        raise _late(base_url, timeout_s) from err
    except httpx2.HTTPError as err:
        raise unreachable(base_url, f"the connection broke ({err})") from err


def unreachable(base_url: str, reason: str) -> Problem:
    """Nobody answers there; the hint says how to have somebody answer."""
    return Problem(
        "The server cannot be reached",
        f"{base_url}: {reason}" if reason else base_url,
        code="unreachable",
        exit_code=ExitCode.UNREACHABLE,
        hint="start one with `beadflow up`, or check --url and WORKFLOW_URL",
        retryable=True,
    )


def _late(base_url: str, timeout_s: float) -> Problem:
    return Problem(
        "The server did not answer in time",
        f"{base_url} was silent for {timeout_s:g} s",
        code="timeout",
        exit_code=ExitCode.CANCELLED,
        hint="it may have done what was asked: look with `beadflow workflow list`",
        retryable=True,
    )


def unix_url(path: str) -> str:
    """The URL of a server on a Unix socket."""
    return UNIX + path


def _parsed(base_url: str) -> tuple[httpx2.URL, httpx2.HTTPTransport | None]:
    if base_url.startswith(UNIX):
        path = base_url.removeprefix(UNIX)
        if not path.startswith("/"):
            raise _no_url(base_url)
        # nothing is encrypted here, so that certificates need not be read
        return httpx2.URL(_HERE), httpx2.HTTPTransport(uds=path, verify=False)
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL as err:
        raise _no_url(base_url) from err
    if url.scheme not in {"http", "https"} or not url.host:
        raise _no_url(base_url)
    if url.userinfo:
        raise _with_password(url)
    return url, None


def _with_password(url: httpx2.URL) -> Problem:
    return problem.usage(
        "A URL with a name or a password in it is not taken",
        str(url.copy_with(userinfo=b"")),
        hint=f"put an API key into {credentials.KEY} or a file (--key-file)",
    )


def _no_url(base_url: str) -> Problem:
    return problem.usage(
        "That is no URL of a server", base_url, hint="write it like http://127.0.0.1:8080"
    )


def _sent_again_if_broken(send: Callable[[], httpx2.Response]) -> httpx2.Response:
    try:
        return send()
    except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
        return send()


class _Broken(Exception):  # noqa: N818 - a state of the wire, and never seen outside
    pass


def _sent_once(send: Callable[[], httpx2.Response]) -> httpx2.Response:
    try:
        return send()
    except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError) as err:
        raise _Broken from err


def _unknown(base_url: str, reason: str) -> Problem:
    return Problem(
        "The connection broke",
        f"{base_url}: {reason}",
        code="outcome_unknown",
        exit_code=ExitCode.UNREACHABLE,
        hint="it may have been done: look before you ask again",
    )


def _accepted(response: httpx2.Response) -> httpx2.Response:
    if not response.is_success:
        raise problem.from_answer(response.status_code, response.content)
    return response


def _parse(response: httpx2.Response) -> dict[str, Any]:
    try:
        value = response.json()
    except ValueError as err:
        raise problem.unreadable("it is not JSON") from err
    if not isinstance(value, dict):
        raise problem.unreadable("it is not a JSON object")
    return value
