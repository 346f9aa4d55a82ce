"""Asking: a message that names the type of its answer, and a wait that always ends."""

import math
from typing import Generic, TypeVar

import pykka
import trio

from supervision.delivery import Delivery
from supervision.errors import AskTimeout
from supervision.ref import Target
from supervision.reply import Reply

__all__ = ["Ask", "ask", "ask_blocking"]

T = TypeVar("T")


class Ask(Generic[T]):
    """Base of requests: `class ClaimIssue(Ask[Claimed])`. Facts and hints derive from nothing."""

    __slots__ = ()


async def ask(target: Target, message: Ask[T], *, deadline_s: float = 5.0) -> T:
    """Sends a request and waits for its answer; on the trio thread.

    Cancelling the wait, or running into the deadline, does not undo the message: it may still run.

    Args:
        target: a name, or a ref.
        message: the request.
        deadline_s: seconds to wait at most.

    Raises:
        Refused: whatever the actor refused with; `MailboxFull` when the message was not even taken.
        ActorRestarting: the actor is being restarted and the message never ran: ask again by name.
        ActorDeadError: the actor is gone; the message may have run if it had been taken.
        AskTimeout: no answer in time; the message may still run.
    """
    reply = Reply[T]()
    target.deliver(Delivery(message, reply))
    if deadline_s == math.inf:  # the caller's own deadline: a scope for each would cost twice
        return await reply
    with trio.move_on_after(deadline_s):
        return await reply
    raise AskTimeout(target.label, type(message).__name__, deadline_s)


def ask_blocking(target: Target, message: Ask[T], *, deadline_s: float = 5.0) -> T:
    """Does what `ask` does, from any thread but the trio thread.

    Raises:
        RuntimeError: on the trio thread, which it would block.
    """
    reply = Reply[T]()
    target.deliver(Delivery(message, reply))
    try:
        return reply.get(timeout=deadline_s)
    except pykka.Timeout:
        raise AskTimeout(target.label, type(message).__name__, deadline_s) from None
