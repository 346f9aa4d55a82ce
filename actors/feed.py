"""A listener's end of the bus: a bounded buffer of batches, and what happens when it is full.

The bus never waits. A full feed is either cut off, and its listener comes back with the last number
it saw; or it loses its oldest batches, and says so in their place. Everything runs on one loop.
"""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

import trio

from actors.event_texts import Batch, Texts
from actors.facts import LAGGED, LoggedFact

Lag = Literal["cut", "drop"]
"""What becomes of a listener that is too slow."""

CUT: Final[Lag] = "cut"
DROP: Final[Lag] = "drop"


class Feed:
    """Batches in order; its end means that it was cut off, or that the bus has stopped.

    Args:
        buffer: batches kept, at least 1.
        lag: see the module.
        on_close: called once, when either side closes it.
        texts: of the log's events.
        limit_bytes: what the texts of all that is kept take at most; one batch is always kept.
            None for no such limit.
    """

    def __init__(
        self,
        buffer: int,
        lag: Lag,
        on_close: Callable[["Feed"], None],
        texts: Texts | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        self._buffer = max(1, buffer)
        self._lag = lag
        self._on_close = on_close
        self._texts = Texts() if texts is None else texts
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._batches: deque[tuple[Batch, int]] = deque()
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
        lost, size = 0, self._size(batch)
        while self._is_full(size):
            if self._lag == CUT:
                self.end()
                return 0
            lost += self._lose(self._take())
        self._batches.append((batch, size))
        self._bytes += size
        self._arrived.set()
        return lost

    def _size(self, batch: Batch) -> int:
        return 0 if self._limit_bytes is None else len(self._texts.of_batch(batch))

    def _is_full(self, more_bytes: int) -> bool:
        limit = self._limit_bytes
        return bool(self._batches) and (
            len(self._batches) >= self._buffer
            or (limit is not None and self._bytes + more_bytes > limit)
        )

    def _take(self) -> Batch:
        batch, size = self._batches.popleft()
        self._bytes -= size
        return batch

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to receive now."""
        return not self._batches and self._lost is None

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
        self._bytes = 0
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
            return self._take()
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
