"""OTP's cases, on actors. The rules themselves are tested in test_strategy."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import (
    ActorDeadError,
    ActorExited,
    ActorRestarted,
    ActorRestarting,
    ActorStarted,
    Backoff,
    ChildSpec,
    Intensity,
    RestartScheduled,
    RestartsExceeded,
    StartError,
    System,
    ask,
    supervisor,
)

from .support import (
    AT_ONCE,
    STEADY,
    Boom,
    Crash,
    Echo,
    Events,
    Note,
    Probe,
    Run,
    ask_again,
    probe,
    seeded,
    thread,
)


def tree(log: list[str], strategy: Any, **options: Any) -> ChildSpec:
    """A root over a, b and c."""
    children = [probe(label, log) for label in "abc"]
    return supervisor("root", strategy, children, **{"backoff": AT_ONCE, **options})


def scripted(label: str, log: list[str], starts: list[Exception | None], **spec: Any) -> ChildSpec:
    """A child whose nth start fails with the nth exception; beyond the list all succeed."""

    class Scripted(Probe):
        async def on_start(self) -> None:
            await super().on_start()
            error = starts.pop(0) if starts else None
            if error is not None:
                raise error

    return ChildSpec(id=label, build=lambda: Scripted(label, log), name=label, **spec)


async def settle(system: System, *names: str) -> None:
    for name in names:
        await ask_again(system.named(name), Echo())


# --- start and stop ---


async def test_children_start_in_order_and_stop_in_reverse(system: System) -> None:
    log: list[str] = []
    await system.start(tree(log, "one_for_one"))
    await system.stop()
    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_the_next_child_starts_only_when_the_last_is_up(
    system: System, autojump_clock: MockClock
) -> None:
    log: list[str] = []

    class Slow(Probe):
        async def on_start(self) -> None:
            await trio.sleep(5)
            await super().on_start()

    slow = ChildSpec(id="slow", build=lambda: Slow("slow", log))
    await system.start(supervisor("root", "one_for_one", [slow, probe("b", log)]))
    assert log == ["+slow", "+b"]


async def test_the_next_child_stops_only_when_the_last_is_down(
    system: System, autojump_clock: MockClock
) -> None:
    log: list[str] = []

    class Slow(Probe):
        async def on_stop(self) -> None:
            await trio.sleep(2)
            await super().on_stop()

    slow = ChildSpec(id="slow", build=lambda: Slow("slow", log))
    await system.start(supervisor("root", "one_for_one", [probe("a", log), slow]))
    await system.stop()
    assert log == ["+a", "+slow", "-slow", "-a"]


async def test_a_failing_start_stops_what_was_started_and_names_the_child(
    system: System,
) -> None:
    log: list[str] = []
    inner = supervisor(
        "inner", "one_for_one", [probe("a", log), scripted("b", log, [Boom("no disk")])]
    )
    with pytest.raises(StartError, match="root/inner/b did not start: Boom: no disk") as caught:
        await system.start(supervisor("root", "one_for_one", [probe("first", log), inner]))
    assert caught.value.path == "root/inner/b"
    assert isinstance(caught.value.__cause__, Boom)
    assert log == ["+first", "+a", "+b", "!b", "-a", "-first"]
    assert (await system.wait()).crashed


async def test_a_child_that_cannot_be_built_fails_the_start(system: System) -> None:
    def build() -> Probe:
        raise Boom("no plan")

    with pytest.raises(StartError, match="root/a did not start: Boom: no plan"):
        await system.start(supervisor("root", "one_for_one", [ChildSpec(id="a", build=build)]))


async def test_build_must_make_a_new_actor_for_each_incarnation(system: System) -> None:
    one = Probe()
    spec = ChildSpec(id="a", build=lambda: one, name="a")
    root = supervisor("root", "one_for_one", [spec], backoff=AT_ONCE)
    await system.start(root)
    system.named("a").tell(Crash())
    reason = await system.wait()
    assert isinstance(reason.cause, RestartsExceeded)
    assert isinstance(reason.cause.__cause__, TypeError)


async def test_a_stop_during_a_start_that_hangs_ends_it_after_a_second(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    log: list[str] = []

    class Hanging(Probe):
        async def on_start(self) -> None:
            await trio.sleep_forever()

    hanging = ChildSpec(id="hanging", build=Hanging, shutdown_s=2)
    inner = supervisor("inner", "one_for_one", [hanging, probe("never", log)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            system.start, supervisor("root", "one_for_one", [probe("a", log), inner])
        )
        await wait_all_tasks_blocked()
        await system.stop()
    assert trio.current_time() == pytest.approx(1.0)
    assert log == ["+a", "-a"]


async def test_a_stop_during_a_restart_that_hangs_ends_it_after_a_second(
    system: System, autojump_clock: MockClock
) -> None:
    starts = [0]

    class Hanging(Probe):
        async def on_start(self) -> None:
            starts[0] += 1
            if starts[0] > 1:
                await trio.sleep_forever()

    hanging = ChildSpec(id="hanging", build=Hanging, name="hanging", shutdown_s=2)
    await system.start(supervisor("root", "one_for_one", [hanging], backoff=AT_ONCE))
    system.named("hanging").tell(Crash())
    await wait_all_tasks_blocked()
    assert starts == [2]
    await system.stop()
    assert trio.current_time() == pytest.approx(1.0)


async def test_a_supervisor_without_children_starts_and_stops(system: System) -> None:
    await system.start(supervisor("root", "one_for_one", []))
    await system.stop()
    assert (await system.wait()).kind == "shutdown"


# --- restart types ---


@pytest.mark.parametrize(
    ("restart", "after_normal", "after_crash"),
    [("permanent", True, True), ("transient", False, True), ("temporary", False, False)],
)
async def test_the_restart_type_decides(
    system: System, events: Events, restart: Any, after_normal: bool, after_crash: bool
) -> None:
    for label, function, returns in (
        ("normal", lambda actor: actor.stop(), after_normal),
        ("crash", lambda _: 1 / 0, after_crash),
    ):
        async with System.open(on_event=events) as one:
            spec = probe(label, restart=restart)
            await one.start(supervisor("root", "one_for_one", [spec], backoff=AT_ONCE))
            one.named(label).tell(Run(function=function))
            await events.wait_for(ActorExited, f"root/{label}")
            await wait_all_tasks_blocked()
            assert bool(events.of(ActorRestarted, f"root/{label}")) is returns
            if returns:
                assert await ask(one.named(label), Echo(value=1)) == 1
            else:
                with pytest.raises(ActorDeadError, match=f"nobody answers to {label}"):
                    await ask(one.named(label), Echo())


async def test_a_restarted_child_is_a_new_instance_with_an_empty_mailbox(
    system: System, events: Events
) -> None:
    await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=AT_ONCE))
    target = system.named("a")
    target.tell(Note("old"))
    target.tell(Crash())
    target.tell(Note("lost"))
    await events.wait_for(ActorRestarted, "root/a")
    assert await ask(target, Run(function=lambda actor: actor.notes)) == []


async def test_sends_between_two_incarnations_are_told_to_try_again(
    system: System, autojump_clock: MockClock
) -> None:
    await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=STEADY))
    target, ref = system.named("a"), system.named("a").ref
    assert ref is not None
    target.tell(Crash())
    await wait_all_tasks_blocked()
    with pytest.raises(ActorRestarting, match="a is being restarted: Echo never ran"):
        await ask(target, Echo())
    with pytest.raises(ActorRestarting):
        target.tell(Note(1))
    with pytest.raises(ActorDeadError):
        ref.tell(Note(1))
    await trio.sleep(1.1)
    assert await ask(target, Echo(value=1)) == 1


# --- strategies ---


async def test_one_for_one_restarts_the_failed_child_alone(system: System) -> None:
    log: list[str] = []
    await system.start(tree(log, "one_for_one"))
    log.clear()
    system.named("b").tell(Crash())
    await wait_all_tasks_blocked()
    assert log == ["!b", "+b"]


async def test_one_for_all_stops_all_in_reverse_and_starts_them_in_order(
    system: System,
) -> None:
    log: list[str] = []
    await system.start(tree(log, "one_for_all"))
    log.clear()
    system.named("b").tell(Crash())
    await wait_all_tasks_blocked()
    assert log == ["!b", "-c", "-a", "+a", "+b", "+c"]


async def test_rest_for_one_restarts_the_failed_child_and_those_after_it(
    system: System,
) -> None:
    log: list[str] = []
    await system.start(tree(log, "rest_for_one"))
    log.clear()
    system.named("b").tell(Crash())
    await wait_all_tasks_blocked()
    assert log == ["!b", "-c", "+b", "+c"]


async def test_a_group_restart_counts_once(system: System) -> None:
    log: list[str] = []
    await system.start(tree(log, "one_for_all", intensity=Intensity(restarts=1)))
    system.named("b").tell(Crash())
    await wait_all_tasks_blocked()
    await settle(system, "a", "b", "c")


async def test_queued_asks_of_a_sibling_stopped_for_a_group_restart_may_be_retried(
    system: System,
) -> None:
    log: list[str] = []
    await system.start(tree(log, "one_for_all", backoff=STEADY))
    gate = trio.Event()

    async def busy(_actor: Probe) -> None:
        await gate.wait()

    async def asker() -> None:
        with pytest.raises(ActorRestarting):
            await ask(system.named("a"), Echo())

    system.named("a").tell(Run(function=busy))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker)
        await wait_all_tasks_blocked()
        system.named("b").tell(Crash())
        await wait_all_tasks_blocked()
        with pytest.raises(ActorRestarting):
            system.named("a").tell(Note(1))
        gate.set()


async def test_a_temporary_sibling_does_not_return_from_a_group_restart(
    system: System,
) -> None:
    log: list[str] = []
    children = [probe("a", log), probe("b", log, restart="temporary"), probe("c", log)]
    await system.start(supervisor("root", "one_for_all", children, backoff=AT_ONCE))
    log.clear()
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    assert log == ["!a", "-c", "-b", "+a", "+c"]
    with pytest.raises(ActorDeadError):
        system.named("b").tell(Note(1))


async def test_a_transient_child_that_had_ended_returns_with_its_group(system: System) -> None:
    log: list[str] = []
    children = [probe("a", log), probe("b", log, restart="transient")]
    await system.start(supervisor("root", "rest_for_one", children, backoff=AT_ONCE))
    system.named("b").tell(Run(function=lambda actor: actor.stop()))
    await wait_all_tasks_blocked()
    log.clear()
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    assert log == ["!a", "+a", "+b"]


async def test_siblings_that_crash_together_are_restarted_once_each(system: System) -> None:
    log: list[str] = []
    await system.start(tree(log, "one_for_all"))
    log.clear()
    for label in "abc":
        system.named(label).tell(Crash())
    await wait_all_tasks_blocked()
    await settle(system, "a", "b", "c")
    assert sorted(log) == sorted(["!a", "!b", "!c", "+a", "+b", "+c"])


async def test_an_earlier_child_that_crashes_while_later_ones_wait_takes_them_over(
    system: System, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    await system.start(tree(log, "rest_for_one", backoff=STEADY))
    log.clear()
    system.named("c").tell(Crash())
    await trio.sleep(0.5)
    system.named("a").tell(Crash())
    await trio.sleep(3)
    assert log == ["!c", "!a", "-b", "+a", "+b", "+c"]


async def test_the_last_words_of_a_former_incarnation_do_not_touch_the_next(
    system: System,
) -> None:
    """The stop that an actor sent itself must not stop its successor."""
    log: list[str] = []
    await system.start(tree(log, "one_for_one"))
    old = system.named("a").ref
    assert old is not None
    system.named("a").tell(Crash())
    await settle(system, "a")
    assert await old.stop(block=False) is False
    await wait_all_tasks_blocked()
    assert await ask(system.named("a"), Echo(value=1)) == 1


# --- failing restarts, intensity and escalation ---


async def test_a_restart_that_fails_is_a_failure_and_is_retried(
    system: System, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    child = scripted("a", log, [None, Boom("1"), Boom("2")])
    backoff = Backoff(initial_s=1, factor=2, jitter=0)
    await system.start(supervisor("root", "one_for_one", [child], backoff=backoff))
    system.named("a").tell(Crash())
    await ask_again(system.named("a"), Echo())
    assert log == ["+a", "!a", "+a", "!a", "+a", "!a", "+a"]
    assert trio.current_time() == pytest.approx(1 + 2 + 4, abs=0.1)


async def test_another_child_that_fails_during_a_group_restart_restarts_the_group(
    system: System,
) -> None:
    log: list[str] = []
    children = [
        probe("a", log),
        probe("b", log),
        scripted("c", log, [None, Boom("once")]),
        probe("d", log),
    ]
    await system.start(supervisor("root", "one_for_all", children, backoff=AT_ONCE))
    log.clear()
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    first = ["!a", "-d", "-c", "-b", "+a", "+b", "+c", "!c"]
    assert log == [*first, "-b", "-a", "+a", "+b", "+c", "+d"]


async def test_a_later_child_that_fails_under_rest_for_one_leaves_the_earlier_ones_up(
    system: System,
) -> None:
    log: list[str] = []
    children = [
        probe("a", log),
        scripted("b", log, [None, Boom("once")]),
        probe("c", log),
    ]
    await system.start(supervisor("root", "rest_for_one", children, backoff=AT_ONCE))
    log.clear()
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    assert log == ["!a", "-c", "-b", "+a", "+b", "!b", "+b", "+c"]


async def test_more_restarts_than_the_intensity_end_the_supervisor_and_the_system(
    system: System,
) -> None:
    log: list[str] = []
    await system.start(tree(log, "one_for_one", intensity=Intensity(restarts=2)))
    for _ in range(3):
        await settle(system, "b")
        system.named("b").tell(Crash())
    reason = await system.wait()
    assert isinstance(reason.cause, RestartsExceeded)
    assert isinstance(reason.cause.__cause__, Boom)
    assert "root allows 2 restarts in 60 s; last ended root/b" in str(reason.cause)
    assert log == ["+a", "+b", "+c", "!b", "+b", "!b", "+b", "!b", "-c", "-a"]
    with pytest.raises(ActorDeadError):
        system.named("a").tell(Note(1))


async def test_restarts_spread_beyond_the_period_never_exceed_the_intensity(
    system: System, autojump_clock: MockClock
) -> None:
    await system.start(tree([], "one_for_one", intensity=Intensity(restarts=1, period_s=10)))
    for _ in range(10):
        system.named("a").tell(Crash())
        await trio.sleep(11)
    assert await ask(system.named("a"), Echo(value=1)) == 1


async def test_children_share_their_supervisors_budget(system: System) -> None:
    await system.start(tree([], "one_for_one", intensity=Intensity(restarts=2)))
    for label in "abc":
        system.named(label).tell(Crash())
    assert isinstance((await system.wait()).cause, RestartsExceeded)


async def test_a_child_that_never_comes_back_up_escalates_to_the_root(
    system: System, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    always: list[Exception | None] = [None, *[Boom("broken")] * 100]
    inner = supervisor(
        "inner",
        "one_for_one",
        [scripted("a", log, always)],
        intensity=Intensity(restarts=1),
        backoff=STEADY,
    )
    root = supervisor(
        "root",
        "one_for_one",
        [probe("first", log), inner],
        intensity=Intensity(restarts=2),
        backoff=STEADY,
    )
    await system.start(root)
    system.named("a").tell(Crash())
    reason = await system.wait()
    assert isinstance(reason.cause, RestartsExceeded)
    assert "root allows 2 restarts" in str(reason.cause)
    assert log[-1] == "-first"


async def test_an_escalation_restarts_the_subtree_as_a_whole(system: System) -> None:
    log: list[str] = []
    inner = supervisor(
        "inner",
        "one_for_one",
        [probe("a", log), probe("b", log)],
        intensity=Intensity(restarts=0),
    )
    await system.start(supervisor("root", "one_for_one", [inner], backoff=AT_ONCE))
    log.clear()
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    assert log == ["!a", "-b", "+a", "+b"]


async def test_names_below_a_subtree_between_two_lives_may_be_retried(
    system: System, autojump_clock: MockClock
) -> None:
    inner = supervisor(
        "inner", "one_for_one", [probe("a"), probe("b")], intensity=Intensity(restarts=0)
    )
    await system.start(supervisor("root", "one_for_one", [inner], backoff=STEADY))
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    for label in "ab":
        with pytest.raises(ActorRestarting):
            system.named(label).tell(Note(1))
    await trio.sleep(2)
    assert await ask(system.named("b"), Echo(value=1)) == 1


async def test_a_temporary_subtree_takes_its_names_with_it(system: System) -> None:
    inner = supervisor(
        "inner",
        "one_for_one",
        [probe("a"), probe("b")],
        intensity=Intensity(restarts=0),
        restart="temporary",
    )
    await system.start(supervisor("root", "one_for_one", [inner, probe("other")]))
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    for label in "ab":
        with pytest.raises(ActorDeadError):
            system.named(label).tell(Note(1))
    assert await ask(system.named("other"), Echo(value=1)) == 1


async def test_the_supervisor_is_stopped_between_two_attempts_of_a_child_that_never_starts(
    system: System, autojump_clock: MockClock
) -> None:
    """A restart loop must leave room for a request to stop."""
    always: list[Exception | None] = [None, *[Boom("broken")] * 10_000]
    await system.start(
        supervisor(
            "root",
            "one_for_one",
            [scripted("a", [], always)],
            intensity=Intensity(restarts=1_000_000, period_s=1),
            backoff=AT_ONCE,
        )
    )
    system.named("a").tell(Crash())
    for _ in range(100):
        await trio.lowlevel.checkpoint()
    await system.stop()
    assert len(always) > 0


async def test_a_supervisor_past_its_own_deadline_cancels_all_below(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    class Hanging(Probe):
        async def on_stop(self) -> None:
            await trio.sleep_forever()

    children = [ChildSpec(id=f"c{i}", build=Hanging, shutdown_s=60) for i in range(3)]
    inner = supervisor("inner", "one_for_one", children, shutdown_s=5)
    await system.start(supervisor("root", "one_for_one", [inner]))
    await system.stop()
    assert trio.current_time() == pytest.approx(5.0)
    assert len(events.of(ActorExited)) == 5


# --- back-off ---


async def test_delays_grow_are_jittered_by_the_systems_random_and_are_told(
    events: Events, autojump_clock: MockClock
) -> None:
    backoff = Backoff(initial_s=1, factor=2, max_s=100, jitter=0.5)
    async with System.open(on_event=events, random=seeded(42)) as one:
        await one.start(supervisor("root", "one_for_one", [probe("a")], backoff=backoff))
        for count in (1, 2, 3):
            one.named("a").tell(Crash())
            await events.wait_for(ActorRestarted, "root/a", count)
    same = seeded(42)
    expected = [backoff.delay_s(failures, same) for failures in (1, 2, 3)]
    told = [e.delay_s for e in events.of(RestartScheduled) if isinstance(e, RestartScheduled)]
    assert told == expected
    assert trio.current_time() == pytest.approx(sum(expected))


async def test_a_calm_life_resets_the_delay(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    backoff = Backoff(initial_s=1, factor=10, jitter=0, reset_after_s=50)
    await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=backoff))
    for pause in (0, 60):
        await trio.sleep(pause)
        await ask_again(system.named("a"), Echo())
        system.named("a").tell(Crash())
        await wait_all_tasks_blocked()
    told = [e.delay_s for e in events.of(RestartScheduled) if isinstance(e, RestartScheduled)]
    assert told == [1, 1]


# --- significant children ---


async def test_the_end_of_a_significant_child_ends_its_supervisor(system: System) -> None:
    log: list[str] = []
    children = [probe("a", log), probe("b", log, restart="transient", significant=True)]
    await system.start(supervisor("root", "one_for_one", children, auto_shutdown="any_significant"))
    system.named("b").tell(Run(function=lambda actor: actor.stop()))
    assert (await system.wait()).kind == "normal"
    assert log == ["+a", "+b", "-b", "-a"]


async def test_a_supervisor_may_wait_for_all_its_significant_children(system: System) -> None:
    children = [probe(label, restart="temporary", significant=True) for label in ("a", "b")]
    await system.start(supervisor("root", "one_for_one", children, auto_shutdown="all_significant"))
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    system.named("b").tell(Crash())
    assert (await system.wait()).kind == "normal"


# --- hooks that fail: each of them, in a tree ---


@pytest.mark.parametrize("make", [probe, thread])
async def test_a_crash_in_a_handler_is_seen_by_the_supervisor(
    system: System, events: Events, make: Callable[..., ChildSpec]
) -> None:
    await system.start(supervisor("root", "one_for_one", [make("a")], backoff=AT_ONCE))
    system.named("a").tell(Crash())
    await events.wait_for(ActorRestarted, "root/a")
    (event,) = events.of(ActorExited)
    assert isinstance(event, ActorExited)
    assert isinstance(event.reason.cause, Boom)


@pytest.mark.parametrize("hook", ["background", "deferred", "group"])
async def test_a_crash_beside_the_handler_is_seen_by_the_supervisor(
    system: System, events: Events, hook: str
) -> None:
    async def crash() -> None:
        raise Boom

    async def group(_actor: Probe) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crash)
            nursery.start_soon(trio.sleep_forever)

    functions: dict[str, Callable[[Probe], Awaitable[object] | object]] = {
        "background": lambda actor: actor.spawn(crash),
        "deferred": lambda actor: actor.defer(crash()),
        "group": group,
    }
    await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=AT_ONCE))
    system.named("a").tell(Run(function=functions[hook]))
    await events.wait_for(ActorRestarted, "root/a")
    assert len(events.of(ActorStarted, "root/a")) == 2


async def test_a_storm_of_crashes_in_one_child_leaves_the_others_alone(
    system: System, events: Events
) -> None:
    lenient = Intensity(restarts=1_000_000, period_s=1)
    root = supervisor(
        "root", "one_for_one", [probe("a"), probe("b")], intensity=lenient, backoff=AT_ONCE
    )
    await system.start(root)
    b = system.named("b").ref
    for count in range(1, 501):
        system.named("a").tell(Crash())
        await events.wait_for(ActorRestarted, "root/a", count)
    assert system.named("b").ref is b
    assert len(events.of(ActorRestarted, "root/a")) == 500
