"""Children that come and go by the thousand, each on its own budget."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import (
    Actor,
    ActorDeadError,
    ActorExited,
    ActorRestarted,
    ActorRestarting,
    ChildExists,
    ChildGaveUp,
    ChildSpec,
    ChildUnknown,
    DynamicSupervisor,
    ExitReason,
    Intensity,
    NameTaken,
    StartChild,
    StartError,
    System,
    TerminateChild,
    UnexpectedMessage,
    WhichChildren,
    ask,
    supervisor,
)

from .support import AT_ONCE, STEADY, Boom, Crash, Echo, Events, Nope, Probe, Run, ask_again, probe


async def start_pool(system: System, **options: Any) -> Any:
    spec = ChildSpec(
        id="pool",
        build=lambda: DynamicSupervisor(**{"backoff": AT_ONCE, **options}),
        name="pool",
        shutdown_s=float("inf"),
    )
    await system.start(supervisor("root", "one_for_one", [spec], backoff=AT_ONCE))
    return system.named("pool")


async def test_a_child_is_up_when_its_start_is_answered(system: System) -> None:
    log: list[str] = []
    pool = await start_pool(system)
    ref = await ask(pool, StartChild(spec=probe("a", log)))
    assert log == ["+a"]
    assert await ask(ref, Echo(value=1)) == 1
    assert system.named("a").ref is ref
    assert ref.path == "root/pool/a"


async def test_a_child_is_down_and_forgotten_when_its_stop_is_answered(system: System) -> None:
    log: list[str] = []
    pool = await start_pool(system)
    await ask(pool, StartChild(spec=probe("a", log)))
    await ask(pool, TerminateChild(id="a"))
    assert log == ["+a", "-a"]
    assert await ask(pool, WhichChildren()) == ()
    with pytest.raises(ChildUnknown, match="root/pool/a is not there"):
        await ask(pool, TerminateChild(id="a"))


async def test_an_id_is_taken_once(system: System) -> None:
    pool = await start_pool(system)
    await ask(pool, StartChild(spec=probe("a")))
    with pytest.raises(ChildExists, match="root/pool/a is there already"):
        await ask(pool, StartChild(spec=ChildSpec(id="a", build=Probe)))


async def test_a_name_is_taken_once(system: System) -> None:
    pool = await start_pool(system)
    await ask(pool, StartChild(spec=probe("a")))
    with pytest.raises(NameTaken, match="root/pool/a already answers to a"):
        await ask(pool, StartChild(spec=ChildSpec(id="b", build=Probe, name="a")))
    assert await ask(pool, WhichChildren()) == ("a",)


async def test_a_child_that_does_not_start_is_told_to_the_asker_and_forgotten(
    system: System, events: Events
) -> None:
    class Stillborn(Probe):
        async def on_start(self) -> None:
            raise Boom("no disk")

    pool = await start_pool(system)
    with pytest.raises(StartError, match="root/pool/a did not start: Boom: no disk"):
        await ask(pool, StartChild(spec=ChildSpec(id="a", build=Stillborn)))
    assert await ask(pool, WhichChildren()) == ()
    assert not events.of(ActorRestarted)


async def test_a_refusal_in_on_start_goes_to_who_asked_for_the_start(system: System) -> None:
    class Unwilling(Probe):
        async def on_start(self) -> None:
            raise Nope("not found")

    pool = await start_pool(system)
    with pytest.raises(Nope, match="not found"):
        await ask(pool, StartChild(spec=ChildSpec(id="a", build=Unwilling)))


async def test_slow_starts_run_side_by_side(system: System, autojump_clock: MockClock) -> None:
    class Slow(Probe):
        async def on_start(self) -> None:
            await trio.sleep(1)

    pool = await start_pool(system)
    async with trio.open_nursery() as nursery:
        for index in range(50):
            spec = ChildSpec(id=f"{index}", build=Slow)
            nursery.start_soon(ask, pool, StartChild(spec=spec))
    assert trio.current_time() == pytest.approx(1.0)


async def test_a_child_that_ends_normally_is_forgotten(system: System, events: Events) -> None:
    pool = await start_pool(system)
    ref = await ask(pool, StartChild(spec=probe("a", restart="transient")))
    await ask(ref, Run(function=lambda actor: actor.stop()))
    await events.wait_for(ActorExited, "root/pool/a")
    assert await ask(pool, WhichChildren()) == ()
    with pytest.raises(ActorDeadError):
        await ask(system.named("a"), Echo())
    await ask(pool, StartChild(spec=probe("a")))


class Sleeper(Actor):
    """Ends where it is stopped: no task of its own has to come to an end first."""

    lazy = True


async def test_an_id_is_free_as_soon_as_its_child_has_ended_for_good(system: System) -> None:
    pool = await start_pool(system)
    spec = ChildSpec(id="a", build=Sleeper, restart="transient", name="a")
    ref = await ask(pool, StartChild(spec=spec))
    assert ref.life is not None
    ref.life.request_stop("normal")
    assert ref.life.reason == ExitReason("normal")
    assert system.snapshot("root/pool/a") is None


async def test_a_permanent_child_returns_even_from_a_normal_end(
    system: System, events: Events
) -> None:
    pool = await start_pool(system)
    ref = await ask(pool, StartChild(spec=probe("a")))
    await ask(ref, Run(function=lambda actor: actor.stop()))
    await events.wait_for(ActorRestarted, "root/pool/a")


async def test_a_temporary_child_that_crashes_is_forgotten(system: System, events: Events) -> None:
    gave_up: list[str] = []
    pool = await start_pool(system, gave_up=lambda id_, _: gave_up.append(id_))
    await ask(pool, StartChild(spec=probe("a", restart="temporary")))
    system.named("a").tell(Crash())
    await events.wait_for(ActorExited, "root/pool/a")
    assert await ask(pool, WhichChildren()) == ()
    assert gave_up == []


async def test_a_child_beyond_its_budget_is_given_up_and_takes_nobody_along(
    system: System, events: Events
) -> None:
    gave_up: list[tuple[str, ExitReason]] = []
    pool = await start_pool(
        system,
        per_child=Intensity(restarts=2),
        gave_up=lambda id_, reason: gave_up.append((id_, reason)),
    )
    await ask(pool, StartChild(spec=probe("bad", restart="transient")))
    await ask(pool, StartChild(spec=probe("good", restart="transient")))
    good = system.named("good").ref
    for _ in range(3):
        await ask_again(system.named("bad"), Echo())
        system.named("bad").tell(Crash())
    await events.wait_for(ChildGaveUp, "root/pool/bad")
    assert [(id_, type(reason.cause)) for id_, reason in gave_up] == [("bad", Boom)]
    assert await ask(pool, WhichChildren()) == ("good",)
    assert system.named("good").ref is good
    with pytest.raises(ActorDeadError):
        await ask(system.named("bad"), Echo())


async def test_every_child_has_its_own_budget(system: System, events: Events) -> None:
    pool = await start_pool(system, per_child=Intensity(restarts=1))
    for index in range(20):
        await ask(pool, StartChild(spec=probe(f"{index}")))
    for index in range(20):
        system.named(f"{index}").tell(Crash())
    await events.wait_for(ActorRestarted, count=20)
    assert not events.of(ChildGaveUp)


async def test_a_restart_that_fails_counts_and_ends_in_giving_up(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    starts = [0]

    class Once(Probe):
        async def on_start(self) -> None:
            starts[0] += 1
            if starts[0] > 1:
                raise Boom("broken")

    pool = await start_pool(system, per_child=Intensity(restarts=3), backoff=STEADY)
    await ask(pool, StartChild(spec=ChildSpec(id="a", build=Once, name="a")))
    system.named("a").tell(Crash())
    await events.wait_for(ChildGaveUp, "root/pool/a")
    assert starts == [4]
    assert trio.current_time() == pytest.approx(3.0)


async def test_sends_during_the_back_off_may_be_retried_and_the_wait_can_be_stopped(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    pool = await start_pool(system, backoff=STEADY)
    await ask(pool, StartChild(spec=probe("a")))
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    with pytest.raises(ActorRestarting):
        await ask(system.named("a"), Echo())
    assert [child.state for child in tree_below(system)] == ["restarting"]
    await ask(pool, TerminateChild(id="a"))
    with pytest.raises(ActorDeadError):
        await ask(system.named("a"), Echo())
    await trio.sleep(5)
    assert not events.of(ActorRestarted)


async def test_a_new_child_of_an_old_id_is_not_restarted_by_the_old_ones_timer(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    pool = await start_pool(system, backoff=STEADY)
    await ask(pool, StartChild(spec=probe("a")))
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    await ask(pool, TerminateChild(id="a"))
    await ask(pool, StartChild(spec=probe("a", log)))
    await trio.sleep(5)
    assert log == ["+a"]


async def test_all_children_stop_side_by_side_within_their_deadlines(
    system: System, autojump_clock: MockClock
) -> None:
    class Slow(Probe):
        async def on_stop(self) -> None:
            await trio.sleep_forever()

    pool = await start_pool(system)
    for index in range(20):
        spec = ChildSpec(id=f"{index}", build=Slow, shutdown_s=3)
        await ask(pool, StartChild(spec=spec))
    await system.stop()
    assert trio.current_time() == pytest.approx(3.0)


async def test_past_its_own_deadline_all_children_are_cancelled(
    system: System, autojump_clock: MockClock
) -> None:
    class Slow(Probe):
        async def on_stop(self) -> None:
            await trio.sleep_forever()

    spec = ChildSpec(id="pool", build=DynamicSupervisor, name="pool", shutdown_s=2)
    await system.start(spec)
    await ask(system.named("pool"), StartChild(spec=ChildSpec(id="a", build=Slow, shutdown_s=60)))
    await system.stop()
    assert trio.current_time() == pytest.approx(2.0)


async def test_a_dynamic_supervisor_that_crashes_takes_its_children_and_begins_anew(
    system: System, events: Events
) -> None:
    pool = await start_pool(system)
    await ask(pool, StartChild(spec=probe("a")))
    await ask(pool, StartChild(spec=probe("b")))
    a, supervisor_ref = system.named("a").ref, pool.ref
    assert a is not None
    assert supervisor_ref is not None
    system.link(a, supervisor_ref)
    a.tell(Crash())
    await events.wait_for(ActorRestarted, "root/pool")
    assert events.of(ActorExited, "root/pool/b")
    assert await ask(pool, WhichChildren()) == ()


async def test_a_broken_gave_up_takes_nobody_along(
    system: System, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_id: str, _reason: ExitReason) -> None:
        raise Boom("gave_up is broken")

    pool = await start_pool(system, per_child=Intensity(restarts=0), gave_up=broken)
    for name in ("a", "b"):
        await ask(pool, StartChild(spec=probe(name)))
    system.named("a").tell(Crash())
    await events.wait_for(ChildGaveUp, "root/pool/a")
    assert await ask(system.named("b"), Echo(value=1)) == 1
    assert "gave_up is broken" in caplog.text


async def test_an_unknown_message_is_refused(system: System) -> None:
    pool = await start_pool(system)
    with pytest.raises(UnexpectedMessage):
        await ask(pool, Echo())


async def test_a_supervisor_can_be_a_dynamic_child(system: System, events: Events) -> None:
    pool = await start_pool(system)
    inner = supervisor("inner", "one_for_one", [probe("x")], backoff=AT_ONCE)
    await ask(pool, StartChild(spec=inner))
    system.named("x").tell(Crash())
    await events.wait_for(ActorRestarted, "root/pool/inner/x")


async def test_thousands_of_temporary_children_leave_no_trace(system: System) -> None:
    pool = await start_pool(system)
    for index in range(2000):
        spec = ChildSpec(id=f"{index}", build=Probe, restart="temporary")
        ref = await ask(pool, StartChild(spec=spec))
        ref.stop(block=False)
    await wait_all_tasks_blocked()
    assert await ask(pool, WhichChildren()) == ()


async def test_a_storm_of_crashes_over_many_children_is_survived(
    system: System, events: Events
) -> None:
    lenient = Intensity(restarts=100, period_s=60)
    pool = await start_pool(system, per_child=lenient)
    names = [f"{index}" for index in range(200)]
    for name in names:
        await ask(pool, StartChild(spec=probe(name)))
    for turn in range(1, 6):
        for name in names:
            system.named(name).tell(Crash())
        with trio.fail_after(1):
            await ask(pool, WhichChildren())
        await events.wait_for(ActorRestarted, count=200 * turn)
    children = await ask(pool, WhichChildren())
    assert len(children) == 200


def tree_below(system: System) -> tuple[Any, ...]:
    root = system.snapshot()
    assert root is not None
    return root.children[0].children
