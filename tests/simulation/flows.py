"""Workflows and agents of the simulated system: they sleep on trio's clock, fail and try again.

Every attempt leaves an entry in the ledger: what really ran, in whichever life of the process. What
a workflow ends with depends on its variables alone.
"""

from typing import Any

import trio
from pydantic import BaseModel

from beadflow import (
    ActivityError,
    Agent,
    Context,
    RetryPolicy,
    Task,
    activity,
    activity_info,
    workflow,
)
from tests.simulation.ledger import Attempt, ledger

STUBBORN = RetryPolicy(attempts=10, initial_s=0.3, maximum_s=5.0)


class Walk(BaseModel):
    """What a workflow is started with.

    Args:
        legs_s: how long its steps take, in virtual seconds.
        falls: how many attempts of each step fail before one succeeds.
    """

    legs_s: list[float]
    falls: int


class Leg(BaseModel):
    """What a step is given."""

    seconds: float
    falls: int


async def _go(step: str, attempt: int, leg: Leg) -> str:
    ledger.append(Attempt(trio.current_time(), step, attempt))
    await trio.sleep(leg.seconds)
    if attempt <= leg.falls:
        raise OSError("fell")
    return f"walked {leg.seconds:g} s"


@activity(retry=STUBBORN)
async def walk(leg: Leg) -> str:
    info = activity_info()
    return await _go(info.idempotency_key, info.attempt, leg)


@activity(retry=RetryPolicy(attempts=2, initial_s=0.3))
async def fall(seconds: float) -> str:
    info = activity_info()
    await _go(info.idempotency_key, info.attempt, Leg(seconds=seconds, falls=0))
    raise ValueError("fell for good")


class Scout(Agent):
    agent_type = "scout"
    max_workload = 3

    @activity(retry=STUBBORN)
    async def look(self, task: Task, leg: Leg) -> str:
        task.progress("off", 0.1)
        done = await _go(task.id, task.attempt, leg)
        task.log("back")
        return done


class Porter(Agent):
    agent_type = "porter"
    max_workload = 1

    @activity(retry=STUBBORN)
    async def carry(self, task: Task, leg: Leg) -> str:
        return await _go(task.id, task.attempt, leg)


def _legs(plan: Walk) -> list[Leg]:
    return [Leg(seconds=seconds, falls=plan.falls) for seconds in plan.legs_s]


@workflow
async def stroll(ctx: Context, plan: Walk) -> dict[str, Any]:
    """Steps of the engine's own, one after the other."""
    weather = await ctx.side_effect(lambda: f"the {len(ledger)}th of the day")
    done = [await ctx.activity(walk, leg) for leg in _legs(plan)]
    ctx.log(weather)
    return {"done": done, "summary": f"{len(done)} legs"}


@workflow(agent_type="scout")
async def tour(ctx: Context, plan: Walk) -> dict[str, Any]:
    """Steps of an agent, one after the other."""
    done = [await ctx.activity(Scout.look, leg) for leg in _legs(plan)]
    return {"done": done, "summary": f"{len(done)} legs"}


@workflow(agent_type="porter")
async def caravan(ctx: Context, plan: Walk) -> dict[str, Any]:
    """Steps side by side: an agent's own, another agent's, and the engine's."""
    done: list[str] = []
    for leg in _legs(plan):
        done.extend(
            await ctx.gather(
                ctx.activity(Porter.carry, leg),
                ctx.activity(Scout.look, leg),
                _twice(ctx, leg),
            )
        )
    return {"done": done, "summary": f"{len(done)} legs"}


async def _twice(ctx: Context, leg: Leg) -> str:
    await ctx.activity(walk, leg)
    return await ctx.activity(walk, leg)


@workflow(agent_type="scout")
async def stumble(ctx: Context, plan: Walk) -> dict[str, Any]:
    """Fails, after a step that it bears the failure of."""
    try:
        await ctx.activity(fall, plan.legs_s[0])
    except ActivityError:
        await ctx.activity(Scout.look, _legs(plan)[0])
    await ctx.activity(fall, plan.legs_s[-1])
    return {}


@activity(retry=STUBBORN)
async def camp(leg: Leg) -> Leg:
    info = activity_info()
    await _go(info.idempotency_key, info.attempt, leg)
    return leg


@activity(retry=STUBBORN)
async def strike_camp(leg: Leg) -> None:
    info = activity_info()
    await _go(info.idempotency_key, info.attempt, leg)


@workflow
async def climb(ctx: Context, plan: Walk) -> dict[str, Any]:
    """Rests, falls with camps behind it, and comes all the way back, in two runs."""
    if ctx.run == 1:
        for leg in _legs(plan):
            await ctx.select(rested=ctx.sleep(10 * leg.seconds), called=ctx.signal("never"))
        ctx.continue_as_new(plan)
    try:
        async with ctx.saga() as saga:
            for leg in _legs(plan):
                await saga.step(camp, leg, undo=strike_camp)
            await ctx.activity(fall, plan.legs_s[0])
    except ActivityError:
        done = [await ctx.activity(walk, leg) for leg in _legs(plan)]
    return {"done": done, "summary": f"{len(done)} legs"}


WORKFLOWS = (stroll, tour, caravan, stumble, climb)
AGENTS = (Scout, Porter)


def outcome(workflow_type: str, plan: Walk) -> tuple[str, list[str]]:
    """How such a workflow has to end: its status, and what its steps have done."""
    if workflow_type == "stumble":
        return "failed", []
    times = 3 if workflow_type == "caravan" else 1
    return "completed", [f"walked {leg:g} s" for leg in plan.legs_s for _ in range(times)]
