"""What the kernel tells of itself: frozen facts, handed to whoever subscribed to the system.

Logs, metrics and traces are subscribers of these. An observer runs on the trio thread between two
actors, so it must be quick and must not block; when it raises, that is logged and the kernel goes
on, because a broken metric is no reason to stop a writer. The keys are stable: others count by
them.
"""

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from supervision.exits import ExitReason
from supervision.words import words

__all__ = [
    "ActorCrashed",
    "ActorExited",
    "ActorRestarted",
    "ActorStarted",
    "ChildGaveUp",
    "DeadLetters",
    "Event",
    "MailboxOverflow",
    "Observer",
    "RestartScheduled",
    "TellRefused",
    "ThreadAbandoned",
    "observe",
]

logger = logging.getLogger("supervision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the actor at `path` (`root/stores/writer`).

    Attributes:
        key: what happened, for machines; it never changes.
    """

    key: ClassVar[str]

    path: str

    def fields(self) -> dict[str, object]:
        """Returns all of it as plain values; a class always has the same keys."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorStarted(Event):
    """`on_start` has returned."""

    key: ClassVar[str] = "actor.started"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorExited(Event):
    """The actor and all its tasks have ended, by themselves or because they were stopped."""

    key: ClassVar[str] = "actor.exited"

    reason: ExitReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorCrashed(ActorExited):
    """The actor raised, and it and all its tasks have ended."""

    key: ClassVar[str] = "actor.crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartScheduled(Event):
    """The supervisor will start the actor again after `delay_s` seconds."""

    key: ClassVar[str] = "actor.restart_scheduled"

    reason: ExitReason
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorRestarted(Event):
    """A new incarnation is up; `restarts` counts those of this child so far."""

    key: ClassVar[str] = "actor.restarted"

    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildGaveUp(Event):
    """A child used up its restarts, or, below a static supervisor, those of all its siblings.

    A dynamic supervisor forgets the child and goes on; a static one stops all and crashes.
    """

    key: ClassVar[str] = "actor.gave_up"

    reason: ExitReason
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters(Event):
    """Told messages that nobody will handle, by type, because the actor ended before them."""

    key: ClassVar[str] = "actor.dead_letters"

    count: int
    types: tuple[str, ...]
    reason: ExitReason


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxOverflow(Event):
    """A mailbox that was full turned a message away, at once or when its sender had waited.

    Told at the first such message; then not again before the actor has emptied its mailbox once.
    How many there were is in `ActorInfo.refused`.
    """

    key: ClassVar[str] = "actor.mailbox_overflow"

    bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TellRefused(Event):
    """A handler refused a message that nobody asked it."""

    key: ClassVar[str] = "actor.tell_refused"

    message_type: str
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadAbandoned(Event):
    """A thread actor did not stop within `after_s` seconds; it runs on and is never replaced."""

    key: ClassVar[str] = "actor.thread_abandoned"

    after_s: float


Observer = Callable[[Event], object]


def observe(observer: Observer, event: Event) -> None:
    """Hands the event to the observer; logs what the observer raises."""
    try:
        observer(event)
    except (Exception, SystemExit):
        logger.exception("the observer of lifecycle events failed on %r", event)


def _plain(value: object) -> object:
    match value:
        case ExitReason():
            return str(value)
        case BaseException():
            return words(value)
        case tuple():
            return list(value)
        case _:
            return value
