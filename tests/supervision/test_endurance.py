"""Ends at bad moments, strange exceptions, and what must not pile up."""

import asyncio
import contextlib
import gc
import math
import threading
import weakref
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import (
    Actor,
    ActorCrashed,
    ActorDeadError,
    ActorExited,
    ActorRestarted,
    ActorRestarting,
    ActorStarted,
    BlockingActor,
    ChildSpec,
    DeadLetters,
    Delivery,
    Down,
    MailboxFull,
    MailboxOverflow,
    SpecError,
    StartError,
    System,
    ThreadAbandoned,
    ask,
    ask_blocking,
    supervisor,
    tell,
    tell_blocking,
)

from .support import (
    AT_ONCE,
    STEADY,
    Boom,
    Crash,
    Echo,
    Events,
    Gate,
    Note,
    Probe,
    Run,
    ThreadProbe,
    ask_again,
    hang,
    probe,
    thread,
)


def leave(error: BaseException) -> Run:
    def raise_it(_actor: object) -> None:
        raise error

    return Run(function=raise_it)


# --- strange exceptions ---


@pytest.mark.parametrize("spec", [probe, thread])
@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), GeneratorExit()])
async def test_whatever_an_actor_raises_is_its_own_crash(
    system: System, events: Events, spec: object, error: BaseException
) -> None:
    children = [spec("a"), probe("b")]  # type: ignore[operator]
    await system.start(supervisor("root", "one_for_one", children, backoff=AT_ONCE))
    with pytest.raises(ActorDeadError):
        await ask(system.named("a"), leave(error))
    await events.wait_for(ActorRestarted, "root/a")
    assert await ask(system.named("a"), Echo(value=1)) == 1
    assert await ask(system.named("b"), Echo(value=2)) == 2


@pytest.mark.parametrize("base", [Probe, ThreadProbe])
async def test_an_exit_in_on_failure_is_logged_and_the_actor_restarted(
    system: System, events: Events, base: type[Probe | ThreadProbe]
) -> None:
    if base is Probe:

        class Leaving(Probe):
            async def on_failure(self, error: BaseException) -> None:
                raise SystemExit(3) from error

        build: type[Probe | ThreadProbe] = Leaving
    else:

        class LeavingThread(ThreadProbe):
            def on_failure(self, error: BaseException) -> None:
                raise SystemExit(3) from error

        build = LeavingThread
    spec = ChildSpec(id="a", name="a", build=build)
    await system.start(supervisor("root", "one_for_one", [spec], backoff=AT_ONCE))
    system.named("a").tell(Crash())
    await events.wait_for(ActorRestarted, "root/a")
    assert await ask(system.named("a"), Echo(value=1)) == 1


async def test_an_exit_in_an_observer_disturbs_nobody() -> None:
    def leaving(_event: object) -> None:
        raise SystemExit(3)

    async with System.open(on_event=leaving) as system:
        await system.start(probe())
        assert await ask(system.named("probe"), Echo(value=1)) == 1


async def test_an_error_of_a_task_that_ends_with_its_actor_is_the_exit_reason(
    system: System, events: Events
) -> None:
    async def fail_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("could not flush")

    await system.start(probe())
    await ask(system.named("probe"), Run(function=lambda actor: actor.spawn(fail_late)))
    await wait_all_tasks_blocked()
    await system.stop()
    (crashed,) = events.of(ActorCrashed)
    assert isinstance(crashed, ActorExited)
    assert isinstance(crashed.reason.cause, ValueError)


async def test_a_loop_that_breaks_answers_all_who_wait_and_ends_its_threads() -> None:
    gate = Gate()
    replies = []
    with pytest.raises(BaseException) as raised:  # noqa: PT011, PT012
        async with System.open() as system:
            children = [probe("a"), probe("b"), thread("t")]
            await system.start(supervisor("root", "one_for_one", children))
            system.named("t").tell(Run(function=gate))
            await gate.wait_reached()
            ref = system.named("b").ref
            assert ref is not None
            replies += [ref.ask(Run(function=hang), block=False) for _ in range(2)]
            await wait_all_tasks_blocked()
            system.named("a").tell(leave(KeyboardInterrupt()))
            await trio.sleep_forever()
    assert raised.group_contains(KeyboardInterrupt) or raised.errisinstance(KeyboardInterrupt)
    assert all(reply.settled for reply in replies)
    gate.open()
    with trio.fail_after(10):
        while any(other.name == "root/t" for other in threading.enumerate()):
            await trio.sleep(0.001)


