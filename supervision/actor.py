"""An actor whose loop is a trio task.

It is a pykka actor with pykka's three seams filled: the inbox, the future and the loop. What
differs on
purpose: a crash always stops the actor, tells its supervisor and fails the asker (pykka sends an
ask's exception to the asker and lives on); a `Refused` is an answer and stops nobody; the hooks are
async; a stop overtakes. It depends on nothing of whoever started it: neither cancel scope nor
context variables.

pykka is pinned below 4.6 because `_create_actor_inbox`, `_create_future` and `_start_actor_loop`
are overridden.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from supervision.errors import UnexpectedMessage
from supervision.mailbox import Mailbox
from supervision.pykka_base import PykkaActor
from supervision.ref import ActorRef
from supervision.reply import Reply
from supervision.task import TaskBody
from supervision.work import Deferred

if TYPE_CHECKING:
    from supervision.life import Life, Vessel
    from supervision.system import System

__all__ = ["Actor"]

T = TypeVar("T")


class Actor(PykkaActor):
    """A task actor. Subclass it, and have a supervisor start it through a `ChildSpec`.

    Its life, in order: `__init__`, `on_start`, one `on_receive` per message, `on_stop`; or, after
    anything but a `Refused` was raised, `on_failure`. All run in one task, one at a time. A crashed
    actor is never run
    again: its supervisor has a new one built.

    Attributes:
        mailbox_bound: how many messages may wait; a further one is refused with `MailboxFull`.
        deferred_bound: how many deferred answers may be in progress before no more messages are
            taken.
        system: the system it runs in; set before `on_start`.
    """

    mailbox_bound: ClassVar[int] = 1000
    deferred_bound: ClassVar[int] = 256

    system: "System"

    def __init__(self) -> None:
        super().__init__()
        self._kernel = TaskBody(self, self.actor_inbox)
        self._actor_ref = ActorRef(self)

    @classmethod
    def start(cls, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuses: an actor without a supervisor would crash unnoticed."""
        raise TypeError(f"{cls.__name__} is started by a supervisor: put it into a ChildSpec")

    @property
    def me(self) -> ActorRef:
        """The ref of this incarnation."""
        ref: ActorRef = self._actor_ref
        return ref

    async def on_start(self) -> None:
        """Prepares the actor. Its supervisor waits; raising makes the start fail."""

    async def on_receive(self, message: object) -> object:
        """Handles one message; what it returns is the answer.

        Raises:
            Refused: goes to the asker, and the actor lives on. Anything else crashes the actor.
        """
        raise UnexpectedMessage(f"{self.me.path} has no handler for {type(message).__name__}")

    async def on_stop(self) -> None:
        """Cleans up before a wanted end, within the shutdown deadline. Not called after a crash."""

    async def on_failure(self, error: BaseException) -> None:
        """Cleans up after a crash, within 5 seconds. What it raises is logged only."""

    def stop(self) -> None:
        """Ends the actor normally after the current message; those that wait are not handled."""
        self._kernel.life.request_stop("normal")

    def defer(self, work: Coroutine[Any, Any, T]) -> Deferred[T]:
        """Answers the current message when the coroutine returns.

        `return self.defer(self._look(message))`, from `on_receive`. The coroutine runs as a task of
        this actor, which handles further messages meanwhile. A `Refused` goes to the asker; another
        error crashes the actor. When the actor stops, it waits for the answers in progress until
        its shutdown deadline.

        Raises:
            RuntimeError: there is no message to answer.
        """
        self._kernel.defer(work)
        return Deferred()

    def spawn(self, async_fn: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Runs a background task: its crash is the actor's, the actor's end cancels it."""
        self._kernel.spawn(async_fn, args)

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    @staticmethod
    def _create_future() -> Reply[Any]:
        return Reply()

    def _start_actor_loop(self) -> None:
        self._kernel.launch()

    def _board(self, life: "Life") -> "Vessel":
        self._kernel.board(life)
        self.system = life.system
        return self._kernel
