"""Doing something for somebody only as long as they may have it."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio


async def while_it_holds(
    lapsed: Callable[[], Awaitable[None]], serve: Callable[[], Awaitable[Any]]
) -> tuple[Any, bool]:
    """Serve until that ends, or what it rests on has; answers what came of it, and which it was.

    `lapsed` returns once it is not to go on. What `serve` raises is raised as it is, and not in a
    group.
    """
    serving, result, failed = trio.CancelScope(), None, None

    async def watch() -> None:
        await lapsed()
        serving.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        try:
            with serving:
                result = await serve()
        except Exception as error:  # noqa: BLE001 - raised again, outside the nursery
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed
    return result, serving.cancelled_caught
