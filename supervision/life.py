"""The life of one incarnation: how far it has got, who may end it, and who learns of its end.

A task actor and a thread actor live very differently; this is what they have in common, and all
that a supervisor knows of either. Every method runs on the trio thread unless it says otherwise.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import trio
from pykka import ActorRegistry

from supervision.child import ChildSpec
from supervision.delivery import Delivery
from supervision.errors import ActorDeadError, ActorRestarting, ThreadStillRunning
from supervision.events import (
    ActorCrashed,
    ActorExited,
    ActorStarted,
    MailboxOverflow,
    ThreadAbandoned,
)
from supervision.exits import ExitKind, ExitReason
from supervision.info import ActorInfo, Kind, State, View
from supervision.names import Name
from supervision.ref import ActorRef
from supervision.reply import Reply
from supervision.strategy import should_restart

if TYPE_CHECKING:
    from supervision.system import System
    from supervision.task import Below

__all__ = ["Down", "Life", "OnExit", "Runnable", "Vessel"]

OnExit = Callable[[ExitReason], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """The actor behind `ref`, which the receiver monitors, has ended."""

    ref: ActorRef
    reason: ExitReason


class PostBox(Protocol):
    """What a life tells of a mailbox."""

    bound: int
    refused: int

    def __len__(self) -> int: ...


class Vessel(Protocol):
    """What a life does to the body that lives it."""

    @property
    def kind(self) -> Kind: ...

    @property
    def below(self) -> "Below | None": ...

    @property
    def handled(self) -> int: ...

    @property
    def post_box(self) -> PostBox: ...

    def stop_requested(self) -> None:
        """The life has `stopping` and `stop_by` set: refuse new messages and come to an end."""

    def abandon(self, reason: ExitReason) -> None:
        """The deadline passed and nothing can end this body: fail whoever waits for it."""

    def memory_bytes(self) -> int:
        """Estimates what the actor takes."""

    def accept(self, delivery: Delivery) -> None:
        """Takes a message of the kernel, full or not."""


class Runnable(Protocol):
    """What `ChildSpec.build` makes: an `Actor` or a `BlockingActor`."""

    @property
    def actor_ref(self) -> Any: ...

    def _board(self, life: "Life") -> Vessel: ...

    def _start_actor_loop(self) -> None: ...


class Life:
    """One incarnation of a child."""

    __slots__ = (
        "_on_exit",
        "_supervised",
        "_vessel",
        "_watchers",
        "down",
        "kind",
        "name",
        "path",
        "reason",
        "ref",
        "restarting",
        "spec",
        "started_at",
        "stop_by",
        "stopping",
        "system",
        "up",
        "was_up",
    )

    def __init__(
        self, system: "System", spec: ChildSpec, path: str, *, supervised: bool, on_exit: OnExit
    ) -> None:
        self.system = system
        self.spec = spec
        self.path = path
        self.up = trio.Event()
        self.down = trio.Event()
        self.reason: ExitReason | None = None
        self.name: Name | None = None
        self.ref: ActorRef | None = None
        self.stopping: ExitKind | None = None
        self.kind: Kind = "task"
        self.restarting = False
        self.was_up = False
        self.stop_by = float("inf")
        self.started_at = trio.current_time()
        self._supervised = supervised
        self._on_exit = on_exit
        self._vessel: Vessel | None = None
        self._watchers: dict[ActorRef, None] = {}

    def begin(self, actor: Runnable, name: Name | None) -> None:
        """Gives the life to a new actor and sets it running."""
        self.name = name
        self._vessel = vessel = actor._board(self)  # noqa: SLF001
        self.kind = vessel.kind
        self.ref = ref = actor.actor_ref
        ref.life = self
        ActorRegistry.register(ref)
        if name is not None:
            name.bind(ref)
        actor._start_actor_loop()  # noqa: SLF001  pykka's seam

    def mark_up(self) -> None:
        """`on_start` has returned."""
        if self.reason is None:
            self.was_up = True
            self.up.set()
            self.started_at = trio.current_time()
            self.system.emit(ActorStarted(path=self.path))

    @property
    def state(self) -> State:
        if self.reason is not None:
            return "ended"
        if self.stopping is not None:
            return "stopping"
        return "running" if self.up.is_set() else "starting"

    def uptime_s(self) -> float:
        return trio.current_time() - self.started_at

    def returns_after(self, reason: ExitReason) -> bool:
        """Says whether a new incarnation will follow; any thread may ask."""
        if self.restarting:
            return True
        expected = self._supervised and self.stopping != "shutdown"
        return expected and should_restart(self.spec.restart, reason.kind)

    def leave(self, reason: ExitReason) -> type[ActorDeadError | ActorRestarting]:
        """Takes the name away; returns the error for what never ran. Any thread may call it."""
        returns = self.returns_after(reason)
        name = self.name
        if name is not None and (name.ref is None or name.ref is self.ref):
            name.leave(restarting=returns)
        return ActorRestarting if returns else ActorDeadError

    def request_stop(self, kind: ExitKind, *, restarting: bool = False) -> None:
        """Asks the actor to end; `restarting` says that its supervisor means to start it again."""
        if self.reason is not None or self.stopping is not None:
            return
        self.stopping = kind
        self.restarting = restarting
        self.stop_by = trio.current_time() + self.spec.shutdown_s
        self.leave(ExitReason(kind))
        if self._vessel is not None:
            self._vessel.stop_requested()

    def kill(self) -> None:
        """Brings the deadline forward to now."""
        self.request_stop("shutdown")
        self.stop_by = trio.current_time()
        if self._vessel is not None:
            self._vessel.stop_requested()

    async def stopped(self) -> None:
        """Waits for the end that was requested; abandons a thread that misses its deadline."""
        if self.kind != "thread":
            await self.down.wait()  # a task is cancelled by its own deadline
            return
        with trio.move_on_at(self.stop_by):
            await self.down.wait()
        if not self.down.is_set():
            self._abandon()

    def stop_for(self, reply: Reply[bool]) -> None:
        """Requests a normal end and tells the reply when it has come; any thread may call it."""
        self.system.on_trio(self._stop_for, reply)

    def watch(self, watcher: ActorRef) -> None:
        """Sends the watcher one `Down` when this life ends, or now if it has."""
        if self.reason is None:
            self._watchers[watcher] = None
        else:
            self._tell_down(watcher, self.reason)

    def accept(self, delivery: Delivery) -> None:
        """Takes a message of the kernel, full or not."""
        if self._vessel is not None:
            self._vessel.accept(delivery)

    def mourn(self, letters: list[Delivery], reason: ExitReason) -> None:
        """Reports told messages that nobody will handle; any thread may call it."""
        if letters:
            with contextlib.suppress(trio.RunFinishedError):  # nobody listens any more
                self.system.on_trio(self._mourn, letters, reason)

    def overflowed(self, bound: int) -> None:
        """Reports that the mailbox turned a message away; any thread may call it."""
        with contextlib.suppress(trio.RunFinishedError):
            event = MailboxOverflow(path=self.path, bound=bound)
            self.system.on_trio(self.system.emit, event)

    def end(self, reason: ExitReason) -> None:
        """The actor is over, with all its tasks. Only the first call counts."""
        if self.reason is not None:
            return
        self.reason = reason
        self._vessel = None
        if self.ref is not None:
            self.leave(reason)
            ActorRegistry.unregister(self.ref)
            self.ref.actor_stopped.set()
        self.up.set()
        self.down.set()
        exited = ActorCrashed if reason.crashed else ActorExited
        self.system.emit(exited(path=self.path, reason=reason))
        for watcher in self._watchers:
            self._tell_down(watcher, reason)
        self._watchers.clear()
        self._on_exit(reason)

    @property
    def below(self) -> "Below | None":
        """What this life supervises."""
        return self._vessel.below if self._vessel is not None else None

    def describe(self, view: View, *, restarts: int = 0, last_exit: str | None = None) -> ActorInfo:
        vessel = self._vessel
        post_box = vessel.post_box if vessel is not None else None
        children, more = self._describe_below(view)
        return ActorInfo(
            id=self.spec.id,
            path=self.path,
            name=self.spec.name,
            kind=self.kind,
            state=self.state,
            restarts=restarts,
            last_exit=last_exit,
            mailbox_depth=len(post_box) if post_box is not None else 0,
            mailbox_bound=post_box.bound if post_box is not None else 0,
            handled=vessel.handled if vessel is not None else 0,
            refused=post_box.refused if post_box is not None else 0,
            uptime_s=self.uptime_s() if self.was_up and self.reason is None else 0.0,
            memory_bytes=vessel.memory_bytes() if vessel is not None else 0,
            children=children,
            more=more,
        )

    def _describe_below(self, view: View) -> tuple[tuple[ActorInfo, ...], int]:
        below = self.below
        if below is None:
            return (), 0
        slots = below.slots()
        shown = () if view.depth == 0 else tuple(islice(slots, view.breadth))
        deeper = view.below()
        children = tuple(slot.describe(self.path, below.absent(slot), deeper) for slot in shown)
        return children, len(slots) - len(shown)

    def _mourn(self, letters: list[Delivery], reason: ExitReason) -> None:
        office = self.system.dead_letters
        self.system.emit(office.take(self.path, letters, reason, trio.current_time()))

    def _abandon(self) -> None:
        text = f"{self.path} had not stopped after {self.spec.shutdown_s:g} s; its thread runs on"
        reason = ExitReason.crash(ThreadStillRunning(text))
        self.system.abandoned[self.path] = self
        self.system.emit(ThreadAbandoned(path=self.path, after_s=self.spec.shutdown_s))
        if self._vessel is not None:
            self._vessel.abandon(reason)
        self.end(reason)

    def _stop_for(self, reply: Reply[bool]) -> None:
        if self.reason is not None:
            reply.set(False)
            return
        before = self._on_exit
        self._on_exit = partial(_answer_and_pass_on, reply, before)
        self.request_stop("normal")

    def _tell_down(self, watcher: ActorRef, reason: ExitReason) -> None:
        if watcher.life is not None and self.ref is not None:
            watcher.life.accept(Delivery(Down(ref=self.ref, reason=reason)))


def _answer_and_pass_on(reply: Reply[bool], on_exit: OnExit, reason: ExitReason) -> None:
    reply.set(True)
    on_exit(reason)
