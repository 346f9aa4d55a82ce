"""A message on its way, with the place its answer goes to.

It is pykka's envelope with two verbs, so that a handler of batches need not know what a future is.
"""

from typing import Any

from pykka._envelope import Envelope

from supervision.reply import Reply

__all__ = ["Delivery"]


class Delivery(Envelope[Any]):
    """One message in a mailbox. `reply_to` is None when it was told, not asked."""

    __slots__ = ()

    reply_to: Reply[Any] | None

    @property
    def unanswered(self) -> bool:
        """Whether an asker still waits."""
        return self.reply_to is not None and not self.reply_to.settled

    def answer(self, value: object = None) -> None:
        """Gives the asker its answer, if somebody asked. Any thread may call it."""
        if self.reply_to is not None:
            self.reply_to.set(value)

    def refuse(self, error: BaseException) -> None:
        """Raises the error at the asker, if somebody asked. Any thread may call it."""
        if self.reply_to is not None:
            self.reply_to.fail(error)
