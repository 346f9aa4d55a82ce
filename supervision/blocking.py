"""An actor with an OS thread of its own, for what blocks: SQLite writers, Git.

It takes what waits as one batch, so that a writer can commit many messages at once. The thread
cannot be cancelled: stopping means finishing what was accepted, and one that does not come to an
end by its deadline is left behind and never replaced, because it may still hold its connection.

In a system opened with `inline=True` the same actor runs on a trio task, with the same hooks in the
same order, so that a whole system can be replayed from a seed.
"""

import inspect
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from supervision.base import ActorBase
from supervision.delivery import Delivery
from supervision.errors import SpecError, UnexpectedMessage
from supervision.inline import InlineBody
from supervision.ref import ActorRef
from supervision.thread import ThreadBody

__all__ = ["BlockingActor"]


class BlockingActor(ActorBase):
    """A thread actor. `__init__` runs on the trio thread, every hook on the actor's own.

    Attributes:
        batch_bound: how many messages one batch holds at most.
    """

    __slots__ = ()

    mailbox_bound: ClassVar[int] = 10_000
    batch_bound: ClassVar[int] = 512

    _kernel: ThreadBody | InlineBody

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for hook in ("on_start", "on_receive", "on_deliveries", "on_stop", "on_failure"):
            if inspect.iscoroutinefunction(getattr(cls, hook)):
                raise SpecError(f"{cls.__name__}: {hook} of a blocking actor cannot be async")

    def on_start(self) -> None:
        """Prepares the actor. Its supervisor waits; raising makes the start fail."""

    def on_receive(self, message: object) -> object:
        """Handles one message; what it returns is the answer.

        Raises:
            Refused: goes to the asker, and the actor lives on. Anything else crashes the actor.
        """
        raise UnexpectedMessage(f"{self.me.path} has no handler for {type(message).__name__}")

    def on_deliveries(self, batch: list[Delivery]) -> None:
        """Handles all that waits, oldest first, up to `batch_bound`; answers every ask in it.

        Raising crashes the actor: the asks of the batch not answered yet fail with
        `ActorDeadError`, because they may have run. Leaving an ask unanswered is a crash too.
        """
        for delivery in batch:
            self._kernel.receive(delivery)

    def burst(self) -> AbstractContextManager[None]:
        """Lets all that is answered inside arrive together, when the block ends.

        For who has many answers ready at once: the first would wake the trio thread, which then
        takes the interpreter's lock from the one who still answers the others. What
        waits by then is taken together with what the answered say next.
        """
        self._kernel.others_wait = len(self._kernel.post_box) > 0
        return self.system.bridge.burst()

    def on_stop(self) -> None:
        """Cleans up after the last message. Not called after a crash."""

    def on_failure(self, error: BaseException) -> None:
        """Cleans up after a crash, or when a link ends it (`LinkBroken`).

        What it raises is logged and changes nothing.
        """

    def _create_body(self) -> ThreadBody:
        return ThreadBody(self)

    def _board(self, life: Any) -> Any:
        if life.system.inline and isinstance(self._kernel, ThreadBody) and not self._kernel.boarded:
            self._kernel = InlineBody(self)
            self._actor_ref = ActorRef(self, self._kernel.post_box)
        return super()._board(life)
