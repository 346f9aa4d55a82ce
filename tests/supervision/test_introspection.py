"""What a running tree shows of itself, and what it remembers of messages nobody handled."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import (
    ActorCrashed,
    ActorExited,
    ActorInfo,
    ActorRestarted,
    ChildGaveUp,
    ChildSpec,
    DeadLetters,
    DynamicSupervisor,
    Event,
    Intensity,
    MailboxFull,
    MailboxOverflow,
    StartChild,
    System,
    ask,
    supervisor,
)
from supervision import events as facts

from .support import AT_ONCE, Boom, Crash, Echo, Events, Note, Probe, Run, ask_again, probe, thread


def seen(system: System, path: str) -> ActorInfo:
    info = system.snapshot(path)
    assert info is not None
    return info


async def test_an_actor_shows_what_it_has_handled_and_what_waits(system: System) -> None:
    await system.start(supervisor("root", "one_for_one", [probe("a")]))
    for _ in range(3):
        await ask(system.named("a"), Echo())
    for _ in range(2):
        system.named("a").tell(Note(1))
    info = seen(system, "root/a")
    assert (info.handled, info.mailbox_depth, info.mailbox_bound) == (3, 2, 1000)
    await wait_all_tasks_blocked()
    info = seen(system, "root/a")
    assert (info.handled, info.mailbox_depth) == (5, 0)


async def test_a_thread_shows_the_same(system: System) -> None:
    await system.start(supervisor("root", "one_for_one", [thread("a")]))
    for _ in range(3):
        await ask(system.named("a"), Echo())
    info = seen(system, "root/a")
    assert (info.kind, info.handled, info.mailbox_bound) == ("thread", 3, 10_000)


async def test_uptime_counts_from_the_present_incarnation(
    system: System, autojump_clock: MockClock
) -> None:
    await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=AT_ONCE))
    await trio.sleep(5)
    assert seen(system, "root/a").uptime_s == 5
    system.named("a").tell(Crash())
    await ask_again(system.named("a"), Echo())
    assert seen(system, "root/a").uptime_s < 1


async def test_a_restarted_child_shows_why_the_one_before_it_ended(
    system: System, events: Events
) -> None:
    await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=AT_ONCE))
    assert seen(system, "root/a").last_exit is None
    system.named("a").tell(Crash())
    await events.wait_for(ActorRestarted)
    info = seen(system, "root/a")
    assert (info.restarts, info.last_exit, info.state) == (1, "crash: Boom: a", "running")


async def test_memory_grows_with_what_an_actor_holds(system: System) -> None:
    await system.start(supervisor("root", "one_for_one", [probe("a"), probe("b")]))
    empty = seen(system, "root/a").memory_bytes
    for value in range(500):
        system.named("a").tell(Note(f"a text of some length, {value}"))
    await wait_all_tasks_blocked()
    assert 500 < empty < 10_000
    assert seen(system, "root/b").memory_bytes == empty
    assert seen(system, "root/a").memory_bytes > empty + 500 * 50


async def test_a_part_of_the_tree_is_shown_to_a_depth_and_a_breadth(system: System) -> None:
    inner = supervisor("inner", "one_for_one", [probe("a"), probe("b"), probe("c")])
    await system.start(supervisor("root", "one_for_one", [inner, probe("d")]))
    top = system.snapshot(depth=1, breadth=1)
    assert top is not None
    assert [info.path for info in top.walk()] == ["root", "root/inner"]
    assert (top.more, top.children[0].more) == (1, 3)
    assert seen(system, "root").more == 0
    part = seen(system, "root/inner")
    assert [info.id for info in part.children] == ["a", "b", "c"]


async def test_there_is_nothing_to_show_at_a_path_that_leads_nowhere(system: System) -> None:
    assert system.snapshot() is None
    await system.start(supervisor("root", "one_for_one", [probe("a")]))
    for path in ("", "root/b", "root/a/b", "toor", "root/"):
        assert (system.snapshot(path) is None) == (path != "")


async def test_a_child_between_two_lives_can_be_looked_up(
    system: System, autojump_clock: MockClock
) -> None:
    pool = ChildSpec(id="pool", name="pool", build=DynamicSupervisor)
    await system.start(supervisor("root", "one_for_one", [pool, probe("a")]))
    await ask(system.named("pool"), StartChild(spec=probe("b")))
    for name in ("a", "b"):
        system.named(name).tell(Crash())
    await wait_all_tasks_blocked()
    for path in ("root/a", "root/pool/b"):
        info = seen(system, path)
        assert (info.state, info.last_exit) == ("restarting", f"crash: Boom: {path[-1]}")
        assert info.handled == info.memory_bytes == 0


async def test_messages_turned_away_are_counted_and_the_overflow_is_told(
    system: System, events: Events
) -> None:
    class Small(Probe):
        mailbox_bound = 2

    spec = ChildSpec(id="a", name="a", build=Small)
    await system.start(supervisor("root", "one_for_one", [spec]))
    target = system.named("a")
    for refused in range(5):
        for _ in range(2 if refused == 0 else 0):
            target.tell(Note(1))
        with pytest.raises(MailboxFull):
            target.tell(Note(2))
    assert seen(system, "root/a").refused == 5
    (event,) = events.of(MailboxOverflow)
    assert event.fields() == {"path": "root/a", "bound": 2}


async def test_dead_letters_are_counted_and_the_last_remembered_with_their_reason(
    system: System, events: Events
) -> None:
    await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=AT_ONCE))
    target = system.named("a")
    target.tell(Crash())
    for value in range(150):
        target.tell(Note(value))
    await events.wait_for(ActorRestarted)
    assert system.dead_letters.count == 150
    assert len(system.dead_letters.recent) == 100
    last = system.dead_letters.recent[-1]
    assert (last.path, last.message_type, last.reason) == ("root/a", "Note", "crash: Boom: a")
    (event,) = events.of(DeadLetters)
    assert event.fields() == {
        "path": "root/a",
        "count": 150,
        "types": ["Note"],
        "reason": "crash: Boom: a",
    }


async def test_a_crash_and_a_normal_end_are_different_facts(system: System, events: Events) -> None:
    children = [probe("a", restart="temporary"), probe("b", restart="temporary")]
    await system.start(supervisor("root", "one_for_one", children))
    system.named("a").tell(Crash())
    await ask(system.named("b"), Run(function=lambda actor: actor.stop()))
    await wait_all_tasks_blocked()
    keys = {event.path: event.key for event in events if isinstance(event, ActorExited)}
    assert keys == {"root/a": "actor.crashed", "root/b": "actor.exited"}
    assert events.of(ActorCrashed)[0].fields() == {"path": "root/a", "reason": "crash: Boom: a"}


async def test_a_static_supervisor_tells_whose_failure_was_one_too_many(
    system: System, events: Events
) -> None:
    none = Intensity(restarts=0)
    await system.start(supervisor("root", "one_for_one", [probe("a")], intensity=none))
    system.named("a").tell(Crash())
    reason = await system.wait()
    (event,) = events.of(ChildGaveUp)
    assert event.path == "root/a"
    assert isinstance(reason.cause, Exception)
    assert isinstance(reason.cause.__cause__, Boom)


async def test_observers_come_and_go(system: System) -> None:
    early: list[Event] = []
    system.subscribe(early.append)
    await system.start(supervisor("root", "one_for_one", [probe("a")]))
    assert [event.path for event in early] == ["root/a", "root"]
    system.unsubscribe(early.append)
    system.unsubscribe(early.append)
    await system.stop()
    assert len(early) == 2


def test_every_fact_has_a_key_of_its_own() -> None:
    found = (getattr(facts, name) for name in facts.__all__)
    keys = [kind.key for kind in found if isinstance(kind, type) and hasattr(kind, "key")]
    assert len(set(keys)) == len(keys) == 10
    assert all(key.startswith("actor.") for key in keys)
