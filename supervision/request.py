"""Asking and telling: messages that name the type of their answer, and waits that always end.

`ask` and `tell` wait on the trio thread, `ask_blocking` and `tell_blocking` in any other. All wait
for room in a mailbox whose policy is to wait; a ref's own `tell` never waits for anything.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pykka
import trio

from supervision.deadlines import Deadlines
from supervision.delivery import Delivery
from supervision.errors import (
    ActorDeadError,
    ActorRestarting,
    AskTimeout,
    MailboxFull,
    Refused,
)
from supervision.line import Place
from supervision.ref import Target, refuse_to_block
from supervision.reply import Callback, Reply

__all__ = [
    "Answer",
    "Ask",
    "ask",
    "ask_blocking",
    "ask_many",
    "ask_then",
    "tell",
    "tell_blocking",
]

T = TypeVar("T")


class Ask(Generic[T]):
    """Base of requests: `class ClaimIssue(Ask[Claimed])`. Facts and hints derive from nothing."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    """What one of many said.

    Attributes:
        target: who was asked.
        value: its answer; None when there is an error.
        error: what `ask` would have raised.
    """

    target: Target
    value: T | None = None
    error: Exception | None = None

    def unwrap(self) -> T:
        """Returns the answer, or raises the error."""
        if self.error is not None:
            raise self.error
        value: Any = self.value
        answer: T = value
        return answer


async def ask(target: Target, message: Ask[T], *, deadline_s: float = 5.0) -> T:
    """Sends a request and waits for its answer; on the trio thread.

    Cancelling the wait, or running into the deadline, does not undo the message: it may still run,
    unless it was still waiting in line for room.

    Args:
        target: a name, or a ref.
        message: the request.
        deadline_s: seconds to wait at most, for room and answer together.

    Raises:
        Refused: whatever the actor refused with; `MailboxFull` when the message was not even taken.
        ActorRestarting: the actor is being restarted and the message never ran: ask again by name.
        ActorDeadError: the actor is gone; the message may have run if it had been taken.
        AskTimeout: no answer in time; the message may still run.
    """
    _check(deadline_s)
    reply: Reply[T] = Reply()
    delivery = Delivery(message, reply)
    if _delivered(target, delivery):
        return await _answer(reply, target, message, deadline_s)
    return await _ask_in_line(target, delivery, reply, deadline_s)


def ask_then(
    target: Target,
    message: Ask[T],
    then: Callable[[T | None, BaseException | None], object],
) -> None:
    """Sends a request, and has a function called with what comes of it; on the trio thread.

    For thousands of short requests, where a task for each wait costs more than what is asked for.
    There is no deadline: an actor that ends fails what it was asked.

    Args:
        target: a name, or a ref.
        message: the request.
        then: called once, on the trio thread, with (answer, None) or (None, what `ask` would have
            raised); before this returns where the message was not taken. It must not raise.
    """
    reply = Callback(then)
    try:
        target.deliver(Delivery(message, reply))
    except (Refused, ActorDeadError, ActorRestarting) as error:
        reply.fail(error)


async def ask_many(
    targets: Sequence[Target], message: Ask[T], *, deadline_s: float = 5.0
) -> list[Answer[T]]:
    """Asks several actors the same at once, and waits for all of them; on the trio thread.

    One that refuses, has ended, or does not answer in time spoils nobody else's answer.

    Args:
        targets: names or refs.
        message: the request.
        deadline_s: seconds to wait at most, for all together.

    Returns:
        One `Answer` per target, in their order.
    """
    answers: list[Answer[T]] = [Answer(target=target) for target in targets]

    async def one(place: int, target: Target) -> None:
        try:
            value = await ask(target, message, deadline_s=deadline_s)
        except Exception as error:  # noqa: BLE001  it is handed to the caller
            answers[place] = Answer(target=target, error=error)
        else:
            answers[place] = Answer(target=target, value=value)

    async with trio.open_nursery() as nursery:
        for place, target in enumerate(targets):
            nursery.start_soon(one, place, target)
    return answers


def ask_blocking(target: Target, message: Ask[T], *, deadline_s: float = 5.0) -> T:
    """Does what `ask` does, from any thread but the trio thread.

    Raises:
        RuntimeError: on the trio thread, which it would block; nothing was sent.
    """
    _check(deadline_s)
    refuse_to_block("ask_blocking()")
    reply: Reply[T] = Reply()
    delivery = Delivery(message, reply)
    place = _deliver(target, delivery, None)
    try:
        return reply.get(timeout=_timeout(deadline_s))
    except pykka.Timeout:
        if place is not None and place.withdraw():
            raise _no_room(target, message, deadline_s) from None
        raise AskTimeout(target.label, type(message).__name__, deadline_s) from None


async def tell(target: Target, message: object, *, deadline_s: float = 5.0) -> None:
    """Sends a message, and waits for room if the mailbox lets senders wait; on the trio thread.

    Returns when the mailbox has the message; that it is handled is another matter. A wait that is
    cancelled takes the message back.

    Args:
        target: a name, or a ref.
        message: the message.
        deadline_s: seconds to wait for room at most.

    Raises:
        MailboxFull: there was no room, by the deadline or at once; the message was not taken.
        ActorRestarting, ActorDeadError: as `ask`.
    """
    _check(deadline_s)
    ticket: Reply[None] = Reply()
    place = _deliver(target, Delivery(message), ticket)
    if place is None:
        return
    try:
        await _answer(ticket, target, message, deadline_s)
    except AskTimeout:
        if place.withdraw():
            raise _no_room(target, message, deadline_s) from None
    except trio.Cancelled:
        place.withdraw()
        raise


def tell_blocking(target: Target, message: object, *, deadline_s: float = 5.0) -> None:
    """Does what `tell` does, from any thread but the trio thread.

    Raises:
        RuntimeError: on the trio thread, which it would block; nothing was sent.
    """
    _check(deadline_s)
    refuse_to_block("tell_blocking()")
    ticket: Reply[None] = Reply()
    place = _deliver(target, Delivery(message), ticket)
    if place is None:
        return
    try:
        ticket.get(timeout=_timeout(deadline_s))
    except pykka.Timeout:
        if place.withdraw():
            raise _no_room(target, message, deadline_s) from None


async def _answer(reply: Reply[T], target: Target, message: object, deadline_s: float) -> T:
    if deadline_s == math.inf:  # the caller's own deadline
        return await reply
    Deadlines.current().add(reply, target, type(message), deadline_s)
    try:
        return await reply
    finally:
        reply.retire()  # its entry among the deadlines must not keep a large answer alive


async def _ask_in_line(target: Target, delivery: Delivery, reply: Reply[T], deadline_s: float) -> T:
    place = Place(delivery)
    target.line_up(place)
    try:
        return await _answer(reply, target, delivery.message, deadline_s)
    except AskTimeout:
        if place.withdraw():
            raise _no_room(target, delivery.message, deadline_s) from None
        raise
    except trio.Cancelled:
        place.withdraw()
        raise


def _deliver(target: Target, delivery: Delivery, ticket: Reply[None] | None) -> Place | None:
    """Sends at once, or takes a place in the line."""
    if _delivered(target, delivery):
        return None
    place = Place(delivery, ticket)
    target.line_up(place)
    return place


def _check(deadline_s: float) -> None:
    if deadline_s != deadline_s:  # noqa: PLR0124  how a NaN is known, on the path of every ask
        raise ValueError("deadline_s must be a number of seconds, not NaN")


def _timeout(deadline_s: float) -> float | None:
    return None if deadline_s == math.inf else deadline_s


def _delivered(target: Target, delivery: Delivery) -> bool:
    try:
        target.deliver(delivery)
    except MailboxFull:
        return False
    return True


def _no_room(target: Target, message: object, deadline_s: float) -> MailboxFull:
    kind = type(message).__name__
    return MailboxFull(f"{target.label} had no room for {kind} within {deadline_s:g} s: not taken")
