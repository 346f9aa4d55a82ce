"""Bodies that are files: they come in pieces, as fast as they are taken, and of any size.

All other bodies are one JSON object (`api.body`), and Quart keeps those whole in memory. What may
be too large here is said by whoever stores it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import quart.wrappers.base
import trio
from quart_trio.wrappers.request import TrioBody

HELD_BYTES: Final = 1 << 20
"""What has come and was not taken yet; beyond it the client is left waiting."""

REST_S: Final = 5.0
"""How long the rest of a body is taken in that was refused: a client that still sends may not hear
why it was."""

REST_PAUSE_S: Final = 0.5
"""A client that sends nothing for so long waits for the answer: it has it then."""


class _Unknown(Exception):  # noqa: N818 - stands in for what older Pythons do not have
    pass


BODY_CLOSED: Final[type[Exception]] = getattr(asyncio, "QueueShutDown", _Unknown)
"""What Quart raises where more of a body comes after its end, from Python 3.13 on."""

CLIENT_GONE: Final[type[Exception]] = getattr(
    quart.wrappers.base, "ClientDisconnectedError", _Unknown
)
"""What Quart raises in a request whose client has hung up, from Python 3.13 on."""

_FILES: Final = re.compile(r"/api/v1/workflows/[^/]+/artifacts/.+", re.DOTALL)


def is_upload(scope: Any) -> bool:
    """Whether a request's body is a file."""
    return scope["method"] == "PUT" and _FILES.fullmatch(scope["path"]) is not None


class UploadBody(TrioBody):
    """A body to be iterated over."""

    def __init__(self) -> None:
        super().__init__(None, None)
        self._taken = trio.Event()
        self._held = 0  # counted here: where Quart keeps what has come differs between its versions

    async def __anext__(self) -> bytes:
        try:
            data = await super().__anext__()
        except CLIENT_GONE:
            await trio.sleep_forever()  # the request is being cancelled: there is nobody to tell
        self._held -= len(data)
        self._taken.set()
        return data

    def paced(self, receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """Receive only while there is room."""

        async def receive_when_taken() -> Any:
            while self._held > HELD_BYTES:
                self._taken = trio.Event()
                await self._taken.wait()
            message = await receive()
            if message["type"] == "http.request":
                self._held += len(message.get("body", b""))
            return message

        return receive_when_taken

    async def drop_rest(self) -> None:
        """Take what still comes of a body that was refused, so that its answer is heard."""
        with trio.move_on_after(REST_S):
            while True:
                with trio.move_on_after(REST_PAUSE_S) as pause:
                    await anext(self, None)
                if pause.cancelled_caught or self._complete.is_set():
                    return
