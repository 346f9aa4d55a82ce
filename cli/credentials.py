"""Who a command is for a server that was named: an API key from the environment or a file.

A key is never on a command line, where everybody on the machine can read it, and in no message. It
is sent once, for a token that the following requests carry; the token and what renews it are kept
in this process's memory and nowhere else. A server of this machine's own data is asked on its
socket and gets no key.
"""

import os
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx2

from cli import problem
from storage import regular
from storage.errors import plain

KEY: Final = "WORKFLOW_API_KEY"
PLAIN_HTTP: Final = "WORKFLOW_PLAIN_HTTP"
KEY_PREFIX: Final = "bf_"
TOKEN_PATH: Final = "/api/v1/auth/token"  # noqa: S105 - an address
REFRESH_PATH: Final = "/api/v1/auth/refresh"

_LONGEST_BYTES: Final = 8192
_EARLY_S: Final = 30.0
_UNAUTHENTICATED: Final = 401


def of(key_file: Path | None) -> str | None:
    """The credential that is given: that of the file, else the environment's; None for none.

    Raises:
        Problem: the file cannot be read, is not its owner's alone, or holds no key.
    """
    if key_file is not None:
        return _checked(_read(key_file), str(key_file))
    given = os.environ.get(KEY, "")
    return _checked(given, KEY) if given else None


def _read(path: Path) -> str:
    try:
        with regular.reading(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise problem.usage(
                    "The key's file is open to others", str(path), hint=f"chmod 600 {path}"
                )
            return file.read(_LONGEST_BYTES + 1).decode("ascii", "replace")
    except OSError as err:
        raise problem.usage("The key's file cannot be read", f"{path}: {plain(err)}") from err


def _checked(given: str, source: str) -> str:
    """Never shown, not even when it is wrong: it may be a key with a slip in it."""
    found = given.strip()
    if not found or len(found) > _LONGEST_BYTES or not found.isascii() or not found.isprintable():
        raise problem.usage("That is no API key", source)
    if " " in found:
        raise problem.usage("That is no API key", source)
    return found


def refuse_in_the_clear(url: httpx2.URL, *, is_loopback: bool) -> None:
    """See that nobody between here and there can read the key.

    Raises:
        Problem: the connection is not encrypted and leaves this machine.
    """
    if url.scheme == "https" or is_loopback or os.environ.get(PLAIN_HTTP) == "1":
        return
    raise problem.usage(
        "The key would be sent over a connection that others can read",
        f"{url.scheme}://{url.host}",
        hint=f"use https, or say {PLAIN_HTTP}=1 where the network is yours",
    )


class Credential(httpx2.Auth):
    """Signs requests with a token that an API key was exchanged for; with a token, as it is.

    Args:
        credential: an API key, or an access token.
        base: the server's address.
        now_s: a clock in seconds that never goes back.
    """

    def __init__(
        self, credential: str, base: httpx2.URL, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._credential = credential
        self._base = base
        self._now_s = now_s
        self._is_key = credential.startswith(KEY_PREFIX)
        self._access = "" if self._is_key else credential
        self._renews = ""
        self._late_s = 0.0

    def __repr__(self) -> str:
        return "Credential(***)"

    def sync_auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self._is_key and self._now_s() >= self._late_s:
            yield from self._renewed(request)
        request.headers["Authorization"] = f"Bearer {self._access}"
        response = yield request
        if response.status_code == _UNAUTHENTICATED and self._is_key and _can_go_again(request):
            self._renews = ""  # whatever went wrong, the key itself decides
            yield from self._renewed(request)
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request

    def _renewed(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Fetch a token; a refresh token is tried once only, since used twice it ends them all."""
        renews, self._renews = self._renews, ""
        if renews:
            answer = yield self._post(REFRESH_PATH, request, {"refresh_token": renews})
            answer.read()
            if answer.is_success:
                self._take(answer)
                return
        answer = yield self._post(TOKEN_PATH, request, {}, f"Bearer {self._credential}")
        answer.read()
        if not answer.is_success:
            raise problem.from_answer(answer.status_code, answer.content)
        self._take(answer)

    def _post(
        self, path: str, before: httpx2.Request, body: Mapping[str, str], signed: str = ""
    ) -> httpx2.Request:
        return httpx2.Request(
            "POST",
            self._base.join(path),
            headers={"Authorization": signed} if signed else {},
            json=dict(body),
            extensions={"timeout": before.extensions.get("timeout", {})},
        )

    def _take(self, answer: httpx2.Response) -> None:
        pair = _pair(answer)
        lasts_s = float(pair["expires_in"])
        self._access, self._renews = pair["access_token"], pair.get("refresh_token") or ""
        self._late_s = self._now_s() + lasts_s - min(_EARLY_S, lasts_s / 10)


def _can_go_again(request: httpx2.Request) -> bool:
    """Whether its body is there as a whole; one that was read from a file is gone."""
    return isinstance(request.stream, httpx2.ByteStream)


def _pair(answer: httpx2.Response) -> dict[str, Any]:
    try:
        pair = dict(answer.json())
        whole = isinstance(pair["access_token"], str) and isinstance(pair["expires_in"], int)
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise problem.unreadable("it is no token")
    return pair
