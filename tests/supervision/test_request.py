"""Asking many, waiting for room, and deadlines."""

import gc
import threading
import weakref
from functools import partial

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import (
    ActorDeadError,
    ActorRestarting,
    AskTimeout,
    ChildSpec,
    Delivery,
    MailboxFull,
    Named,
    System,
    ask,
    ask_blocking,
    ask_many,
    ask_then,
    supervisor,
    tell,
    tell_blocking,
)
from supervision.deadlines import FEW, Deadlines
from supervision.inbox import Inbox
from supervision.line import Place
from supervision.reply import Reply

from .support import (
    STEADY,
    Crash,
    Echo,
    Gate,
    Nope,
    Note,
    Owner,
    Probe,
    Run,
    ThreadProbe,
    hang,
    probe,
    thread,
)


class Patient(Probe):
    mailbox_bound = 2
    overflow = "wait"


class PatientThread(ThreadProbe):
    mailbox_bound = 2
    overflow = "wait"


async def patient(system: System) -> tuple[Named, trio.Event, Patient]:
    """An actor that is busy until the event is set, with its mailbox full."""
    actors: list[Patient] = []

    def build() -> Patient:
        actors.append(Patient())
        return actors[-1]

    spec = ChildSpec(id="a", name="a", build=build)
    await system.start(supervisor("root", "one_for_one", [spec], backoff=STEADY))
    target, go = system.named("a"), trio.Event()
    target.tell(Run(function=lambda _: go.wait()))
    await wait_all_tasks_blocked()
    target.tell(Note("first"))
    target.tell(Note("second"))
    return target, go, actors[0]


# --- asking many ---


async def test_many_are_asked_at_once_and_answer_in_the_order_asked(
    system: System, autojump_clock: MockClock
) -> None:
    names = ["a", "b", "c"]
    await system.start(supervisor("root", "one_for_one", [probe(name) for name in names]))
    targets = [system.named(name) for name in names]

    async def take_time(actor: Probe) -> None:
        await trio.sleep(1 if actor.label == "a" else 0.5)

    slow = Run(function=take_time)
    started = trio.current_time()
    assert [answer.unwrap() for answer in await ask_many(targets, slow)] == [None] * 3
    assert trio.current_time() - started == 1
    label = Run(function=lambda actor: actor.label)
    assert [answer.value for answer in await ask_many(targets, label)] == names


async def test_one_that_fails_spoils_nobody_elses_answer(
    system: System, autojump_clock: MockClock
) -> None:
    names = ["well", "refusing", "crashing", "slow"]
    await system.start(supervisor("root", "one_for_one", [probe(name) for name in names]))

    def behave(actor: Probe) -> object:
        match actor.label:
            case "refusing":
                raise Nope
            case "crashing":
                raise KeyError
            case "slow":
                return hang(actor)
            case _:
                return "well"

    targets = [*map(system.named, names), system.named("nobody")]
    answers = await ask_many(targets, Run(function=behave), deadline_s=2)
    errors = [type(answer.error) for answer in answers]
    assert errors == [type(None), Nope, ActorDeadError, AskTimeout, ActorDeadError]
    assert answers[0].unwrap() == "well"
    assert [answer.target for answer in answers] == targets
    with pytest.raises(Nope):
        answers[1].unwrap()


async def test_nobody_asked_is_no_answer(system: System) -> None:
    assert await ask_many([], Echo()) == []


# --- waiting for room ---


async def test_a_tell_waits_for_room_and_keeps_its_place(system: System) -> None:
    target, go, actor = await patient(system)
    async with trio.open_nursery() as nursery:
        for value in ("third", "fourth", "fifth"):
            nursery.start_soon(tell, target, Note(value))
            await wait_all_tasks_blocked()
        assert system.snapshot("root/a").mailbox_depth == 2  # type: ignore[union-attr]
        go.set()
    await wait_all_tasks_blocked()
    assert actor.notes == ["first", "second", "third", "fourth", "fifth"]


async def test_an_ask_waits_for_room_and_is_answered(system: System) -> None:
    target, go, _ = await patient(system)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            assert await ask(target, Echo(value=7)) == 7

        await wait_all_tasks_blocked()
        go.set()


