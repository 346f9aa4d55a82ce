"""One WebSocket that sends events: what both of its forms have in common.

It ends in one place: whoever wants it to end closes what is followed, and what is on its way has a
moment to get there. A frame that was cut off would be taken for another.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import trio
from quart import websocket

from actors.event_texts import Batch, Texts
from api.streams.following import Following
from api.streams.hangup import LAST_WORDS_S, TOO_SLOW, Hangup, Watch
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused

HEARTBEAT_S: Final = 15.0

GONE: Final = (trio.EndOfChannel, Refused, ActorDeadError, ActorRestarting, AskTimeout)
"""What ends a stream that was told nothing of an end: its client was too slow, or the log or the
bus is away. In either case it comes back."""


class Ending:
    """The end of one stream, whoever brings it about first.

    Args:
        watches: each returns when the stream has to end.
    """

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.hangup: Hangup | None = None
        self.ended = trio.Event()
        self._watches = watches
        self._followed: set[Following] = set()
        self._last_words = trio.CancelScope()

    def add(self, following: Following) -> None:
        self._followed.add(following)

    def remove(self, following: Following) -> None:
        following.close()
        self._followed.discard(following)

    def end(self, hangup: Hangup) -> None:
        """Nothing more is sent but what is on its way."""
        if self.hangup is not None:
            return
        self.hangup = hangup
        self.ended.set()
        self._last_words.deadline = trio.current_time() + LAST_WORDS_S
        for following in self._followed:
            following.close()

    def watch(self, nursery: trio.Nursery) -> None:
        for watch in self._watches:
            nursery.start_soon(self._watch, watch)

    async def _watch(self, watch: Watch) -> None:
        self.end(await watch())

    @property
    def last_words(self) -> trio.CancelScope:
        """Holds whatever sends."""
        return self._last_words


def array(texts: Texts, batches: Sequence[Batch]) -> str:
    """Events as one JSON array."""
    return f"[{','.join(map(texts.of_batch, batches))}]"


async def stream(following: Following, watches: Sequence[Watch]) -> Hangup:
    """Send one subscription, in arrays, until it ends. An empty one is the heartbeat.

    An object comes first where the place is lost.
    """
    ending = Ending(watches)
    ending.add(following)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ignore_what_comes_in)
        ending.watch(nursery)
        with ending.last_words:
            await _send(following)
        nursery.cancel_scope.cancel()
    return ending.hangup or TOO_SLOW


async def _send(following: Following) -> None:
    try:
        if following.reset is not None:
            lost = {"op": "reset", **asdict(following.reset)}
            await websocket.send(json.dumps(lost, separators=(",", ":")))
        while True:
            batches: Sequence[Batch] = ()
            with trio.move_on_after(HEARTBEAT_S):
                batches = await following.frame()
            await websocket.send(array(following.texts, batches))
    except GONE:
        return


async def ignore_what_comes_in() -> None:
    """Read, so that pings are answered and a closed connection is noticed."""
    while True:
        await websocket.receive()
