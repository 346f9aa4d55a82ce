"""Moments and durations as people read them."""

from datetime import UTC, datetime

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


def parse(text: str | None) -> datetime | None:
    """The aware moment a server wrote, or None if it wrote none that can be read."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def moment(text: str | None) -> str:
    """A moment in UTC, to the second; what cannot be read is returned as it came."""
    at = parse(text)
    try:
        return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at else text or ""
    except OverflowError:  # in UTC it is in the year 0 or 10,000
        return text or ""


def duration(seconds: float) -> str:
    """A duration in at most two units: `0.4s`, `12s`, `3m05s`, `2h07m`, `9d03h`."""
    if seconds < 10:  # noqa: PLR2004 - one decimal says something only for short ones
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole}s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}m{whole % _MINUTE_S:02}s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S}h{whole % _HOUR_S // _MINUTE_S:02}m"
    return f"{whole // _DAY_S}d{whole % _DAY_S // _HOUR_S:02}h"
