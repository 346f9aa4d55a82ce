"""The life of one incarnation: how far it has got, who may end it, and who learns of its end.

A task actor and a thread actor live very differently; this is what they have in common, and all
that a supervisor knows of either. Every method runs on the trio thread unless it says otherwise.
There may be a hundred thousand of them, most of them idle: what few need is made when it is needed.
"""

import contextlib
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import trio

from supervision import registry
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
from supervision.links import Down, Links
from supervision.names import Name
from supervision.ref import ActorRef
from supervision.reply import Reply
from supervision.strategy import should_restart

if TYPE_CHECKING:
    from supervision.base import ActorBase
    from supervision.system import System
    from supervision.task import Below

__all__ = ["Life", "OnExit", "OnUp", "Vessel"]

OnExit = Callable[["Life", ExitReason], None]
OnUp = Callable[["Life"], None]


class PostBox(Protocol):
    """What a life tells of a mailbox."""

    bound: int
    refused: int

    def __len__(self) -> int: ...


class Vessel(Protocol):
    """What a life does to the body that lives it."""

    @property
    def actor(self) -> "ActorBase": ...

    @property
    def kind(self) -> Kind: ...

    @property
    def below(self) -> "Below | None": ...

    @property
    def asleep(self) -> bool: ...

    @property
    def handled(self) -> int: ...

    @property
    def post_box(self) -> PostBox: ...

    def board(self, life: "Life") -> None:
        """Takes the life it is to live."""

    def stop_requested(self) -> None:
        """The life has `stopping` and `stop_by` set: refuse new messages and come to an end."""

    def exit(self, reason: ExitReason) -> None:
        """A linked actor has ended: end for this reason, without `on_stop`."""

    def abandon(self, reason: ExitReason) -> None:
        """The deadline passed and nothing can end this body: fail whoever waits for it."""

    def accept(self, delivery: Delivery) -> None:
        """Takes a message of the kernel, full or not."""

    def memory_bytes(self) -> int:
        """Estimates what the actor takes."""


