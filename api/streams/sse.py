"""Server-Sent Events: the same streams without a WebSocket, as a browser's EventSource reads them.

The id of an event is its number in the log, so that a client that was cut off comes back with
`Last-Event-ID` by itself. An id alone, without data, moves a client's place and is no event to it:
it is sent at the start and with each heartbeat, so that nothing is missed by who was sent nothing
yet, and little is read again by who wants little.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final, Self

import trio
from quart import Response, request
from quart.wrappers.response import ResponseBody

from actors.errors import ValidationError
from actors.event_texts import Batch
from api.streams.following import Following
from api.streams.hangup import Watch
from api.streams.socket import GONE, HEARTBEAT_S, Ending

MEDIA_TYPE: Final = "text/event-stream"
RETRY_MS: Final = 1000
"""How long a client waits before it comes back."""

LAST: Final = 2**62
DIGITS: Final = 19

Show = Callable[[Following, Sequence[Batch]], str]
"""The text of events."""


def is_wanted() -> bool:
    """Whether a client asks for a stream by name; `*/*` is no wish for one."""
    return MEDIA_TYPE in (kind for kind, _ in request.accept_mimetypes)


def last_event_id() -> int | None:
    """Where a client that comes back has got to; None for one that comes first.

    Raises:
        ValidationError: it is no number of an event.
    """
    given = request.headers.get("Last-Event-ID", "")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal()) or len(given) > DIGITS or int(given) > LAST:
        raise ValidationError(
            "Last-Event-ID is the number of an event", field="Last-Event-ID", value=None
        )
    return int(given)


def show(following: Following, batches: Sequence[Batch]) -> str:
    """Events, each under its number."""
    return "".join(
        f"id: {fact.seq}\ndata: {following.texts.of(fact)}\n\n"
        for batch in batches
        for fact in batch
    )


def numbered(seq: int, given: Any) -> str:
    """An event of the log, as something else than itself."""
    return f"id: {seq}\ndata: {json.dumps(given, separators=(',', ':'))}\n\n"


def named(event: str, given: Any) -> str:
    """An event that is not of the log."""
    return f"event: {event}\ndata: {json.dumps(given, separators=(',', ':'))}\n\n"


class Body(ResponseBody):
    """What is sent: what is followed, for as long as the client listens.

    Args:
        following: has not begun yet.
        show: makes text of events.
        watches: each returns when the stream has to end.
    """

    def __init__(self, following: Following, watches: Sequence[Watch], show: Show = show) -> None:
        self._following = following
        self._ending = Ending(watches)
        self._show = show
        self._held = AsyncExitStack()
        self._pieces = self._all()

    async def __aenter__(self) -> Self:
        nursery = await self._held.enter_async_context(trio.open_nursery())
        self._held.callback(nursery.cancel_scope.cancel)
        self._ending.add(self._following)
        self._ending.watch(nursery)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._following.close()
        try:
            await self._pieces.aclose()
        finally:
            await self._held.__aexit__(kind, error, trace)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def _all(self) -> AsyncGenerator[bytes, None]:
        try:
            await self._following.begin()
            yield self._first().encode()
            while found := await self._following.logged():
                yield self._text(found).encode()
            while not await self._is_over():
                found = ()
                with trio.move_on_after(HEARTBEAT_S):
                    found = await self._following.frame()
                yield self._text(found).encode()
            yield self._farewell().encode()
        except GONE:
            return

    async def _is_over(self) -> bool:
        """Whether nothing more is to come, asked when all that was logged is sent."""
        return False

    def _farewell(self) -> str:
        """The last that is sent then."""
        return ""

    def _first(self) -> str:
        place = f"retry: {RETRY_MS}\nid: {self._following.reached}\n\n"
        reset = self._following.reset
        return place if reset is None else place + named("reset", asdict(reset))

    def _text(self, batches: Sequence[Batch]) -> str:
        if batches:
            return self._show(self._following, batches)
        return f": heartbeat\nid: {self._following.reached}\n\n"


async def response(following: Following, watches: Sequence[Watch]) -> Response:
    """A stream of events, as an answer.

    What is wrong is found out before anything is sent; it is followed only once it is, since an
    answer that is never sent would be followed for ever.

    Raises:
        Refused: as `Following.begin`.
    """
    await following.begin()
    return answer(Body(following.again(), watches))


def answer(body: Body) -> Response:
    """A stream's body as a response, which lasts. Who asks for its head alone has that."""
    sent = b"" if request.method == "HEAD" else body
    found = Response(sent, content_type=f"{MEDIA_TYPE}; charset=utf-8")
    found.timeout = None
    found.headers["Cache-Control"] = "no-store"
    found.headers["X-Accel-Buffering"] = "no"  # a proxy that gathers would hold events back
    return found
