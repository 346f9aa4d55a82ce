"""The same counter three times: as an actor of ours, as pykka's, and as a bare loop on trio.

The bare loop is the floor: the least that a loop with an inbox can be on trio, and nothing it does
without. An item is appended to a deque; a task that finds the deque empty parks, and whoever
appends wakes it. An asker parks too, and is woken with the answer. The handler is a coroutine
function, as it has to be where a handler may wait. There is no bound, no deadline, no dispatch, no
name, no end, no turn for others before the deque is empty, and nobody who would notice a crash:
what an actor has beyond this is what the ratios to it measure.
"""

import queue
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import pykka
import trio
from outcome import Value

from supervision import Actor, Ask

__all__ = [
    "BURST",
    "FALL",
    "GET",
    "HIT",
    "Counter",
    "Fall",
    "Get",
    "Hit",
    "LoopCounter",
    "ThreadCounter",
]

BURST = 1000
"""Tells sent before the teller waits for the receiver to catch up."""


class Fell(Exception):  # noqa: N818  wanted
    """The crash that is measured."""


# --- ours ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Get(Ask[int]):
    """Answer how many hits there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Count one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Crash."""


class Counter(Actor):
    mailbox_bound = 2 * BURST

    def __init__(self, up: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._hits = 0
        self._up = up

    async def on_start(self) -> None:
        if self._up is not None:
            self._up()

    async def on_receive(self, message: object) -> object:
        match message:
            case Get():
                return self._hits
            case Hit():
                self._hits += 1
                return None
            case Fall():
                raise Fell
            case _:
                return await super().on_receive(message)


# --- pykka's ---

GET, HIT, FALL = "get", "hit", "fall"


class ThreadCounter(pykka.ThreadingActor):
    def __init__(self, up: "queue.SimpleQueue[None] | None" = None) -> None:
        super().__init__()
        self._hits = 0
        self._up = up

    def on_start(self) -> None:
        if self._up is not None:
            self._up.put(None)

    def on_receive(self, message: object) -> object:
        if message == GET:
            return self._hits
        if message == HIT:
            self._hits += 1
            return None
        raise Fell


# --- bare ---


class LoopCounter:
    """A deque and a task beside it. Used on the trio thread only."""

    __slots__ = ("_hits", "_parked", "_queue", "_up")

    def __init__(self, up: Callable[[], None] | None = None) -> None:
        self._queue: deque[tuple[object, trio.lowlevel.Task | None]] = deque()
        self._parked: trio.lowlevel.Task | None = None
        self._hits = 0
        self._up = up

    def tell(self, message: object) -> None:
        self._put(message, None)

    async def ask(self, message: object) -> object:
        """Cannot be cancelled: an asker that left would be woken after it was gone."""
        self._put(message, trio.lowlevel.current_task())
        return await trio.lowlevel.wait_task_rescheduled(_stay)

    async def run(self) -> None:
        if self._up is not None:
            self._up()
        queue = self._queue
        while True:
            while queue:
                message, asker = queue.popleft()
                answer = await self._receive(message)
                if asker is not None:
                    trio.lowlevel.reschedule(asker, Value(answer))
            self._parked = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(_go)

    def _put(self, message: object, asker: trio.lowlevel.Task | None) -> None:
        self._queue.append((message, asker))
        parked = self._parked
        if parked is not None:
            self._parked = None
            trio.lowlevel.reschedule(parked)

    async def _receive(self, _message: object) -> int:
        self._hits += 1
        return self._hits


def _stay(_raise_cancel: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


def _go(_raise_cancel: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.SUCCEEDED
