"""A client that speaks ASGI to an app, with exactly the bytes it is given and no socket."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import trio

from tests.api import described

Header = tuple[str, str]
HOST = "127.0.0.1:8080"
CLIENT = ("127.0.0.1", 50000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response; `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class _Response:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    def take(self, message: dict[str, Any]) -> None:
        if message["type"].endswith("response.start"):
            self.status = message["status"]
            self.headers = {
                name.decode("latin1").lower(): value.decode("latin1")
                for name, value in message["headers"]
            }
        else:
            self.body += message["body"]

    def answer(self) -> Answer:
        return Answer(status=self.status, headers=self.headers, body=bytes(self.body))


async def call(
    app: Any,
    method: str,
    target: str,
    *,
    headers: Iterable[Header] = (),
    body: Iterable[bytes] = (),
    complete: bool = True,
    host: str = HOST,
    client: tuple[str, int] | None = CLIENT,
    state: dict[str, Any] | None = None,
) -> Answer:
    """One request. A body that is not `complete` never ends.

    Args:
        client: where it comes from; None for a Unix socket.
        state: what the server says of the connection.
    """
    scope = _scope("http", target, [("Host", host), *headers], client) | {"method": method}
    scope["state"] = state or {}
    rest = iter([*body, b""] if complete else body)
    response = _Response()

    async def receive() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        part = next(rest, None)
        if part is None:
            await trio.sleep_forever()
        more = bool(part) or not complete
        return {"type": "http.request", "body": part, "more_body": more}

    async def send(message: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        response.take(message)

    await app(scope, receive, send)
    answer = response.answer()
    if response.status:
        described.hold(app, method, scope["path"], answer, whole="fields=" not in target)
    return answer


async def send_json(app: Any, target: str, data: Any, *headers: Header) -> Answer:
    """POST one JSON value."""
    typed = [("Content-Type", "application/json"), *headers]
    return await call(app, "POST", target, headers=typed, body=[json.dumps(data).encode()])


class Stream:
    """The client's end of a WebSocket that an app may have accepted."""

    def __init__(self) -> None:
        self.refusal: Answer | None = None
        self.closed_with: int | None = None
        self.subprotocol: str | None = None
        self._into, self._frames = trio.open_memory_channel[str](0)
        self._response = _Response()
        self._settled = trio.Event()
        self._saying, self._said = trio.open_memory_channel[str](100)

    def say(self, text: str) -> None:
        """Send a frame."""
        self._saying.send_nowait(text)

    async def frame(self) -> list[dict[str, Any]]:
        """The next frame; the app's `send` waits until it is taken."""
        found: list[dict[str, Any]] = json.loads(await self._frames.receive())
        return found

    async def until_closed(self) -> list[dict[str, Any]]:
        """All events up to the end; `closed_with` then has the code."""
        return [event async for frame in self._frames for event in json.loads(frame)]

    async def settled(self) -> None:
        """Wait until it is accepted or refused."""
        await self._settled.wait()

    async def _take(self, message: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        match message["type"]:
            case "websocket.accept":
                self.subprotocol = message["subprotocol"]
                self._settled.set()
            case "websocket.send":
                await self._into.send(message["text"])
            case "websocket.close":
                self.closed_with = message["code"]
            case _:
                self._response.take(message)

    def _end(self) -> None:
        self._into.close()
        if self._response.status:
            self.refusal = self._response.answer()
        self._settled.set()


@asynccontextmanager
async def stream(
    app: Any,
    target: str,
    *,
    headers: Iterable[Header] = (),
    host: str = HOST,
    client: tuple[str, int] = CLIENT,
    subprotocols: Iterable[str] = (),
    says: Iterable[str] = (),
) -> AsyncIterator[Stream]:
    """A WebSocket that hangs up at the end of the block.

    Args:
        client: the address that it comes from.
        says: the text frames that it sends, as soon as it can.
    """
    end = Stream()
    scope = _scope("websocket", target, [("Host", host), *headers], client)
    scope["subprotocols"] = list(subprotocols)
    scope["extensions"] = {"websocket.http.response": {}}
    frames = ({"type": "websocket.receive", "text": text} for text in says)
    connected = iter([{"type": "websocket.connect"}, *frames])

    async def receive() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        for message in connected:
            return message
        return {"type": "websocket.receive", "bytes": None, "text": await end._said.receive()}

    async def run() -> None:
        try:
            await app(scope, receive, end._take)
        finally:
            end._end()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await end.settled()
        yield end
        nursery.cancel_scope.cancel()


def _scope(
    kind: str,
    target: str,
    headers: Iterable[Header],
    client: tuple[str, int] | None = CLIENT,
) -> dict[str, Any]:
    """What hypercorn makes of a request line."""
    raw, _, query = target.partition("?")
    return {
        "type": kind,
        "asgi": {"spec_version": "2.3", "version": "3.0"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin1")) for name, value in headers],
        "client": client,
        "server": ("127.0.0.1", 8080),
        "extensions": {},
    }
