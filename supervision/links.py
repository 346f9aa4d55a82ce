"""Monitors and links: who learns that an actor has ended, and who ends with it.

A monitor is one-sided and harmless: the watcher gets exactly one `Down`. A link ties both: when
one ends other than normally, so does the other, for the same reason, unless it traps exits; then it
gets an `Exit`, after a normal end too. These are Erlang's rules. Supervision uses neither: a
supervisor is told of its children's ends by the kernel.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from supervision.delivery import Delivery
from supervision.errors import LinkBroken
from supervision.exits import ExitReason
from supervision.ref import ActorRef

if TYPE_CHECKING:
    from supervision.life import Life, Vessel

__all__ = ["Down", "Exit", "Links"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """The actor behind `ref`, which the receiver monitors, has ended."""

    ref: ActorRef
    reason: ExitReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """The actor behind `ref`, to which the receiver is linked, has ended; told to who traps exits.

    A link to an actor that had ended before is answered with a crash by `ActorDeadError`.
    """

    ref: ActorRef
    reason: ExitReason


class Links:
    """Who is tied to one life. A dict each, for its order."""

    __slots__ = ("linked", "watched", "watchers")

    def __init__(self) -> None:
        self.watchers: dict[ActorRef, None] = {}
        self.watched: dict[Life, None] = {}
        self.linked: dict[Life, None] = {}

    def end(self, ref: ActorRef, reason: ExitReason) -> None:
        """The life is over: tells everybody, and unties."""
        life = ref.life
        for watcher in self.watchers:
            if watcher.life is not None and life is not None:
                watcher.life.accept(Delivery(Down(ref=ref, reason=reason)))
                _soon(watcher.life, watcher.life.forget_watched, life)
        for other in self.watched:
            other.unwatch_soon(ref)
        linked, self.linked = self.linked, {}
        self.watchers, self.watched = {}, {}
        for other in linked:
            if life is not None:
                other.unlink(life)
            other.hear_exit(ref, reason)

    @staticmethod
    def signal(vessel: "Vessel", ref: ActorRef, reason: ExitReason) -> None:
        """Hands one end to one linked actor."""
        if vessel.actor.trap_exits:
            vessel.accept(Delivery(Exit(ref=ref, reason=reason)))
        elif reason.kind != "normal":
            vessel.exit(ExitReason(reason.kind, _broken(ref, reason)))


def _broken(ref: ActorRef, reason: ExitReason) -> LinkBroken:
    """Names the neighbour and the first cause: a text per link of a chain would never end."""
    first = reason.cause
    while isinstance(first, LinkBroken) and first.__cause__ is not None:
        first = first.__cause__
    why = ExitReason(reason.kind, first)
    broken = LinkBroken(f"{ref.path}, which it was linked to, ended ({why})")
    broken.__cause__ = first
    return broken


def _soon(life: "Life", function: Callable[[Any], None], argument: object) -> None:
    with contextlib.suppress(trio.RunFinishedError):
        life.system.on_trio(function, argument)
