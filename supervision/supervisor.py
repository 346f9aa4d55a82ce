"""The static supervisor: a list of children, started in order and stopped in reverse.

Decisions are pure (`strategy`, `intensity`, `backoff`); this carries them out. It never sleeps: a
restart that is due later is a message to itself, so that a request to stop, or another child's end,
gets in between. A restart that fails is a failure like any other. A start is waited for, but not
when a sibling has ended whose restart takes the starting child along: it may be waiting for that
very sibling, and the two would wait for ever.

When its children fail more often than its intensity allows, it stops them and crashes; its own
supervisor decides then, and in the end `System.wait` returns the reason.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from supervision.actor import Actor
from supervision.backoff import Backoff
from supervision.child import ChildSpec, check_ids, check_names, check_significant
from supervision.children import (
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from supervision.errors import (
    ChildExists,
    ChildRunning,
    ChildUnknown,
    RestartsExceeded,
    ShutdownDeadlineExceeded,
    SpecError,
    StartError,
    ThreadStillRunning,
)
from supervision.events import ActorRestarted, ChildGaveUp, RestartScheduled
from supervision.exits import ExitReason
from supervision.info import State
from supervision.intensity import Intensity, RestartWindow
from supervision.life import Life
from supervision.names import Name
from supervision.ref import ActorRef
from supervision.slot import Slot, count
from supervision.strategy import (
    AUTO_SHUTDOWNS,
    STRATEGIES,
    AutoShutdown,
    Decision,
    Restart,
    Strategy,
    decide,
    ends_with,
)
from supervision.system import start_error, started

__all__ = ["Supervisor", "supervisor"]


def supervisor(
    id: str,  # noqa: A002  OTP's word
    strategy: Strategy,
    children: Sequence[ChildSpec],
    *,
    intensity: Intensity | None = None,
    backoff: Backoff | None = None,
    auto_shutdown: AutoShutdown = "never",
    restart: Restart = "permanent",
    shutdown_s: float = float("inf"),
    name: str | None = None,
) -> ChildSpec:
    """Describes a supervisor and all below it.

    Args:
        id: unique among its siblings.
        strategy: `one_for_one`, `one_for_all` or `rest_for_one`.
        children: in start order.
        intensity: how many restarts, over all children together, it takes before it gives up.
        backoff: how long it waits before each.
        auto_shutdown: whether it ends by itself once `any_significant` child, or `all_significant`
            children, ended for good; `never` by default.
        restart: what its own supervisor does when it ends.
        shutdown_s: seconds its whole subtree has to stop; infinity leaves it to the children's.
        name: what `System.named` finds it by.

    Raises:
        SpecError: something in it, or in a child, cannot be right; the bad value is named.
    """
    if strategy not in STRATEGIES:
        text = f"supervisor {id}: strategy must be one of {', '.join(STRATEGIES)}"
        raise SpecError(f"{text}, not {strategy!r}")
    if auto_shutdown not in AUTO_SHUTDOWNS:
        text = f"supervisor {id}: auto_shutdown must be one of {', '.join(AUTO_SHUTDOWNS)}"
        raise SpecError(f"{text}, not {auto_shutdown!r}")
    specs = tuple(children)
    check_ids(id, specs)
    check_names(id, specs)
    check_significant(id, auto_shutdown, specs)
    return ChildSpec(
        id=id,
        build=partial(
            Supervisor,
            strategy,
            specs,
            intensity or Intensity(),
            backoff or Backoff(),
            auto_shutdown,
        ),
        restart=restart,
        shutdown_s=shutdown_s,
        name=name,
        children=specs,
    )


@dataclass(slots=True, eq=False)
class Child(Slot):
    """A place in the list.

    Attributes:
        due: the round of restarts it waits for; 0 when it waits for none.
        began: it has had a life.
        added: it was started on request, and does not return when its supervisor begins anew.
    """

    due: int = 0
    began: bool = False
    added: bool = False


@dataclass(frozen=True, slots=True)
class ChildExited:
    """To the supervisor: a child's life has ended.

    The life tells the incarnation: its last words may arrive when the next one lives.
    """

    life: Life
    reason: ExitReason


@dataclass(frozen=True, slots=True)
class RestartDue:
    """To the supervisor: the children of this round may start again."""

    round: int


class Supervisor(Actor):
    """Runs a list of children. Described by `supervisor()`."""

    def __init__(
        self,
        strategy: Strategy,
        specs: Sequence[ChildSpec],
        intensity: Intensity,
        backoff: Backoff,
        auto_shutdown: AutoShutdown,
    ) -> None:
        super().__init__()
        self._kernel.oversee(self)
        self._strategy = strategy
        self._children = {spec.id: Child(spec) for spec in specs}
        self._intensity = intensity
        self._window = RestartWindow(intensity)
        self._backoff = backoff
        self._auto_shutdown = auto_shutdown
        self._round = 0
        self._own: list[Name] = []  # of all it was made with, also of those it has forgotten
        self._starting: trio.CancelScope | None = None
        self._starting_id = ""

    async def on_start(self) -> None:
        for child in self._children.values():
            child.names = self.system.hold_names(child.spec)
        self._own = [name for child in self._children.values() for name in child.names]
        for child in self._children.values():
            if self._stopping():
                return
            failed = self._doom_of(child)
            if failed is None:
                life = await self._start_child(child)
                if life.was_up or self._stopping():
                    continue
                failed = self._doom_of(child) or life
            error = start_error(failed)
            raise error from error.cause

    async def on_stop(self) -> None:
        life = self._kernel.life
        await self._stop_all(restarting=life.returns_after(ExitReason(life.stopping or "normal")))

    async def on_receive(self, message: object) -> object:
        match message:
            case StartChild(spec=spec):
                return await self._add(spec)
            case TerminateChild(id=id_):
                await self._terminate(self._find(id_))
            case RestartChild(id=id_):
                return await self._start_again(self._find_over(id_))
            case DeleteChild(id=id_):
                self._drop(self._find_over(id_))
            case WhichChildren():
                return tuple(self._children)
            case CountChildren():
                return count(self._children.values())
            case _:
                return await super().on_receive(message)
        return None

    # --- on request ---

    async def _add(self, spec: ChildSpec) -> ActorRef:
        if spec.id in self._children:
            raise ChildExists(f"{self._path(spec.id)} is there already")
        try:
            check_significant(self._kernel.life.path, self._auto_shutdown, (spec,))
        except SpecError as error:
            raise StartError(self._path(spec.id), error) from error
        names = self.system.hold_names(spec)
        child = self._children[spec.id] = Child(spec, names, added=True)
        try:
            return await self._start_again(child)
        finally:
            if child.life is None:
                self._drop(child)

    def _find(self, id_: str) -> Child:
        child = self._children.get(id_)
        if child is None:
            raise ChildUnknown(f"{self._path(id_)} is not there")
        return child

    def _find_over(self, id_: str) -> Child:
        child = self._find(id_)
        if child.life is not None or child.due:
            raise ChildRunning(f"{self._path(id_)} is running or about to: terminate it first")
        return child

    async def _start_again(self, child: Child) -> ActorRef:
        try:
            life = await self._start_child(child)
        except ThreadStillRunning as error:
            raise ChildRunning(str(error)) from error
        if life.reason is not None and not life.was_up:
            child.life, child.last_exit = None, str(life.reason)
            self._expect(child, restarting=False)
        return started(life)  # it may also be starting still, when a stop came in between

    async def _terminate(self, child: Child) -> None:
        await self._stop_child(child, restarting=False)
        if child.spec.restart == "temporary":
            self._drop(child)

    def _drop(self, child: Child) -> None:
        del self._children[child.spec.id]
        self._expect(child, restarting=False)

    # --- on an end ---

    async def control(self, message: object) -> None:
        match message:
            case ChildExited(life=life, reason=reason):
                await self._child_exited(life, reason)
            case RestartDue(round=round_):
                await self._restart_round(round_)

    async def _child_exited(self, life: Life, reason: ExitReason) -> None:
        child = self._children.get(life.spec.id)
        if child is not None and child.life is life:
            await self._failed(child, life, reason)

    async def _failed(self, child: Child, life: Life, reason: ExitReason) -> None:
        """A child ended by itself, or could not be started."""
        child.life = None
        child.last_exit = str(reason)
        decision = self._decide(child, reason)
        if not decision.start:
            if ends_with(self._auto_shutdown, self._significant(), child.spec.id):
                self.stop()
            self._forget(decision)
            return
        now = trio.current_time()
        if not self._window.admit(now):
            given_up = ChildGaveUp(path=life.path, reason=reason, restarts=child.restarts)
            self.system.emit(given_up)
            raise self._exceeded(life, reason) from reason.cause
        for id_ in decision.stop:
            sibling = self._children[id_]
            await self._stop_child(sibling, restarting=id_ in decision.start)
        self._forget(decision)
        child.failures = self._backoff.failures_in_a_row(child.failures, life.uptime_s())
        self._schedule(decision, child, reason)

    def _decide(self, child: Child, reason: ExitReason) -> Decision:
        kinds = [(other.spec.id, other.spec.restart) for other in self._children.values()]
        return decide(self._strategy, kinds, child.spec.id, reason.kind)

    def _significant(self) -> dict[str, bool]:
        """Every significant child, and whether it is over for good."""
        return {
            child.spec.id: child.life is None and not child.due
            for child in self._children.values()
            if child.spec.significant
        }

    def _forget(self, decision: Decision) -> None:
        for id_ in decision.forget:
            del self._children[id_]

    def _schedule(self, decision: Decision, child: Child, reason: ExitReason) -> None:
        delay_s = self._backoff.delay_s(child.failures, self.system.random)
        self._round += 1
        for id_ in decision.start:
            self._children[id_].due = self._round
        path = self._path(child.spec.id)
        self.system.emit(RestartScheduled(path=path, reason=reason, delay_s=delay_s))
        self._kernel.post(RestartDue(self._round), delay_s)

    async def _restart_round(self, round_: int) -> None:
        for child in list(self._children.values()):
            if child.due != round_:
                continue
            if self._doom_of(child) is not None:
                return  # a sibling has ended, which the next control message says
            child.due = 0
            life = await self._start_child(child)
            if self._stopping():
                return
            if not life.was_up:
                if life.reason is not None:
                    await self._failed(child, life, life.reason)
                return
            child.restarts += 1
            path = self._path(child.spec.id)
            self.system.emit(ActorRestarted(path=path, restarts=child.restarts))

    # --- shared ---

    def _path(self, id_: str) -> str:
        return f"{self._kernel.life.path}/{id_}"

    async def _start_child(self, child: Child) -> Life:
        """Starts the child and waits until it is up or has failed.

        Or until a stop comes, or a sibling ends that takes it along; then it is neither.
        """
        child.began = True
        child.life = life = self.system.launch(
            child.spec,
            parent=self._kernel.life.path,
            supervised=True,
            on_exit=self._child_ended,
        )
        child.kind = life.kind
        with trio.CancelScope() as self._starting:
            self._starting_id = child.spec.id
            await life.up()
        self._starting = None
        return life

    def _stopping(self) -> bool:
        return self._kernel.life.stopping is not None

    def _doom_of(self, child: Child) -> Life | None:
        """Finds a sibling that has ended, and whose restart will take this child along."""
        for other in self._children.values():
            life = other.life
            if life is None or life.reason is None or other is child:
                continue
            if child.spec.id in self._decide(other, life.reason).stop:
                return life
        return None

    async def _stop_child(self, child: Child, *, restarting: bool) -> None:
        child.due = 0
        if child.life is not None:
            child.life.request_stop("shutdown", restarting=restarting)
            await child.life.stopped()
            child.last_exit = str(child.life.reason)
            child.life = None  # not before: should this wait be cancelled, `reap` takes it up again
        self._expect(child, restarting=restarting)

    async def _stop_all(self, *, restarting: bool) -> None:
        """Stops all; when the supervisor is to begin anew, with what it was made with."""
        for child in reversed(list(self._children.values())):
            await self._stop_child(child, restarting=restarting and not child.added)
        for name in self._own:
            name.expect(restarting=restarting)

    def _expect(self, child: Child, *, restarting: bool) -> None:
        for name in child.names:
            name.expect(restarting=restarting)

    async def reap(self, reason: ExitReason) -> None:
        """After a crash or a deadline: nobody below may go on."""
        restarting = self._kernel.life.returns_after(reason)
        if isinstance(reason.cause, ShutdownDeadlineExceeded):
            for child in self._children.values():
                if child.life is not None:
                    child.life.kill()
        await self._stop_all(restarting=restarting)

    def stop_requested(self) -> None:
        if self._starting is not None:
            self._starting.cancel()

    def _child_ended(self, life: Life, reason: ExitReason) -> None:
        self._kernel.post(ChildExited(life, reason))
        child = self._children.get(self._starting_id)
        if self._starting is not None and child is not None and self._doom_of(child) is not None:
            self._starting.cancel()

    def _exceeded(self, life: Life, reason: ExitReason) -> RestartsExceeded:
        budget = f"{self._intensity.restarts} restarts in {self._intensity.period_s:g} s"
        return RestartsExceeded(
            f"{self._kernel.life.path} allows {budget}; last ended {life.path} ({reason})"
        )

    def slots(self) -> Collection[Slot]:
        return self._children.values()

    def slot(self, id_: str) -> Slot | None:
        return self._children.get(id_)

    def absent(self, slot: Slot) -> State:
        child = self._children[slot.spec.id]
        return "restarting" if child.due else "ended" if child.began else "starting"
