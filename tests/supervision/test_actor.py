"""What a task actor promises, one by one."""

import contextvars
import gc
import weakref
from contextlib import suppress
from dataclasses import dataclass

import pykka
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervision import (
    ActorDeadError,
    ActorExited,
    ActorRestarting,
    ActorStarted,
    Ask,
    AskTimeout,
    ChildSpec,
    DeadLetters,
    ExitReason,
    ShutdownDeadlineExceeded,
    System,
    TellRefused,
    UnexpectedMessage,
    ask,
    supervisor,
)

from .support import AT_ONCE, Boom, Crash, Echo, Events, Nope, Note, Probe, Run, ask_again, probe


@dataclass(frozen=True, slots=True)
class Strange(Ask[None]):
    """A message that no probe knows."""


def refuse(_actor: object) -> None:
    raise Nope("not today")


async def forever(_actor: object = None) -> None:
    await trio.sleep_forever()


async def test_an_ask_is_answered_with_what_on_receive_returns(system: System) -> None:
    await system.start(probe())
    assert await ask(system.named("probe"), Echo(value=7)) == 7


async def test_the_hooks_run_in_order_and_a_stop_is_not_a_failure(system: System) -> None:
    log: list[str] = []
    await system.start(probe(log=log))
    await ask(system.named("probe"), Run(function=lambda actor: actor.log.append("message")))
    await system.stop()
    assert log == ["+probe", "message", "-probe"]


async def test_a_refusal_goes_to_the_asker_and_the_actor_lives_on(system: System) -> None:
    await system.start(probe())
    with pytest.raises(Nope, match="not today"):
        await ask(system.named("probe"), Run(function=refuse))
    assert await ask(system.named("probe"), Echo(value=1)) == 1


async def test_a_refused_tell_is_an_event_and_crashes_nobody(
    system: System, events: Events
) -> None:
    await system.start(probe())
    system.named("probe").tell(Run(function=refuse))
    assert await ask(system.named("probe"), Echo(value=1)) == 1
    (event,) = events.of(TellRefused)
    assert isinstance(event, TellRefused)
    assert (event.path, event.message_type, type(event.error)) == ("probe", "Run", Nope)


async def test_a_message_without_a_handler_is_refused(system: System) -> None:
    await system.start(probe())
    with pytest.raises(UnexpectedMessage, match="probe has no handler for"):
        await ask(system.named("probe"), Strange())


async def test_a_crash_in_an_ask_fails_the_asker_and_stops_the_actor(system: System) -> None:
    """pykka would send the error to the asker and let the actor live on."""
    log: list[str] = []
    await system.start(probe(log=log))
    with pytest.raises(ActorDeadError, match="while it worked on Run: it may have run"):
        await ask(system.named("probe"), Run(function=lambda _: 1 / 0))
    reason = await system.wait()
    assert isinstance(reason.cause, ZeroDivisionError)
    assert log == ["+probe", "!probe"]


async def test_a_crash_in_a_tell_stops_the_actor_too(system: System) -> None:
    await system.start(probe())
    system.named("probe").tell(Crash())
    assert isinstance((await system.wait()).cause, Boom)


async def test_a_system_exit_in_a_handler_is_a_crash_like_any_other(system: System) -> None:
    await system.start(probe())

    def leave(_actor: object) -> None:
        raise SystemExit(3)

    system.named("probe").tell(Run(function=leave))
    assert isinstance((await system.wait()).cause, SystemExit)


async def test_a_failing_on_failure_changes_nothing(system: System) -> None:
    class Clumsy(Probe):
        async def on_failure(self, error: BaseException) -> None:
            raise RuntimeError("again")

    await system.start(ChildSpec(id="a", build=Clumsy, name="a"))
    system.named("a").tell(Crash())
    assert isinstance((await system.wait()).cause, Boom)


async def test_an_on_failure_that_hangs_delays_the_end_for_five_seconds(
    system: System, autojump_clock: trio.testing.MockClock
) -> None:
    class Slow(Probe):
        async def on_failure(self, error: BaseException) -> None:
            await trio.sleep_forever()

    await system.start(ChildSpec(id="a", build=Slow, name="a"))
    system.named("a").tell(Crash())
    await system.wait()
    assert trio.current_time() == pytest.approx(5.0)


