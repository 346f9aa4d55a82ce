"""Clients that change workflows and look at once, readers that fill the cache, and faults."""

import contextlib
import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from actors.coordination.messages import GetWorkflow, PauseWorkflow, ResumeWorkflow
from actors.workflows.definition import workflow
from actors.writer import Poison
from supervision import ActorDeadError, ActorRestarting, AskTimeout
from tests.support.faults import crash
from tests.support.world import Running

AWAY = (ActorDeadError, ActorRestarting, AskTimeout)
PAIRS = int(os.environ.get("BEADFLOW_CACHE_PAIRS", "1000"))
"""PUT and GET pairs of each storm; 10,000 for a long one."""


@workflow
async def patient(ctx: Any) -> Any:
    """Wait for a signal that never comes."""
    return await ctx.signal("never")


class Client:
    """One who changes workflows of their own, and looks at once whether it is to be seen."""

    def __init__(self, running: Running, seed: int) -> None:
        self.running = running
        self.chance = random.Random(seed)
        self.looked = 0

    async def sure(self, message: Any) -> Any:
        """Asks until there is an answer: pausing and resuming twice is doing it once."""
        while True:
            try:
                return await self.running.ask("manager", message)
            except AWAY:
                await trio.sleep(0.001)

    async def work(self, workflow_id: str, pairs: int) -> None:
        for _ in range(pairs):
            pause = self.chance.random() < 0.5
            kind = PauseWorkflow if pause else ResumeWorkflow
            answer = await self.sure(kind(workflow_id=workflow_id))
            expected = "paused" if pause else "active"
            assert answer.status == expected
            for _ in range(self.chance.randrange(1, 4)):
                assert (await self.seen(workflow_id)) == expected
            self.looked += 1

    async def seen(self, workflow_id: str) -> str:
        while True:
            try:
                return (await self.running.get(workflow_id)).status
            except AWAY:
                await trio.sleep(0.001)


Fault = Callable[[Running], Awaitable[None]]


async def storm(running: Running, *faults: Fault, pairs: int = PAIRS, seed: int = 1) -> None:
    """Clients change and look; readers fill the cache; meanwhile one fault after the other."""
    ids = [(await running.start("patient")).id for _ in range(20)]
    await running.until(
        lambda seen: {f.workflow_id for f in seen if f.type == "workflow_started"} >= set(ids)
    )
    clients = [Client(running, seed + number) for number in range(len(ids))]

    async def read(number: int) -> None:
        """Fills the cache with whatever there is, all the time."""
        chance, client = random.Random(seed * 100 + number), clients[number]
        while True:
            await client.seen(chance.choice(ids))

    async def disturb() -> None:
        for part, fault in enumerate(faults, start=1):
            while sum(client.looked for client in clients) < part * pairs / 5:
                await trio.sleep(0.005)
            await fault(running)

    async with trio.open_nursery() as others:
        for number in range(3):
            others.start_soon(read, number)
        async with trio.open_nursery() as drivers:
            drivers.start_soon(disturb)
            for client, workflow_id in zip(clients, ids, strict=True):
                drivers.start_soon(client.work, workflow_id, pairs // len(ids))
        others.cancel_scope.cancel()
    assert sum(client.looked for client in clients) == pairs // len(ids) * len(ids)


async def crash_the_manager(running: Running) -> None:
    await crash(running, "coordination/manager", GetWorkflow(workflow_id=[]))  # type: ignore[arg-type]


async def kill_the_writer(running: Running) -> None:
    with contextlib.suppress(*AWAY):
        await running.ask("tempolite_writer", Poison())
