"""The clock: the one place from which the actors learn what time it is.

Nothing else in this room reads the wall clock. Durations are measured with trio's clock, which a
test can turn into a `MockClock`.
"""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Answers the present as an aware UTC datetime."""


def system_clock() -> datetime:
    return datetime.now(UTC)


def rfc3339(at: datetime) -> str:
    """The stored and published form of a moment: UTC, microseconds, "Z"."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[:-6] + "Z"
