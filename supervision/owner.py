"""What a mailbox knows of the actor it belongs to."""

from typing import Literal, Protocol

from supervision.delivery import Delivery
from supervision.errors import ActorDeadError, ActorRestarting

__all__ = ["NOBODY", "Mourner", "Overflow", "Owner"]

Overflow = Literal["refuse", "wait"]
"""What a full mailbox does with a message: turn it away, or have its sender wait for room."""

Mourner = type[ActorDeadError | ActorRestarting]
"""The error for asks that never ran."""


class Owner(Protocol):
    """The life of the actor that a mailbox belongs to."""

    @property
    def path(self) -> str: ...

    def overflowed(self, bound: int) -> None:
        """Reports that there was no room for a message; any thread may call it."""

    def lost(self, letter: Delivery) -> None:
        """Reports a told message that came after the end; any thread may call it."""


class _Nobody:
    path = "an actor that was never started"

    def overflowed(self, bound: int) -> None:
        """Nobody to report to."""

    def lost(self, letter: Delivery) -> None:
        """Nobody to report to."""


NOBODY = _Nobody()
