"""Why an actor ended, in OTP's three words."""

from dataclasses import dataclass
from typing import Literal

from supervision.errors import ActorDeadError, LinkBroken, ShutdownDeadlineExceeded
from supervision.words import words

__all__ = ["ExitKind", "ExitReason"]

ExitKind = Literal["normal", "shutdown", "crash"]


@dataclass(frozen=True, slots=True)
class ExitReason:
    """Why an actor ended.

    Attributes:
        kind: `normal` when it stopped by itself, `shutdown` when its supervisor stopped it, `crash`
            when it raised.
        cause: what it raised; for `shutdown`, set when it had to be cancelled at its deadline, or
            when a linked actor's shutdown took it along.
    """

    kind: ExitKind
    cause: BaseException | None = None

    @property
    def crashed(self) -> bool:
        return self.kind == "crash"

    @property
    def failure(self) -> BaseException | None:
        """What `on_failure` is told: what the actor raised, or that a link ended it."""
        broken = isinstance(self.cause, LinkBroken)
        return self.cause if self.crashed or broken else None

    def __str__(self) -> str:
        if self.cause is None:
            return self.kind
        return f"{self.kind}: {words(self.cause)}"

    @classmethod
    def plain(cls, kind: ExitKind) -> "ExitReason":
        """The reason without a cause, the same for all whose end needs no more words."""
        return _PLAIN[kind]

    @classmethod
    def crash(cls, cause: BaseException) -> "ExitReason":
        return cls("crash", cause)

    @classmethod
    def killed(cls, path: str, shutdown_s: float) -> "ExitReason":
        text = f"{path} had not stopped after {shutdown_s:g} s and was cancelled"
        return cls("shutdown", ShutdownDeadlineExceeded(text))

    def dead(self, path: str, message: object) -> ActorDeadError:
        """Builds the error for the asker of a message this exit interrupted."""
        text = f"{path} ended ({self}) while it worked on {type(message).__name__}: it may have run"
        return ActorDeadError(text)


_PLAIN: dict[ExitKind, ExitReason] = {
    "normal": ExitReason("normal"),
    "shutdown": ExitReason("shutdown"),
    "crash": ExitReason("crash"),
}
