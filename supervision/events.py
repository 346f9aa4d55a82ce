"""What the kernel tells of itself: frozen facts, handed to whoever opened the system.

Logs, metrics and traces are subscribers of these. The observer runs on the trio thread between two
actors, so it must be quick and must not block; when it raises, that is logged and the kernel goes
on, because a broken metric is no reason to stop a writer.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from supervision.exits import ExitReason

__all__ = [
    "ActorExited",
    "ActorRestarted",
    "ActorStarted",
    "ChildGaveUp",
    "DeadLetters",
    "Event",
    "Observer",
    "RestartScheduled",
    "TellRefused",
    "ThreadAbandoned",
    "observe",
]

logger = logging.getLogger("supervision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the actor at `path` (`root/stores/writer`)."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorStarted(Event):
    """`on_start` has returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorExited(Event):
    """The actor and all its tasks have ended."""

    reason: ExitReason


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartScheduled(Event):
    """The supervisor will start the actor again after `delay_s` seconds."""

    reason: ExitReason
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorRestarted(Event):
    """A new incarnation is up; `restarts` counts those of this child so far."""

    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildGaveUp(Event):
    """A dynamic child used up its restarts and was forgotten."""

    reason: ExitReason
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters(Event):
    """Told messages that nobody will handle, by type, because the actor ended before them."""

    count: int
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TellRefused(Event):
    """A handler refused a message that nobody asked it."""

    message_type: str
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadAbandoned(Event):
    """A thread actor did not stop within `after_s` seconds; it runs on and is never replaced."""

    after_s: float


Observer = Callable[[Event], object]


def observe(observer: Observer | None, event: Event) -> None:
    """Hands the event to the observer, if there is one; logs what the observer raises."""
    if observer is None:
        return
    try:
        observer(event)
    except Exception:
        logger.exception("the observer of lifecycle events failed on %r", event)
