"""The line before a full mailbox whose policy is to wait.

Whoever waits here is a sender with a deadline. Either the mailbox takes the message, or its sender
takes it back; the claim can be taken once, so never both, whatever threads the two are on. Behind
it nothing piles up: a sender waits with one message, and withdraws it when it gives up.
"""

from collections.abc import Callable

from supervision.delivery import Delivery
from supervision.reply import Reply

__all__ = ["Place"]


class Place:
    """One message that waits for room.

    Args:
        delivery: the message.
        ticket: settled when the mailbox has taken it, or refused when that cannot be any more; for
            a tell. An asker hears by its own reply.
    """

    __slots__ = ("_claim", "_leave", "delivery", "ticket")

    def __init__(self, delivery: Delivery, ticket: Reply[None] | None = None) -> None:
        self.delivery = delivery
        self.ticket = ticket
        self._claim = [None]
        self._leave: Callable[[Place], None] | None = None

    def stand(self, leave: Callable[["Place"], None]) -> None:
        """Learns how to leave the line it stands in."""
        self._leave = leave

    def take(self) -> bool:
        """Takes the message, once: True for whoever comes first."""
        try:
            self._claim.pop()
        except IndexError:
            return False
        return True

    def admitted(self) -> None:
        """The mailbox has the message."""
        if self.ticket is not None:
            self.ticket.set(None)

    def refuse(self, error: BaseException) -> None:
        """The mailbox will never have it."""
        if self.take():
            self.delivery.refuse(error)
            if self.ticket is not None:
                self.ticket.fail(error)

    def withdraw(self) -> bool:
        """Takes the message back; False when the mailbox has it already."""
        if not self.take():
            return False
        if self._leave is not None:
            self._leave(self)
        return True
