"""What a mailbox knows of the actor it belongs to."""

from typing import Protocol

__all__ = ["NOBODY", "Owner"]


class Owner(Protocol):
    """The life of the actor that a mailbox belongs to."""

    @property
    def path(self) -> str: ...

    def overflowed(self, bound: int) -> None:
        """Reports that a message was turned away; any thread may call it."""


class _Nobody:
    path = "an actor that was never started"

    def overflowed(self, bound: int) -> None:
        """Nobody to report to."""


NOBODY = _Nobody()
