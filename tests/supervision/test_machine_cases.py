"""What the machine found, as plain cases."""

from typing import Any

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import (
    ActorDeadError,
    ActorExited,
    ActorInfo,
    ActorRestarted,
    ActorRestarting,
    ActorStarted,
    ChildGaveUp,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Named,
    RestartChild,
    StartChild,
    StartError,
    System,
    TerminateChild,
    ask,
    supervisor,
)

from .support import AT_ONCE, STEADY, Boom, Crash, Echo, Events, Probe, probe

BRITTLE = Intensity(restarts=0)


def at(system: System, path: str) -> ActorInfo:
    info = system.snapshot(path)
    assert info is not None
    return info


async def start(system: System, *children: ChildSpec, **options: Any) -> Named:
    options = {"backoff": AT_ONCE, "name": "root", **options}
    strategy = options.pop("strategy", "one_for_one")
    await system.start(supervisor("root", strategy, children, **options))
    return system.named("root")


def fails_after(good: int, label: str) -> ChildSpec:
    """A child whose first starts succeed, and no further one."""
    starts = [0]

    class Failing(Probe):
        async def on_start(self) -> None:
            starts[0] += 1
            if starts[0] > good:
                raise Boom("broken")

    return ChildSpec(id=label, build=lambda: Failing(label), name=label)


async def test_a_child_that_was_restarted_with_its_group_remembers_that_it_was_stopped(
    system: System,
) -> None:
    await start(system, probe("a"), probe("b"), strategy="one_for_all")
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    assert (at(system, "root/a").last_exit, at(system, "root/b").last_exit) == (
        "crash: Boom: a",
        "shutdown",
    )


async def test_a_terminated_child_remembers_that_it_was_stopped(system: System) -> None:
    root = await start(system, probe("a"))
    await ask(root, TerminateChild(id="a"))
    assert at(system, "root/a").last_exit == "shutdown"


async def test_a_child_that_could_not_be_restarted_remembers_why(system: System) -> None:
    root = await start(system, fails_after(1, "a"))
    await ask(root, TerminateChild(id="a"))
    with pytest.raises(StartError):
        await ask(root, RestartChild(id="a"))
    assert at(system, "root/a").last_exit == "crash: Boom: broken"


async def test_nobody_waits_for_a_child_that_could_not_be_restarted(system: System) -> None:
    root = await start(system, fails_after(1, "a"))
    await ask(root, TerminateChild(id="a"))
    with pytest.raises(StartError):
        await ask(root, RestartChild(id="a"))
    with pytest.raises(ActorDeadError):
        await ask(system.named("a"), Echo())


async def test_nobody_waits_for_an_added_child_when_its_supervisor_begins_anew(
    system: System, events: Events
) -> None:
    inner = supervisor("inner", "one_for_one", [probe("a")], intensity=BRITTLE, name="inner")
    await start(system, inner)
    await ask(system.named("inner"), StartChild(spec=probe("added")))
    added = system.named("added")
    system.named("a").tell(Crash())
    await events.wait_for(ActorRestarted, "root/inner")
    with pytest.raises(ActorDeadError):
        await ask(added, Echo())


async def test_a_forgotten_child_is_waited_for_while_its_supervisor_begins_anew(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    """The next incarnation starts from the spec, and the spec has it."""
    children = [probe("a"), probe("once", restart="temporary")]
    inner = supervisor("inner", "one_for_one", children, intensity=BRITTLE)
    await start(system, inner, backoff=STEADY)
    once = system.named("once")
    once.tell(Crash())
    await wait_all_tasks_blocked()
    system.named("a").tell(Crash())
    await wait_all_tasks_blocked()
    with pytest.raises(ActorRestarting):
        await ask(once, Echo())
    await events.wait_for(ActorRestarted, "root/inner")
    assert await ask(once, Echo(value=1)) == 1


async def failing_in_a_pool(system: System) -> None:
    build = lambda: DynamicSupervisor(Intensity(restarts=2), AT_ONCE)  # noqa: E731
    await start(system, ChildSpec(id="pool", build=build, name="pool"))
    await ask(system.named("pool"), StartChild(spec=fails_after(1, "a")))
    system.named("a").tell(Crash())


async def test_a_restart_that_fails_is_not_counted_as_one(system: System, events: Events) -> None:
    """As below a static supervisor."""
    await failing_in_a_pool(system)
    event = await events.wait_for(ChildGaveUp, "root/pool/a")
    assert event.fields()["restarts"] == 0


async def test_a_restart_is_told_when_the_new_incarnation_has_started(
    system: System, events: Events
) -> None:
    """As below a static supervisor."""
    build = lambda: DynamicSupervisor(backoff=AT_ONCE)  # noqa: E731
    await start(system, ChildSpec(id="pool", build=build, name="pool"))
    await ask(system.named("pool"), StartChild(spec=probe("a")))
    system.named("a").tell(Crash())
    await events.wait_for(ActorRestarted, "root/pool/a")
    told = [type(e) for e in events if e.path == "root/pool/a"]
    assert told[-2:] == [ActorStarted, ActorRestarted]
    assert issubclass(told[1], ActorExited)
