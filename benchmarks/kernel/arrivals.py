"""A count of those that have run `on_start`, to be waited for."""

import trio

__all__ = ["Arrivals"]


class Arrivals:
    """Called by each of the expected; wakes whoever waits when the last of them has come."""

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self._all = trio.Event()

    def __call__(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._all.set()

    async def wait(self) -> None:
        await self._all.wait()
