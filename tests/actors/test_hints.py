"""Hints are dropped where they cannot be delivered, and never hurt who gave them."""

from typing import ClassVar

import trio

from actors.hints import hint
from supervision import Actor, Backoff, ChildSpec, System, supervisor


class Listener(Actor):
    mailbox_bound: ClassVar[int] = 2
    heard: ClassVar[list[object]] = []

    async def on_receive(self, message: object) -> object:
        if message == "crash":
            raise RuntimeError("as told")
        self.heard.append(message)
        return None


def listener() -> ChildSpec:
    Listener.heard.clear()
    return ChildSpec(id="listener", name="listener", build=Listener)


async def test_a_hint_is_told() -> None:
    async with System.open() as system:
        await system.start(supervisor("root", "one_for_one", [listener()]))
        hint(system.named("listener"), 1)
        await trio.testing.wait_all_tasks_blocked()
    assert Listener.heard == [1]


async def test_a_hint_to_a_full_mailbox_is_dropped() -> None:
    async with System.open() as system:
        await system.start(supervisor("root", "one_for_one", [listener()]))
        for number in range(9):
            hint(system.named("listener"), number)
        await trio.testing.wait_all_tasks_blocked()
    assert Listener.heard == [0, 1]


async def test_a_hint_to_nobody_is_dropped() -> None:
    async with System.open() as system:
        hint(system.named("listener"), 1)
        await system.start(supervisor("root", "one_for_one", [listener()]))
    hint(system.named("listener"), 2)
    assert Listener.heard == []


async def test_a_hint_to_an_actor_that_is_being_restarted_is_dropped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with System.open() as system:
        patient = Backoff(initial_s=60.0, max_s=60.0, jitter=0.0)
        await system.start(supervisor("root", "one_for_one", [listener()], backoff=patient))
        hint(system.named("listener"), "crash")
        await trio.sleep(1.0)
        hint(system.named("listener"), "too early")
        await trio.sleep(120.0)
        hint(system.named("listener"), "in time")
        await trio.sleep(1.0)
    assert Listener.heard == ["in time"]
