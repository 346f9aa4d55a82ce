"""The system as a whole: opening, closing, watching, describing."""

import logging
import threading
from functools import partial

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import (
    Actor,
    ActorDeadError,
    ChildSpec,
    Down,
    DynamicSupervisor,
    Event,
    ExitReason,
    SpecError,
    StartChild,
    StartError,
    System,
    ask,
    supervisor,
)
from supervision.deadlines import Deadlines
from supervision.ref import ActorRef

from .support import AT_ONCE, Boom, Crash, Echo, Events, Note, Probe, Run, probe, thread


async def test_closing_stops_the_tree_in_order() -> None:
    log: list[str] = []
    async with System.open() as system:
        await system.start(supervisor("root", "one_for_one", [probe("a", log), probe("b", log)]))
    assert log == ["+a", "+b", "-b", "-a"]


async def test_an_error_in_the_body_comes_out_as_it_is_after_an_ordered_stop() -> None:
    log: list[str] = []
    with pytest.raises(KeyError):  # noqa: PT012  the block is the system's body
        async with System.open() as system:
            await system.start(probe("a", log))
            raise KeyError("mine")
    assert log == ["+a", "-a"]


async def test_a_cancellation_from_outside_becomes_an_ordered_stop(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []

    class Slow(Probe):
        async def on_stop(self) -> None:
            await trio.sleep(1)
            await super().on_stop()

    children = [ChildSpec(id=label, build=partial(Slow, label, log)) for label in "ab"]
    with trio.move_on_after(5) as scope:
        async with System.open() as system:
            await system.start(supervisor("root", "one_for_one", children))
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert log == ["+a", "+b", "-b", "-a"]
    assert trio.current_time() == pytest.approx(7.0)


async def test_a_cancellation_while_the_tree_starts_stops_what_is_up(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []

    class Hanging(Probe):
        async def on_start(self) -> None:
            await trio.sleep_forever()

    hanging = ChildSpec(id="hanging", build=Hanging, shutdown_s=1)
    with trio.move_on_after(5):
        async with System.open() as system:
            await system.start(supervisor("root", "one_for_one", [probe("a", log), hanging]))
    assert log == ["+a", "-a"]


async def test_several_systems_do_not_know_of_each_other(events: Events) -> None:
    async with System.open() as one, System.open(on_event=events) as two:
        await one.start(probe("a"))
        await two.start(probe("a"))
        one.named("a").tell(Crash())
        await one.wait()
        assert await ask(two.named("a"), Echo(value=2)) == 2
        assert len(events) == 1


async def test_systems_in_two_threads_talk_to_each_other(system: System) -> None:
    await system.start(probe("a"))
    there = system.named("a")

    async def elsewhere() -> object:
        async with System.open() as other:
            await other.start(probe("b"))
            assert await ask(other.named("b"), Echo(value="here")) == "here"
            return await ask(there, Echo(value="there"))

    assert await trio.to_thread.run_sync(trio.run, elsewhere) == "there"


async def test_nothing_is_left_when_a_system_has_closed() -> None:
    statistics = trio.lowlevel.current_statistics
    Deadlines.current()  # its task belongs to the loop, not to a system
    before, threads = statistics().tasks_living, threading.active_count()
    async with System.open() as system:
        children = [probe("a"), thread("b"), ChildSpec(id="p", build=DynamicSupervisor, name="p")]
        await system.start(supervisor("root", "one_for_one", children))
        await ask(system.named("p"), StartChild(spec=probe("c")))
        await ask(system.named("a"), Run(function=lambda a: a.spawn(trio.sleep_forever)))
        await ask(system.named("b"), Echo())
        assert statistics().tasks_living > before
    assert statistics().tasks_living == before
    assert threading.active_count() == threads


async def test_an_actor_that_nobody_supervises_does_not_hold_a_system_open() -> None:
    ended: list[ExitReason] = []
    with trio.fail_after(10):
        async with System.open() as system:
            await system.start(probe("a"))
            system.launch(
                probe("b"), parent="", supervised=False, on_exit=lambda _, why: ended.append(why)
            )
            assert await ask(system.named("b"), Echo(value=1)) == 1
    assert [reason.kind for reason in ended] == ["crash"]


async def test_a_closed_system_delivers_nothing(system: System) -> None:
    await system.start(probe())
    await system.stop()
    with pytest.raises(ActorDeadError, match="nobody answers to probe: Note was not delivered"):
        system.named("probe").tell(Note(1))


async def test_a_system_that_was_never_started_stops_and_has_no_picture(system: System) -> None:
    assert system.snapshot() is None
    system.request_stop()
    await system.stop()
    assert await system.wait() == ExitReason("shutdown")


async def test_a_system_is_started_once(system: System) -> None:
    await system.start(probe())
    with pytest.raises(RuntimeError, match="started once"):
        await system.start(probe("b"))


async def test_a_name_that_occurs_twice_below_the_root_is_refused_before_any_start(
    system: System, events: Events
) -> None:
    root = supervisor("root", "one_for_one", [probe("a")], name="a")
    with pytest.raises(SpecError, match="name 'a' occurs 2 times"):
        await system.start(root)
    assert events == []


async def test_a_stop_may_be_asked_for_twice_and_from_several_tasks(system: System) -> None:
    await system.start(probe())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(system.stop)
        nursery.start_soon(system.stop)
    await system.stop()


async def test_an_actor_may_ask_for_the_stop_of_its_own_system(system: System) -> None:
    await system.start(supervisor("root", "one_for_one", [probe()]))
    system.named("probe").tell(Run(function=lambda actor: actor.system.request_stop()))
    assert (await system.wait()).kind == "shutdown"


async def test_waiting_for_the_root_tells_why_it_ended(system: System) -> None:
    await system.start(probe())
    system.named("probe").tell(Crash())
    reason = await system.wait()
    assert reason.crashed
    assert str(reason) == "crash: Boom: probe"


async def test_an_observer_that_fails_is_logged_and_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(event: Event) -> None:
        raise Boom("observer")

    with caplog.at_level(logging.ERROR, "supervision"):
        async with System.open(on_event=broken) as system:
            await system.start(probe())
            assert await ask(system.named("probe"), Echo(value=1)) == 1
    assert "the observer of lifecycle events failed" in caplog.text


async def test_a_root_that_fails_to_start_is_the_end_of_the_system(system: System) -> None:
    class Stillborn(Actor):
        async def on_start(self) -> None:
            raise Boom

    with pytest.raises(StartError, match="a did not start: Boom"):
        await system.start(ChildSpec(id="a", build=Stillborn))
    assert isinstance((await system.wait()).cause, Boom)


async def test_a_root_that_stops_itself_while_it_starts_has_started(system: System) -> None:
    class Brief(Actor):
        async def on_start(self) -> None:
            self.stop()

    await system.start(ChildSpec(id="a", build=Brief))
    assert await system.wait() == ExitReason("normal")


async def test_a_snapshot_shows_the_whole_tree_as_it_is(
    system: System, autojump_clock: MockClock
) -> None:
    pool = ChildSpec(id="pool", build=DynamicSupervisor, name="pool")
    children = [
        probe("a"),
        pool,
        probe("done", restart="transient"),
        supervisor("inner", "one_for_one", [probe("x")]),
    ]
    await system.start(supervisor("root", "one_for_one", children, backoff=AT_ONCE))
    await ask(system.named("pool"), StartChild(spec=probe("c")))
    system.named("x").tell(Crash())
    system.named("done").tell(Run(function=lambda actor: actor.stop()))
    await wait_all_tasks_blocked()
    gate = trio.Event()

    async def busy(_actor: Probe) -> None:
        await gate.wait()

    system.named("a").tell(Run(function=busy))
    await wait_all_tasks_blocked()
    system.named("a").tell(Note(1))

    root = system.snapshot()
    assert root is not None
    seen = {i.path: (i.kind, i.state, i.restarts, i.mailbox_depth) for i in root.walk()}
    gate.set()
    assert seen == {
        "root": ("supervisor", "running", 0, 0),
        "root/a": ("task", "running", 0, 1),
        "root/pool": ("supervisor", "running", 0, 0),
        "root/pool/c": ("task", "running", 0, 0),
        "root/done": ("task", "ended", 0, 0),
        "root/inner": ("supervisor", "running", 0, 0),
        "root/inner/x": ("task", "restarting", 0, 0),
    }


async def test_a_snapshot_shows_threads_and_what_is_starting_or_stopping(
    system: System,
) -> None:
    gate = trio.Event()

    class Slow(Probe):
        async def on_start(self) -> None:
            await gate.wait()

    slow = ChildSpec(id="slow", build=Slow)
    root = supervisor("root", "one_for_one", [thread("t"), slow])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(system.start, root)
        while states(system).get("root/t") != ("thread", "running"):
            await trio.lowlevel.checkpoint()
        assert states(system)["root/t"] == ("thread", "running")
        assert states(system)["root/slow"] == ("task", "starting")
        system.request_stop()
        assert states(system)["root"] == ("supervisor", "stopping")
        gate.set()
        await system.wait()
    assert states(system) == {"root": ("supervisor", "ended")}


async def test_a_watcher_gets_exactly_one_down(system: System) -> None:
    await system.start(
        supervisor("root", "one_for_one", [probe("a", restart="temporary"), watcher()])
    )
    watched, watching = refs(system, "a", "watcher")
    system.monitor(watched, watching)
    system.monitor(watched, watching)
    watched.tell(Crash())
    await wait_all_tasks_blocked()
    downs = await ask(watching, Run(function=lambda actor: actor.downs))
    assert isinstance(downs, list)
    (down,) = downs
    assert down.ref is watched
    assert isinstance(down.reason.cause, Boom)


async def test_watching_the_dead_is_answered_at_once(system: System) -> None:
    await system.start(
        supervisor("root", "one_for_one", [probe("a", restart="temporary"), watcher()])
    )
    watched, watching = refs(system, "a", "watcher")
    await watched.stop(block=False)
    system.monitor(watched, watching)
    downs = await ask(watching, Run(function=lambda actor: actor.downs))
    assert downs == [Down(ref=watched, reason=ExitReason("normal"))]


async def test_a_down_comes_after_what_the_dead_had_sent(system: System) -> None:
    await system.start(
        supervisor("root", "one_for_one", [probe("a", restart="temporary"), watcher()])
    )
    watched, watching = refs(system, "a", "watcher")
    system.monitor(watched, watching)

    def last_words(actor: Probe) -> None:
        for value in range(10):
            watching.tell(Note(value))
        actor.stop()

    watched.tell(Run(function=last_words))
    await wait_all_tasks_blocked()
    seen = await ask(watching, Run(function=lambda actor: (actor.notes, actor.notes_at_down)))
    assert seen == (list(range(10)), 10)


async def test_a_watcher_that_has_ended_is_no_trouble(system: System) -> None:
    await system.start(
        supervisor(
            "root", "one_for_one", [probe("a", restart="temporary"), watcher(restart="temporary")]
        )
    )
    watched, watching = refs(system, "a", "watcher")
    system.monitor(watched, watching)
    await watching.stop(block=False)
    await watched.stop(block=False)


async def test_an_actor_that_was_never_started_cannot_be_watched_or_stopped(
    system: System,
) -> None:
    await system.start(probe())
    stranger = Probe().me
    (ref,) = refs(system, "probe")
    with pytest.raises(ActorDeadError, match="was never started"):
        system.monitor(stranger, ref)
    with pytest.raises(ActorDeadError, match="was never started"):
        stranger.stop(block=False)
    with pytest.raises(ActorDeadError):
        stranger.tell(Note(1))
    assert stranger.path == str(stranger)


async def test_a_loop_that_breaks_ends_every_life(events: Events) -> None:
    """Only a fault of the kernel gets here; whoever waits must still not wait for ever."""

    class Interrupted(Probe):
        async def on_receive(self, message: object) -> object:
            raise KeyboardInterrupt

    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012  the block is the system's body
        async with System.open(on_event=events) as system:
            spec = ChildSpec(id="a", build=Interrupted, name="a")
            await system.start(supervisor("root", "one_for_one", [spec]))
            system.named("a").tell(Note(1))
            await system.wait()
    assert caught.group_contains(KeyboardInterrupt)


class Watcher(Probe):
    def __init__(self) -> None:
        super().__init__("watcher")
        self.downs: list[Down] = []
        self.notes_at_down = -1

    async def on_receive(self, message: object) -> object:
        if isinstance(message, Down):
            self.downs.append(message)
            self.notes_at_down = len(self.notes)
            return None
        return await super().on_receive(message)


def watcher(**spec: str) -> ChildSpec:
    return ChildSpec(id="watcher", build=Watcher, name="watcher", **spec)  # type: ignore[arg-type]


def refs(system: System, *names: str) -> list[ActorRef]:
    found = [system.named(name).ref for name in names]
    assert None not in found
    return [ref for ref in found if ref is not None]


def states(system: System) -> dict[str, tuple[str, str]]:
    root = system.snapshot()
    return {} if root is None else {info.path: (info.kind, info.state) for info in root.walk()}
