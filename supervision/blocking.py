"""An actor with an OS thread of its own, for what blocks: SQLite writers, Git.

It takes what waits as one batch, so that a writer can commit many messages at once. The thread
cannot be
cancelled: stopping means finishing what was accepted, and one that does not come to an end by its
deadline is left behind and never replaced, because it may still hold its connection. It is a daemon
thread for that one case only, because the process must be able to exit; every other end is waited
for.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pykka

from supervision.delivery import Delivery
from supervision.errors import Refused, UnexpectedMessage
from supervision.inbox import Inbox
from supervision.ref import ActorRef
from supervision.reply import Reply
from supervision.thread import ThreadBody

if TYPE_CHECKING:
    from supervision.life import Life, Vessel
    from supervision.system import System

__all__ = ["BlockingActor"]


class BlockingActor(pykka.ThreadingActor):
    """A thread actor. `__init__` runs on the trio thread, every hook on the actor's own.

    Attributes:
        mailbox_bound: how many messages may wait; a further one is refused with `MailboxFull`.
        batch_bound: how many messages one batch holds at most.
        system: the system it runs in; set before `on_start`.
    """

    mailbox_bound: ClassVar[int] = 10_000
    batch_bound: ClassVar[int] = 512
    use_daemon_thread: ClassVar[bool] = True

    system: "System"

    def __init__(self) -> None:
        super().__init__()
        inbox: Any = self.actor_inbox
        self._kernel = ThreadBody(self, inbox)
        self._actor_ref = ActorRef(self)

    @classmethod
    def start(cls, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuses: an actor without a supervisor would crash unnoticed."""
        raise TypeError(f"{cls.__name__} is started by a supervisor: put it into a ChildSpec")

    @property
    def me(self) -> ActorRef:
        """The ref of this incarnation."""
        ref: Any = self._actor_ref
        mine: ActorRef = ref
        return mine

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
            try:
                answer = self.on_receive(delivery.message)
            except Refused as refusal:
                self._kernel.refuse(delivery, refusal)
            else:
                delivery.answer(answer)

    def on_stop(self) -> None:
        """Cleans up after the last message. Not called after a crash."""

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cleans up after a crash. What it raises is logged and changes nothing."""

    def stop(self) -> None:
        """Ends the actor normally after what it had accepted. Any thread may call it."""
        self.system.on_trio(self._kernel.life.request_stop, "normal")

    @staticmethod
    def _create_actor_inbox() -> Inbox:
        return Inbox()

    @staticmethod
    def _create_future() -> Reply[Any]:
        return Reply()

    def _start_actor_loop(self) -> None:
        self._kernel.launch()

    def _board(self, life: "Life") -> "Vessel":
        self._kernel.board(life)
        self.system = life.system
        return self._kernel
