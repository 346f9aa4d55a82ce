"""Deferred answers and background tasks share their actor's fate."""

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import (
    Actor,
    ActorDeadError,
    AskTimeout,
    ChildSpec,
    Deferred,
    System,
    TellRefused,
    ask,
    supervisor,
)

from .support import AT_ONCE, Boom, Echo, Events, Nope, Probe, Run, ask_again, probe


async def later(value: object, gate: trio.Event) -> object:
    await gate.wait()
    if isinstance(value, Exception):
        raise value
    return value


def deferring(value: object, gate: trio.Event) -> Run:
    def defer(actor: Probe) -> Deferred[object]:
        return actor.defer(later(value, gate))

    return Run(function=defer)


async def test_an_actor_handles_messages_while_an_answer_is_deferred(system: System) -> None:
    await system.start(probe())
    target = system.named("probe")
    gate = trio.Event()
    answers: list[object] = []

    async def asker() -> None:
        answers.append(await ask(target, deferring("late", gate)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker)
        await wait_all_tasks_blocked()
        answers.append(await ask(target, Echo(value="early")))
        gate.set()
    assert answers == ["early", "late"]


async def test_a_refusal_from_deferred_work_goes_to_the_asker(system: System) -> None:
    await system.start(probe())
    gate = trio.Event()
    gate.set()
    with pytest.raises(Nope):
        await ask(system.named("probe"), deferring(Nope("no"), gate))
    assert await ask(system.named("probe"), Echo(value=1)) == 1


async def test_a_refusal_from_the_deferred_work_of_a_tell_is_an_event(
    system: System, events: Events
) -> None:
    await system.start(probe())
    gate = trio.Event()
    gate.set()
    system.named("probe").tell(deferring(Nope("no"), gate))
    await events.wait_for(TellRefused, "probe")


async def test_a_crash_in_deferred_work_crashes_the_actor_and_fails_all_askers(
    system: System,
) -> None:
    await system.start(probe())
    target = system.named("probe")
    gate, never = trio.Event(), trio.Event()
    failed: list[str] = []

    async def asker(name: str, message: Run) -> None:
        with pytest.raises(ActorDeadError, match="it may have run"):
            await ask(target, message)
        failed.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker, "crashing", deferring(Boom(), gate))
        nursery.start_soon(asker, "bystander", deferring("x", never))
        await wait_all_tasks_blocked()
        gate.set()
    assert sorted(failed) == ["bystander", "crashing"]
    assert isinstance((await system.wait()).cause, Boom)


async def test_a_stop_waits_for_deferred_answers(system: System) -> None:
    await system.start(probe())
    target = system.named("probe")
    gate = trio.Event()
    answers: list[object] = []

    async def asker() -> None:
        answers.append(await ask(target, deferring("late", gate)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker)
        await wait_all_tasks_blocked()
        system.request_stop()
        await wait_all_tasks_blocked()
        gate.set()
        await system.wait()
    assert answers == ["late"]


async def test_deferred_answers_are_cancelled_at_the_shutdown_deadline(
    system: System, autojump_clock: MockClock
) -> None:
    await system.start(probe(shutdown_s=3))
    target = system.named("probe")

    async def asker() -> None:
        with pytest.raises(ActorDeadError):
            await ask(target, deferring("never", trio.Event()), deadline_s=60)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker)
        await wait_all_tasks_blocked()
        await system.stop()
    assert trio.current_time() == pytest.approx(3.0)


class Quiet(Actor):
    """Has an answer in progress when it is stopped, and no `on_stop` that would take time."""

    async def on_receive(self, message: object) -> object:
        return self.defer(later(message, trio.Event()))


async def test_deferred_answers_of_an_actor_without_on_stop_end_at_its_deadline_too(
    system: System, autojump_clock: MockClock
) -> None:
    await system.start(ChildSpec(id="quiet", build=Quiet, name="quiet", shutdown_s=3.0))

    async def asker() -> None:
        with pytest.raises(ActorDeadError, match="had not stopped after 3 s and was cancelled"):
            await ask(system.named("quiet"), Echo(), deadline_s=60.0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker)
        await wait_all_tasks_blocked()
        await system.stop()
    assert trio.current_time() == pytest.approx(3.0)


