"""A client of Server-Sent Events, in process."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio

from tests.api.asgi import HOST, Answer, Header, _Response, _scope

CLIENT = ("127.0.0.1", 50000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One block of a stream; `lines` are those that were not understood, comments among them."""

    id: str | None = None
    event: str = "message"
    data: Any = None
    retry: str | None = None
    comment: str = ""


def parse(block: str) -> Message:
    """A block without the empty line that ends it."""
    found: dict[str, Any] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(":")
        found[name or "comment"] = value.removeprefix(" ")
    if "data" in found:
        found["data"] = json.loads(found["data"])
    return Message(**found)


class Events:
    """The client's end; it takes what it is sent only when it is asked for a message."""

    def __init__(self) -> None:
        self._into, self._parts = trio.open_memory_channel[bytes](0)
        self._response = _Response()
        self._settled = trio.Event()
        self._rest = ""

    @property
    def head(self) -> Answer:
        return self._response.answer()

    async def message(self) -> Message:
        """The next block.

        Raises:
            trio.EndOfChannel: the answer has ended.
        """
        while "\n\n" not in self._rest:
            self._rest += (await self._parts.receive()).decode()
        block, _, self._rest = self._rest.partition("\n\n")
        return parse(block)

    async def events(self, count: int) -> list[int]:
        """The numbers of the next events of the log."""
        found: list[int] = []
        while len(found) < count:
            said = await self.message()
            if said.event == "message" and said.data is not None:
                assert said.id == str(said.data["seq"])
                found.append(said.data["seq"])
        return found

    async def until_closed(self) -> list[Message]:
        found = []
        while True:
            try:
                found.append(await self.message())
            except trio.EndOfChannel:
                return found

    async def _take(self, message: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.start" or self._response.status >= 300:
            self._response.take(message)
            self._settled.set()
        elif message["body"]:
            await self._into.send(message["body"])


@asynccontextmanager
async def listening(
    app: Any, target: str, *headers: Header, host: str = HOST, method: str = "GET"
) -> AsyncIterator[Events]:
    """A stream whose client hangs up at the end of the block."""
    end, hung_up = Events(), trio.Event()
    given: Iterable[Header] = [("Host", host), ("Accept", "text/event-stream"), *headers]
    scope = _scope("http", target, given, CLIENT) | {"method": method}
    sent = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in sent:
            return message
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def run() -> None:
        await app(scope, receive, end._take)
        end._settled.set()
        end._into.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await end._settled.wait()
        yield end
        hung_up.set()
