"""An actor whose loop is a trio task.

Its hooks are async. It depends on nothing of whoever started it: neither cancel scope nor context
variables.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from supervision.base import ActorBase
from supervision.errors import UnexpectedMessage
from supervision.later import Later
from supervision.task import TaskBody
from supervision.work import Deferred

__all__ = ["Actor"]

T = TypeVar("T")


class Actor(ActorBase):
    """A task actor. Subclass it, and have a supervisor start it through a `ChildSpec`.

    Its life, in order: `__init__`, `on_start`, one `on_receive` per message, `on_stop`; or, after
    anything but a `Refused` was raised, `on_failure`. All run in one task, one at a time. A crashed
    actor is never run again: its supervisor has a new one built.

    Attributes:
        deferred_bound: how many deferred answers may be in progress before no more messages are
            taken.
        lazy: it counts as up at once, and its task, with `on_start`, begins with the first message;
            for the thousands that may never get one. One that is stopped before runs no hook.
    """

    __slots__ = ()

    deferred_bound: ClassVar[int] = 256
    lazy: ClassVar[bool] = False

    _kernel: TaskBody

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
        """Cleans up after a crash, or when a link ends it (`LinkBroken`), within 5 seconds.

        What it raises is logged only.
        """

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

    def send_after(self, seconds: float, message: object) -> None:
        """Sends itself a message in so many seconds; none comes when the actor has ended by then.

        Costs a fraction of a background task that sleeps. A mailbox that is full by then gets it
        later.
        """
        Later.current().send(seconds, self.me, message)

    @classmethod
    def _cleans_up(cls) -> bool:
        """Says whether there is an `on_stop`."""
        return cls.on_stop is not Actor.on_stop

    def _create_body(self) -> TaskBody:
        return TaskBody(self)
