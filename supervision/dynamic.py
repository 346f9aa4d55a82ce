"""The dynamic supervisor: thousands of children that come and go, each on its own budget.

Nothing here is linear in the number of children but stopping them all. Children do not depend on
each other, so they are started, restarted and stopped side by side, and one that fails too often is
given up alone: it never takes the others along and never escalates.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

import trio

from supervision.actor import Actor
from supervision.backoff import Backoff
from supervision.child import ChildSpec
from supervision.children import CountChildren, StartChild, TerminateChild, WhichChildren
from supervision.delivery import Delivery
from supervision.errors import (
    ChildExists,
    ChildUnknown,
    Refused,
    ShutdownDeadlineExceeded,
    ThreadStillRunning,
)
from supervision.events import ActorRestarted, ChildGaveUp, RestartScheduled
from supervision.exits import ExitReason
from supervision.info import State
from supervision.intensity import Intensity, RestartWindow
from supervision.life import Life
from supervision.slot import Slot, count
from supervision.strategy import should_restart
from supervision.supervisor import ChildExited
from supervision.system import started
from supervision.work import Deferred

__all__ = ["DynamicSupervisor", "GaveUp"]

logger = logging.getLogger("supervision")

GaveUp = Callable[[str, ExitReason], object]


@dataclass(frozen=True, slots=True)
class RestartDue:
    """To the supervisor: this child may start again, if it still waits for that."""

    entry: "Entry"


@dataclass(slots=True, eq=False, kw_only=True)
class Entry(Slot):
    """A place that was asked for.

    Attributes:
        window: the restarts of this child; made at its first failure.
        asker: who asked for it, until it is up or has failed.
        came_up: an incarnation has been up.
        leaving: it is being stopped for good.
    """

    window: RestartWindow | None = None
    asker: Delivery | None = None
    came_up: bool = False
    leaving: bool = False


class DynamicSupervisor(Actor):
    """Starts and stops children on request.

    Args:
        per_child: how often each child may be restarted.
        backoff: how long a child waits before each restart.
        gave_up: told the id and the last exit reason of a child that used up its restarts; on the
            trio thread.
    """

    deferred_bound: ClassVar[int] = 1000

    def __init__(
        self,
        per_child: Intensity | None = None,
        backoff: Backoff | None = None,
        gave_up: GaveUp | None = None,
    ) -> None:
        super().__init__()
        self._kernel.oversee(self)
        self._per_child = per_child or Intensity()
        self._backoff = backoff or Backoff()
        self._gave_up = gave_up
        self._entries: dict[str, Entry] = {}
        self._on_exit = self._child_ended  # one object for all children
        self._on_up = self._child_up
        self._parent = ""

    async def on_start(self) -> None:
        self._parent = self.me.path  # one string for all children

    async def on_receive(self, message: object) -> object:
        match message:
            case StartChild(spec=spec):
                self._add(spec)
                return Deferred()
            case TerminateChild(id=id_):
                return self.defer(self._remove(self._find(id_)))
            case WhichChildren():
                return tuple(self._entries)
            case CountChildren():
                return count(self._entries.values())
            case _:
                return await super().on_receive(message)

    async def on_stop(self) -> None:
        await self._stop_all()

    async def control(self, message: object) -> None:
        match message:
            case ChildExited(life=life, reason=reason):
                self._child_exited(life, reason)
            case RestartDue(entry=entry):
                self._restart(entry)

    # --- on request ---

    def _add(self, spec: ChildSpec) -> None:
        if spec.id in self._entries:
            raise ChildExists(f"{self._path(spec.id)} is there already")
        names = self.system.hold_names(spec)
        asker = self._kernel.hold()
        entry = self._entries[spec.id] = Entry(spec=spec, names=names, asker=asker)
        try:
            self._launch(entry)
        except ThreadStillRunning as error:
            self._forget(entry)
            self._kernel.release(asker)
            raise ChildExists(str(error)) from error

    def _answer(self, entry: Entry, life: Life) -> None:
        """Tells who asked for the child whether it is up; no task waits for that."""
        if entry.asker is None:
            return
        asker, entry.asker = self._kernel.release(entry.asker), None
        try:
            asker.answer(started(life))
        except Refused as error:
            asker.refuse(error)

    def _find(self, id_: str) -> Entry:
        entry = self._entries.get(id_)
        if entry is None:
            raise ChildUnknown(f"{self._path(id_)} is not there")
        return entry

    async def _remove(self, entry: Entry) -> None:
        entry.leaving = True
        if entry.life is not None:
            entry.life.request_stop("shutdown")
            await entry.life.stopped()
        self._forget(entry)

    # --- on an end ---

    def _child_exited(self, life: Life, reason: ExitReason) -> None:
        entry = self._entries.get(life.spec.id)
        if entry is None or entry.life is not life or entry.leaving:
            return
        entry.life, entry.last_exit = None, str(reason)
        if self._window(entry).admit(trio.current_time()):
            self._schedule(entry, life, reason)
        else:
            self._give_up(entry, reason)

    def _window(self, entry: Entry) -> RestartWindow:
        if entry.window is None:
            entry.window = RestartWindow(self._per_child)
        return entry.window

    def _schedule(self, entry: Entry, life: Life, reason: ExitReason) -> None:
        entry.failures = self._backoff.failures_in_a_row(entry.failures, life.uptime_s())
        delay_s = self._backoff.delay_s(entry.failures, self.system.random)
        path = self._path(entry.spec.id)
        self.system.emit(RestartScheduled(path=path, reason=reason, delay_s=delay_s))
        self._kernel.post(RestartDue(entry), delay_s)

    def _restart(self, entry: Entry) -> None:
        if self._entries.get(entry.spec.id) is not entry or entry.leaving:
            return
        try:
            self._launch(entry)
        except ThreadStillRunning as error:
            self._give_up(entry, ExitReason.crash(error))
            return

    def _give_up(self, entry: Entry, reason: ExitReason) -> None:
        self._forget(entry)
        id_ = entry.spec.id
        event = ChildGaveUp(path=self._path(id_), reason=reason, restarts=entry.restarts)
        self.system.emit(event)
        if self._gave_up is not None:
            try:
                self._gave_up(id_, reason)
            except Exception:  # it is one child's affair, and the others are not to suffer for it
                logger.exception("what is told of children given up failed on %s", self._path(id_))

    # --- shared ---

    def _path(self, id_: str) -> str:
        return f"{self._kernel.life.path}/{id_}"

    def _launch(self, entry: Entry) -> Life:
        entry.life = self.system.launch(
            entry.spec,
            parent=self._parent,
            supervised=True,
            on_exit=self._on_exit,
            on_up=self._on_up,
        )
        entry.kind = entry.life.kind
        return entry.life

    def _entry_of(self, life: Life) -> Entry | None:
        """Finds the place of a life, which may not have been put there yet."""
        entry = self._entries.get(life.spec.id)
        return entry if entry is not None and entry.life in (None, life) else None

    def _child_up(self, life: Life) -> None:
        entry = self._entry_of(life)
        if entry is None:
            return
        self._answer(entry, life)
        if not entry.came_up:
            entry.came_up = True
        else:
            entry.restarts += 1
            path = self._path(life.spec.id)
            self.system.emit(ActorRestarted(path=path, restarts=entry.restarts))

    def _child_ended(self, life: Life, reason: ExitReason) -> None:
        entry = self._entry_of(life)
        if entry is None:
            return
        self._answer(entry, life)
        if entry.leaving:
            return  # whoever stops it waits for its end, and forgets it
        if not entry.came_up or not should_restart(entry.spec.restart, reason.kind):
            self._forget(entry)  # at once: most end so, and a message is 4 of the 60 µs of a life
        else:
            self._kernel.post(ChildExited(life, reason))

    def _forget(self, entry: Entry) -> None:
        if self._entries.get(entry.spec.id) is entry:
            del self._entries[entry.spec.id]
        for name in entry.names:
            name.expect(restarting=False)

    async def _stop_all(self) -> None:
        """Stops all side by side; a restarted supervisor begins with none."""
        entries = list(self._entries.values())
        for entry in entries:
            entry.leaving = True
            if entry.life is not None:
                entry.life.request_stop("shutdown")
        for entry in entries:
            if entry.life is not None:
                await entry.life.stopped()
            self._forget(entry)

    async def reap(self, reason: ExitReason) -> None:
        """After a crash or a deadline: nobody below may go on."""
        if isinstance(reason.cause, ShutdownDeadlineExceeded):
            for entry in list(self._entries.values()):
                if entry.life is not None:
                    entry.life.kill()
        await self._stop_all()

    def stop_requested(self) -> None:
        """Nothing here is in the way of a stop."""

    def slots(self) -> Collection[Slot]:
        return self._entries.values()

    def slot(self, id_: str) -> Slot | None:
        return self._entries.get(id_)

    def absent(self, slot: Slot) -> State:  # noqa: ARG002  only one kind of absence here
        return "restarting"
