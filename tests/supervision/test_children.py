"""Child administration of a static supervisor."""

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import (
    ActorDeadError,
    ActorRestarting,
    ChildCount,
    ChildExists,
    ChildRunning,
    ChildSpec,
    ChildUnknown,
    CountChildren,
    DeleteChild,
    DynamicSupervisor,
    Named,
    RestartChild,
    StartChild,
    StartError,
    System,
    TerminateChild,
    WhichChildren,
    ask,
    supervisor,
)

from .support import (
    STEADY,
    Boom,
    Crash,
    Echo,
    Gate,
    Nope,
    Probe,
    Run,
    ask_again,
    probe,
    thread,
)


async def top(system: System, *children: ChildSpec) -> Named:
    await system.start(supervisor("root", "one_for_one", children, backoff=STEADY, name="root"))
    return system.named("root")


async def test_a_child_that_is_started_later_is_the_last(system: System) -> None:
    log: list[str] = []
    root = await top(system, probe("a", log))
    ref = await ask(root, StartChild(spec=probe("b", log)))
    assert ref.path == "root/b"
    assert await ask(root, WhichChildren()) == ("a", "b")
    await system.stop()
    assert log == ["+a", "+b", "-b", "-a"]


async def test_a_child_that_is_started_later_is_supervised(
    system: System, autojump_clock: MockClock
) -> None:
    root = await top(system)
    await ask(root, StartChild(spec=probe("b")))
    system.named("b").tell(Crash())
    assert await ask_again(system.named("b"), Echo(value=1)) == 1


async def test_a_child_that_does_not_start_is_told_and_forgotten(system: System) -> None:
    root = await top(system)

    def build() -> Probe:
        actor = Probe("b")
        actor.starts = fail
        return actor

    async def fail() -> None:
        raise Boom

    with pytest.raises(StartError, match="root/b did not start: Boom"):
        await ask(root, StartChild(spec=ChildSpec(id="b", build=build, name="b")))
    assert await ask(root, WhichChildren()) == ()
    with pytest.raises(ActorDeadError):
        await ask(system.named("b"), Echo())


async def test_a_refusal_in_on_start_goes_to_who_asked(system: System) -> None:
    root = await top(system)

    def build() -> Probe:
        actor = Probe("b")
        actor.starts = refuse
        return actor

    async def refuse() -> None:
        raise Nope

    with pytest.raises(Nope):
        await ask(root, StartChild(spec=ChildSpec(id="b", build=build)))


async def test_a_significant_child_needs_a_supervisor_that_may_end_for_it(system: System) -> None:
    root = await top(system)
    spec = probe("b", restart="transient", significant=True)
    with pytest.raises(StartError, match="auto_shutdown is 'never'"):
        await ask(root, StartChild(spec=spec))
    assert await ask(root, WhichChildren()) == ()


async def test_an_id_is_taken_as_long_as_its_spec_is_kept(system: System) -> None:
    root = await top(system, probe("a"))
    with pytest.raises(ChildExists):
        await ask(root, StartChild(spec=probe("a")))
    await ask(root, TerminateChild(id="a"))
    with pytest.raises(ChildExists):
        await ask(root, StartChild(spec=probe("a")))
    await ask(root, DeleteChild(id="a"))
    await ask(root, StartChild(spec=probe("a")))


async def test_a_terminated_child_stays_down_until_it_is_restarted(system: System) -> None:
    log: list[str] = []
    root = await top(system, probe("a", log))
    await ask(root, TerminateChild(id="a"))
    assert log == ["+a", "-a"]
    with pytest.raises(ActorDeadError):
        await ask(system.named("a"), Echo())
    ref = await ask(root, RestartChild(id="a"))
    assert ref.path == "root/a"
    assert await ask(system.named("a"), Echo(value=2)) == 2


async def test_a_temporary_child_is_forgotten_when_it_is_terminated(system: System) -> None:
    root = await top(system, probe("a", restart="temporary"))
    await ask(root, TerminateChild(id="a"))
    assert await ask(root, WhichChildren()) == ()


async def test_only_a_child_that_is_over_is_restarted_or_deleted(
    system: System, autojump_clock: MockClock
) -> None:
    root = await top(system, probe("a"))
    for request in (RestartChild(id="a"), DeleteChild(id="a")):
        with pytest.raises(ChildRunning, match="root/a"):
            await ask(root, request)
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    for request in (RestartChild(id="a"), DeleteChild(id="a")):
        with pytest.raises(ChildRunning):
            await ask(root, request)


async def test_a_child_between_two_lives_can_be_terminated(
    system: System, autojump_clock: MockClock
) -> None:
    root = await top(system, probe("a"))
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    with pytest.raises(ActorRestarting):
        await ask(system.named("a"), Echo())
    await ask(root, TerminateChild(id="a"))
    await trio.sleep(10)
    with pytest.raises(ActorDeadError):
        await ask(system.named("a"), Echo())


async def test_a_thread_that_was_given_up_is_not_started_beside_itself(system: System) -> None:
    gate = Gate()
    root = await top(system, thread("a", shutdown_s=0.01))
    system.named("a").tell(Run(function=gate))
    await gate.wait_reached()
    await ask(root, TerminateChild(id="a"))
    with pytest.raises(ChildRunning, match="the thread of root/a still runs"):
        await ask(root, RestartChild(id="a"))
    assert await ask(root, WhichChildren()) == ("a",)
    gate.open()
    with trio.fail_after(10):
        while system.abandoned:
            await trio.lowlevel.checkpoint()
    await ask(root, RestartChild(id="a"))


async def test_nobody_of_that_id_is_a_refusal(system: System) -> None:
    root = await top(system)
    for request in (TerminateChild(id="x"), RestartChild(id="x"), DeleteChild(id="x")):
        with pytest.raises(ChildUnknown, match="root/x"):
            await ask(root, request)


async def test_children_are_counted_by_what_they_are(system: System) -> None:
    pool = ChildSpec(id="pool", name="pool", build=DynamicSupervisor)
    root = await top(system, probe("a"), probe("b"), pool)
    await ask(root, TerminateChild(id="a"))
    counted = await ask(root, CountChildren())
    assert counted == ChildCount(specs=3, active=2, supervisors=1, workers=2)
    await ask(system.named("pool"), StartChild(spec=probe("c")))
    counted = await ask(system.named("pool"), CountChildren())
    assert counted == ChildCount(specs=1, active=1, supervisors=0, workers=1)


async def test_a_stop_gets_in_while_a_new_child_is_starting(
    system: System, autojump_clock: MockClock
) -> None:
    root = await top(system, probe("a"))

    def build() -> Probe:
        actor = Probe("b")
        actor.starts = trio.sleep_forever
        return actor

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            spec = ChildSpec(id="b", build=build, shutdown_s=2.0)
            with pytest.raises(StartError):
                await ask(root, StartChild(spec=spec), deadline_s=60)

        await wait_all_tasks_blocked()
        await system.stop()
    assert system.snapshot("root/b") is None
