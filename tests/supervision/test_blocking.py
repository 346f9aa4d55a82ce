"""A thread actor: batches, its two ways to end, and the one that is not one."""

import sqlite3
import threading
from typing import Any

import pytest
import trio
import trio.lowlevel
from trio.testing import wait_all_tasks_blocked

from supervision import (
    ActorDeadError,
    ActorRestarted,
    AskTimeout,
    ChildExists,
    ChildGaveUp,
    ChildSpec,
    Down,
    DynamicSupervisor,
    RestartsExceeded,
    StartChild,
    System,
    TerminateChild,
    ThreadAbandoned,
    ThreadStillRunning,
    ask,
    ask_blocking,
    supervisor,
)

from .support import (
    AT_ONCE,
    Crash,
    Echo,
    Events,
    Gate,
    Nope,
    Note,
    Run,
    ThreadProbe,
    probe,
    thread,
)


def log_number(value: int, actor: ThreadProbe) -> None:
    actor.log.append(f"{value}")


def refuse(_actor: object) -> None:
    raise Nope("not today")


async def test_hooks_run_in_the_actors_own_thread(system: System) -> None:
    log: list[str] = []
    await system.start(thread(log=log))
    name = await ask(system.named("probe"), Run(function=lambda _: threading.current_thread().name))
    assert name == "probe"
    await system.stop()
    assert log == ["+probe", "-probe"]


async def test_it_may_own_what_belongs_to_one_thread(system: System) -> None:
    class Owner(ThreadProbe):
        def on_start(self) -> None:
            self.connection = sqlite3.connect(":memory:")

        def on_stop(self) -> None:
            self.connection.close()

    await system.start(ChildSpec(id="a", build=Owner, name="a"))
    one = await ask(
        system.named("a"),
        Run(function=lambda actor: actor.connection.execute("SELECT 1").fetchone()),
    )
    assert one == (1,)


async def test_a_thread_that_does_not_stop_is_reported_and_the_system_says_so(
    system: System, events: Events
) -> None:
    gate = Gate()
    await system.start(supervisor("root", "one_for_one", [thread(shutdown_s=0.01), probe("b")]))
    failed: list[str] = []

    async def asker() -> None:
        with pytest.raises(ActorDeadError):
            await ask(system.named("probe"), Run(function=gate))
        failed.append("asker")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker)
        await gate.wait_reached()
        await system.stop()
    reason = await system.wait()
    assert isinstance(reason.cause, ThreadStillRunning)
    assert "root/probe" in str(reason.cause)
    assert reason.crashed
    assert events.of(ThreadAbandoned, "root/probe") == [
        ThreadAbandoned(path="root/probe", after_s=0.01)
    ]
    await come_to_an_end(system, gate)
    assert not (await system.wait()).crashed


async def test_a_thread_that_was_given_up_is_never_replaced(system: System) -> None:
    """A second writer beside one that may still hold its connection would be worse than none."""
    gate, log = Gate(), list[str]()
    group = supervisor(
        "group",
        "one_for_all",
        [thread("writer", log, shutdown_s=0.01), probe("other")],
        backoff=AT_ONCE,
    )
    await system.start(supervisor("root", "one_for_one", [group], backoff=AT_ONCE))
    system.named("writer").tell(Run(function=gate))
    await gate.wait_reached()
    system.named("other").tell(Crash())
    reason = await system.wait()
    assert isinstance(reason.cause, ThreadStillRunning)
    assert log == ["+writer"]
    await come_to_an_end(system, gate)
    assert log == ["+writer", "-writer"]


async def test_a_dynamic_thread_that_was_given_up_blocks_its_id_only(system: System) -> None:
    gate = Gate()
    await system.start(ChildSpec(id="pool", build=DynamicSupervisor, name="pool"))
    pool = system.named("pool")
    await ask(pool, StartChild(spec=thread("a", shutdown_s=0.01)))
    system.named("a").tell(Run(function=gate))
    await gate.wait_reached()
    await ask(pool, TerminateChild(id="a"))
    with pytest.raises(ChildExists, match="still runs"):
        await ask(pool, StartChild(spec=thread("a")))
    await ask(pool, StartChild(spec=thread("b")))
    await come_to_an_end(system, gate)
    await ask(pool, StartChild(spec=thread("a")))


async def test_a_dynamic_subtree_whose_thread_was_given_up_is_given_up_too(
    system: System, events: Events
) -> None:
    gate = Gate()
    await system.start(
        ChildSpec(id="pool", build=lambda: DynamicSupervisor(backoff=AT_ONCE), name="pool")
    )
    children = [thread("writer", shutdown_s=0.01), probe("other")]
    group = supervisor("group", "one_for_all", children, backoff=AT_ONCE)
    await ask(system.named("pool"), StartChild(spec=group))
    system.named("writer").tell(Run(function=gate))
    await gate.wait_reached()
    system.named("other").tell(Crash())
    event = await events.wait_for(ChildGaveUp, "pool/group")
    assert isinstance(event, ChildGaveUp)
    assert isinstance(event.reason.cause, ThreadStillRunning)
    await come_to_an_end(system, gate)


