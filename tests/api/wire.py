"""Doors on real sockets, and a client that sends exactly the bytes it is given."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import trio

from api.exposure import DEFAULT, Exposure
from api.server import HttpDoor, listen
from supervision import ActorExited, ChildSpec, Event, System, supervisor

DEADLINE_S = 10.0

UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


@dataclass(frozen=True, slots=True)
class Crash:
    """Makes a door fail."""


class FragileDoor(HttpDoor):
    async def on_receive(self, message: object) -> object:
        if isinstance(message, Crash):
            raise ZeroDivisionError("as the test wishes")
        return await super().on_receive(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A door that serves one app, in a system of its own."""

    system: System
    address: tuple[str, int]
    events: list[Event]

    async def crash(self) -> None:
        """Make the door fail, and wait until nothing of it is left."""
        ref = self.system.named("http").ref
        assert ref is not None
        ref.tell(Crash())
        with trio.fail_after(DEADLINE_S):
            while not any(isinstance(event, ActorExited) for event in self.events):
                await trio.lowlevel.checkpoint()

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(*self.address)

    def request(self, method: str = "GET", target: str = "/", *more: str) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *more, "", ""]
        return "\r\n".join(lines).encode("latin1")

    async def fetch(self) -> bytes:
        """The whole answer to an ordinary request."""
        async with await self.connect() as wire:
            await wire.send_all(self.request("GET", "/", "Connection: close"))
            return await read_all(wire)

    async def exchange(self, *parts: bytes) -> bytes:
        """Send, half-close, and read until the server closes."""
        async with await self.connect() as wire:
            try:
                for part in parts:
                    await wire.send_all(part)
                await wire.send_eof()
            except trio.BrokenResourceError:
                return b""
            return await read_all(wire)


async def read_all(wire: trio.SocketStream) -> bytes:
    """Everything until the other side closes, however it does."""
    found = b""
    with trio.fail_after(DEADLINE_S):
        try:
            while part := await wire.receive_some():
                found += part
        except trio.BrokenResourceError:
            pass
    return found


async def read_head(wire: trio.SocketStream) -> bytes:
    """Everything up to the empty line that ends the head of a response."""
    found = b""
    with trio.fail_after(DEADLINE_S):
        while b"\r\n\r\n" not in found:
            part = await wire.receive_some(1)
            if not part:
                raise EOFError(f"the server closed after {found!r}")
            found += part
    return found


@asynccontextmanager
async def door(
    build: Callable[[trio.Event], Any], exposure: Exposure = DEFAULT
) -> AsyncIterator[Door]:
    """A door on a free port that serves what `build` makes."""
    with closing(listen("127.0.0.1", 0)) as listening:
        spec = ChildSpec(
            id="http",
            name="http",
            build=lambda: FragileDoor(build=build, listening=listening, exposure=exposure),
            shutdown_s=8.0,
        )
        events: list[Event] = []
        async with System.open(events.append) as system:
            await system.start(supervisor("root", "one_for_one", [spec]))
            yield Door(system=system, address=listening.getsockname(), events=events)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app that greets."""
    if scope["type"] != "http":
        raise ValueError("no WebSockets here")
    del receive
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})
