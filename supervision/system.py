"""One actor system: the tree's root, its names, and the room its tasks run in.

The room is a nursery in a task of its own, shielded from whoever opened the system: a cancellation
from outside would end all actors at once and in no order. It reaches only the body of
`System.open`, and on the way out the tree is stopped as it should be: in reverse order, each within
its deadline.

Several systems live side by side in one process, and nothing of one is left when it closes.
"""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import trio

from supervision.bridge import Bridge
from supervision.child import ChildSpec, check_names
from supervision.dead_letters import DeadLetterOffice
from supervision.errors import ActorDeadError, Refused, StartError, ThreadStillRunning
from supervision.events import Event, Observer, observe
from supervision.exits import ExitReason
from supervision.info import ActorInfo, View
from supervision.life import Life, OnExit, OnUp
from supervision.names import Name, Names
from supervision.ref import ActorRef, Named

__all__ = ["System", "start_error", "started"]


class System:
    """A running tree of actors, made by `System.open`. It belongs to the trio thread."""

    def __init__(
        self,
        nursery: trio.Nursery,
        observer: Observer | None,
        random: Random,
        inline: bool,
        latency_s: float,
    ) -> None:
        self.nursery = nursery
        self.bridge = Bridge.current()
        self.random = random
        self.inline = inline
        self.latency_s = latency_s
        self.abandoned: dict[str, Life] = {}
        self.threads: dict[Life, None] = {}
        self.dead_letters = DeadLetterOffice()
        self._observers: tuple[Observer, ...] = () if observer is None else (observer,)
        self._names = Names()
        self._root: Life | None = None
        self._root_names: list[Name] = []
        self._over = trio.Event()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        on_event: Observer | None = None,
        *,
        random: Random | None = None,
        inline: bool = False,
        latency_s: float = 0.0,
    ) -> AsyncIterator["System"]:
        """Opens a system; on the way out stops what still runs, in order.

        A cancellation from outside reaches the body and becomes an ordered stop, which is shielded
        and therefore lasts as long as the shutdown deadlines in the specs allow.

        Args:
            on_event: is told every lifecycle event, on the trio thread.
            random: where the jitter of restarts comes from.
            inline: blocking actors run on trio tasks instead of threads, for simulation.
            latency_s: an inline actor waits up to so many seconds of trio's clock before a batch.
        """
        raised: BaseException | None = None
        async with trio.open_nursery() as outer:
            make = partial(
                cls,
                observer=on_event,
                random=random or Random(),  # noqa: S311  jitter guards no secret
                inline=inline,
                latency_s=latency_s,
            )
            system, close = await outer.start(cls._host, make)
            try:
                yield system
            except BaseException as error:  # noqa: BLE001  raised below, not in a nursery's group
                raised = error
            try:
                with trio.CancelScope(shield=True):
                    await system.stop()
            except BaseException as error:  # noqa: BLE001  a second control-C ends the ordered stop
                raised = error
            close.set()
        if raised is not None:
            raise raised

    @classmethod
    async def _host(
        cls,
        make: Callable[[trio.Nursery], "System"],
        *,
        task_status: trio.TaskStatus[tuple["System", trio.Event]],
    ) -> None:
        close = trio.Event()
        system: System | None = None
        try:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    system = make(nursery)
                    task_status.started((system, close))
                    await close.wait()
                    # The tree is down. Nobody supervised what is left: it must not hold us up.
                    nursery.cancel_scope.cancel()
        finally:
            for thread in list(system.threads if system is not None else ()):
                thread.request_stop("shutdown")  # after an ordered stop there is none

    async def start(self, spec: ChildSpec) -> None:
        """Starts the root and returns when the whole tree is up.

        Raises:
            StartError: a child did not start; `path` says which. What had started was stopped.
            SpecError: a name occurs twice in the tree.
            RuntimeError: the system was started before.
        """
        if self._root is not None:
            raise RuntimeError("a system is started once")
        check_names(spec.id, (spec,))
        self._root_names = self.hold_names(spec)
        self._root = root = self.launch(spec, parent="", supervised=False, on_exit=self._root_ended)
        await root.up()
        if not root.was_up:
            error = start_error(root)
            raise error from error.cause

    async def wait(self) -> ExitReason:
        """Waits until the root has ended and says why.

        The reason is a crash when failures escalated to the root, and also when a thread did not
        stop and still runs (`ThreadStillRunning`): the process must then not exit with 0.
        """
        await self._over.wait()
        reason = self._root.reason if self._root is not None else None
        if self.abandoned and not (reason is not None and reason.crashed):
            text = f"still running after their deadline: {', '.join(sorted(self.abandoned))}"
            return ExitReason.crash(ThreadStillRunning(text))
        return reason or ExitReason("shutdown")

    async def stop(self) -> None:
        """Stops the tree in reverse order and returns when it is down.

        An actor of the tree that awaited this would wait for itself: it calls `request_stop`.
        """
        self.request_stop()
        if self._root is not None:
            await self._root.stopped()
        self._names.end()
        self._over.set()

    def request_stop(self) -> None:
        """Asks the tree to stop and returns at once."""
        if self._root is not None:
            self._root.request_stop("shutdown")

    def named(self, text: str) -> Named:
        """Returns the name to send to, whether or not anybody answers to it yet."""
        return Named(self._names.find(text))

    def monitor(self, target: ActorRef, watcher: ActorRef) -> None:
        """Sends the watcher exactly one `Down` when the target ends, or at once if it has.

        It arrives in order with what the target sent before, and is never refused. Any thread may
        call it, and the two may live in different loops.
        """
        self.on_trio(_alive(target).watch, watcher)

    def demonitor(self, target: ActorRef, watcher: ActorRef) -> None:
        """Ends a monitor; a `Down` that is on its way still comes. Any thread may call it."""
        self.on_trio(_alive(target).unwatch, watcher)

    def link(self, one: ActorRef, other: ActorRef) -> None:
        """Ties two actors: when one ends other than normally, so does the other. As Erlang does.

        An actor with `trap_exits` gets an `Exit` instead, and also after a normal end. A link to an
        actor that has ended counts as its crash. Any thread may call it.

        Raises:
            ValueError: the two live in different loops; a monitor can do that.
        """
        life, tied = _alive(one), _alive(other)
        if not life.system.bridge is tied.system.bridge is self.bridge:
            raise ValueError(f"{one.path} and {other.path} do not live in one loop: monitor them")
        self.on_trio(life.link, tied)

    def unlink(self, one: ActorRef, other: ActorRef) -> None:
        """Unties two actors; an end that was told already stays told. Any thread may call it."""
        self.on_trio(_alive(one).unlink, _alive(other))

    def snapshot(
        self, path: str | None = None, *, depth: int | None = None, breadth: int | None = None
    ) -> ActorInfo | None:
        """Describes the tree, or what is at and below a path, as it is now.

        It asks no actor, so it answers whatever they are doing.

        Args:
            path: ids from the root down, with slashes; None for the root.
            depth: levels below to describe; None for all.
            breadth: children to describe of each supervisor; None for all. A child costs about
                10 microseconds.

        Returns:
            None before the start, and when there is nothing at the path.
        """
        if self._root is None:
            return None
        view = View(depth, breadth)
        first, *ids = (path or self._root.spec.id).split("/")
        if first != self._root.spec.id:
            return None
        return self._look_up(self._root, ids, view) if ids else self._root.describe(view)

    def _look_up(self, top: Life, ids: list[str], view: View) -> ActorInfo | None:
        life: Life | None = top
        for depth, id_ in enumerate(ids, 1):
            below = life.below if life is not None else None
            slot = below.slot(id_) if below is not None else None
            if life is None or below is None or slot is None:
                return None
            if depth == len(ids):
                return slot.describe(life.path, below.absent(slot), view)
            life = slot.life
        return None

    def subscribe(self, observer: Observer) -> None:
        """Has the observer told every lifecycle event from now on, on the trio thread."""
        self._observers += (observer,)

    def unsubscribe(self, observer: Observer) -> None:
        """Takes an observer off; one that is not there is no error."""
        self._observers = tuple(other for other in self._observers if other != observer)

    # --- for the kernel ---

    def on_trio(self, function: Callable[..., object], *args: object) -> None:
        """Runs the function on the trio thread: now, when that is where we are, else soon.

        Raises:
            trio.RunFinishedError: the loop has ended.
        """
        if threading.get_ident() == self.bridge.thread_id:
            function(*args)
        else:
            self.bridge.call(function, *args)

    def emit(self, event: Event) -> None:
        """Tells the observers of an event."""
        for observer in self._observers:
            observe(observer, event)

    def hold_names(self, spec: ChildSpec) -> list[Name]:
        """Returns the names of a spec and all below; they are known while somebody holds them."""
        if not spec.children:  # most have none, and of those there are thousands
            return [] if spec.name is None else [self._names.find(spec.name)]
        return [self._names.find(text) for text in spec.names()]

    def launch(
        self,
        spec: ChildSpec,
        *,
        parent: str,
        supervised: bool,
        on_exit: OnExit,
        on_up: OnUp | None = None,
    ) -> Life:
        """Builds a child and sets it running; its start is over when `up` of the life returns.

        `on_up` is called when it is up, `on_exit` when it has ended, whether or not it was up.

        Raises:
            ThreadStillRunning: a thread of a former incarnation was given up and still runs.
        """
        life = Life(self, spec, parent, supervised=supervised, on_exit=on_exit, on_up=on_up)
        if self.abandoned:
            self._refuse_second_thread(life.path)
        try:
            name = self._names.free(spec.name) if spec.name is not None else None
            life.begin(spec.build(), name)
        except Exception as error:  # noqa: BLE001  what cannot be built has failed to start
            life.end(ExitReason.crash(error))
        return life

    def _refuse_second_thread(self, path: str) -> None:
        for abandoned in self.abandoned:
            if abandoned == path or abandoned.startswith(f"{path}/"):
                text = f"{path} is not started again: the thread of {abandoned} still runs"
                raise ThreadStillRunning(text)

    def _root_ended(self, _root: Life, _reason: ExitReason) -> None:
        self._names.end()
        self._over.set()


def _alive(ref: ActorRef) -> Life:
    if ref.life is None:
        raise ActorDeadError(f"{ref} was never started")
    return ref.life


def started(life: Life) -> ActorRef:
    """Returns the ref of a life that is up.

    Raises:
        Refused: its `on_start` refused.
        StartError: it did not start.
    """
    if life.ref is None or not life.was_up:
        error = start_error(life)
        if isinstance(error.cause, Refused):
            raise error.cause
        raise error from error.cause
    return life.ref


def start_error(life: Life) -> StartError:
    """Says which child at or below this life did not start, and why."""
    cause = life.reason.cause if life.reason is not None else None
    if isinstance(cause, StartError):
        return StartError(cause.path, cause.cause)
    return StartError(life.path, cause or RuntimeError(f"it ended at once ({life.reason})"))