async def test_a_crash_in_on_stop_is_the_exit_reason(system: System, events: Events) -> None:
    class Sore(Probe):
        async def on_stop(self) -> None:
            raise Boom("in on_stop")

    await system.start(ChildSpec(id="a", build=Sore, name="a"))
    await system.stop()
    (event,) = events.of(ActorExited)
    assert isinstance(event, ActorExited)
    assert isinstance(event.reason.cause, Boom)


async def test_an_ask_that_is_not_answered_in_time_names_target_message_and_deadline(
    system: System, autojump_clock: trio.testing.MockClock
) -> None:
    await system.start(probe())
    with pytest.raises(AskTimeout, match="probe did not answer Run within 2 s") as caught:
        await ask(system.named("probe"), Run(function=forever), deadline_s=2)
    error = caught.value
    assert (error.target, error.message_type, error.deadline_s) == ("probe", "Run", 2)
    assert trio.current_time() == pytest.approx(2.0)


async def test_a_cancelled_ask_is_not_undone(system: System) -> None:
    await system.start(probe())
    target = system.named("probe")
    with trio.CancelScope() as scope:
        scope.cancel()
        await ask(target, Run(function=lambda actor: actor.notes.append("ran")))
    assert await ask(target, Run(function=lambda actor: actor.notes)) == ["ran"]


async def test_stop_from_within_ends_normally_after_the_current_message(system: System) -> None:
    await system.start(probe(restart="transient"))
    assert await ask(system.named("probe"), Run(function=lambda actor: actor.stop())) is None
    assert await system.wait() == ExitReason("normal")


async def test_a_stop_overtakes_the_messages_that_wait(system: System, events: Events) -> None:
    await system.start(probe())
    target = system.named("probe")
    notes: list[object] = []

    def keep(actor: Probe) -> None:
        actor.notes = notes

    await ask(target, Run(function=keep))
    for value in range(100):
        target.tell(Note(value))
    await system.stop()
    assert notes == []
    (letters,) = events.of(DeadLetters)
    assert isinstance(letters, DeadLetters)
    assert (letters.count, letters.types) == (100, ("Note",))


async def test_a_ref_can_stop_its_actor_and_hears_when_it_is_down(system: System) -> None:
    await system.start(probe())
    ref = system.named("probe").ref
    assert ref is not None
    assert await ref.stop(block=False) is True
    assert await ref.stop(block=False) is False
    assert not ref.is_alive()


async def test_a_stopped_actor_refuses_at_once(system: System) -> None:
    await system.start(probe())
    ref = system.named("probe").ref
    assert ref is not None
    ref.stop(block=False)
    with pytest.raises(ActorDeadError, match="probe is gone: Note was not delivered"):
        ref.tell(Note(1))
    with pytest.raises(pykka.ActorDeadError):
        await ask(ref, Echo())


async def test_on_stop_is_cancelled_at_the_shutdown_deadline(
    system: System, events: Events, autojump_clock: trio.testing.MockClock
) -> None:
    class Slow(Probe):
        async def on_stop(self) -> None:
            await trio.sleep_forever()

    await system.start(ChildSpec(id="a", build=Slow, name="a", shutdown_s=3))
    await system.stop()
    assert trio.current_time() == pytest.approx(3.0)
    (event,) = events.of(ActorExited)
    assert isinstance(event, ActorExited)
    assert event.reason.kind == "shutdown"
    assert isinstance(event.reason.cause, ShutdownDeadlineExceeded)


async def test_a_message_in_progress_is_cancelled_at_the_shutdown_deadline(
    system: System, autojump_clock: trio.testing.MockClock
) -> None:
    await system.start(probe(shutdown_s=2))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fails_with, ActorDeadError, system, Run(function=forever))
        await wait_all_tasks_blocked()
        await system.stop()
    assert trio.current_time() == pytest.approx(2.0)


