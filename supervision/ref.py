"""Whom to send to: a ref to one incarnation, or a name that outlives it.

An `ActorRef` is pykka's, with tell and ask going straight to a mailbox that judges for itself
whether it is open: pykka's own check of `actor_stopped` comes too early to mean anything.
"""

from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, overload

import pykka

from supervision.delivery import Delivery
from supervision.errors import ActorDeadError
from supervision.names import Name
from supervision.reply import Reply

if TYPE_CHECKING:
    from supervision.life import Life

__all__ = ["ActorRef", "Named", "Target"]


class Target(Protocol):
    """Anything a message can be sent to. `deliver` is for the kernel, `tell` for everybody."""

    @property
    def label(self) -> str: ...

    def deliver(self, delivery: Delivery) -> None: ...

    def tell(self, message: Any) -> None: ...


class ActorRef(pykka.ActorRef[Any]):
    """A reference to one incarnation of an actor, for any thread to use and pass around."""

    life: "Life | None" = None

    @property
    def path(self) -> str:
        """Where the actor stands in the tree, `root/stores/writer`."""
        return self.life.path if self.life is not None else str(self)

    @property
    def label(self) -> str:
        return self.path

    def deliver(self, delivery: Delivery) -> None:
        self.actor_inbox.put(delivery)

    def tell(self, message: Any) -> None:
        """Sends a message and does not wait; never blocks.

        Raises:
            MailboxFull: the mailbox is at its bound; the message was not taken.
            ActorDeadError: the actor has ended; the message was not delivered.
        """
        self.actor_inbox.put(Delivery(message))

    @overload
    def ask(
        self, message: Any, *, block: Literal[False], timeout: float | None = None
    ) -> Reply[Any]: ...

    @overload
    def ask(self, message: Any, *, block: Literal[True], timeout: float | None = None) -> Any: ...

    @overload
    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any: ...

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Sends a message and waits for the answer, from another thread than the trio thread.

        A trio task uses `await ask(ref, message)` instead; `block=False` returns the reply to both.

        Raises:
            pykka.Timeout: no answer within `timeout` seconds; the message may still run.
            RuntimeError: it would have blocked the trio thread.
        """
        if block and timeout is None:
            raise ValueError(f"asking {self.path} and blocking needs a timeout in seconds")
        reply: Reply[Any] = self.actor_class._create_future()  # noqa: SLF001  pykka's seam
        self.deliver(Delivery(message, reply))
        return reply.get(timeout=timeout) if block else reply

    @overload
    def stop(self, *, block: Literal[True], timeout: float | None = None) -> bool: ...

    @overload
    def stop(self, *, block: Literal[False], timeout: float | None = None) -> Reply[bool]: ...

    @overload
    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any: ...

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """Asks the actor to end normally; the reply is True, or False when it was dead already.

        A task actor ends after its current message, a thread actor after what it had accepted.
        """
        reply = Reply[bool]()
        if self.life is None:
            raise ActorDeadError(f"{self} was never started")
        self.life.stop_for(reply)
        return reply.get(timeout=timeout) if block else reply

    def proxy(self) -> NoReturn:
        """Refuses: a method call through a proxy would not pass `on_receive`."""
        raise TypeError(f"{self.path} is spoken to in messages, not through a proxy")


class Named:
    """A name to send to. It survives restarts: who answers is looked up at each send."""

    __slots__ = ("_name",)

    def __init__(self, name: Name) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<Named {self._name.text}>"

    @property
    def label(self) -> str:
        return self._name.text

    @property
    def ref(self) -> ActorRef | None:
        """The incarnation that answers now, if there is one."""
        return self._name.ref

    def deliver(self, delivery: Delivery) -> None:
        ref = self._name.ref
        if ref is None:
            raise self._name.absent(delivery.message)
        try:
            ref.actor_inbox.put(delivery)
        except ActorDeadError:
            if self._name.ref is ref:
                raise
            # it ended between our look at the name and the put, and the name knows more by now
            raise self._name.absent(delivery.message) from None

    def tell(self, message: Any) -> None:
        """Sends a message and does not wait; never blocks.

        Raises:
            MailboxFull: the mailbox is at its bound; the message was not taken.
            ActorRestarting: the actor is being restarted; the message never ran.
            ActorDeadError: nobody answers to the name, and nobody is expected to.
        """
        self.deliver(Delivery(message))
