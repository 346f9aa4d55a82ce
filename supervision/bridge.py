"""How other threads hand work to the trio thread: in order, and with one wake-up per burst.

`run_sync_soon` writes to a socket each time, and a writer thread answers hundreds of asks after one
commit. So calls gather in a deque and only the first of a burst rings. The flag is cleared *before*
the deque is emptied: a caller that still saw it set had appended before that, and is served.

One bridge belongs to one trio run and is shared by all its systems, so that what one thread sends
arrives in the order sent, whatever the targets.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import trio

__all__ = ["Bridge"]

_current: trio.lowlevel.RunVar["Bridge"] = trio.lowlevel.RunVar("supervision_bridge")


class Bridge:
    """A queue of plain function calls, made by any thread and run by the trio thread."""

    __slots__ = ("_calls", "_over", "_ringing", "_token", "thread_id")

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._ringing = False
        self._over = False
        self.thread_id = threading.get_ident()

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
        if not self._ringing:
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
