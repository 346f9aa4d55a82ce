"""Dead letters: told messages that nobody will handle, counted, and the last of them remembered.

An ask that dies with its actor is answered with an error and needs no office. A tell has nobody to
be answered; that it was lost must be seen all the same.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from supervision.delivery import Delivery
from supervision.events import DeadLetters
from supervision.exits import ExitReason

__all__ = ["DeadLetter", "DeadLetterOffice"]

REMEMBERED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One told message that nobody handled; not its content.

    Attributes:
        path: of the actor it was told to.
        message_type: the name of its class.
        reason: why the actor ended.
        at_s: when, in seconds on trio's clock.
    """

    path: str
    message_type: str
    reason: str
    at_s: float


class DeadLetterOffice:
    """All dead letters of one system. On the trio thread only."""

    def __init__(self) -> None:
        self.count = 0
        self._recent: deque[DeadLetter] = deque(maxlen=REMEMBERED)

    @property
    def recent(self) -> tuple[DeadLetter, ...]:
        """The last hundred, newest last."""
        return tuple(self._recent)

    def take(
        self, path: str, letters: Iterable[Delivery], reason: ExitReason, now_s: float
    ) -> DeadLetters:
        """Keeps what was told to one actor in vain and returns the event that says so."""
        kinds = [type(letter.message).__name__ for letter in letters]
        self.count += len(kinds)
        why = str(reason)
        for kind in kinds[-REMEMBERED:]:
            letter = DeadLetter(path=path, message_type=kind, reason=why, at_s=now_s)
            self._recent.append(letter)
        types = tuple(sorted(Counter(kinds)))
        return DeadLetters(path=path, count=len(kinds), types=types, reason=reason)
