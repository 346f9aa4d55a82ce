"""The inbox of a thread actor, without the actor."""

import pytest

from supervision import ActorDeadError, ActorRestarting, MailboxFull
from supervision.delivery import Delivery
from supervision.inbox import Inbox
from supervision.reply import Reply

from .support import Owner


def opened(bound: int = 3, owner: Owner | None = None) -> Inbox:
    inbox = Inbox()
    inbox.open(owner or Owner(), bound)
    return inbox


def test_messages_come_out_in_the_order_they_went_in() -> None:
    inbox = opened()
    for value in range(3):
        inbox.put(Delivery(value))
    assert inbox.get().message == 0
    assert [delivery.message for delivery in inbox.take(10)] == [1, 2]
    assert inbox.empty()


def test_a_full_inbox_takes_messages_of_the_kernel_only() -> None:
    inbox = opened(bound=1)
    inbox.put(Delivery(1))
    with pytest.raises(MailboxFull):
        inbox.put(Delivery(2))
    inbox.put_unbounded(Delivery(3))
    assert len(inbox) == 2


def test_an_overflow_is_reported_once_until_the_inbox_was_empty() -> None:
    owner = Owner()
    inbox = opened(bound=1, owner=owner)
    for number in range(2):
        inbox.put(Delivery(number))
        for _ in range(3):
            with pytest.raises(MailboxFull):
                inbox.put(Delivery("no"))
        assert owner.overflows == [1] * (number + 1)
        assert len(inbox.take(10)) == 1
    assert inbox.refused == 6


def test_a_sealed_inbox_is_emptied_and_then_at_its_end() -> None:
    inbox = opened()
    inbox.put(Delivery(1))
    inbox.seal()
    with pytest.raises(ActorDeadError, match="root/a is gone: int was not delivered"):
        inbox.put(Delivery(2))
    assert [delivery.message for delivery in inbox.take(10)] == [1]
    assert inbox.ended


def test_get_at_the_end_says_that_nothing_is_left() -> None:
    inbox = opened()
    inbox.seal()
    with pytest.raises(ActorDeadError, match="no message is left"):
        inbox.get()


def test_an_ask_that_lands_after_the_close_is_failed_by_its_sender() -> None:
    """Its sender had looked before the close and puts after it."""
    inbox = opened()
    assert inbox.close(ActorRestarting) == []
    reply = Reply[None]()
    inbox.put_unbounded(Delivery("late", reply))
    with pytest.raises(ActorRestarting, match="root/a has ended: str never ran"):
        reply.get(timeout=1)


def test_a_thread_that_comes_back_to_a_closed_inbox_finds_its_end() -> None:
    inbox = opened()
    inbox.close(ActorDeadError)
    inbox.put_unbounded(Delivery("late"))
    assert inbox.take(10) == []
