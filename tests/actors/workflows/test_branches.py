"""Branches that are run again: what they do to variables is the same in every life."""

from collections.abc import Callable
from typing import Any

import trio
from trio.testing import MockClock

from actors.workflows.messages import AddSignal
from beadflow import Context, activity, workflow
from storage import payload
from storage.workflows import queries
from tests.support.bare import Engine, Image


@activity
async def echo(text: str) -> str:
    return text


@workflow
async def a_loser_gathers(ctx: Context) -> list[str]:
    seen: list[str] = []

    async def loser() -> None:
        seen.extend(await ctx.gather(ctx.activity(echo, "a"), ctx.activity(echo, "b")))
        await ctx.activity(echo, "c")
        seen.append("c")
        await ctx.signal("never")

    await ctx.first(loser(), ctx.signal("win"))
    await ctx.sleep(1.0)
    return seen


@workflow
async def a_loser_races(ctx: Context) -> list[str]:
    seen: list[str] = []

    async def loser() -> None:
        await ctx.first(ctx.activity(echo, "a"), ctx.signal("never"))
        seen.append("a")
        await ctx.signal("never")

    await ctx.first(loser(), ctx.signal("win"))
    await ctx.sleep(1.0)
    return seen


@workflow
async def a_loser_is_behind(ctx: Context) -> list[str]:
    seen: list[str] = []

    async def loser() -> None:
        seen.extend(await ctx.gather(ctx.activity(echo, "a"), ctx.activity(echo, "b")))
        await ctx.signal("never")

    async def winner() -> None:
        await ctx.signal("win")
        await ctx.tx(nothing)

    await ctx.first(winner(), loser())
    await ctx.sleep(1.0)
    return seen


def nothing(transaction: object, value: None) -> None:
    """Recorded before it is known that its branch is the first."""


def outputs(function: Callable[..., Any], expected: list[str]) -> None:
    """What a workflow ends with that is cut off after any event, and run again several times."""

    async def main() -> None:
        images = await run(function, None, expected)
        for image in images:
            for _ in range(5):  # trio's scheduler takes turns
                for again in await run(function, image, expected):
                    await run(function, again, expected)

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def run(function: Callable[..., Any], image: Image | None, expected: Any) -> list[Image]:
    async def main(life: Engine) -> None:
        if image is None:
            await life.start("w-1", function.__name__, {})
        await trio.sleep(max(0.0, 5.0 - life.now_s))
        if not queries.message(life.connection, "w-1", "m-1"):
            command = AddSignal(
                workflow_id="w-1", message_id="m-1", name="win", value="[1,null]", at="now"
            )
            await life.send(command)
        await life.closed()
        _, kind, text = queries.last_event(life.connection, "w-1")
        assert (kind, payload.decode(text).get("result")) == ("workflow_completed", expected)

    life = Engine([function], image=image, keep=lambda: None)
    await life.run(main)
    return life.images


def test_a_loser_that_gathered_leaves_the_same() -> None:
    outputs(a_loser_gathers, ["a", "b", "c"])


def test_a_loser_that_raced_leaves_the_same() -> None:
    outputs(a_loser_races, ["a"])


def test_a_loser_leaves_the_same_when_the_winner_has_nothing_left_to_do() -> None:
    outputs(a_loser_is_behind, ["a", "b"])