async def test_a_second_cancellation_ends_an_ordered_stop_that_hangs() -> None:
    async def body() -> None:
        async with System.open() as system:
            spec = ChildSpec(id="a", name="a", build=Probe, shutdown_s=math.inf)
            await system.start(spec)
            await ask(
                system.named("a"), Run(function=lambda actor: setattr(actor, "stops", forever))
            )
            system.stop = interrupted  # type: ignore[method-assign]

    async def forever() -> None:
        await trio.sleep_forever()

    async def interrupted() -> None:
        raise KeyboardInterrupt

    with trio.fail_after(10), pytest.raises(KeyboardInterrupt):
        await body()


# --- what is asked many times, or of many ---


async def test_a_thousand_requests_to_stop_are_all_answered(system: System) -> None:
    await system.start(probe())
    ref = system.named("probe").ref
    assert ref is not None
    replies = [ref.stop(block=False) for _ in range(3000)]
    assert [await reply for reply in replies] == [True] * 3000
    assert await ref.stop(block=False) is False


async def test_a_long_chain_of_linked_sleepers_ends_with_its_first(
    system: System, events: Events
) -> None:
    class Sleeper(Probe):
        lazy = True

    specs = [
        ChildSpec(id=f"{n}", name=f"{n}", build=Sleeper, restart="temporary") for n in range(1500)
    ]
    await system.start(supervisor("root", "one_for_one", specs))
    refs = [system.named(spec.id).ref for spec in specs]
    for one, other in pairwise(refs):
        assert one is not None
        assert other is not None
        system.link(one, other)
    system.named("0").tell(Crash())
    last = await events.wait_for(ActorExited, "root/1499")
    assert isinstance(last, ActorExited)
    assert len(str(last.reason)) < 200
    assert "crash: Boom: probe" in str(last.reason)


async def test_watchers_that_have_ended_are_forgotten(system: System) -> None:
    await system.start(
        supervisor("root", "one_for_one", [probe("a")], name="root", backoff=AT_ONCE)
    )
    a = system.named("a").ref
    assert a is not None
    gone = []
    for number in range(3):
        spec = ChildSpec(id=f"{number}", name="w", build=Probe, restart="temporary")
        watcher = system.launch(spec, parent="", supervised=False, on_exit=lambda *_: None)
        assert watcher.ref is not None
        system.monitor(a, watcher.ref)
        watcher.request_stop("normal")
        await watcher.down()
        gone.append(weakref.ref(watcher.ref))
        del watcher
    gc.collect()
    assert [ref() for ref in gone] == [None] * 3


async def test_a_dead_incarnation_is_not_kept_by_its_exit_reason(
    system: System, events: Events
) -> None:
    dead: list[weakref.ref[object]] = []

    class Heavy(Probe):
        def __init__(self) -> None:
            super().__init__()
            dead.append(weakref.ref(self))

    spec = ChildSpec(id="a", name="a", build=Heavy)
    await system.start(supervisor("root", "one_for_one", [spec], backoff=AT_ONCE))
    system.named("a").tell(Crash())
    await events.wait_for(ActorRestarted)
    events.clear()
    gc.collect()
    assert dead[0]() is None
    assert dead[1]() is not None


# --- loops ---