class Life:
    """One incarnation of a child."""

    __slots__ = (
        "_down",
        "_links",
        "_on_exit",
        "_on_up",
        "_parent",
        "_stoppers",
        "_supervised",
        "_up",
        "_vessel",
        "kind",
        "name",
        "reason",
        "ref",
        "restarting",
        "spec",
        "started_at",
        "stop_by",
        "stopping",
        "system",
        "was_up",
    )

    def __init__(
        self,
        system: "System",
        spec: ChildSpec,
        parent: str,
        *,
        supervised: bool,
        on_exit: OnExit,
        on_up: OnUp | None,
    ) -> None:
        self.system = system
        self.spec = spec
        self.reason: ExitReason | None = None
        self.name: Name | None = None
        self.ref: ActorRef | None = None
        self.stopping: ExitKind | None = None
        self.kind: Kind = "task"
        self.restarting = False
        self.was_up = False
        self.stop_by = _NEVER
        self.started_at = _NEVER
        self._parent = parent
        self._supervised = supervised
        self._on_exit = on_exit
        self._on_up = on_up
        self._vessel: Vessel | None = None
        self._stoppers: list[Reply[bool]] | None = None
        self._up: trio.Event | None = None
        self._down: trio.Event | None = None
        self._links: Links | None = None

    @property
    def path(self) -> str:
        """Ids from the root down, with slashes."""
        return f"{self._parent}/{self.spec.id}" if self._parent else self.spec.id

    @property
    def actor(self) -> "ActorBase | None":
        """The actor that lives it, while it does."""
        return self._vessel.actor if self._vessel is not None else None

    @property
    def below(self) -> "Below | None":
        """What this life supervises."""
        return self._vessel.below if self._vessel is not None else None

    # --- its course ---

    def begin(self, actor: "ActorBase", name: Name | None) -> None:
        """Gives the life to a new actor and sets it running."""
        self.name = name
        if not hasattr(actor, "_kernel"):
            raise TypeError(f"{type(actor).__name__}.__init__ must call super().__init__()")
        self._vessel = vessel = actor._board(self)  # noqa: SLF001
        self.kind = vessel.kind
        if self.kind == "thread":
            self.system.threads[self] = None
        self.ref = ref = actor.actor_ref
        ref.life = self
        registry.enter(ref)
        if name is not None:
            name.bind(ref)
        actor._start_actor_loop()  # noqa: SLF001  pykka's seam

    def mark_up(self) -> None:
        """`on_start` has returned."""
        if self.reason is None:
            self.system.emit(ActorStarted(path=self.path))
            self._begin_to_count()

    def mark_asleep(self) -> None:
        """It counts as up, although `on_start` waits for the first message."""
        self._begin_to_count()

    def _begin_to_count(self) -> None:
        self.started_at = trio.current_time()
        first = not self.was_up
        self.was_up = True
        self._ring_up()
        if first and self._on_up is not None:
            self._on_up(self)

    async def up(self) -> None:
        """Waits until it is up, or has ended before."""
        if not self.was_up and self.reason is None:
            if self._up is None:
                self._up = trio.Event()
            await self._up.wait()

    async def down(self) -> None:
        """Waits for its end."""
        if self.reason is None:
            if self._down is None:
                self._down = trio.Event()
            await self._down.wait()

    @property
    def state(self) -> State:
        if self.reason is not None:
            return "ended"
        if self.stopping is not None:
            return "stopping"
        if not self.was_up:
            return "starting"
        return "asleep" if self._vessel is not None and self._vessel.asleep else "running"

    def uptime_s(self) -> float:
        """Counts the seconds since it was up; 0 when it never was."""
        return trio.current_time() - self.started_at if self.was_up else 0.0

    # --- its end ---

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
        if self.reason is not None:
            return
        if self.stopping is not None:
            if restarting and not self.restarting:
                self.restarting = True
                self.leave(ExitReason.plain(self.stopping))
            return
        self.stopping = kind
        self.restarting = restarting
        self.stop_by = trio.current_time() + self.spec.shutdown_s
        self.leave(ExitReason.plain(kind))
        if self._vessel is not None:
            self._vessel.stop_requested()
        if kind == "normal" and self.kind == "thread":  # no supervisor waits for its deadline
            self.system.nursery.start_soon(self.stopped)

    def kill(self) -> None:
        """Brings the deadline forward to now."""
        self.request_stop("shutdown")
        self.stop_by = trio.current_time()
        if self._vessel is not None:
            self._vessel.stop_requested()

    async def stopped(self) -> None:
        """Waits for the end that was requested; abandons a thread that misses its deadline."""
        if self.kind != "thread":
            await self.down()  # a task is cancelled by its own deadline
            return
        with trio.move_on_at(self.stop_by):
            await self.down()
        if self.reason is None:
            self._abandon()

    def stop_for(self, reply: Reply[bool]) -> None:
        """Requests a normal end and tells the reply when it has come; any thread may call it."""
        if self.reason is not None:
            reply.set(False)
        else:
            self.system.on_trio(self._stop_for, reply)

    def end(self, reason: ExitReason) -> None:
        """The actor is over, with all its tasks. Only the first call counts."""
        if self.reason is not None:
            return
        self.reason = reason
        self._vessel = None
        if self.ref is not None:
            self.leave(reason)
            registry.leave(self.ref)
            self.ref.ended()
        self._ring_up()
        if self._down is not None:
            self._down.set()
        exited = ActorCrashed if reason.crashed else ActorExited
        self.system.emit(exited(path=self.path, reason=reason))
        if self.kind == "thread":
            self.system.threads.pop(self, None)
        if self._links is not None and self.ref is not None:
            self._links.end(self.ref, reason)
        for reply in self._stoppers or ():
            reply.set(True)
        self._on_exit(self, reason)

    # --- who learns of it ---

    def accept(self, delivery: Delivery) -> None:
        """Takes a message of the kernel, full or not; any thread may call it."""
        with contextlib.suppress(trio.RunFinishedError):
            self.system.on_trio(self._accept, delivery)

    def _accept(self, delivery: Delivery) -> None:
        if self._vessel is not None:
            self._vessel.accept(delivery)

    def watch(self, watcher: ActorRef) -> None:
        """Sends the watcher one `Down` when this life ends, or now if it has."""
        if watcher.life is None or self.ref is None:
            return
        if self.reason is None:
            self._own_links().watchers[watcher] = None
            with contextlib.suppress(trio.RunFinishedError):
                watcher.life.system.on_trio(watcher.life.watches, self)
        else:
            watcher.life.accept(Delivery(Down(ref=self.ref, reason=self.reason)))

    def watches(self, other: "Life") -> None:
        """Remembers whom it watches, so that its own end takes it off there."""
        if self.reason is None:
            self._own_links().watched[other] = None
        elif self.ref is not None:
            other.unwatch_soon(self.ref)

    def unwatch(self, watcher: ActorRef) -> None:
        """Takes a watcher off; one that is not there is no error."""
        if self._links is not None:
            self._links.watchers.pop(watcher, None)

    def unwatch_soon(self, watcher: ActorRef) -> None:
        """Takes a watcher off; any thread may call it."""
        with contextlib.suppress(trio.RunFinishedError):
            self.system.on_trio(self.unwatch, watcher)

    def forget_watched(self, other: "Life") -> None:
        """The other has ended and told so."""
        if self._links is not None:
            self._links.watched.pop(other, None)

    def link(self, other: "Life") -> None:
        """Ties two lives together; with one that has ended, the other hears of it now."""
        if other is self:
            return
        for one, dead in ((self, other), (other, self)):
            if dead.reason is not None and dead.ref is not None:
                gone = ActorDeadError(f"{dead.path} had ended ({dead.reason}) before it was linked")
                one.hear_exit(dead.ref, ExitReason.crash(gone))
                return
        self._own_links().linked[other] = None
        other._own_links().linked[self] = None  # noqa: SLF001  its own kind

    def unlink(self, other: "Life") -> None:
        """Unties two lives; two that are not tied are no error."""
        for one, another in ((self, other), (other, self)):
            if one._links is not None:  # noqa: SLF001  its own kind
                one._links.linked.pop(another, None)  # noqa: SLF001

    def hear_exit(self, ref: ActorRef, reason: ExitReason) -> None:
        """A linked actor has ended: told as a message to who traps exits, else this ends too."""
        if self._vessel is not None:
            Links.signal(self._vessel, ref, reason)

    def _own_links(self) -> Links:
        if self._links is None:
            self._links = Links()
        return self._links

    # --- what it reports ---

    def mourn(self, letters: list[Delivery], reason: ExitReason) -> None:
        """Reports told messages that nobody will handle; any thread may call it."""
        if letters:
            with contextlib.suppress(trio.RunFinishedError):  # nobody listens any more
                self.system.on_trio(self._mourn, letters, reason)

    def lost(self, letter: Delivery) -> None:
        """Reports a told message that came after the end; any thread may call it."""
        self.mourn([letter], self.reason or ExitReason.plain(self.stopping or "normal"))

    def overflowed(self, bound: int) -> None:
        """Reports that the mailbox had no room for a message; any thread may call it."""
        with contextlib.suppress(trio.RunFinishedError):
            event = MailboxOverflow(path=self.path, bound=bound)
            self.system.on_trio(self.system.emit, event)

    def describe(self, view: View, *, restarts: int = 0, last_exit: str | None = None) -> ActorInfo:
        vessel = self._vessel
        lived: dict[str, Any] = {}
        if vessel is not None:
            lived = {
                "mailbox_depth": len(vessel.post_box),
                "mailbox_bound": vessel.post_box.bound,
                "handled": vessel.handled,
                "refused": vessel.post_box.refused,
                "uptime_s": self.uptime_s(),
                "memory_bytes": vessel.memory_bytes(),
            }
        children, more = self._describe_below(view)
        return ActorInfo(
            id=self.spec.id,
            path=self.path,
            name=self.spec.name,
            kind=self.kind,
            state=self.state,
            restarts=restarts,
            last_exit=last_exit,
            children=children,
            more=more,
            **lived,
        )

    def _describe_below(self, view: View) -> tuple[tuple[ActorInfo, ...], int]:
        below = self.below
        if below is None:
            return (), 0
        slots = below.slots()
        shown = () if view.depth == 0 else tuple(islice(slots, view.breadth))
        path, deeper = self.path, view.below()
        children = tuple(slot.describe(path, below.absent(slot), deeper) for slot in shown)
        return children, len(slots) - len(shown)

    def _ring_up(self) -> None:
        ring, self._up = self._up, None
        if ring is not None:
            ring.set()

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
        if self._stoppers is None:
            self._stoppers = []
        self._stoppers.append(reply)
        self.request_stop("normal")


_NEVER = float("inf")