async def test_no_more_messages_are_taken_while_too_many_answers_are_deferred(
    system: System, autojump_clock: MockClock
) -> None:
    class Narrow(Probe):
        deferred_bound = 2

    await system.start(ChildSpec(id="a", build=Narrow, name="a"))
    target = system.named("a")
    gate = trio.Event()
    async with trio.open_nursery() as nursery:
        for value in range(2):
            nursery.start_soon(ask, target, deferring(value, gate))
        await wait_all_tasks_blocked()
        with pytest.raises(AskTimeout):
            await ask(target, Echo(value=1), deadline_s=1)
        gate.set()
        assert await ask(target, Echo(value=2)) == 2


async def test_defer_outside_of_a_message_is_refused_and_leaves_no_coroutine(
    system: System,
) -> None:
    class Early(Probe):
        async def on_start(self) -> None:
            with pytest.raises(RuntimeError, match="answers a message, and there is none"):
                self.defer(later(1, trio.Event()))

    await system.start(ChildSpec(id="a", build=Early))


async def test_deferred_work_that_never_began_is_closed(system: System) -> None:
    """A coroutine dropped unawaited would warn, and warnings fail the test."""
    await system.start(probe())
    never = trio.Event()

    def defer_and_crash(actor: Probe) -> None:
        actor.defer(later(1, never))
        raise Boom

    with pytest.raises(ActorDeadError):
        await ask(system.named("probe"), Run(function=defer_and_crash))
    await system.wait()


async def test_a_crash_in_a_background_task_crashes_the_actor_wherever_it_is(
    system: System,
) -> None:
    await system.start(probe())
    gate = trio.Event()

    async def crash() -> None:
        await gate.wait()
        raise Boom

    async def hang(actor: Probe) -> None:
        actor.spawn(crash)
        gate.set()
        await trio.sleep_forever()

    with pytest.raises(ActorDeadError):
        await ask(system.named("probe"), Run(function=hang))
    assert isinstance((await system.wait()).cause, Boom)


async def test_the_first_of_two_crashes_is_the_cause(system: System) -> None:
    await system.start(probe())

    async def crash(number: int) -> None:
        raise Boom(number)

    def spawn(actor: Probe) -> None:
        actor.spawn(crash, 1)
        actor.spawn(crash, 1)

    await ask(system.named("probe"), Run(function=spawn))
    assert str((await system.wait()).cause) == "1"


async def test_background_tasks_end_with_their_actor(system: System) -> None:
    await system.start(supervisor("root", "one_for_one", [probe()], backoff=AT_ONCE))
    target = system.named("probe")
    running: list[str] = []

    async def background() -> None:
        running.append("x")
        try:
            await trio.sleep_forever()
        finally:
            running.pop()

    await ask(target, Run(function=lambda actor: actor.spawn(background)))
    await wait_all_tasks_blocked()
    assert running == ["x"]
    with pytest.raises(ActorDeadError):
        await ask(target, Run(function=lambda _: 1 / 0))
    await ask_again(target, Echo())
    assert running == []


async def test_background_tasks_are_cancelled_before_on_stop_and_not_awaited_for_long(
    system: System, autojump_clock: MockClock
) -> None:
    await system.start(probe(shutdown_s=30))
    await ask(system.named("probe"), Run(function=lambda actor: actor.spawn(trio.sleep_forever)))
    await system.stop()
    assert trio.current_time() < 1


async def test_an_actor_that_has_ended_starts_no_more_tasks(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    class Late(Probe):
        async def on_failure(self, error: BaseException) -> None:
            self.spawn(trio.sleep_forever)

    await system.start(ChildSpec(id="a", build=Late, name="a"))
    with caplog.at_level(logging.ERROR, "supervision"):
        system.named("a").tell(Run(function=lambda _: 1 / 0))
        await system.wait()
    assert "on_failure of a failed" in caplog.text