async def test_a_watcher_in_another_loop_is_told(system: System) -> None:
    heard = trio.Event()

    class Watcher(Actor):
        async def on_receive(self, message: object) -> object:
            assert isinstance(message, Down)
            heard.set()
            return None

    await system.start(ChildSpec(id="w", name="w", build=Watcher))
    watcher = system.named("w").ref
    assert watcher is not None

    async def elsewhere() -> None:
        async with System.open() as other:
            await other.start(probe("far", restart="temporary"))
            far = other.named("far").ref
            assert far is not None
            other.monitor(far, watcher)
            with pytest.raises(ValueError, match="do not live in one loop"):
                other.link(far, watcher)
            far.tell(Crash())
            await wait_all_tasks_blocked()

    await trio.to_thread.run_sync(trio.run, elsewhere)
    with trio.fail_after(10):
        await heard.wait()


def test_after_its_loop_nothing_is_sent_to_an_actor_in_silence() -> None:
    kept = {}

    async def main() -> None:
        async with System.open() as system:
            await system.start(probe("a"))
            kept["ref"] = system.named("a").ref
            kept["bridge"] = system.bridge

    trio.run(main)
    ref, bridge = kept["ref"], kept["bridge"]
    assert ref is not None
    for _ in range(3):
        with pytest.raises(trio.RunFinishedError):
            bridge.call(print)
        assert ref.stop(timeout=1) is False
        with pytest.raises(ActorDeadError):
            ref.tell(1)


# --- requests ---


@pytest.mark.parametrize("send", [ask, tell])
async def test_a_deadline_that_is_no_number_is_refused_before_anything_is_sent(
    system: System, send: object
) -> None:
    await system.start(probe())
    with pytest.raises(ValueError, match="NaN"):
        await send(system.named("probe"), Note(1), deadline_s=math.nan)  # type: ignore[operator]
    assert await ask(system.named("probe"), Run(function=lambda a: a.notes)) == []


async def test_nothing_is_sent_by_a_call_that_would_block_the_trio_thread(system: System) -> None:
    await system.start(probe())
    target = system.named("probe")
    ref = target.ref
    assert ref is not None
    for call in (
        lambda: ask_blocking(target, Run(function=lambda a: a.notes.append(1))),
        lambda: tell_blocking(target, Note(1)),
        lambda: ref.ask(Note(1)),
    ):
        with pytest.raises(RuntimeError, match="block the trio thread"):
            call()
    assert await ask(target, Run(function=lambda a: a.notes)) == []


async def test_a_thread_may_wait_without_a_deadline(system: System) -> None:
    await system.start(probe())
    target = system.named("probe")

    def use() -> object:
        tell_blocking(target, Note(1), deadline_s=math.inf)
        return ask_blocking(target, Echo(value=2), deadline_s=math.inf)

    assert await trio.to_thread.run_sync(use) == 2


# --- dead letters, overflow ---


@pytest.mark.parametrize("inline", [False, True])
async def test_tells_of_a_crashed_batch_that_were_not_begun_are_dead_letters(
    events: Events, inline: bool
) -> None:
    async with System.open(on_event=events, inline=inline) as system:
        gate = Gate()
        await system.start(thread("a"))
        target = system.named("a")
        if not inline:
            target.tell(Run(function=gate))
            await gate.wait_reached()
        target.tell(Note("handled"))
        target.tell(Crash())
        for value in range(5):
            target.tell(Note(value))
        gate.open()
        letters = await events.wait_for(DeadLetters, "a")
        assert letters.fields()["count"] == 5
        assert letters.fields()["types"] == ["Note"]


async def test_a_writer_that_took_a_batch_as_one_counts_all_its_tells(events: Events) -> None:
    class Whole(BlockingActor):
        def on_deliveries(self, batch: list[Delivery]) -> None:
            raise Boom

    async with System.open(on_event=events, inline=True) as system:
        await system.start(ChildSpec(id="a", name="a", build=Whole))
        for value in range(3):
            system.named("a").tell(Note(value))
        letters = await events.wait_for(DeadLetters, "a")
        assert letters.fields()["count"] == 3