async def test_an_actor_that_stops_itself_has_the_same_deadline(
    system: System, autojump_clock: trio.testing.MockClock
) -> None:
    class Slow(Probe):
        async def on_stop(self) -> None:
            await trio.sleep_forever()

    await system.start(ChildSpec(id="a", build=Slow, name="a", shutdown_s=4))
    system.named("a").tell(Run(function=lambda actor: actor.stop()))
    assert isinstance((await system.wait()).cause, ShutdownDeadlineExceeded)
    assert trio.current_time() == pytest.approx(4.0)


async def test_asks_in_progress_may_have_run_and_queued_ones_never_did(system: System) -> None:
    spec = supervisor("root", "one_for_one", [probe()], backoff=AT_ONCE)
    await system.start(spec)
    target = system.named("probe")
    gate = trio.Event()

    async def crash(_actor: Probe) -> None:
        await gate.wait()
        raise Boom

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fails_with, ActorDeadError, system, Run(function=crash))
        await wait_all_tasks_blocked()
        nursery.start_soon(fails_with, ActorRestarting, system, Echo())
        await wait_all_tasks_blocked()
        gate.set()
    assert await ask_again(target, Echo(value="back")) == "back"


async def test_queued_asks_of_an_actor_that_will_not_return_are_told_it_is_dead(
    system: System,
) -> None:
    await system.start(
        supervisor("root", "one_for_one", [probe(restart="temporary")], backoff=AT_ONCE)
    )
    gate = trio.Event()

    async def crash(_actor: Probe) -> None:
        await gate.wait()
        raise Boom

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fails_with, ActorDeadError, system, Run(function=crash))
        await wait_all_tasks_blocked()
        nursery.start_soon(fails_with, ActorDeadError, system, Echo())
        await wait_all_tasks_blocked()
        gate.set()


async def test_a_full_mailbox_of_a_busy_actor_lets_other_tasks_run(system: System) -> None:
    await system.start(probe())
    target = system.named("probe")
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(len(await_notes))
            await trio.lowlevel.checkpoint()

    await_notes: list[object] = []

    def keep(actor: Probe) -> None:
        actor.notes = await_notes

    await ask(target, Run(function=keep))
    for value in range(640):
        target.tell(Note(value))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await ask(target, Echo())
        nursery.cancel_scope.cancel()
    assert len(set(turns)) > 5  # the scheduler may deal both tasks several turns in a row


async def test_an_actor_does_not_see_its_senders_context(system: System) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    variable.set("of the opener")
    await system.start(probe())
    target = system.named("probe")
    variable.set("of the sender")
    assert await ask(target, Run(function=lambda _: variable.get())) == "none"


async def test_an_actor_started_inside_a_cancelled_scope_lives_on(system: System) -> None:
    with trio.CancelScope() as scope:
        await system.start(probe())
        scope.cancel()
    assert await ask(system.named("probe"), Echo(value=1)) == 1


async def test_an_actor_cannot_be_started_without_a_supervisor() -> None:
    with pytest.raises(TypeError, match="put it into a ChildSpec"):
        Probe.start()


async def test_an_actor_is_in_pykkas_registry_as_long_as_it_lives(system: System) -> None:
    await system.start(probe())
    ref = system.named("probe").ref
    assert pykka.ActorRegistry.get_by_class_name("Probe") == [ref]
    await system.stop()
    assert pykka.ActorRegistry.get_all() == []


async def test_a_dead_actor_is_released(system: System) -> None:
    await system.start(supervisor("root", "one_for_one", [probe(restart="temporary")]))
    kept: list[weakref.ref[Probe]] = []
    await ask(system.named("probe"), Run(function=lambda actor: kept.append(weakref.ref(actor))))
    await ask(system.named("probe"), Run(function=lambda actor: actor.stop()))
    with suppress(ActorDeadError):
        await ask(system.named("probe"), Echo())
    await wait_all_tasks_blocked()
    gc.collect()
    assert [ref() for ref in kept] == [None]


async def test_starting_is_told_before_ending(system: System, events: Events) -> None:
    await system.start(probe())
    await system.stop()
    kinds = [type(event) for event in events]
    assert kinds == [ActorStarted, ActorExited]


async def fails_with(error: type[Exception], system: System, message: Run | Echo) -> None:
    with pytest.raises(error):
        await ask(system.named("probe"), message)
