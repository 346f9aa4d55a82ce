"""Order, bound and overtaking, from the trio thread and from others."""

import threading

import pytest
import trio
import trio.lowlevel
from pykka._envelope import Envelope
from trio.testing import wait_all_tasks_blocked

from supervision import ActorDeadError, ActorRestarting, ChildSpec, MailboxFull, System, ask
from supervision.bridge import Bridge
from supervision.delivery import Delivery
from supervision.mailbox import Mailbox
from supervision.reply import Reply

from .support import Echo, Note, Owner, Probe, Run, probe


def opened(bound: int = 3, owner: Owner | None = None) -> Mailbox:
    mailbox = Mailbox()
    mailbox.open(owner or Owner(), Bridge.current(), bound)
    return mailbox


async def test_messages_come_out_in_the_order_they_went_in() -> None:
    mailbox = opened()
    for value in range(3):
        mailbox.put(Delivery(value))
    assert [mailbox.get().message for _ in range(3)] == [0, 1, 2]
    assert mailbox.empty()


async def test_a_full_mailbox_refuses_and_says_so() -> None:
    mailbox = opened(bound=1)
    mailbox.put(Delivery(1))
    with pytest.raises(
        MailboxFull, match="root/a already has 1 messages waiting: int was not taken"
    ):
        mailbox.put(Delivery(2))
    assert len(mailbox) == 1


async def test_an_overflow_is_reported_once_until_the_mailbox_was_empty() -> None:
    owner = Owner()
    mailbox = opened(bound=1, owner=owner)
    mailbox.put(Delivery(1))
    for _ in range(3):
        with pytest.raises(MailboxFull):
            mailbox.put(Delivery(2))
    assert owner.overflows == [1]
    assert mailbox.refused == 3
    mailbox.get()
    with trio.CancelScope() as scope:
        scope.cancel()
        await mailbox.park()
    mailbox.put(Delivery(3))
    with pytest.raises(MailboxFull):
        mailbox.put(Delivery(4))
    assert owner.overflows == [1, 1]


async def test_control_and_kernel_messages_know_no_bound() -> None:
    mailbox = opened(bound=1)
    mailbox.put(Delivery(1))
    mailbox.put_unbounded(Delivery(2))
    mailbox.put_control("stop")
    assert len(mailbox) == 2
    assert mailbox.control.popleft() == "stop"


async def test_a_sealed_mailbox_refuses_at_once_and_keeps_what_it_has() -> None:
    mailbox = opened()
    mailbox.put(Delivery(1))
    mailbox.seal()
    with pytest.raises(ActorDeadError, match="root/a is gone"):
        mailbox.put(Delivery(2))
    mailbox.put_unbounded(Delivery(3))
    assert len(mailbox) == 1


async def test_a_mailbox_that_was_never_opened_refuses() -> None:
    with pytest.raises(ActorDeadError, match="never started"):
        Mailbox().put(Delivery(1))


async def test_closing_fails_the_asks_and_returns_the_tells() -> None:
    mailbox = opened()
    reply = Reply[None]()
    mailbox.put(Delivery("asked", reply))
    mailbox.put(Delivery("told"))
    (told,) = mailbox.close(ActorRestarting)
    assert told.message == "told"
    with pytest.raises(ActorRestarting, match="root/a has ended: str never ran"):
        await reply


async def test_an_ask_that_crosses_while_the_mailbox_closes_is_failed_on_arrival() -> None:
    mailbox = opened()
    reply = Reply[None]()
    await trio.to_thread.run_sync(blocking_put, mailbox, Delivery("asked", reply))
    mailbox.close(ActorDeadError)
    with pytest.raises(ActorDeadError):
        await reply


async def test_what_crosses_counts_towards_the_bound() -> None:
    mailbox = opened(bound=2)

    def put_three() -> None:
        mailbox.put(Delivery(1))
        mailbox.put(Delivery(2))
        with pytest.raises(MailboxFull):
            mailbox.put(Delivery(3))

    thread = threading.Thread(target=put_three)
    thread.start()
    thread.join()
    assert len(mailbox) == 2
    await trio.lowlevel.checkpoint()


def test_a_put_after_the_loop_has_ended_is_refused() -> None:
    async def make() -> Mailbox:
        return opened()

    mailbox = trio.run(make)
    thread_error: list[BaseException] = []

    def put() -> None:
        try:
            mailbox.put(Delivery(1))
        except ActorDeadError as error:
            thread_error.append(error)

    thread = threading.Thread(target=put)
    thread.start()
    thread.join()
    assert "gone with its loop" in str(thread_error[0])


async def test_pykkas_own_envelopes_are_accepted() -> None:
    mailbox = opened()
    mailbox.put(Envelope("hello"))
    assert mailbox.get().message == "hello"


async def test_a_slow_actor_accepts_up_to_its_bound_and_handles_all_it_accepted(
    system: System,
) -> None:
    class Slow(Probe):
        mailbox_bound = 100

    await system.start(ChildSpec(id="a", build=Slow, name="a"))
    target = system.named("a")
    accepted = []
    for value in range(1000):
        try:
            target.tell(Note(value))
            accepted.append(value)
        except MailboxFull:
            if len(accepted) % 3 == 0:
                await trio.lowlevel.checkpoint()
    while True:
        try:
            assert await ask(target, Run(function=lambda actor: actor.notes)) == accepted
            break
        except MailboxFull:
            await trio.lowlevel.checkpoint()
    assert 100 <= len(accepted) < 1000


async def test_each_threads_messages_arrive_in_its_order(system: System) -> None:
    class Wide(Probe):
        mailbox_bound = 100_000

    await system.start(ChildSpec(id="a", build=Wide, name="a"))
    target = system.named("a")

    def send(name: str) -> None:
        for value in range(2000):
            target.tell(Note((name, value)))

    async with trio.open_nursery() as nursery:
        for name in "xyz":
            nursery.start_soon(trio.to_thread.run_sync, send, name)
    notes = await ask(target, Run(function=lambda actor: actor.notes))
    assert isinstance(notes, list)
    assert len(notes) == 6000
    for name in "xyz":
        assert [value for sender, value in notes if sender == name] == list(range(2000))


async def test_a_stop_gets_through_a_full_mailbox(system: System) -> None:
    await system.start(probe())
    target = system.named("probe")
    gate = trio.Event()

    async def wait(_actor: Probe) -> None:
        await gate.wait()

    target.tell(Run(function=wait))
    await wait_all_tasks_blocked()
    for value in range(Probe.mailbox_bound):
        target.tell(Note(value))
    with pytest.raises(MailboxFull):
        await ask(target, Echo())
    system.request_stop()
    gate.set()
    with trio.fail_after(1):
        assert (await system.wait()).kind == "shutdown"


def blocking_put(mailbox: Mailbox, delivery: Delivery) -> None:
    mailbox.put(delivery)
