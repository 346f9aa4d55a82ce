"""Monitors and links, by Erlang's rules."""

from itertools import pairwise

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervision import (
    ActorDeadError,
    ActorExited,
    ActorRef,
    ChildSpec,
    Down,
    Exit,
    LinkBroken,
    RestartScheduled,
    System,
    ask,
    supervisor,
)

from .support import Boom, Crash, Echo, Events, Gate, Probe, Run, ThreadProbe, hang, probe, thread


class Listener(Probe):
    """Remembers what it hears of others' ends."""

    async def on_receive(self, message: object) -> object:
        match message:
            case Down() | Exit():
                self.notes.append(message)
                return None
            case _:
                return await super().on_receive(message)


class Trapping(Listener):
    trap_exits = True


class TrappingThread(ThreadProbe):
    trap_exits = True

    def on_receive(self, message: object) -> object:
        match message:
            case Exit():
                self.notes.append(message)
                return None
            case _:
                return super().on_receive(message)


async def living(system: System, *specs: ChildSpec) -> list[ActorRef]:
    await system.start(supervisor("root", "one_for_one", specs))
    refs = [system.named(spec.id).ref for spec in specs]
    return [ref for ref in refs if ref is not None]


def temporary(label: str, build: type[Probe | ThreadProbe] = Probe) -> ChildSpec:
    return ChildSpec(id=label, name=label, build=lambda: build(label), restart="temporary")


def ends(events: Events) -> dict[str, str]:
    return {
        event.path.removeprefix("root/"): event.reason.kind
        for event in events.of(ActorExited)
        if isinstance(event, ActorExited)
    }


@pytest.mark.parametrize("build", [Probe, ThreadProbe])
async def test_a_crash_takes_the_linked_actor_along(
    system: System, events: Events, build: type[Probe | ThreadProbe]
) -> None:
    a, b = await living(system, temporary("a"), temporary("b", build))
    system.link(a, b)
    a.tell(Crash())
    exited = await events.wait_for(ActorExited, "root/b")
    assert isinstance(exited, ActorExited)
    assert exited.reason.crashed
    assert isinstance(exited.reason.cause, LinkBroken)
    assert isinstance(exited.reason.cause.__cause__, Boom)
    assert "root/a, which it was linked to, ended (crash: Boom: a)" in str(exited.reason)


async def test_a_link_works_both_ways(system: System, events: Events) -> None:
    a, b = await living(system, temporary("a"), temporary("b"))
    system.link(a, b)
    b.tell(Crash())
    await wait_all_tasks_blocked()
    assert ends(events) == {"a": "crash", "b": "crash"}


async def test_a_normal_end_leaves_the_linked_actor_alone(system: System, events: Events) -> None:
    a, b = await living(system, temporary("a"), temporary("b"))
    system.link(a, b)
    await a.stop(block=False)
    assert await ask(b, Echo(value=1)) == 1
    assert ends(events) == {"a": "normal"}


async def test_a_shutdown_takes_the_linked_actor_along_as_a_shutdown(
    system: System, events: Events
) -> None:
    log: list[str] = []
    children = [probe("a", log, restart="transient"), probe("b", log, restart="temporary")]
    a, b = await living(system, *children)
    system.link(a, b)
    assert b.life is not None
    b.life.request_stop("shutdown")
    await wait_all_tasks_blocked()
    assert ends(events) == {"a": "shutdown", "b": "shutdown"}
    assert log == ["+a", "+b", "-b", "!a"]  # the linked one is ended, not asked to stop


async def test_ends_travel_along_a_chain_of_links(system: System, events: Events) -> None:
    refs = await living(system, *(temporary(label) for label in "abcd"))
    for one, other in pairwise(refs):
        system.link(one, other)
    refs[1].tell(Crash())
    await wait_all_tasks_blocked()
    assert ends(events) == dict.fromkeys("abcd", "crash")


