"""What a program says while it works, in one form for all programs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from actors.agents.kit.usage import Usage

TOTAL: Final = "total"
"""The key of usage that is that of the whole turn; other keys are its parts."""

_MILLISECONDS_FROM: Final = 1e11  # as seconds, this is in the year 5138


@dataclass(frozen=True, slots=True)
class Session:
    """By which the program will know this conversation again."""

    id: str


@dataclass(frozen=True, slots=True)
class Said:
    """A message to people.

    Args:
        is_part: it goes on where the one before ended.
    """

    text: str
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Doing:
    """What it is at, in a few words."""

    what: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What it has used so far; another one of the same key replaces it."""

    key: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Limited:
    """It may do no more for a while.

    Args:
        resets_at: None when it does not say.
    """

    resets_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ended:
    """It says that its turn is over.

    Args:
        code: short, how it failed; "" when it did not.
        text: its last words; "" when they have been said.
        is_incomplete: it stopped before it was done, and can go on.
    """

    code: str = ""
    text: str = ""
    is_incomplete: bool = False


Event = Session | Said | Doing | Spent | Limited | Ended


def moment(value: Any) -> datetime | None:
    """A moment that a program names: seconds or milliseconds since 1970, or RFC 3339."""
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return _since_1970(value)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return _since_1970(value)


def _since_1970(value: Any) -> datetime | None:
    try:
        seconds = float(value)
        return datetime.fromtimestamp(
            seconds / 1000 if seconds > _MILLISECONDS_FROM else seconds, UTC
        )
    except (TypeError, ValueError, OverflowError, OSError):
        return None
