"""The answer to an ask: a pykka future that trio can await.

pykka's own future fails under trio (its `__await__` yields a bare None and then blocks the loop),
so waiting is ours. Nothing here takes a lock. A setter publishes the outcome and then looks for
waiters; a waiter publishes itself and then looks for the outcome; so at least one of them sees the
other, and a wake-up that comes twice finds nobody. The outcome is a list because `append` is
atomic: whoever comes first is the answer, and a late one (the thread that was given up answers
after all) is dropped.
"""

import contextlib
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pykka
import trio
from pykka._types import OptExcInfo

from supervision.bridge import Bridge

__all__ = ["Callback", "Reply"]

T = TypeVar("T")


class Reply(pykka.Future[T]):
    """An answer that is there now or later.

    One trio task may await it; any number of other threads may `get` it.
    """

    __slots__ = ("_arrival", "_bridge", "_outcomes", "_waiter")

    _get_hook: Callable[[float | None], T] | None = None

    def __init__(self) -> None:
        # pykka's __init__ is skipped on purpose: it stores two attributes that only get hooks need.
        self._outcomes: list[tuple[Any, BaseException | None]] = []
        self._waiter: trio.lowlevel.Task | None = None
        self._bridge: Bridge | None = None
        self._arrival: threading.Event | None = None

    @property
    def settled(self) -> bool:
        return bool(self._outcomes)

    def retire(self) -> None:
        """Lets go of the outcome; the reply stays settled. For the one who has read it."""
        self._outcomes = _RETIRED

    def set(self, value: T | None = None) -> None:
        """Settles the reply with a value; the first outcome stays, later ones are dropped."""
        self._settle((value, None))

    def set_exception(self, exc_info: OptExcInfo | None = None) -> None:
        """Settles the reply with the exception given, or with the one being handled."""
        error = (exc_info or sys.exc_info())[1]
        self.fail(error or RuntimeError("set_exception() outside of an except block"))

    def fail(self, error: BaseException) -> None:
        """Settles the reply with an error, which is raised where it is awaited."""
        self._settle((None, error))

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """Makes `func` compute the value; `map`, `filter`, `join` and `reduce` of pykka use it."""
        super().__init__()
        self._get_hook = func

    def get(self, *, timeout: float | None = None) -> T:
        """Waits for the outcome; for other threads than the trio thread.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.

        Raises:
            RuntimeError: on the trio thread, which it would block for ever. Await the reply there.
            pykka.Timeout: nothing came in time.
        """
        if trio.lowlevel.in_trio_run():
            raise RuntimeError("Reply.get() would block the trio thread: await the reply instead")
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        if not self._outcomes and not self._await_arrival(timeout):
            raise pykka.Timeout(f"{timeout} seconds")
        return self._unwrap()

    def __await__(self) -> Generator[Any, Any, T]:
        """Waits on the trio thread; a cancelled wait leaves the message running."""
        if self._get_hook is not None:
            return (yield from trio.to_thread.run_sync(self.get).__await__())
        if not self._outcomes:
            yield from self._park().__await__()
        return self._unwrap()

    __iter__ = __await__

    async def _park(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("another task already awaits this reply")
        self._bridge = Bridge.current()
        self._waiter = trio.lowlevel.current_task()
        if self._outcomes:
            self._waiter = None
            return
        await trio.lowlevel.wait_task_rescheduled(self._forget_waiter)

    def _forget_waiter(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._waiter = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _settle(self, result: tuple[Any, BaseException | None]) -> None:
        self._outcomes.append(result)
        bridge = self._bridge
        if self._waiter is not None and bridge is not None:
            if threading.get_ident() == bridge.thread_id:
                self._wake()
            else:
                with contextlib.suppress(trio.RunFinishedError):  # then nobody waits any more
                    bridge.call(self._wake)
        if self._arrival is not None:
            self._arrival.set()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            trio.lowlevel.reschedule(waiter)

    def _await_arrival(self, timeout_s: float | None) -> bool:
        with _ARRIVALS:
            if self._arrival is None:
                self._arrival = threading.Event()
        return bool(self._outcomes) or self._arrival.wait(timeout_s)

    def _unwrap(self) -> T:
        value, error = self._outcomes[0]
        if error is not None:
            raise error
        result: T = value
        return result


class Callback(Reply[T]):
    """A reply that calls a function when it is settled, instead of waking who waits.

    Args:
        then: called once, on the trio thread, with the value and None, or with None and the error;
            it must not raise.
    """

    __slots__ = ("_then",)

    def __init__(self, then: Callable[[T | None, BaseException | None], object]) -> None:
        super().__init__()
        self._then = then
        self._bridge = Bridge.current()

    def _settle(self, result: tuple[Any, BaseException | None]) -> None:
        self._outcomes.append(result)
        if self._outcomes[0] is not result or self._bridge is None:
            return
        if threading.get_ident() == self._bridge.thread_id:
            self._then(*result)
        else:
            with contextlib.suppress(trio.RunFinishedError):  # then nobody is interested any more
                self._bridge.call(self._then, *result)


class _Retired(list[tuple[Any, BaseException | None]]):
    """The outcomes of all replies that were read: what comes late is dropped."""

    def append(self, outcome: tuple[Any, BaseException | None], /) -> None:
        """Drops it."""


_RETIRED = _Retired([(None, RuntimeError("this reply was read and let go of"))])

_ARRIVALS = threading.Lock()  # two threads that wait for one reply must share one event
