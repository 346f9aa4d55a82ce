"""Every hook failing in every way, and what each of those around the actor sees of it.

By raising, by refusing where that is something else, and by hanging until a deadline.
"""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import (
    ActorCrashed,
    ActorRestarted,
    TellRefused,
    ThreadAbandoned,
)

from .scene import Do, Scene, Seen, open_scene

BACK = ["restart_scheduled", "started", "restarted"]


@pytest.fixture(params=["task", "thread", "inline"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    async with open_scene(request.param) as opened:
        yield opened


@pytest.fixture
async def task() -> AsyncIterator[Scene]:
    async with open_scene("task") as opened:
        yield opened


@pytest.fixture
async def thread() -> AsyncIterator[Scene]:
    async with open_scene("thread") as opened:
        yield opened
        opened.plan.gate.open()
        with trio.fail_after(10):
            while opened.system.abandoned:
                await trio.lowlevel.checkpoint()


def crashed(cause: str, *, asker: object = "ActorDeadError") -> Seen:
    """It crashed once, and came back."""
    return Seen(asker, [f"crash: {cause}"], [f"crash: {cause}"], ["started", "crashed", *BACK])


def cancelled(shutdown_s: float = 5.0, *, asker: object = None, path: str = "root/victim") -> Seen:
    """It was stopped and cancelled at its shutdown deadline."""
    text = f"{path} had not stopped after {shutdown_s:g} s and was cancelled"
    reason = f"shutdown: ShutdownDeadlineExceeded: {text}"
    return Seen(asker, [reason], [reason], ["started", "exited"])


def abandoned(*, asker: object = None, path: str = "root/victim") -> Seen:
    """It was stopped, and its thread was given up at its shutdown deadline."""
    reason = f"crash: ThreadStillRunning: {path} had not stopped after 0.01 s; its thread runs on"
    return Seen(asker, [reason], [reason], ["started", "thread_abandoned", "crashed"])


# --- on_start ---


@pytest.mark.parametrize("under", ["root", "pool"])
async def test_on_start_raises(scene: Scene, under: str) -> None:
    """Nobody restarts what was never up: it is for the asker to try again."""
    asker = await scene.start(under, on_start="raises")
    seen = await scene.seen(asker, ActorCrashed)
    reason = "crash: Boom: on_start"
    assert seen == Seen("StartError", [reason], [reason], ["crashed"])


@pytest.mark.parametrize("under", ["root", "pool"])
async def test_on_start_refuses(scene: Scene, under: str) -> None:
    """The refusal is for who asked for the start."""
    asker = await scene.start(under, on_start="refuses")
    seen = await scene.seen(asker, ActorCrashed)
    reason = "crash: Nope: on_start"
    assert seen == Seen("Nope", [reason], [reason], ["crashed"])


async def test_on_start_hangs_and_is_cancelled(task: Scene, autojump_clock: MockClock) -> None:
    askers: list[object] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            askers.append(await task.start("pool", on_start="hangs"))

        await wait_all_tasks_blocked()
        await task.terminate("pool")
    assert trio.current_time() == pytest.approx(1.0)
    seen = await task.seen(askers[0])
    expected = cancelled(1.0, asker="StartError", path="root/pool/victim")
    assert seen == Seen(expected.asker, expected.ends, expected.downs, ["exited"])


async def test_on_start_hangs_and_its_thread_is_given_up(thread: Scene) -> None:
    askers: list[object] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            askers.append(await thread.start("pool", on_start="hangs", shutdown_s=0.01))

        await thread.plan.gate.wait_reached()
        await thread.terminate("pool")
    seen = await thread.seen(askers[0], ThreadAbandoned)
    expected = abandoned(asker="StartError", path="root/pool/victim")
    told = ["thread_abandoned", "crashed"]
    assert seen == Seen(expected.asker, expected.ends, expected.downs, told)


# --- the handler of an ask ---


async def test_the_handler_of_an_ask_raises(scene: Scene) -> None:
    await scene.start(on_receive="raises")
    asker = await scene.asks(Do())
    assert await scene.seen(asker, ActorRestarted) == crashed("Boom: on_receive")


async def test_the_handler_of_an_ask_refuses(scene: Scene) -> None:
    await scene.start(on_receive="refuses")
    asker = await scene.asks(Do())
    assert await scene.seen(asker) == Seen("Nope", [], [], ["started"])
    assert await scene.asks(Do()) == "done"


async def test_the_handler_of_an_ask_hangs_and_the_asker_gives_up(
    task: Scene, autojump_clock: MockClock
) -> None:
    """Nobody else notices: a deadline is the asker's own."""
    await task.start(on_receive="hangs")
    asker = await task.asks(Do(), deadline_s=2.0)
    assert await task.seen(asker) == Seen("AskTimeout", [], [], ["started"])


async def test_the_handler_of_an_ask_hangs_and_is_cancelled(
    task: Scene, autojump_clock: MockClock
) -> None:
    await task.start(on_receive="hangs")
    askers: list[object] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            askers.append(await task.asks(Do()))

        await wait_all_tasks_blocked()
        await task.terminate()
    assert await task.seen(askers[0]) == cancelled(asker="ActorDeadError")


async def test_the_handler_of_an_ask_hangs_and_its_thread_is_given_up(thread: Scene) -> None:
    await thread.start(on_receive="hangs", shutdown_s=0.01)
    askers: list[object] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            askers.append(await thread.asks(Do()))

        await thread.plan.gate.wait_reached()
        await thread.terminate()
    assert await thread.seen(askers[0]) == abandoned(asker="ActorDeadError")


# --- the handler of a tell ---


async def test_the_handler_of_a_tell_raises(scene: Scene) -> None:
    await scene.start(on_receive="raises")
    scene.victim.tell(Do())
    assert await scene.seen(None, ActorRestarted) == crashed("Boom: on_receive", asker=None)


async def test_the_handler_of_a_tell_refuses(scene: Scene) -> None:
    """Nobody hears of it but the observer."""
    await scene.start(on_receive="refuses")
    scene.victim.tell(Do())
    assert await scene.seen(None, TellRefused) == Seen(None, [], [], ["started", "tell_refused"])


async def test_the_handler_of_a_tell_hangs_and_is_cancelled(
    task: Scene, autojump_clock: MockClock
) -> None:
    await task.start(on_receive="hangs")
    task.victim.tell(Do())
    await wait_all_tasks_blocked()
    await task.terminate()
    assert await task.seen() == cancelled()


# --- deferred work ---


async def test_deferred_work_raises(task: Scene) -> None:
    await task.start(deferred="raises")
    asker = await task.asks(Do(place="deferred"))
    assert await task.seen(asker, ActorRestarted) == crashed("Boom: deferred")


async def test_deferred_work_refuses(task: Scene) -> None:
    await task.start(deferred="refuses")
    asker = await task.asks(Do(place="deferred"))
    assert await task.seen(asker) == Seen("Nope", [], [], ["started"])


async def test_deferred_work_hangs_and_is_cancelled(task: Scene, autojump_clock: MockClock) -> None:
    await task.start(deferred="hangs")
    askers: list[object] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            askers.append(await task.asks(Do(place="deferred")))

        await wait_all_tasks_blocked()
        assert await task.asks(Do()) == "done"
        await task.terminate()
    assert await task.seen(askers[0]) == cancelled(asker="ActorDeadError")


# --- background tasks ---


async def test_a_background_task_raises(task: Scene) -> None:
    """The asker had its answer."""
    await task.start(background="raises")
    asker = await task.asks(Do(place="background"))
    assert await task.seen(asker, ActorRestarted) == crashed("Boom: background", asker="done")


async def test_a_background_task_refuses(task: Scene) -> None:
    """A refusal that nobody asked for, and no message to refuse, is a crash."""
    await task.start(background="refuses")
    asker = await task.asks(Do(place="background"))
    assert await task.seen(asker, ActorRestarted) == crashed("Nope: background", asker="done")


async def test_a_background_task_hangs_and_delays_nobody(
    task: Scene, autojump_clock: MockClock
) -> None:
    await task.start(background="hangs")
    asker = await task.asks(Do(place="background"))
    await task.terminate()
    assert trio.current_time() == 0.0
    assert await task.seen(asker) == Seen("done", ["shutdown"], ["shutdown"], ["started", "exited"])


# --- on_stop ---


@pytest.mark.parametrize(("how", "cause"), [("raises", "Boom"), ("refuses", "Nope")])
async def test_on_stop_fails_when_the_actor_ends_by_itself(
    scene: Scene, how: str, cause: str
) -> None:
    """It is a crash: what it had to put away may lie about."""
    await scene.start(on_stop=how)
    assert scene.victim.ref is not None
    asker = await scene.victim.ref.stop(block=False)
    expected = crashed(f"{cause}: on_stop", asker=True)
    assert await scene.seen(asker, ActorRestarted) == expected


@pytest.mark.parametrize(("how", "cause"), [("raises", "Boom"), ("refuses", "Nope")])
async def test_on_stop_fails_when_the_supervisor_stops_the_actor(
    scene: Scene, how: str, cause: str
) -> None:
    """It is told as a crash, and stays stopped."""
    await scene.start(on_stop=how)
    await scene.terminate()
    reason = f"crash: {cause}: on_stop"
    assert await scene.seen() == Seen(None, [reason], [reason], ["started", "crashed"])


async def test_on_stop_hangs_and_is_cancelled(task: Scene, autojump_clock: MockClock) -> None:
    await task.start(on_stop="hangs")
    await task.terminate()
    assert await task.seen() == cancelled()


async def test_on_stop_hangs_and_its_thread_is_given_up(thread: Scene) -> None:
    await thread.start(on_stop="hangs", shutdown_s=0.01)
    await thread.terminate()
    assert await thread.seen() == abandoned()


# --- on_failure ---


@pytest.mark.parametrize("how", ["raises", "refuses"])
async def test_on_failure_fails(scene: Scene, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """The first failure stays the reason; the second is in the log."""
    await scene.start(on_receive="raises", on_failure=how)
    asker = await scene.asks(Do())
    assert await scene.seen(asker, ActorRestarted) == crashed("Boom: on_receive")
    assert "on_failure of root/victim failed" in caplog.text


async def test_on_failure_hangs_and_is_cancelled_after_five_seconds(
    task: Scene, autojump_clock: MockClock
) -> None:
    """Those who wait for the actor do not wait for that."""
    await task.start(on_receive="raises", on_failure="hangs")
    asker = await task.asks(Do())
    assert trio.current_time() == 0.0
    assert await task.seen(asker) == Seen("ActorDeadError", [], [], ["started"])
    assert await task.seen(asker, ActorRestarted) == crashed("Boom: on_receive")
    assert trio.current_time() == pytest.approx(5.0)


async def test_on_failure_hangs_and_its_thread_is_waited_for(thread: Scene) -> None:
    """A thread that says why it failed may still hold what its successor needs."""
    await thread.start(on_receive="raises", on_failure="hangs", shutdown_s=0.01)
    asker = await thread.asks(Do())
    await thread.plan.gate.wait_reached()
    assert await thread.seen(asker) == Seen("ActorDeadError", [], [], ["started"])
    thread.plan.gate.open()
    assert await thread.seen(asker, ActorRestarted) == crashed("Boom: on_receive")
