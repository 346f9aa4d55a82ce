"""Which period is meant, and what it is divided into. Pure."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from actors.analytics.messages import BUCKETS, BUCKETS_LIMIT, Asked, Period
from actors.clock import rfc3339
from actors.errors import ValidationError
from storage.issues import instants

DEFAULT: Final = "24h"
LONGEST: Final = timedelta(days=366)
_SHAPE: Final = re.compile(r"([0-9]{1,6})([mhdw])", re.ASCII)
_UNITS: Final = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(days=7),
}
_STEPS: Final = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_ONE: Final = {"minute": "a minute", "hour": "an hour", "day": "a day"}
_KEY_LENGTHS: Final = {"minute": 16, "hour": 13, "day": 10}
_FINE: Final = timedelta(hours=2)
_MIDDLING: Final = timedelta(days=3)


def period_of(asked: Asked, now: datetime) -> Period:
    """The period that is asked for.

    Raises:
        ValidationError: its length or a moment cannot be read, all three are given, it is empty, or
            longer than 366 days.
    """
    if asked.period is not None and asked.since is not None and asked.until is not None:
        raise ValidationError(
            "a period has two of three: since, until and its length", field="period", value=None
        )
    length = _length(asked.period or DEFAULT)
    since = None if asked.since is None else _moment("since", asked.since)
    until = None if asked.until is None else _moment("until", asked.until)
    if until is None:
        until = now if since is None or asked.period is None else _shifted(since, length, "since")
    if since is None:
        since = _shifted(until, -length, "until")
    return _period(since, until)


def before(period: Period) -> Period:
    """The one of the same length that ends where this one begins.

    Raises:
        ValidationError: there is none, so early is it.
    """
    since = _parsed(period.since)
    return _period(_shifted(since, since - _parsed(period.until), "since"), since)


def grouping(period: Period, asked: str | None) -> str:
    """What its buckets are.

    Raises:
        ValidationError: it would be too many.
    """
    length = timedelta(seconds=period.seconds)
    if asked is None:
        return "minute" if length <= _FINE else "hour" if length <= _MIDDLING else "day"
    check_group(asked, BUCKETS)
    since = _parsed(period.since)
    if since - _begin(since, asked) + length > BUCKETS_LIMIT * _STEPS[asked]:
        raise ValidationError(
            f"the period has more than {BUCKETS_LIMIT} buckets of {_ONE[asked]}, the first and the"
            " last counted, which may be shorter;"
            " ask for a shorter one, or for longer buckets",
            field="group_by",
            value=asked,
        )
    return asked


def buckets(period: Period, group: str) -> Iterator[tuple[str, str, str]]:
    """Each one's key, and where in the period it begins and ends."""
    since, until, step = _parsed(period.since), _parsed(period.until), _STEPS[group]
    begin = _begin(since, group)
    while begin < until:
        end = begin + step if until - begin > step else until
        yield rfc3339(begin)[: _KEY_LENGTHS[group]], rfc3339(max(begin, since)), rfc3339(end)
        begin = end


def _begin(moment: datetime, group: str) -> datetime:
    """Where the whole bucket begins that a moment is in."""
    if group == "minute":
        return moment.replace(second=0, microsecond=0)
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour.replace(hour=0) if group == "day" else hour


def seconds(since: str, until: str) -> float:
    return (_parsed(until) - _parsed(since)).total_seconds()


def check_group(asked: str, known: tuple[str, ...]) -> None:
    if asked not in known:
        raise ValidationError(
            f"it can be grouped by {', '.join(known)}, and not by {asked!r}",
            field="group_by",
            value=asked,
        )


def _period(since: datetime, until: datetime) -> Period:
    if since >= until:
        raise ValidationError(
            f"the period is empty: it would begin at {rfc3339(since)} and end at {rfc3339(until)}",
            field="since",
            value=rfc3339(since),
        )
    if until - since > LONGEST:
        raise ValidationError(
            f"a period has {LONGEST.days} days at most", field="period", value=None
        )
    return Period(
        since=rfc3339(since), until=rfc3339(until), seconds=(until - since).total_seconds()
    )


def _length(text: str) -> timedelta:
    found = _SHAPE.fullmatch(text)
    length = timedelta() if found is None else int(found[1]) * _UNITS[found[2]]
    if not timedelta() < length <= LONGEST:
        raise ValidationError(
            f"a period is a number and m, h, d or w, such as 24h, and {LONGEST.days}d at most",
            field="period",
            value=text,
        )
    return length


def _moment(field: str, text: str) -> datetime:
    try:
        microseconds = instants.to_ns(text) // 1000
        return datetime.fromisoformat(instants.from_us(microseconds)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValidationError(
            f"{field} is a moment in RFC 3339, such as 2026-01-02T03:04:05Z",
            field=field,
            value=text,
        ) from error


def _shifted(moment: datetime, by: timedelta, field: str) -> datetime:
    try:
        return moment + by
    except OverflowError as error:
        raise ValidationError(
            "the period reaches beyond the calendar", field=field, value=rfc3339(moment)
        ) from error


def _parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)
