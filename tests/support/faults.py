"""Ways to break a running system on purpose, and to wait until it has mended itself."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
import trio

from actors.bus import Subscribe
from supervision import ActorDeadError, ActorRestarted, ActorRestarting, Named
from tests.support.world import Running

DEADLINE_S = 20.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that no event tells of."""
    with trio.fail_after(DEADLINE_S):
        while not condition():
            await trio.sleep(0.002)


def restarts(running: Running, path: str) -> int:
    """How often the actor whose path ends so was restarted until now."""
    seen = (event for event in running.events if isinstance(event, ActorRestarted))
    return sum(event.path.endswith(path) for event in seen)


async def crash(running: Running, path: str, message: object) -> None:
    """Tell an actor something its handler cannot bear, and wait for its next incarnation."""
    before = restarts(running, path)
    running.system.named(path.rsplit("/", 1)[-1]).tell(message)
    await until(lambda: restarts(running, path) > before)


async def crash_the_bus(running: Running) -> None:
    """Crash the bus, and wait until all that stands below it is up again."""
    before = restarts(running, "root/reconciler")
    await crash(running, "root/event_bus", Subscribe(buffer="a crash"))  # type: ignore[arg-type]
    await until(lambda: restarts(running, "root/reconciler") > before)


async def tell_when_up(target: Named, message: object) -> None:
    with trio.fail_after(DEADLINE_S):
        while True:
            try:
                target.tell(message)
            except (ActorDeadError, ActorRestarting):
                await trio.sleep(0.002)
            else:
                return


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that takes its time.

    Args:
        busy: set once a writer waits for it.
        free: has it write.
    """

    busy: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)


def hold_up(patch: pytest.MonkeyPatch, store: ModuleType, kind: type) -> Disk:
    """Keep a store's writer in the first command of a kind until its disk is free."""
    disk, handle = Disk(), store.HANDLERS[kind]

    def slow(connection: Any, command: Any) -> Any:
        disk.busy.set()
        disk.free.wait(DEADLINE_S)
        return handle(connection, command)

    patch.setattr(store, "HANDLERS", {**store.HANDLERS, kind: slow})
    return disk
