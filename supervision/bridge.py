"""How the trio thread and the others hand each other work: in order, one wake-up per burst.

`run_sync_soon` writes to a socket each time, and a writer thread answers hundreds of asks after one
commit. So calls gather in a deque and only the first of a burst rings. The flag is cleared *before*
the deque is emptied: a caller that still saw it set had appended before that, and is served.

A thread that answers many asks at once says so (`burst`), and rings after the last; else the trio
thread, woken by the first, would fight it for the interpreter while it gives the rest. In the other
direction the trio thread rings for a thread actor only once it has nothing else to do (`at_rest`),
or after a few turns of its loop: who is woken by the first of sixty commands takes that one, pays
for a commit, and comes back for the next.

One bridge belongs to one trio run and is shared by all its systems, so that what one thread sends
arrives in the order sent, whatever the targets.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import trio

__all__ = ["Bridge"]

TURNS = 8
"""Turns of the trio thread's loop after which a bell rings although there is more to do."""

_current: trio.lowlevel.RunVar["Bridge"] = trio.lowlevel.RunVar("supervision_bridge")


class Bridge:
    """A queue of plain function calls, made by any thread and run by the trio thread."""

    __slots__ = (
        "_bells",
        "_bursting",
        "_calls",
        "_over",
        "_ringing",
        "_token",
        "_turns",
        "thread_id",
    )

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._ringing = False
        self._over = False
        self._bursting: set[int] = set()
        self._bells: list[Callable[[], object]] = []
        self._turns = 0
        self.thread_id = threading.get_ident()
        trio.lowlevel.add_instrument(_Turns(self))

    @classmethod
    def current(cls) -> "Bridge":
        """Returns the bridge of the running trio loop; call it on the trio thread."""
        try:
            return _current.get()
        except LookupError:
            bridge = cls()
            _current.set(bridge)
            return bridge

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Runs the function soon on the trio thread; it must not raise.

        Raises:
            trio.RunFinishedError: the loop has ended, the function will not run.
        """
        if self._over:
            raise trio.RunFinishedError
        self._calls.append((function, args))
        if not self._ringing and threading.get_ident() not in self._bursting:
            self._ring()

    @contextmanager
    def burst(self) -> Iterator[None]:
        """Lets the calls that this thread makes inside ring once, at the end."""
        me = threading.get_ident()
        self._bursting.add(me)
        try:
            yield
        finally:
            self._bursting.discard(me)
            if self._calls and not self._ringing:
                with suppress(trio.RunFinishedError):  # then nobody waits any more
                    self._ring()

    def at_rest(self, bell: Callable[[], object]) -> None:
        """Rings a bell, once, when the trio thread has nothing else to do, or soon.

        On the trio thread only, or when that has ended: then it rings at once.
        """
        if self._over:
            bell()
        else:
            self._bells.append(bell)

    def turn_ended(self) -> None:
        """Another turn of the loop is over."""
        if not self._bells:
            return
        self._turns += 1
        if self._turns >= TURNS or not trio.lowlevel.current_statistics().tasks_runnable:
            self._ring_bells()

    def run_ended(self) -> None:
        """The loop has ended: nothing is waited for any more."""
        self._over = True
        self._ring_bells()

    def _ring_bells(self) -> None:
        self._turns = 0
        bells, self._bells = self._bells, []
        for bell in bells:
            bell()

    def _ring(self) -> None:
        self._ringing = True
        try:
            self._token.run_sync_soon(self._serve)
        except trio.RunFinishedError:
            self._over = True
            self._calls.clear()
            raise

    def _serve(self) -> None:
        self._ringing = False
        calls = self._calls
        while calls:
            function, args = calls.popleft()
            function(*args)


class _Turns(trio.abc.Instrument):
    """Tells a bridge of each turn of its loop, before it looks for what came from outside."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def before_io_wait(self, timeout: float) -> None:
        del timeout  # 0 also when a mock clock is about to jump
        self._bridge.turn_ended()

    def after_run(self) -> None:
        self._bridge.run_ended()