async def test_a_mailbox_that_lets_senders_wait_overflows_only_when_one_gives_up(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    class Patient(Probe):
        mailbox_bound = 1
        overflow = "wait"

    await system.start(ChildSpec(id="a", name="a", build=Patient))
    target = system.named("a")
    go = trio.Event()
    target.tell(Run(function=lambda _: go.wait()))
    await wait_all_tasks_blocked()
    target.tell(Note(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell, target, Note(2))
        await wait_all_tasks_blocked()
        info = system.snapshot("a")
        assert info is not None
        assert info.refused == 0
        assert not events.of(MailboxOverflow)
        with pytest.raises(MailboxFull):
            await tell(target, Note(3), deadline_s=1)
        with pytest.raises(MailboxFull):
            target.tell(Note(4))
        go.set()
    info = system.snapshot("a")
    assert info is not None
    assert info.refused == 2
    assert len(events.of(MailboxOverflow)) == 1


async def test_an_actor_with_too_many_deferred_answers_overflows_once(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    async def take_time() -> None:
        await trio.sleep(1)

    class Deferring(Actor):
        mailbox_bound = 3
        deferred_bound = 1

        async def on_receive(self, message: object) -> object:
            return self.defer(take_time())

    await system.start(ChildSpec(id="a", name="a", build=Deferring))
    target = system.named("a")
    for _ in range(20):
        with contextlib.suppress(MailboxFull):
            while True:
                target.tell(Note(1))
        await trio.sleep(1)
    assert len(events.of(MailboxOverflow)) == 1


# --- ends and names ---


async def test_a_child_ended_by_a_link_is_expected_back_while_it_finishes(system: System) -> None:
    gate = Gate()
    children = [thread("a"), probe("b", restart="temporary")]
    await system.start(supervisor("root", "one_for_one", children, backoff=AT_ONCE))
    a, b = system.named("a").ref, system.named("b").ref
    assert a is not None
    assert b is not None
    system.link(a, b)
    a.tell(Run(function=gate))
    await gate.wait_reached()
    b.tell(Crash())
    await wait_all_tasks_blocked()
    with pytest.raises(ActorRestarting):
        await ask(system.named("a"), Echo())
    gate.open()
    assert await ask_again(system.named("a"), Echo(value=1)) == 1


async def test_those_below_a_supervisor_that_stops_itself_and_returns_are_expected_back(
    system: System, autojump_clock: MockClock
) -> None:
    inner = supervisor("inner", "one_for_one", [probe("a")], name="inner")
    await system.start(supervisor("root", "one_for_one", [inner], backoff=STEADY))
    ref = system.named("inner").ref
    assert ref is not None
    await ref.stop(block=False)
    with pytest.raises(ActorRestarting):
        await ask(system.named("a"), Echo())
    assert await ask_again(system.named("a"), Echo(value=1)) == 1


async def test_a_child_that_stops_itself_while_its_group_restarts_is_expected_back(
    system: System, autojump_clock: MockClock
) -> None:
    children = [probe("a"), probe("b", restart="transient")]
    await system.start(supervisor("root", "one_for_all", children, backoff=STEADY))

    async def take_time() -> None:
        await trio.sleep(1)

    async def stop_slowly(actor: Probe) -> None:
        actor.stops = take_time
        actor.stop()

    await ask(system.named("b"), Run(function=stop_slowly))
    system.named("a").tell(Crash())
    await trio.sleep(0.5)
    with pytest.raises(ActorRestarting):
        await ask(system.named("b"), Echo())
    assert await ask_again(system.named("b"), Echo(value=1)) == 1


async def test_a_thread_that_stops_itself_and_hangs_is_given_up_at_its_deadline(
    system: System, events: Events
) -> None:
    gate = Gate()
    await system.start(supervisor("root", "one_for_one", [thread("a", shutdown_s=0.01)]))
    ref = system.named("a").ref
    assert ref is not None
    ref.tell(Run(function=gate))
    await gate.wait_reached()
    ref.stop(block=False)
    await events.wait_for(ThreadAbandoned, "root/a")
    gate.open()
    with trio.fail_after(10):
        while system.abandoned:
            await trio.sleep(0.001)


async def test_a_start_is_told_before_the_restart(system: System, events: Events) -> None:
    await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=AT_ONCE))
    system.named("a").tell(Crash())
    await events.wait_for(ActorRestarted)
    assert [type(e) for e in events if e.path == "root/a"][-2:] == [ActorStarted, ActorRestarted]


# --- who waits for whom ---


def waits_for(other: str, system: System) -> ChildSpec:
    """A child whose start waits for an answer of a sibling, whatever comes."""

    async def wait() -> None:
        await ask_again(system.named(other), Run(function=lambda actor: actor.label))

    def build() -> Probe:
        actor = Probe("waiting")
        actor.starts = wait
        return actor

    return ChildSpec(id="waiting", name="waiting", build=build, shutdown_s=2.0)


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
async def test_a_restart_does_not_wait_for_a_child_that_waits_for_a_dead_sibling(
    system: System, events: Events, autojump_clock: MockClock, strategy: str
) -> None:
    children = [probe("a"), waits_for("a", system), probe("last")]
    options = {"backoff": AT_ONCE, "name": "root"}
    await system.start(supervisor("root", strategy, children, **options))  # type: ignore[arg-type]
    system.named("a").tell(Crash())
    started = await events.wait_for(ActorStarted, "root/a", count=2)
    assert started.path == "root/a"
    system.named("a").tell(Crash())  # while the next one starts and waits for it
    with trio.fail_after(30):
        await events.wait_for(ActorRestarted, "root/last")
        assert await ask_again(system.named("waiting"), Echo(value=1)) == 1


async def test_a_start_fails_when_a_child_dies_that_a_later_one_waits_for(
    system: System, autojump_clock: MockClock
) -> None:
    async def die_soon(actor: Probe) -> None:
        await trio.sleep(1)
        raise Boom("early")

    def build() -> Probe:
        actor = Probe("a")

        async def start() -> None:
            actor.spawn(die_soon, actor)

        actor.starts = start
        return actor

    async def stand_still() -> None:
        await trio.sleep(100)

    def build_second() -> Probe:
        actor = Probe("b")
        actor.starts = stand_still
        return actor

    children = [
        ChildSpec(id="a", name="a", build=build),
        ChildSpec(id="b", name="b", build=build_second, shutdown_s=2.0),
    ]
    with pytest.raises(StartError, match="root/a did not start: Boom: early"):
        await system.start(supervisor("root", "rest_for_one", children))


# --- classes that cannot be right ---


def test_a_class_that_cannot_be_right_is_refused_where_it_is_made() -> None:
    for attributes, text in (
        ({"overflow": "Wait"}, "overflow must be refuse or wait, not 'Wait'"),
        ({"mailbox_bound": None}, "mailbox_bound must be 1 or more, not None"),
        ({"mailbox_bound": 0}, "mailbox_bound must be 1 or more, not 0"),
    ):
        with pytest.raises(SpecError, match=text):
            type("Wrong", (Actor,), attributes)

    async def on_receive(self: object, message: object) -> None:
        """Answers with a coroutine that a thread cannot await."""

    with pytest.raises(SpecError, match="on_receive of a blocking actor cannot be async"):
        type("Wrong", (BlockingActor,), {"on_receive": on_receive})


async def test_an_init_that_forgets_its_base_is_named(system: System) -> None:
    class Forgetful(Actor):
        def __init__(self) -> None:
            """Does not call super().__init__()."""

    with pytest.raises(StartError, match=r"Forgetful.__init__ must call super\(\)"):
        await system.start(ChildSpec(id="a", build=Forgetful))


async def test_an_idle_thread_that_stops_shows_no_message(system: System) -> None:
    gate = Gate()
    await system.start(thread("a"))
    ref = system.named("a").ref
    assert ref is not None
    ref.tell(Run(function=gate))
    await gate.wait_reached()
    system.request_stop()
    info = system.snapshot("a")
    assert info is not None
    assert (info.state, info.mailbox_depth) == ("stopping", 0)
    gate.open()
