"""What all actors have in common, whether they run as a task or in a thread.

An actor is a pykka actor with pykka's three seams filled: the inbox, the future and the loop. What
differs on purpose: a crash always stops the actor, tells its supervisor and fails the asker (pykka
sends an ask's exception to the asker and lives on); a `Refused` is an answer and stops nobody; a
stop overtakes. All that the kernel needs of a running actor is in its body, beside it, so that no
attribute of a subclass collides with the kernel's.

pykka is pinned below 4.6 because `_create_future` and `_start_actor_loop` are overridden.
"""

import threading
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, get_args

from supervision.errors import SpecError
from supervision.owner import Overflow
from supervision.pykka_base import PykkaActor
from supervision.ref import ActorRef
from supervision.reply import Reply

if TYPE_CHECKING:
    from supervision.life import Life, Vessel
    from supervision.system import System

__all__ = ["ActorBase"]


class ActorBase(PykkaActor):
    """The base of `Actor` and `BlockingActor`; do not subclass it directly.

    Attributes:
        mailbox_bound: how many messages may wait.
        overflow: what a full mailbox does: `refuse` a message with `MailboxFull`, or let its sender
            `wait` for room until the sender's deadline.
        trap_exits: an `Exit` of a linked actor comes as a message, and ends nobody.
    """

    __slots__ = ("_actor_ref", "_kernel")

    mailbox_bound: ClassVar[int] = 1000
    overflow: ClassVar[Overflow] = "refuse"
    trap_exits: ClassVar[bool] = False

    _kernel: Any
    _actor_ref: ActorRef

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        name = cls.__name__
        if cls.overflow not in get_args(Overflow):
            raise SpecError(f"{name}: overflow must be refuse or wait, not {cls.overflow!r}")
        bound: object = cls.mailbox_bound
        if not isinstance(bound, int) or bound < 1:
            raise SpecError(f"{name}: mailbox_bound must be 1 or more, not {bound!r}")

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        # pykka's __init__ is skipped on purpose: what it stores is in the ref, made when it is read
        self._kernel = self._create_body()
        self._actor_ref = ActorRef(self, self._kernel.post_box)

    @classmethod
    def start(cls, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuses: an actor without a supervisor would crash unnoticed."""
        raise TypeError(f"{cls.__name__} is started by a supervisor: put it into a ChildSpec")

    @property
    def me(self) -> ActorRef:
        """The ref of this incarnation."""
        return self._actor_ref

    @property
    def system(self) -> "System":
        """The system it runs in; from `on_start` on."""
        system: System = self._kernel.life.system
        return system

    def stop(self) -> None:
        """Ends the actor normally; any thread may call it.

        A task actor ends after its current message, and those that wait are not handled; a thread
        actor ends after what it had accepted.
        """
        self.system.on_trio(self._kernel.life.request_stop, "normal")

    # --- pykka's seams and attributes ---

    @property
    def actor_ref(self) -> ActorRef:
        return self._actor_ref

    @property
    def actor_inbox(self) -> Any:
        return self._actor_ref.actor_inbox

    @property
    def actor_urn(self) -> str:
        return self._actor_ref.actor_urn

    @property
    def actor_stopped(self) -> threading.Event:
        return self._actor_ref.actor_stopped

    @staticmethod
    def _create_actor_inbox() -> NoReturn:
        raise AssertionError("an actor's inbox is made with its body")

    @staticmethod
    def _create_future() -> Reply[Any]:
        return Reply()

    def _start_actor_loop(self) -> None:
        self._kernel.launch()

    # --- for the kernel ---

    def _create_body(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must derive from Actor or BlockingActor")

    def _board(self, life: "Life") -> "Vessel":
        vessel: Vessel = self._kernel
        vessel.board(life)
        return vessel
