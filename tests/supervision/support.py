"""Actors and messages that the kernel's tests share."""

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import trio

from supervision import (
    Actor,
    ActorRestarting,
    Ask,
    Backoff,
    BlockingActor,
    ChildSpec,
    Delivery,
    Event,
    Intensity,
    Named,
    Refused,
    ask,
)

AT_ONCE = Backoff(initial_s=0.0)
STEADY = Backoff(initial_s=1.0, factor=1.0, jitter=0.0)
GENEROUS = Intensity(restarts=1_000_000, period_s=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo(Ask[object]):
    """Answer with the value."""

    value: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Ask[object]):
    """Answer with what the function returns; it is given the actor, and may raise."""

    function: Callable[[Any], Any]


class Nope(Refused):
    """A refusal of the tests."""

    code = "nope"
    status = 409


class Boom(Exception):  # noqa: N818  a bang
    """A crash of the tests."""


@dataclass(frozen=True, slots=True)
class Crash:
    """Raise a Boom."""


@dataclass(frozen=True, slots=True)
class Note:
    """Be remembered."""

    value: object


class Probe(Actor):
    """Does as it is told, and writes its life into a log that may be shared."""

    def __init__(self, label: str = "probe", log: list[str] | None = None) -> None:
        super().__init__()
        self.label = label
        self.log = log if log is not None else []
        self.notes: list[object] = []
        self.starts: Callable[[], Awaitable[object]] | None = None
        self.stops: Callable[[], Awaitable[object]] | None = None

    async def on_start(self) -> None:
        self.log.append(f"+{self.label}")
        if self.starts is not None:
            await self.starts()

    async def on_receive(self, message: object) -> object:
        match message:
            case Echo(value=value):
                return value
            case Run(function=function):
                result = function(self)
                return await result if isinstance(result, Awaitable) else result
            case Note(value=value):
                self.notes.append(value)
                return None
            case Crash():
                raise Boom(self.label)
            case _:
                return await super().on_receive(message)

    async def on_stop(self) -> None:
        self.log.append(f"-{self.label}")
        if self.stops is not None:
            await self.stops()

    async def on_failure(self, error: BaseException) -> None:
        self.log.append(f"!{self.label}")


class ThreadProbe(BlockingActor):
    """The same on a thread."""

    def __init__(self, label: str = "probe", log: list[str] | None = None) -> None:
        super().__init__()
        self.label = label
        self.log = log if log is not None else []
        self.notes: list[object] = []

    def on_start(self) -> None:
        self.log.append(f"+{self.label}")

    def on_receive(self, message: object) -> object:
        match message:
            case Echo(value=value):
                return value
            case Run(function=function):
                return function(self)
            case Note(value=value):
                self.notes.append(value)
                return None
            case Crash():
                raise Boom(self.label)
            case _:
                return super().on_receive(message)

    def on_stop(self) -> None:
        self.log.append(f"-{self.label}")

    def on_failure(self, error: BaseException) -> None:
        self.log.append(f"!{self.label}")


async def hang(_actor: object) -> None:
    """For `Run`: never comes back."""
    await trio.sleep_forever()


def probe(label: str = "probe", log: list[str] | None = None, **spec: Any) -> ChildSpec:
    """A spec of a Probe that answers to its label."""
    return ChildSpec(id=label, build=lambda: Probe(label, log), name=label, **spec)


def thread(label: str = "probe", log: list[str] | None = None, **spec: Any) -> ChildSpec:
    """A spec of a ThreadProbe that answers to its label."""
    return ChildSpec(id=label, build=lambda: ThreadProbe(label, log), name=label, **spec)


class Events(list[Event]):
    """An observer that keeps what it is told and lets a test wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._more = trio.Event()

    def __call__(self, event: Event) -> None:
        self.append(event)
        self._more.set()
        self._more = trio.Event()

    def of(self, kind: type[Event], path: str = "") -> list[Event]:
        return [e for e in self if isinstance(e, kind) and path in ("", e.path)]

    async def wait_for(self, kind: type[Event], path: str = "", count: int = 1) -> Event:
        """Waits until that many such events have come; returns the last."""
        with trio.fail_after(10):
            while len(found := self.of(kind, path)) < count:
                await self._more.wait()
        return found[count - 1]


async def ask_again(target: Named, message: Ask[Any]) -> Any:
    """Asks until the target is not being restarted."""
    with trio.fail_after(60):
        while True:
            try:
                return await ask(target, message)
            except ActorRestarting:
                await trio.sleep(0.01)


def seeded(seed: int) -> Random:
    """A source of chance that a test can repeat."""
    return Random(seed)


class Owner:
    """Stands in for the actor a mailbox belongs to."""

    path = "root/a"

    def __init__(self) -> None:
        self.overflows: list[int] = []
        self.letters: list[Delivery] = []

    def overflowed(self, bound: int) -> None:
        self.overflows.append(bound)

    def lost(self, letter: Delivery) -> None:
        self.letters.append(letter)


class Gate:
    """Holds a thread until it is opened, and says when one has come."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, _actor: object = None) -> str:
        self.reached.set()
        assert self._open.wait(10)
        return "passed"

    def open(self) -> None:
        self._open.set()

    async def wait_reached(self) -> None:
        assert await trio.to_thread.run_sync(self.reached.wait, 10)
