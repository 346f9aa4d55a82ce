"""A victim that fails where it is told to, and all who may see it fail.

The asker sees an answer or an error, the supervisor an exit reason and restarts or does not, a
watcher gets one `Down`, and an observer is told events.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from supervision import (
    Actor,
    ActorRef,
    ActorRestarting,
    Ask,
    AskTimeout,
    BlockingActor,
    ChildSpec,
    Down,
    DynamicSupervisor,
    Event,
    Refused,
    StartChild,
    System,
    TerminateChild,
    ask,
    supervisor,
)
from supervision.errors import ActorDeadError

from .support import AT_ONCE, Boom, Echo, Events, Gate, Nope, seeded

__all__ = ["Do", "Scene", "Seen", "open_scene"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Do(Ask[object]):
    """Come to one place, where the victim may fail; else answer `done`."""

    place: str = "on_receive"


@dataclass(frozen=True, slots=True)
class Seen:
    """What all of them saw.

    Attributes:
        asker: the answer, or the name of the error.
        ends: the reasons of every exit the supervisor heard of.
        downs: the reasons in every `Down` the watcher got.
        told: the keys of all events about the victim.
    """

    asker: object
    ends: list[str]
    downs: list[str]
    told: list[str]


class Watcher(Actor):
    """Keeps the reasons of all `Down`s."""

    def __init__(self) -> None:
        super().__init__()
        self._downs: list[str] = []

    async def on_receive(self, message: object) -> object:
        match message:
            case Down(reason=reason):
                self._downs.append(str(reason))
                return None
            case Echo():
                return self._downs
            case _:
                return await super().on_receive(message)


class Plan:
    """Where the victim fails, and how; each once, so that the next incarnation is well."""

    def __init__(self, watcher: ActorRef) -> None:
        self.watcher = watcher
        self.fails: dict[str, str] = {}
        self.gate = Gate()

    async def come_to(self, place: str) -> object:
        if self._raise_or_hang(place):
            await trio.sleep_forever()
        return "done"

    def come_to_blocking(self, place: str) -> object:
        if self._raise_or_hang(place):
            self.gate()
        return "done"

    def _raise_or_hang(self, place: str) -> bool:
        match self.fails.pop(place, ""):
            case "raises":
                raise Boom(place)
            case "refuses":
                raise Nope(place)
            case how:
                return how == "hangs"


class TaskVictim(Actor):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    async def on_start(self) -> None:
        self.system.monitor(self.me, self._plan.watcher)
        await self._plan.come_to("on_start")

    async def on_receive(self, message: object) -> object:
        match message:
            case Do(place="deferred"):
                return self.defer(self._plan.come_to("deferred"))
            case Do(place="background"):
                self.spawn(self._plan.come_to, "background")
                return "done"
            case Do(place=place):
                return await self._plan.come_to(place)
            case _:
                return await super().on_receive(message)

    async def on_stop(self) -> None:
        await self._plan.come_to("on_stop")

    async def on_failure(self, error: BaseException) -> None:
        await self._plan.come_to("on_failure")


class BlockingVictim(BlockingActor):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def on_start(self) -> None:
        self.system.monitor(self.me, self._plan.watcher)
        self._plan.come_to_blocking("on_start")

    def on_receive(self, message: object) -> object:
        match message:
            case Do(place=place):
                return self._plan.come_to_blocking(place)
            case _:
                return super().on_receive(message)

    def on_stop(self) -> None:
        self._plan.come_to_blocking("on_stop")

    def on_failure(self, error: BaseException) -> None:
        self._plan.come_to_blocking("on_failure")


class Scene:
    """One system with a watcher and two supervisors, one of which starts the victim."""

    def __init__(self, system: System, events: Events, kind: str, plan: Plan) -> None:
        self.system = system
        self.events = events
        self.plan = plan
        self.victim = system.named("victim")
        self._kind = kind
        self._path = "root/victim"

    async def start(self, under: str = "root", *, shutdown_s: float = 5.0, **fails: str) -> object:
        """Has the victim started; returns what the asker sees."""
        self.plan.fails = fails
        self._path = "root/victim" if under == "root" else f"root/{under}/victim"
        build: Any = TaskVictim if self._kind == "task" else BlockingVictim
        spec = ChildSpec(
            id="victim", name="victim", build=lambda: build(self.plan), shutdown_s=shutdown_s
        )
        answer = await self.asks(StartChild(spec=spec), under)
        return "started" if isinstance(answer, ActorRef) else answer

    async def asks(
        self, message: Ask[Any], target: str = "victim", deadline_s: float = 60.0
    ) -> object:
        """Asks; returns the answer, or the name of the error."""
        try:
            return await ask(self.system.named(target), message, deadline_s=deadline_s)
        except (Refused, ActorDeadError, ActorRestarting, AskTimeout) as error:
            return type(error).__name__

    async def terminate(self, under: str = "root") -> None:
        """Has the victim stopped by its supervisor."""
        await ask(self.system.named(under), TerminateChild(id="victim"), deadline_s=60.0)

    async def seen(self, asker: object = None, until: type[Event] | None = None) -> Seen:
        """Waits for one event about the victim, if told so, and for calm; says what was seen."""
        if until is not None:
            await self.events.wait_for(until, self._path)
        await wait_all_tasks_blocked()
        downs: Any = await ask(self.system.named("watcher"), Echo())
        about = [event for event in self.events if event.path == self._path]
        ends = ("actor.exited", "actor.crashed")
        return Seen(
            asker=asker,
            ends=[str(event.fields()["reason"]) for event in about if event.key in ends],
            downs=downs,
            told=[event.key.removeprefix("actor.") for event in about],
        )


@asynccontextmanager
async def open_scene(kind: str) -> AsyncIterator[Scene]:
    """Opens a system for a victim of one kind: task, thread or inline."""
    events = Events()
    async with System.open(on_event=events, random=seeded(1), inline=kind == "inline") as system:
        watcher = ChildSpec(id="watcher", name="watcher", build=Watcher)
        pool = ChildSpec(id="pool", name="pool", build=DynamicSupervisor)
        children = [watcher, pool]
        root = supervisor("root", "one_for_one", children, backoff=AT_ONCE, name="root")
        await system.start(root)
        ref = system.named("watcher").ref
        assert ref is not None
        yield Scene(system, events, kind, Plan(ref))
