"""What a blocking actor does alike in a thread of its own and inline on a trio task."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.lowlevel
from trio.testing import wait_all_tasks_blocked

from supervision import (
    ActorDeadError,
    ActorExited,
    ActorRestarted,
    ActorRestarting,
    Ask,
    BlockingActor,
    ChildSpec,
    DeadLetters,
    Delivery,
    Down,
    MailboxFull,
    Named,
    StartError,
    System,
    TellRefused,
    UnansweredDelivery,
    UnexpectedMessage,
    ask,
    supervisor,
    tell,
)

from .support import (
    AT_ONCE,
    Boom,
    Crash,
    Echo,
    Events,
    Gate,
    Nope,
    Note,
    Probe,
    Run,
    ThreadProbe,
    ask_again,
    seeded,
    thread,
)


@pytest.fixture(params=["thread", "inline"])
async def system(request: pytest.FixtureRequest, events: Events) -> AsyncIterator[System]:
    inline = request.param == "inline"
    async with System.open(on_event=events, random=seeded(1), inline=inline) as opened:
        yield opened


@asynccontextmanager
async def held(system: System, target: Named) -> AsyncIterator[None]:
    """Keeps the actor from looking into its mailbox; no checkpoint may come in between."""
    gate = Gate()
    if not system.inline:
        target.tell(Run(function=gate))
        await gate.wait_reached()
    yield
    gate.open()


def refuse(_actor: object) -> None:
    raise Nope("not today")


async def start(system: System, build: type[BlockingActor]) -> Named:
    spec = ChildSpec(id="a", name="a", build=build)
    await system.start(supervisor("root", "one_for_one", [spec], backoff=AT_ONCE))
    return system.named("a")


async def test_the_hooks_run_in_order(system: System) -> None:
    log: list[str] = []
    await system.start(thread(log=log))
    assert await ask(system.named("probe"), Echo(value=1)) == 1
    info = system.snapshot()
    assert info is not None
    assert info.kind == ("inline" if system.inline else "thread")
    await system.stop()
    assert log == ["+probe", "-probe"]


async def test_a_refusal_goes_to_the_asker_and_the_actor_lives_on(
    system: System, events: Events
) -> None:
    target = await start(system, ThreadProbe)
    with pytest.raises(Nope):
        await ask(target, Run(function=refuse))
    target.tell(Run(function=refuse))
    with pytest.raises(UnexpectedMessage):
        await ask(target, Ask[None]())
    assert await ask(target, Echo(value=1)) == 1
    await events.wait_for(TellRefused, "root/a")


async def test_all_that_waits_is_handed_over_as_one_batch_up_to_its_bound(system: System) -> None:
    sizes: list[int] = []

    class Batcher(ThreadProbe):
        batch_bound = 4

        def on_deliveries(self, batch: list[Delivery]) -> None:
            sizes.append(len(batch))
            super().on_deliveries(batch)

    target = await start(system, Batcher)
    async with held(system, target):
        for value in range(10):
            target.tell(Note(value))
    assert await ask(target, Run(function=lambda actor: actor.notes)) == list(range(10))
    assert sizes[0 if system.inline else 1 :] in ([4, 4, 2, 1], [4, 4, 3])


async def test_a_crash_fails_the_rest_of_the_batch_and_restarts_what_was_queued(
    system: System,
) -> None:
    """What was in the batch may have run; what still waited never did."""
    outcomes = dict[int, str]()

    class Writer(ThreadProbe):
        batch_bound = 3

        def on_receive(self, message: object) -> object:
            if message == Echo(value=2):
                raise Boom
            return super().on_receive(message)

    target = await start(system, Writer)
    async with held(system, target):
        replies = {
            value: target.ref.ask(Echo(value=value), block=False)  # type: ignore[union-attr]
            for value in range(1, 6)
        }
    for value, reply in replies.items():
        try:
            await reply
            outcomes[value] = "answered"
        except (ActorDeadError, ActorRestarting) as error:
            outcomes[value] = type(error).__name__
    assert outcomes == {
        1: "answered",
        2: "ActorDeadError",
        3: "ActorDeadError",
        4: "ActorRestarting",
        5: "ActorRestarting",
    }
    assert await ask_again(target, Echo(value=7)) == 7


async def test_an_ask_left_unanswered_is_a_crash_and_no_riddle(
    system: System, events: Events
) -> None:
    class Forgetful(BlockingActor):
        def on_deliveries(self, batch: list[Delivery]) -> None:
            """Answers nobody."""

    target = await start(system, Forgetful)
    with pytest.raises(ActorDeadError):
        await ask(target, Echo())
    exited = await events.wait_for(ActorExited, "root/a")
    assert isinstance(exited, ActorExited)
    assert isinstance(exited.reason.cause, UnansweredDelivery)


async def test_a_stop_finishes_what_was_accepted_and_refuses_what_comes_after(
    system: System,
) -> None:
    log: list[str] = []
    await system.start(thread(log=log))
    target = system.named("probe")
    ref = target.ref
    assert ref is not None
    async with held(system, target):
        for value in range(1000):
            target.tell(Run(function=lambda actor, value=value: actor.log.append(f"{value}")))  # type: ignore[misc]
        system.request_stop()
        with pytest.raises(ActorDeadError):
            ref.tell(Note(1))
    await system.wait()
    assert log == ["+probe", *map(str, range(1000)), "-probe"]


async def test_stop_from_within_is_a_normal_exit(system: System) -> None:
    await system.start(thread())
    await ask(system.named("probe"), Run(function=lambda actor: actor.stop()))
    assert (await system.wait()).kind == "normal"


async def test_a_crash_calls_on_failure_and_not_on_stop(system: System) -> None:
    log: list[str] = []
    await system.start(thread(log=log))
    system.named("probe").tell(Crash())
    assert isinstance((await system.wait()).cause, Boom)
    assert log == ["+probe", "!probe"]


async def test_a_system_exit_is_a_crash_like_any_other(system: System) -> None:
    def leave(_actor: object) -> None:
        raise SystemExit(3)

    await system.start(thread())
    system.named("probe").tell(Run(function=leave))
    assert isinstance((await system.wait()).cause, SystemExit)


async def test_a_failing_on_failure_changes_nothing(system: System) -> None:
    class Clumsy(ThreadProbe):
        def on_failure(self, error: BaseException) -> None:
            raise RuntimeError("again") from error

    await system.start(ChildSpec(id="a", build=Clumsy, name="a"))
    system.named("a").tell(Crash())
    assert isinstance((await system.wait()).cause, Boom)


async def test_a_failing_on_start_fails_the_start(system: System) -> None:
    class Stillborn(BlockingActor):
        def on_start(self) -> None:
            raise Boom("no disk")

    with pytest.raises(StartError, match="a did not start: Boom: no disk"):
        await system.start(ChildSpec(id="a", build=Stillborn))


async def test_a_full_mailbox_refuses(system: System) -> None:
    class Small(ThreadProbe):
        mailbox_bound = 2

    target = await start(system, Small)
    notes = await ask(target, Run(function=lambda actor: actor.notes))
    async with held(system, target):
        target.tell(Note(1))
        target.tell(Note(2))
        with pytest.raises(MailboxFull, match="already has 2 messages waiting: Note"):
            target.tell(Note(3))
    await system.stop()
    assert notes == [1, 2]


async def test_a_mailbox_that_waits_takes_all_in_their_order(system: System) -> None:
    class Patient(ThreadProbe):
        mailbox_bound = 2
        overflow = "wait"

    target = await start(system, Patient)
    for value in range(50):
        await tell(target, Note(value))
    assert await ask(target, Run(function=lambda actor: actor.notes)) == list(range(50))


async def test_told_messages_that_die_with_the_actor_are_dead_letters(
    system: System, events: Events
) -> None:
    class Single(ThreadProbe):
        batch_bound = 1

    target = await start(system, Single)
    async with held(system, target):
        target.tell(Crash())
        target.tell(Note(1))
    letters = await events.wait_for(DeadLetters, "root/a")
    assert isinstance(letters, DeadLetters)
    assert (letters.count, letters.types) == (1, ("Note",))
    assert isinstance(letters.reason.cause, Boom)


async def test_messages_from_threads_arrive_in_their_order_also_at_the_stop(
    system: System,
) -> None:
    target = await start(system, ThreadProbe)
    notes = await ask(target, Run(function=lambda actor: actor.notes))
    sent: list[int] = []

    def send() -> None:
        for value in range(500):
            try:
                target.tell(Note(value))
            except (ActorDeadError, ActorRestarting):
                return
            sent.append(value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, send)
        while not sent:
            await trio.lowlevel.checkpoint()
        await system.stop()
    await wait_all_tasks_blocked()
    assert isinstance(notes, list)
    assert notes == sent[: len(notes)]
    assert len(notes) + system.dead_letters.count == len(sent)  # one may meet the very end


async def test_it_is_restarted_and_watched_like_any_other(system: System, events: Events) -> None:
    heard: list[object] = []

    class Watcher(Probe):
        async def on_receive(self, message: object) -> object:
            if isinstance(message, Down):
                heard.append(message.reason.kind)
                return None
            return await super().on_receive(message)

    children = [thread("a"), ChildSpec(id="w", name="w", build=Watcher)]
    await system.start(supervisor("root", "one_for_one", children, backoff=AT_ONCE))
    a, watcher = system.named("a").ref, system.named("w").ref
    assert a is not None
    assert watcher is not None
    system.monitor(a, watcher)
    a.tell(Crash())
    await events.wait_for(ActorRestarted, "root/a")
    await wait_all_tasks_blocked()
    assert heard == ["crash"]
    assert await ask(system.named("a"), Echo(value=1)) == 1


async def test_a_replay_lets_the_same_time_pass(autojump_clock: trio.testing.MockClock) -> None:
    async def times(seed: int) -> list[float]:
        passed: list[float] = []
        random = seeded(seed)
        async with System.open(random=random, inline=True, latency_s=0.01) as system:
            target = await start(system, ThreadProbe)
            begun = trio.current_time()
            for _ in range(5):
                await ask(target, Echo())
                passed.append(round(trio.current_time() - begun, 9))
        return passed

    first = await times(1)
    assert first == await times(1)
    assert first != await times(2)
    assert 0 < first[-1] <= 0.05
