"""Waiting as a row, at the very moment when the wait ends, and a kill right then."""

from typing import Any

import trio
from trio.testing import MockClock

from actors.workflows.history import Kind
from actors.workflows.messages import AddSignal, AppendHistory, RequestCancel
from actors.workflows.workflow import PARK_AFTER_S
from actors.writer import Command
from beadflow import Context, workflow
from storage import payload
from storage.workflows import queries
from tests.support.bare import Engine, Image

TURNS = 40  # of trio's scheduler


@workflow
async def naps(ctx: Context) -> str:
    await ctx.sleep(PARK_AFTER_S)
    return "slept"


@workflow
async def naps_shortly(ctx: Context) -> str:
    await ctx.sleep(PARK_AFTER_S / 2)
    return "slept"


@workflow
async def waits_for_a_short_nap_and_a_signal(ctx: Context) -> Any:
    return await ctx.gather(ctx.child(naps_shortly), ctx.signal("go"))


@workflow
async def waits_for_a_child(ctx: Context) -> Any:
    return await ctx.child(naps)


@workflow
async def waits_for_a_signal(ctx: Context) -> Any:
    return await ctx.signal("go")


@workflow
async def waits_for_a_child_and_a_signal(ctx: Context) -> Any:
    return await ctx.gather(ctx.child(naps), ctx.signal("go"))


WORKFLOWS = (
    naps,
    naps_shortly,
    waits_for_a_child,
    waits_for_a_signal,
    waits_for_a_child_and_a_signal,
    waits_for_a_short_nap_and_a_signal,
)
GO = AddSignal(workflow_id="w-1", message_id="m-1", name="go", value=payload.encode("on"), at="t")
CANCEL = RequestCancel(workflow_id="w-1", reason="enough", at="t")


def ends(name: str, request: Command[tuple[str, ...]] | None) -> set[str]:
    """How a workflow ends that is cut off after any commit: what its last event says."""
    found: set[str] = set()

    async def main() -> None:
        for _ in range(TURNS):
            for image in await run(name, None, request, found):
                await run(name, image, request, found)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    return found


async def run(
    name: str,
    image: Image | None,
    request: Command[tuple[str, ...]] | None,
    found: set[str],
) -> list[Image]:
    async def main(life: Engine) -> None:
        if image is None:
            await life.start("w-1", name, {})
        if request is not None and not is_made(life):
            await trio.sleep(max(0.0, PARK_AFTER_S - life.now_s))
            await life.send(request)
        with trio.fail_after(1000):
            await life.closed()
        _, kind, text = queries.last_event(life.connection, "w-1")
        found.add(f"{kind} {payload.decode(text)}")

    life = Engine(WORKFLOWS, image=image, keep=lambda: None)
    await life.run(main)
    return life.images


def is_made(life: Engine) -> bool:
    """Whether the request is stored: then it is not made again."""
    rows = life.connection.execute("SELECT kind FROM history WHERE workflow_id = 'w-1'")
    return any(kind in (Kind.WORKFLOW_SIGNALED, Kind.WORKFLOW_CANCEL_REQUESTED) for (kind,) in rows)


def test_a_child_that_ends_at_that_moment_is_heard_of() -> None:
    assert ends("waits_for_a_child", None) == {"workflow_completed {'result': 'slept'}"}


def test_a_signal_that_comes_at_that_moment_is_taken() -> None:
    assert ends("waits_for_a_signal", GO) == {"workflow_completed {'result': 'on'}"}


def test_a_child_and_a_signal_at_that_moment_are_both_taken() -> None:
    expected = "workflow_completed {'result': ['slept', 'on']}"
    assert ends("waits_for_a_child_and_a_signal", GO) == {expected}


def test_a_cancellation_at_that_moment_ends_it() -> None:
    assert ends("waits_for_a_signal", CANCEL) == {"workflow_cancelled {'reason': 'enough'}"}


class _Slow(Engine):
    """Takes its time to store that a child has ended; a signal comes meanwhile."""

    async def commit(self, command: Any) -> Any:
        answer = await super().commit(command)
        kinds = [e.kind for e in command.events] if isinstance(command, AppendHistory) else []
        if Kind.CHILD_COMPLETED in kinds and Kind.SIGNAL_CONSUMED not in kinds:
            await trio.sleep(1.8 * PARK_AFTER_S)
            await self.send(GO)
            await trio.sleep(0.2 * PARK_AFTER_S)
        return answer


def test_a_signal_that_comes_while_the_last_of_the_work_is_stored_is_taken() -> None:
    async def main() -> None:
        found: set[str] = set()
        life = _Slow(WORKFLOWS, keep=lambda: None)
        await life.run(begin)
        for image in life.images:
            await run("waits_for_a_short_nap_and_a_signal", image, GO, found)
        assert found == {"workflow_completed {'result': ['slept', 'on']}"}

    async def begin(life: Engine) -> None:
        await life.start("w-1", "waits_for_a_short_nap_and_a_signal", {})
        with trio.fail_after(1000):
            await life.closed()

    trio.run(main, clock=MockClock(autojump_threshold=0))