@pytest.mark.parametrize("build", [Trapping, TrappingThread])
async def test_who_traps_exits_hears_of_them_and_lives_on(
    system: System, events: Events, build: type[Probe | ThreadProbe]
) -> None:
    a, b, c = await living(system, temporary("a"), temporary("b", build), temporary("c"))
    system.link(a, b)
    system.link(b, c)
    a.tell(Crash())
    await c.stop(block=False)
    await wait_all_tasks_blocked()
    notes = await ask(b, Run(function=lambda actor: list(actor.notes)))
    assert isinstance(notes, list)
    heard = {note.ref: note.reason.kind for note in notes}
    assert heard == {a: "crash", c: "normal"}


async def test_an_unlinked_actor_is_left_alone(system: System, events: Events) -> None:
    a, b = await living(system, temporary("a"), temporary("b"))
    system.link(a, b)
    system.link(a, b)
    system.unlink(b, a)
    system.unlink(a, b)
    a.tell(Crash())
    await wait_all_tasks_blocked()
    assert await ask(b, Echo(value=1)) == 1


async def test_a_link_to_the_dead_is_a_crash(system: System, events: Events) -> None:
    a, b, c = await living(system, temporary("a"), temporary("b"), temporary("c", Trapping))
    await a.stop(block=False)
    system.link(b, a)
    system.link(a, c)
    await wait_all_tasks_blocked()
    assert ends(events) == {"a": "normal", "b": "crash"}
    (note,) = await ask(c, Run(function=lambda actor: actor.notes))  # type: ignore[misc]
    assert isinstance(note.reason.cause, ActorDeadError)


async def test_an_actor_linked_to_itself_ends_as_it_would(system: System, events: Events) -> None:
    (a,) = await living(system, temporary("a"))
    system.link(a, a)
    a.tell(Crash())
    await wait_all_tasks_blocked()
    assert ends(events) == {"a": "crash"}


async def test_the_supervisor_restarts_what_a_link_has_ended(
    system: System, events: Events
) -> None:
    a, b = await living(system, temporary("a"), probe("b"))
    system.link(a, b)
    a.tell(Crash())
    await events.wait_for(RestartScheduled, "root/b")
    with pytest.raises(ActorDeadError):
        await ask(b, Echo())
    info = system.snapshot("root/b")
    assert info is not None
    assert "LinkBroken" in (info.last_exit or "")


async def test_a_thread_ends_after_the_batch_it_is_at(system: System, events: Events) -> None:
    a, b = await living(system, temporary("a"), temporary("b", ThreadProbe))
    gate = Gate()
    system.link(a, b)
    running = b.ask(Run(function=gate), block=False)
    await gate.wait_reached()
    waiting = b.ask(Echo(), block=False)
    a.tell(Crash())
    await wait_all_tasks_blocked()
    gate.open()
    assert await running == "passed"
    with pytest.raises(ActorDeadError):
        await waiting
    await events.wait_for(ActorExited, "root/b")


async def test_an_actor_in_the_middle_of_a_message_is_ended_at_once(
    system: System, events: Events
) -> None:
    a, b = await living(system, temporary("a"), temporary("b"))
    system.link(a, b)
    reply = b.ask(Run(function=hang), block=False)
    await wait_all_tasks_blocked()
    a.tell(Crash())
    with pytest.raises(ActorDeadError, match="LinkBroken"):
        await reply


async def test_a_monitor_that_was_ended_tells_nothing(system: System) -> None:
    a, b = await living(system, temporary("a"), temporary("b", Listener))
    system.monitor(a, b)
    system.demonitor(a, b)
    system.demonitor(a, b)
    await a.stop(block=False)
    assert await ask(b, Run(function=lambda actor: actor.notes)) == []


async def test_a_link_made_in_another_thread_holds(system: System, events: Events) -> None:
    a, b = await living(system, temporary("a"), temporary("b"))
    await trio.to_thread.run_sync(system.link, a, b)
    await ask(a, Echo())
    a.tell(Crash())
    await events.wait_for(ActorExited, "root/b")


async def test_threads_link_as_well(system: System, events: Events) -> None:
    a, b = await living(system, thread("a", restart="temporary"), thread("b", restart="temporary"))
    system.link(a, b)
    a.tell(Crash())
    await events.wait_for(ActorExited, "root/b")
