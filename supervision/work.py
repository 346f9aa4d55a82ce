"""The tasks an actor runs beside its loop: answers that take long, and background work.

They share one fate with their actor: a crash in one is the actor's crash, and none outlives it. A
nursery per actor would say the same, at the price of one for each of the thousands of actors that
never need it; so the tasks run in the system's nursery, and this keeps their cancel scopes.
Deferred answers in progress are awaited when the actor stops, background tasks are cancelled at
once.
"""

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeVar

import trio

from supervision.crash import is_crash
from supervision.delivery import Delivery
from supervision.errors import Refused
from supervision.exits import ExitReason

__all__ = ["Deferred", "Work"]

T = TypeVar("T")


class Deferred(Generic[T]):
    """Returned from `on_receive`: the answer will come from a task. Made by `Actor.defer`."""

    __slots__ = ()


class Work:
    """All tasks of one actor but its loop. Used on the trio thread only."""

    __slots__ = (
        "_background",
        "_changed",
        "_deferred",
        "_ended",
        "_nursery",
        "_on_crash",
        "_on_refusal",
        "_path",
    )

    def __init__(
        self,
        nursery: trio.Nursery,
        path: str,
        *,
        on_crash: Callable[[BaseException], None],
        on_refusal: Callable[[Delivery, Refused], None],
        changed: Callable[[], None],
    ) -> None:
        self._nursery = nursery
        self._path = path
        self._on_crash = on_crash
        self._on_refusal = on_refusal
        self._changed = changed
        self._background: set[trio.CancelScope] = set()
        self._deferred: dict[trio.CancelScope, Delivery] = {}
        self._ended: trio.Event | None = None

    @property
    def deferred(self) -> int:
        """How many answers are in progress."""
        return len(self._deferred)

    def spawn(self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
        """Runs a background task."""
        scope = trio.CancelScope()
        self._background.add(scope)
        self._start(self._run_background, scope, function, args)

    def defer(self, work: Coroutine[Any, Any, object], delivery: Delivery) -> None:
        """Runs a task that answers the delivery."""
        scope = trio.CancelScope()
        self._deferred[scope] = delivery
        self._start(self._run_deferred, scope, work, delivery)

    def cancel_background(self) -> None:
        for scope in self._background:
            scope.cancel()

    def abandon(self, reason: ExitReason) -> None:
        """Cancels everything and fails the askers of what was in progress."""
        self.cancel_background()
        for scope, delivery in self._deferred.items():
            scope.cancel()
            delivery.refuse(reason.dead(self._path, delivery.message))

    async def answered(self) -> None:
        """Waits until no answer is in progress."""
        while self._deferred:
            await self._next_end()

    async def ended(self) -> None:
        """Waits until no task is left."""
        while self._deferred or self._background:
            await self._next_end()

    async def _next_end(self) -> None:
        self._ended = ended = trio.Event()
        await ended.wait()

    def _start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        # an empty context: what an actor does must not depend on who happened to send to it
        spawn: Callable[..., None] = self._nursery.start_soon
        Context().run(spawn, function, *args, name=self._path)

    @trio.lowlevel.enable_ki_protection
    async def _run_background(
        self,
        scope: trio.CancelScope,
        function: Callable[..., Awaitable[object]],
        args: tuple[Any, ...],
    ) -> None:
        try:
            with scope:
                await function(*args)
        except BaseException as error:
            if not is_crash(error):
                raise
            self._on_crash(error)
        finally:
            self._background.discard(scope)
            self._tell_end()  # and not the loop: there is no bound that it may be waiting at

    @trio.lowlevel.enable_ki_protection
    async def _run_deferred(
        self, scope: trio.CancelScope, work: Coroutine[Any, Any, object], delivery: Delivery
    ) -> None:
        try:
            with scope:
                if scope.cancel_called:
                    work.close()
                else:
                    delivery.answer(await work)
        except Refused as refusal:
            self._on_refusal(delivery, refusal)
        except BaseException as error:
            if not is_crash(error):
                raise
            delivery.refuse(ExitReason.crash(error).dead(self._path, delivery.message))
            self._on_crash(error)
        finally:
            del self._deferred[scope]
            self._tell_end()
            self._changed()

    def _tell_end(self) -> None:
        if self._ended is not None:
            self._ended.set()
