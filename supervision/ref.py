"""Whom to send to: a ref to one incarnation, or a name that outlives it.

An `ActorRef` is pykka's, with tell and ask going straight to a mailbox that judges for itself
whether it is open: pykka's own check of `actor_stopped` comes too early to mean anything. What
pykka keeps in each ref and few ever read (a URN, an event) is made when it is read.
"""

import threading
import uuid
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

import pykka
import trio

from supervision.delivery import Delivery
from supervision.errors import ActorDeadError, MailboxFull
from supervision.line import Place
from supervision.names import Name
from supervision.reply import Reply

if TYPE_CHECKING:
    from supervision.base import ActorBase
    from supervision.life import Life

__all__ = ["ActorRef", "Named", "Target", "refuse_to_block"]

ASK_S = 5.0
"""The deadline of a blocking ask that states none, as pykka's own proxies do when they set."""

_FIRST = uuid.uuid4().int
_NUMBERS = count()
_STOPPED = threading.Lock()  # two threads that look for the event must find one


class Target(Protocol):
    """Anything a message can be sent to. `tell` is for everybody, the rest for the kernel."""

    @property
    def label(self) -> str: ...

    def deliver(self, delivery: Delivery) -> None: ...

    def line_up(self, place: Place) -> None: ...

    def tell(self, message: Any) -> None: ...


class ActorRef(pykka.ActorRef[Any]):
    """A reference to one incarnation of an actor, for any thread to use and pass around."""

    __slots__ = ("_number", "_stopped", "actor_class", "actor_inbox", "life")

    actor_inbox: Any

    def __init__(self, actor: "ActorBase", inbox: Any) -> None:
        # pykka's __init__ is skipped on purpose: what it stores is computed below
        self.actor_class: Any = type(actor)
        self.actor_inbox = inbox
        self.life: Life | None = None
        self._number = next(_NUMBERS)
        self._stopped: threading.Event | None = None

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """Pykka's name for this incarnation, unique in the world."""
        return uuid.UUID(int=(_FIRST + self._number) % 2**128).urn

    @property
    def actor_stopped(self) -> threading.Event:  # type: ignore[override]
        """Is set once the actor has ended, with all its tasks."""
        with _STOPPED:
            if self._stopped is None:
                self._stopped = threading.Event()
        if self.life is not None and self.life.reason is not None:
            self._stopped.set()
        return self._stopped

    def ended(self) -> None:
        """The actor has ended, with all its tasks."""
        if self._stopped is not None:
            self._stopped.set()

    def is_alive(self) -> bool:
        """Says whether the actor, or any of its tasks, may still run."""
        return self.life is not None and self.life.reason is None

    def _actor_weakref(self) -> object:  # type: ignore[override] # pykka stores a weak reference
        """What pykka's proxies look at to learn the actor's attributes."""
        return self.life.actor if self.life is not None else None

    @property
    def path(self) -> str:
        """Where the actor stands in the tree, `root/stores/writer`."""
        return self.life.path if self.life is not None else str(self)

    @property
    def label(self) -> str:
        return self.path

    def deliver(self, delivery: Delivery) -> None:
        self.actor_inbox.put(delivery)

    def line_up(self, place: Place) -> None:
        self.actor_inbox.line_up(place)

    def tell(self, message: Any) -> None:
        """Sends a message and does not wait; never blocks, whatever the mailbox's policy.

        Raises:
            MailboxFull: the mailbox is at its bound; the message was not taken.
            ActorDeadError: the actor has ended; the message was not delivered.
        """
        try:
            self.actor_inbox.put(Delivery(message))
        except MailboxFull:
            _impatient(self)
            raise

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

        A trio task uses `await ask(ref, message)` instead; `block=False` returns the reply to both,
        and with it comes no deadline. `timeout` is 5 seconds when none is given: no ask waits for
        ever.

        Raises:
            pykka.Timeout: no answer within `timeout` seconds; the message may still run.
            RuntimeError: it would have blocked the trio thread.
        """
        if block:
            refuse_to_block("ref.ask()")
        reply: Reply[Any] = self.actor_class._create_future()  # noqa: SLF001  pykka's seam
        self.deliver(Delivery(message, reply))
        if not block:
            return reply
        return reply.get(timeout=ASK_S if timeout is None else timeout)

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

    def line_up(self, place: Place) -> None:
        ref = self._name.ref
        if ref is None:
            raise self._name.absent(place.delivery.message)
        ref.actor_inbox.line_up(place)

    def tell(self, message: Any) -> None:
        """Sends a message and does not wait; never blocks, whatever the mailbox's policy.

        Raises:
            MailboxFull: the mailbox is at its bound; the message was not taken.
            ActorRestarting: the actor is being restarted; the message never ran.
            ActorDeadError: nobody answers to the name, and nobody is expected to.
        """
        try:
            self.deliver(Delivery(message))
        except MailboxFull:
            _impatient(self._name.ref)
            raise


def refuse_to_block(call: str) -> None:
    """Raises RuntimeError on a trio thread, before anything is sent that nobody would wait for."""
    if trio.lowlevel.in_trio_run():
        raise RuntimeError(f"{call} would block the trio thread: await ask() or tell() instead")


def _impatient(ref: ActorRef | None) -> None:
    """Counts a message turned away although others may wait in line: its sender would not."""
    if ref is not None and ref.actor_class.overflow == "wait":
        ref.actor_inbox.turned_away()