async def test_whoever_finds_no_room_by_its_deadline_takes_its_message_back(
    system: System, autojump_clock: MockClock
) -> None:
    target, go, actor = await patient(system)
    with pytest.raises(MailboxFull, match="no room for Echo within 3 s"):
        await ask(target, Echo(), deadline_s=3)
    with pytest.raises(MailboxFull, match="no room for Note within 2 s"):
        await tell(target, Note("late"), deadline_s=2)
    go.set()
    await wait_all_tasks_blocked()
    assert actor.notes == ["first", "second"]
    assert system.snapshot("root/a").refused == 2  # type: ignore[union-attr]


async def test_an_ask_that_found_room_and_no_answer_may_have_run(
    system: System, autojump_clock: MockClock
) -> None:
    target, go, _ = await patient(system)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(AskTimeout):
                await ask(target, Run(function=hang))

        await wait_all_tasks_blocked()
        go.set()


async def test_a_wait_that_is_cancelled_takes_its_message_back(system: System) -> None:
    target, go, actor = await patient(system)
    for send in (tell(target, Note("no")), ask(target, Run(function=lambda a: a.notes.append(1)))):
        with trio.move_on_after(0) as scope:
            await send
        assert scope.cancelled_caught
    go.set()
    await wait_all_tasks_blocked()
    assert actor.notes == ["first", "second"]


async def test_a_tell_that_never_waits_is_refused_at_once(system: System) -> None:
    target, go, _ = await patient(system)
    with pytest.raises(MailboxFull):
        target.tell(Note("third"))
    go.set()


async def test_a_mailbox_that_refuses_lets_nobody_wait(system: System) -> None:
    class Small(Probe):
        mailbox_bound = 1

    await system.start(ChildSpec(id="a", name="a", build=Small))
    target = system.named("a")
    target.tell(Note(1))
    for send in (tell(target, Note(2)), ask(target, Echo())):
        with pytest.raises(MailboxFull, match="already has 1 messages waiting"):
            await send


async def test_those_in_line_at_a_death_are_told_that_they_never_ran(
    system: System, autojump_clock: MockClock
) -> None:
    target, go, _ = await patient(system)
    errors: list[Exception] = []

    async def send(function: object, message: object) -> None:
        try:
            await function(target, message)  # type: ignore[operator]
        except ActorRestarting as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, ask, Echo())
        nursery.start_soon(send, tell, Note(1))
        await wait_all_tasks_blocked()
        ref = target.ref
        assert ref is not None
        ref.stop(block=False)
        go.set()
    assert len(errors) == 2


async def test_threads_wait_for_room_at_a_task_actor(system: System) -> None:
    target, go, actor = await patient(system)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            await trio.to_thread.run_sync(tell_blocking, target, Note("third"))
            answer = await trio.to_thread.run_sync(ask_blocking, target, Echo(value=1))
            assert answer == 1

        while not actor._kernel.post_box.line:
            await trio.lowlevel.checkpoint()
        go.set()
    assert actor.notes == ["first", "second", "third"]


async def test_a_thread_that_finds_no_room_takes_its_message_back(system: System) -> None:
    target, go, actor = await patient(system)
    for send, message in ((tell_blocking, Note("no")), (ask_blocking, Echo())):
        call = partial(send, target, message, deadline_s=0.01)  # type: ignore[operator]
        with pytest.raises(MailboxFull, match=r"within 0\.01 s"):
            await trio.to_thread.run_sync(call)
    go.set()
    await wait_all_tasks_blocked()
    assert actor.notes == ["first", "second"]


async def test_tasks_and_threads_wait_for_room_at_a_thread_actor(system: System) -> None:
    actors: list[PatientThread] = []

    def build() -> PatientThread:
        actors.append(PatientThread())
        return actors[-1]

    await system.start(ChildSpec(id="a", name="a", build=build))
    target, gate = system.named("a"), Gate()
    target.tell(Run(function=gate))
    await gate.wait_reached()
    for value in range(2):
        target.tell(Note(value))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell, target, Note("task"))
        await wait_all_tasks_blocked()
        nursery.start_soon(trio.to_thread.run_sync, tell_blocking, target, Note("thread"))
        while len(actors[0]._kernel.post_box._line) < 2:
            await trio.lowlevel.checkpoint()
        gate.open()
    assert await ask(target, Run(function=lambda a: list(a.notes))) == [0, 1, "task", "thread"]


