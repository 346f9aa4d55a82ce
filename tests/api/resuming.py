"""Clients of the streams on real sockets that lose their connection at any byte, and come back.

Each keeps the numbers of the events that it has got whole, and comes back with the last of them.
"""

import json
import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import h11
import trio
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import CloseConnection, TextMessage

from tests.api.sse import parse
from tests.api.wire import UPGRADE, Door, read_head

EVENTS: Final = "/api/v1/events"
CHUNK: Final = 3000
LONGEST: Final = 20_000
"""Bytes that a connection which is cut lives for, at most."""


class Speech(Protocol):
    """One connection's protocol."""

    @property
    def request(self) -> bytes: ...

    def heard(self, data: bytes) -> Iterator[list[int]]:
        """The numbers of events that are whole now; it ends when the server has closed."""

    place: int
    is_over: bool


@dataclass(slots=True)
class Client:
    """One client, through all of its connections.

    Args:
        cuts: connections that are cut off; the others last.

    Attributes:
        seen: numbers of events, in the order in which they came.
        connections: how many it has had.
    """

    door: Door
    speech: type["OverWebSocket"] | type["OverSse"]
    chance: random.Random
    cuts: int
    query: str = ""
    seen: list[int] = field(default_factory=list)
    place: int = 0
    connections: int = 0

    async def follow(self, count: int) -> None:
        """Connect again and again, until so many events have come."""
        while len(self.seen) < count:
            self.connections += 1
            lives = self.chance.randrange(1, LONGEST) if self.connections <= self.cuts else 2**40
            try:
                await self._connected(lives, count)
            except (trio.BrokenResourceError, EOFError, OSError):
                await trio.lowlevel.checkpoint()  # the server has gone; it will be back

    async def _connected(self, lives: int, count: int) -> None:
        speech = self.speech(self.door, self.query, self.place)
        async with await self.door.connect() as wire:
            await wire.send_all(speech.request)
            if isinstance(speech, OverWebSocket):
                assert (await read_head(wire)).startswith(b"HTTP/1.1 101")
            while lives > 0 and len(self.seen) < count and not speech.is_over:
                data = await wire.receive_some(min(CHUNK, lives))
                lives -= len(data)
                for numbers in speech.heard(data):
                    self.seen += numbers
                self.place = speech.place
            if lives <= 0:
                _switch_off(wire)


def _switch_off(wire: trio.SocketStream) -> None:
    """Let the connection be reset, as when a machine is gone: what is on its way is lost."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class OverWebSocket:
    """Arrays in text frames."""

    def __init__(self, door: Door, query: str, place: int) -> None:
        self.request = door.request(
            "GET", f"{EVENTS}?after={place}{query}", *UPGRADE.decode().strip().split("\r\n")
        )
        self.place = place
        self.is_over = False
        self._connection = Connection(ConnectionType.CLIENT)
        self._text = ""

    def heard(self, data: bytes) -> Iterator[list[int]]:
        self._connection.receive_data(data or None)
        for event in self._connection.events():
            match event:
                case TextMessage(data=text, message_finished=is_whole):
                    self._text += text
                    if is_whole:
                        numbers = [found["seq"] for found in json.loads(self._text)]
                        self._text = ""
                        self.place = max([self.place, *numbers])
                        yield numbers
                case CloseConnection():
                    self.is_over = True


class OverSse:
    """Blocks of lines in pieces of a chunked body."""

    def __init__(self, door: Door, query: str, place: int) -> None:
        more = (f"Last-Event-ID: {place}",) if place else ()
        target = f"{EVENTS}?after=0{query}"
        self.request = door.request("GET", target, "Accept: text/event-stream", *more)
        self.place = place
        self.is_over = False
        self._connection = h11.Connection(h11.CLIENT)
        self._connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        self._connection.send(h11.EndOfMessage())
        self._text = ""

    def heard(self, data: bytes) -> Iterator[list[int]]:
        self._connection.receive_data(data)
        while (event := self._connection.next_event()) is not h11.NEED_DATA:
            match event:
                case h11.Response(status_code=status):
                    assert status == 200
                case h11.Data(data=body):
                    self._text += body.decode()
                    *whole, self._text = self._text.split("\n\n")
                    yield [seq for block in whole for seq in self._block(block)]
                case _:
                    self.is_over = True
                    return

    def _block(self, block: str) -> list[int]:
        said = parse(block)
        assert said.event == "message"
        if said.id is not None:
            self.place = int(said.id)
        return [] if said.data is None else [said.data["seq"]]
