"""Says that a task lives while something long is waited for."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import trio

from actors.agents.protocol import Task

T = TypeVar("T")

BEAT_S: Final = 5.0
"""An activity that works so can have a heartbeat timeout of a few times this."""


async def beating(
    task: Task, work: Callable[[], Awaitable[T]], details: Callable[[], Any] = lambda: None
) -> T:
    """Do some work, with a heartbeat of the task every `BEAT_S` seconds; answers what it answers.

    Args:
        task: whose.
        work: what is to be done.
        details: what each heartbeat says.

    Raises:
        Exception: what the work raises, as it is.
    """
    done: list[T] = []
    failed: list[Exception] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_beat, task, details)
        try:
            done.append(await work())
        except Exception as error:  # noqa: BLE001 - raised again outside, or it came in a group
            failed.append(error)
        nursery.cancel_scope.cancel()
    if failed:
        raise failed[0]
    return done[0]


async def _beat(task: Task, details: Callable[[], Any]) -> None:
    while True:
        await trio.sleep(BEAT_S)
        task.heartbeat(details())