def test_a_place_in_the_line_of_an_inbox_that_closes_is_refused() -> None:
    inbox = Inbox()
    inbox.open(Owner(), 1, "wait")
    inbox.put(Delivery(1))
    told, asked = Place(Delivery(2), Reply()), Place(Delivery(3, Reply()))
    for place in (told, asked):
        inbox.line_up(place)
    inbox.close(ActorRestarting)
    late = Place(Delivery(4, Reply()))
    inbox.line_up(late)
    for place in (told, asked, late):
        reply = place.ticket or place.delivery.reply_to
        assert reply is not None
        with pytest.raises(ActorRestarting, match="never ran"):
            reply.get(timeout=0)
        assert not place.withdraw()


# --- deadlines ---


async def test_each_ask_ends_at_its_own_deadline(system: System, autojump_clock: MockClock) -> None:
    await system.start(probe())
    target = system.named("probe")
    target.tell(Run(function=hang))
    ended: list[tuple[float, float]] = []

    async def one(deadline_s: float) -> None:
        with pytest.raises(AskTimeout, match=f"within {deadline_s:g} s"):
            await ask(target, Echo(), deadline_s=deadline_s)
        ended.append((deadline_s, trio.current_time() - started))

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for deadline_s in (5, 1, 3, 2, 4, 1):
            nursery.start_soon(one, deadline_s)
    assert ended == [(s, pytest.approx(s)) for s in (1, 1, 2, 3, 4, 5)]


async def test_a_deadline_that_has_passed_is_a_timeout_at_once(system: System) -> None:
    await system.start(probe())
    for deadline_s in (0, -1):
        with pytest.raises(AskTimeout):
            await ask(system.named("probe"), Echo(), deadline_s=deadline_s)


async def test_answered_asks_do_not_pile_up_among_the_deadlines(system: System) -> None:
    await system.start(probe())
    target = system.named("probe")
    for _ in range(3 * FEW):
        await ask(target, Echo(), deadline_s=600)
    assert len(Deadlines.current()) <= FEW


async def test_an_answer_is_let_go_of_before_its_deadline(system: System) -> None:
    class Large:
        pass

    await system.start(probe())
    answer = Large()
    gone = weakref.ref(answer)
    assert await ask(system.named("probe"), Echo(value=answer), deadline_s=600) is answer
    del answer
    gc.collect()
    assert gone() is None


async def test_a_crash_of_the_asked_comes_before_the_deadline(system: System) -> None:
    await system.start(probe())
    target = system.named("probe")
    target.tell(Crash())
    with pytest.raises(ActorDeadError):
        await ask(target, Echo(), deadline_s=600)


# --- asking without waiting ---


async def test_what_comes_of_a_request_is_told_to_a_function(system: System) -> None:
    await system.start(supervisor("root", "one_for_one", [probe("a")]))
    told: list[tuple[object, BaseException | None]] = []
    ask_then(system.named("a"), Run(function=lambda _: 7), lambda *end: told.append(end))
    assert told == []
    await wait_all_tasks_blocked()
    assert told == [(7, None)]


async def test_a_refusal_is_told_and_so_is_that_nobody_is_there(system: System) -> None:
    def refuse(_: Probe) -> None:
        raise Nope

    await system.start(supervisor("root", "one_for_one", [probe("a")]))
    told: list[tuple[object, BaseException | None]] = []
    ask_then(system.named("a"), Run(function=refuse), lambda *end: told.append(end))
    ask_then(system.named("nobody"), Run(function=refuse), lambda *end: told.append(end))
    await wait_all_tasks_blocked()
    assert [type(error) for _, error in told] == [ActorDeadError, Nope]


async def test_a_thread_has_its_answer_told_on_the_trio_thread(system: System) -> None:
    await system.start(supervisor("root", "one_for_one", [thread("a")]))
    told, done = list[int](), trio.Event()

    def then(*_: object) -> None:
        told.append(threading.get_ident())
        done.set()

    ask_then(system.named("a"), Run(function=lambda _: None), then)
    with trio.fail_after(5):
        await done.wait()
    assert told == [threading.get_ident()]


async def test_an_actor_that_crashes_with_the_request_says_so_once(system: System) -> None:
    def crash(_: Probe) -> None:
        raise KeyError

    await system.start(supervisor("root", "one_for_one", [probe("a")], backoff=STEADY))
    told: list[BaseException | None] = []
    ask_then(system.named("a"), Run(function=crash), lambda _, error: told.append(error))
    await wait_all_tasks_blocked()
    assert [type(error) for error in told] == [ActorDeadError]