def test_a_thread_that_outlives_its_loop_ends_quietly(caplog: pytest.LogCaptureFixture) -> None:
    gate, threads = Gate(), list[threading.Thread]()

    async def main() -> None:
        async with System.open() as system:
            await system.start(thread(shutdown_s=0.01))
            target = system.named("probe")
            current = Run(function=lambda _: threads.append(threading.current_thread()))
            await ask(target, current)
            target.tell(Run(function=gate))
            await gate.wait_reached()

    trio.run(main)
    gate.open()
    threads[0].join(10)
    assert not threads[0].is_alive()
    assert "probe ended after its loop did" in caplog.text


async def test_build_must_make_a_new_actor_for_each_incarnation(system: System) -> None:
    one = ThreadProbe()
    spec = ChildSpec(id="a", build=lambda: one, name="a")
    await system.start(supervisor("root", "one_for_one", [spec], backoff=AT_ONCE))
    system.named("a").tell(Crash())
    reason = await system.wait()
    assert isinstance(reason.cause, RestartsExceeded)
    assert isinstance(reason.cause.__cause__, TypeError)


async def test_a_thread_tells_and_asks_task_actors(system: System) -> None:
    await system.start(supervisor("root", "one_for_one", [probe("task"), thread("thread")]))
    task = system.named("task")

    def talk(_actor: object) -> object:
        task.tell(Note("from the thread"))
        return ask_blocking(task, Run(function=lambda actor: actor.notes), deadline_s=5)

    assert await ask(system.named("thread"), Run(function=talk)) == ["from the thread"]


async def test_a_thread_asks_a_ref_pykkas_way(system: System) -> None:
    await system.start(probe())
    ref = system.named("probe").ref
    assert ref is not None

    def talk() -> Any:
        return ref.ask(Echo(value=3), timeout=5)

    assert await trio.to_thread.run_sync(talk) == 3
    assert await ref.ask(Echo(value=4), block=False) == 4
    with pytest.raises(RuntimeError, match="block the trio thread"):
        ref.ask(Echo())


async def test_a_blocking_ask_times_out_and_is_refused_on_the_trio_thread(
    system: System,
) -> None:
    gate = Gate()
    await system.start(thread())
    target = system.named("probe")
    with pytest.raises(AskTimeout, match=r"within 0\.01 s"):
        await trio.to_thread.run_sync(
            lambda: ask_blocking(target, Run(function=gate), deadline_s=0.01)
        )
    gate.open()
    with pytest.raises(RuntimeError, match="would block the trio thread"):
        ask_blocking(target, Echo())


async def test_a_thread_watches_a_task(system: System) -> None:
    await system.start(
        supervisor("root", "one_for_one", [probe("a", restart="temporary"), thread("w")])
    )
    watched, watcher = system.named("a").ref, system.named("w").ref
    assert watched is not None
    assert watcher is not None
    downs: list[object] = []

    def note_downs(actor: ThreadProbe) -> None:
        receive = actor.on_receive

        def on_receive(message: object) -> object:
            if isinstance(message, Down):
                downs.append(message.ref)
                return None
            return receive(message)

        actor.on_receive = on_receive  # type: ignore[method-assign]

    await ask(system.named("w"), Run(function=note_downs))
    system.monitor(watched, watcher)
    with pytest.raises(ActorDeadError):
        await ask(watched, Run(function=lambda _: 1 / 0))
    await wait_all_tasks_blocked()
    await ask(system.named("w"), Echo())
    assert downs == [watched]


async def test_it_cannot_be_started_without_a_supervisor() -> None:
    with pytest.raises(TypeError, match="put it into a ChildSpec"):
        ThreadProbe.start()


async def test_a_crashed_writer_is_restarted(system: System, events: Events) -> None:
    await system.start(supervisor("root", "one_for_one", [thread()], backoff=AT_ONCE))
    for count in (1, 2, 3):
        system.named("probe").tell(Crash())
        await events.wait_for(ActorRestarted, "root/probe", count)
    assert await ask(system.named("probe"), Echo(value=1)) == 1


async def come_to_an_end(system: System, gate: Gate) -> None:
    """Lets an abandoned thread go, and waits until it is gone."""
    gate.open()
    with trio.fail_after(10):
        while system.abandoned:
            await trio.lowlevel.checkpoint()
