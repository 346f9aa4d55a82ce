"""A listener's end of the bus: a bounded buffer of batches, and what happens when it is full.

The bus never waits. A full feed is either cut off, and its listener comes back with the last number
it saw; or it loses its oldest batches, and says so in their place. Everything runs on one loop.
"""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

import trio

from actors.facts import LAGGED, LoggedFact

Lag = Literal["cut", "drop"]
"""What becomes of a listener that is too slow."""

Batch = tuple[LoggedFact, ...]
CUT: Final[Lag] = "cut"
DROP: Final[Lag] = "drop"


class Feed:
    """Batches in order; its end means that it was cut off, or that the bus has stopped.

    Args:
        buffer: batches kept, at least 1.
        lag: see the module.
        on_close: called once, when either side closes it.
    """

    def __init__(self, buffer: int, lag: Lag, on_close: Callable[["Feed"], None]) -> None:
        self._buffer = max(1, buffer)
        self._lag = lag
        self._on_close = on_close
        self._batches: deque[Batch] = deque()
        self._lost: tuple[LoggedFact, LoggedFact, int] | None = None
        self._closed = False
        self._arrived = trio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def offer(self, batch: Batch) -> int:
        """Take a batch; answers how many facts were lost for it. A full one may be cut off."""
        if self._closed:
            return 0
        lost = 0
        if len(self._batches) >= self._buffer:
            if self._lag == CUT:
                self.end()
                return 0
            lost = self._lose(self._batches.popleft())
        self._batches.append(batch)
        self._arrived.set()
        return lost

    @property
    def is_closed(self) -> bool:
        return self._closed

    def end(self) -> None:
        """Let nothing more in. What is there can still be received."""
        if not self._closed:
            self._closed = True
            self._arrived.set()
            self._on_close(self)

    def close(self) -> None:
        """As its listener does who wants no more."""
        self._batches.clear()
        self._lost = None
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    async def receive(self) -> Batch:
        """The next batch.

        Raises:
            trio.EndOfChannel: none will follow.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            try:
                return self.receive_nowait()
            except trio.WouldBlock:
                self._arrived = trio.Event()
                await self._arrived.wait()

    def receive_nowait(self) -> Batch:
        """The next batch, where there is one.

        Raises:
            trio.WouldBlock: not now.
            trio.EndOfChannel: none will follow.
        """
        if self._lost is not None:
            return (self._marker(),)
        if self._batches:
            return self._batches.popleft()
        if self._closed:
            raise trio.EndOfChannel
        raise trio.WouldBlock

    def _lose(self, batch: Batch) -> int:
        first, _, count = self._lost or (batch[0], batch[0], 0)
        self._lost = (first, batch[-1], count + len(batch))
        return len(batch)

    def _marker(self) -> LoggedFact:
        """Stands where the lost ones would have; whoever wants them reads them in the log."""
        assert self._lost is not None  # noqa: S101 - the caller has looked
        (first, last, count), self._lost = self._lost, None
        data = {"from": first.seq, "to": last.seq, "dropped": count}
        return LoggedFact(last.seq, LAGGED, None, None, last.at, data)
