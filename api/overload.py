"""How many requests are worked on at the same time; more wait for a moment, and beyond that none.

Without a bound a flood fills the mailboxes and the memory, and everybody waits for answers that
nobody waits for any more. A refusal costs next to nothing, is given before the body is read, and
says when to come back. Who waits is served in order of arrival.

A request counts while the system works on it. It does not while it waits for its own client (a body
that comes slowly) or for something to happen: it steps aside, or a few clients could take all room
by doing nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from quart import g, has_request_context, request, websocket

from actors.errors import Overloaded

CALM: Final = "calm"
"""Where in an ASGI scope's state the function stands that lets a connection wait before it is heard
again."""

WAITING: Final = 4
"""Requests that may wait for each that is worked on."""

PATIENCE_S: Final = 2.0
"""How long one waits before it is refused after all."""


class InFlight:
    """The requests of one door that are worked on.

    Args:
        limit: how many at the same time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting = trio.lowlevel.ParkingLot()
        self.running = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def enter(self) -> None:
        """Begin, now or as soon as there is room.

        Raises:
            Overloaded: too many wait already, or it has waited for too long.
        """
        if self.running < self._limit:
            self.running += 1
            return
        if self.waiting >= self._limit * WAITING:
            raise _overloaded()
        with trio.move_on_after(PATIENCE_S) as patience:
            await self._waiting.park()  # whoever wakes it gives it its place
        if patience.cancelled_caught:
            raise _overloaded()

    def leave(self) -> None:
        """End, and give the place to whoever has waited longest."""
        if not self._waiting.unpark():
            self.running -= 1


class Place:
    """One request's place, which it gives up at its end, whatever that is."""

    def __init__(self, among: InFlight) -> None:
        self._among = among
        self._held = False

    async def take(self) -> None:
        if not self._held:
            try:
                await self._among.enter()
            except Overloaded:
                calm()
                raise
            self._held = True

    def give_up(self) -> None:
        if self._held:
            self._held = False
            self._among.leave()


@asynccontextmanager
async def aside() -> AsyncIterator[None]:
    """Let others go on while this request waits for its client, or for something to happen.

    Raises:
        Overloaded: when it has done so, there is no room for it any more.
    """
    place: Place | None = g.get("place")
    if place is None:
        yield
        return
    place.give_up()
    yield
    await place.take()


def calm() -> None:
    """Have the connection of the present request wait before its next one: it asks for too much."""
    asking = request if has_request_context() else websocket
    scope: Any = asking.scope
    wait = (scope.get("state") or {}).get(CALM)
    if wait is not None:
        wait()


def over() -> None:
    """End this request's work; its answer may still be on its way."""
    place: Place | None = g.get("place")
    if place is not None:
        place.give_up()


def _overloaded() -> Overloaded:
    return Overloaded("as many requests are worked on, and wait, as there is room for")
