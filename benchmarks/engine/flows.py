"""The workflows that are measured: so little work of their own that the engine's shows."""

from dataclasses import dataclass, field
from typing import Any

import trio

from beadflow import Context, activity, workflow
from benchmarks.engine.size import STEPS

__all__ = ["ALL", "GATE", "can_wait"]


@dataclass(slots=True)
class Gate:
    """Holds workflows in the middle, until their process is killed.

    Args:
        expected: how many are to stand before it; nobody is held when it is 0.
    """

    expected: int = 0
    crowded: trio.Event = field(default_factory=trio.Event)

    async def passed(self) -> None:
        if self.expected:
            self.expected -= 1
            if not self.expected:
                self.crowded.set()
            await trio.sleep_forever()


GATE = Gate()


@activity
async def successor(number: int) -> int:
    return number + 1


@activity
async def gated_successor(number: int) -> int:
    await GATE.passed()
    return number + 1


@workflow
async def one_step(ctx: Context) -> int:
    return await ctx.activity(successor, 0)


@workflow
async def three_steps(ctx: Context) -> int:
    number = 0
    for _ in range(STEPS):
        number = await ctx.activity(successor, number)
    return number


@workflow
async def interrupted(ctx: Context) -> int:
    """Three steps; a process that has its gate closed is killed in the second one."""
    number = await ctx.activity(successor, 0)
    number = await ctx.activity(gated_successor, number)
    return await ctx.activity(successor, number)


@workflow
async def long_history(ctx: Context, variables: dict[str, int]) -> int:
    number = 0
    while number < variables["steps"]:
        number = await ctx.activity(successor, number)
    return number


@workflow
async def waiting(ctx: Context) -> object:
    signals: Any = ctx
    return await signals.signal("go")


def can_wait() -> bool:
    """Whether workflows can wait for signals at all."""
    return hasattr(Context, "signal")


ALL = (one_step, three_steps, interrupted, long_history, waiting)
