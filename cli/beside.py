"""A system beside a command: it runs in a thread and is asked as a server would be.

So the command above it stays a plain sequence of requests. Imported when nobody serves and not
before, because what it runs brings the stores and the actors along.
"""

import contextlib
import json
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final

import httpx2
import trio

from api.local_socket import user_name
from cli import problem
from cli.client import LINES, Params

BASE: Final = "http://localhost"

_CLIENT_ERROR: Final = 400


class Local:
    """Answers requests from the system of this process."""

    def __init__(self, app: Any, token: trio.lowlevel.TrioToken) -> None:
        self._app = _asked_by_owner(app)
        self._token = token

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]:
        return self.send("GET", path, params=params)

    def fetch(self, path: str) -> bytes:
        return self._content("GET", path)

    def send_lines(self, path: str, data: bytes, params: Params | None = None) -> dict[str, Any]:
        return dict(json.loads(self._content("POST", path, params=params, lines=data)))

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Params | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        """As `Client.send`. There is no connection here that could break."""
        return dict(json.loads(self._content(method, path, body, params=params, key=key)))

    def _content(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Params | None = None,
        key: str | None = None,
        lines: bytes | None = None,
    ) -> bytes:
        headers = {} if key is None else {"Idempotency-Key": key}
        if lines is not None:
            headers["Content-Type"] = LINES
        asked = None if params is None else dict(params)
        given = None if body is None else dict(body)

        async def request() -> tuple[int, bytes]:
            transport = httpx2.ASGITransport(app=self._app)
            async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
                answer = await client.request(
                    method, path, headers=headers, params=asked, json=given, content=lines
                )
            return answer.status_code, answer.content

        status, content = trio.from_thread.run(request, trio_token=self._token)
        if status >= _CLIENT_ERROR:
            raise problem.from_answer(status, content)
        return content


def _asked_by_owner(app: Any) -> Any:
    """The app, told whose process asks, as it is of a Unix socket."""
    state = {"local_user": user_name(os.geteuid())}

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {**scope.get("state", {}), **state}}, receive, send)

    return asked


@contextmanager
def running(opening: Callable[[], AbstractAsyncContextManager[Any]]) -> Iterator[Local]:
    """What `opening` gives the app of, in a thread, from its start to its orderly end."""
    up: queue.SimpleQueue[tuple[Local, trio.Event] | BaseException] = queue.SimpleQueue()
    failed: list[BaseException] = []

    async def serve() -> None:
        async with opening() as app:
            token, end = trio.lowlevel.current_trio_token(), trio.Event()
            up.put((Local(app, token), end))
            await end.wait()

    def run() -> None:
        try:
            trio.run(serve)
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            failed.append(error)
            up.put(error)

    thread = threading.Thread(target=run, name="beside")
    thread.start()
    started = up.get()
    if isinstance(started, BaseException):
        thread.join()
        raise started
    local, end = started
    try:
        yield local
    finally:
        with contextlib.suppress(trio.RunFinishedError):
            local._token.run_sync_soon(end.set)  # noqa: SLF001 - its own end
        thread.join()
    if failed:
        raise failed[0]
