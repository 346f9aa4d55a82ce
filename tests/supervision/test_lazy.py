"""Actors whose task begins with their first message."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervision import (
    ActorDeadError,
    ActorExited,
    ActorRestarted,
    ActorStarted,
    ChildSpec,
    Down,
    DynamicSupervisor,
    StartChild,
    System,
    ask,
    supervisor,
)

from .support import AT_ONCE, Boom, Crash, Echo, Events, Note, Probe, Run, ask_again, probe


class Lazy(Probe):
    lazy = True


def lazy(log: list[str], label: str = "a", **spec: object) -> ChildSpec:
    return ChildSpec(id=label, name=label, build=lambda: Lazy(label, log), **spec)  # type: ignore[arg-type]


async def started(system: System, spec: ChildSpec) -> None:
    await system.start(supervisor("root", "one_for_one", [spec], backoff=AT_ONCE))


def state(system: System) -> str:
    info = system.snapshot("root/a")
    assert info is not None
    return info.state


async def test_it_counts_as_up_and_begins_with_its_first_message(
    system: System, events: Events
) -> None:
    log: list[str] = []
    await started(system, lazy(log))
    assert (log, state(system)) == ([], "asleep")
    assert not events.of(ActorStarted, "root/a")
    assert await ask(system.named("a"), Echo(value=1)) == 1
    assert (log, state(system)) == (["+a"], "running")
    assert events.of(ActorStarted, "root/a")


async def test_a_tell_from_a_thread_awakens_it_too(system: System) -> None:
    log: list[str] = []
    await started(system, lazy(log))

    def send() -> None:
        for value in range(3):
            system.named("a").tell(Note(value))

    await trio.to_thread.run_sync(send)
    assert await ask(system.named("a"), Run(function=lambda a: a.notes)) == [0, 1, 2]


async def test_one_that_never_ran_runs_no_hook_when_it_is_stopped(
    system: System, events: Events
) -> None:
    log: list[str] = []
    await started(system, lazy(log))
    ref = system.named("a").ref
    assert ref is not None
    await system.stop()
    assert log == []
    (exited,) = events.of(ActorExited, "root/a")
    assert isinstance(exited, ActorExited)
    assert exited.reason.kind == "shutdown"
    with pytest.raises(ActorDeadError):
        ref.tell(Note(1))
    assert not ref.is_alive()


async def test_a_crash_in_its_late_on_start_is_a_crash_of_a_running_actor(
    system: System, events: Events
) -> None:
    log: list[str] = []
    fails = [True, False]

    async def fail() -> None:
        if fails.pop(0):
            raise Boom

    def build() -> Probe:
        actor = Lazy("a", log)
        actor.starts = fail
        return actor

    await started(system, ChildSpec(id="a", name="a", build=build))
    system.named("a").tell(Echo())
    await events.wait_for(ActorRestarted)
    assert state(system) == "asleep"
    assert await ask(system.named("a"), Echo(value=2)) == 2
    assert log == ["+a", "!a", "+a"]


async def test_it_is_asleep_again_after_a_restart(system: System, events: Events) -> None:
    log: list[str] = []
    await started(system, lazy(log))
    system.named("a").tell(Crash())
    await events.wait_for(ActorRestarted)
    assert state(system) == "asleep"
    assert await ask_again(system.named("a"), Echo(value=1)) == 1


async def test_a_watcher_and_a_link_reach_one_that_is_asleep(
    system: System, events: Events
) -> None:
    log: list[str] = []
    children = [lazy(log, "a", restart="temporary"), probe("b", log, restart="temporary")]
    await system.start(supervisor("root", "one_for_one", children))
    a, b = system.named("a").ref, system.named("b").ref
    assert a is not None
    assert b is not None
    system.link(a, b)
    b.tell(Crash())
    await wait_all_tasks_blocked()
    exited = await events.wait_for(ActorExited, "root/a")
    assert isinstance(exited, ActorExited)
    assert exited.reason.crashed
    assert "+a" not in log


async def test_a_down_awakens_a_watcher(system: System) -> None:
    heard: list[object] = []

    class Watcher(Lazy):
        async def on_receive(self, message: object) -> object:
            if isinstance(message, Down):
                heard.append(message.ref)
                return None
            return await super().on_receive(message)

    children = [
        ChildSpec(id="w", name="w", build=Watcher),
        probe("b", restart="temporary"),
    ]
    await system.start(supervisor("root", "one_for_one", children))
    watcher, b = system.named("w").ref, system.named("b").ref
    assert watcher is not None
    assert b is not None
    system.monitor(b, watcher)
    b.tell(Crash())
    await wait_all_tasks_blocked()
    assert heard == [b]


async def test_thousands_below_a_dynamic_supervisor_have_no_task_each(system: System) -> None:
    await system.start(ChildSpec(id="pool", name="pool", build=DynamicSupervisor))
    pool = system.named("pool")
    await ask(pool, StartChild(spec=probe("eager")))
    before = trio.lowlevel.current_statistics().tasks_living
    for number in range(2000):
        await ask(pool, StartChild(spec=lazy([], str(number))))
    assert trio.lowlevel.current_statistics().tasks_living == before
    assert await ask(system.named("1234"), Echo(value=1)) == 1
    assert trio.lowlevel.current_statistics().tasks_living == before + 1
