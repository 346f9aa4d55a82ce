"""Moments as people write them on a command line, read into RFC 3339.

`2h`, `3d`, `1w`, `2m` and `1y` are from now on (months and years by the calendar: the 31st of a
shorter month runs on into the next), `-3d` is before now; `2026-12-24` is the beginning of that day
here; `tomorrow` is the beginning of the next one. RFC 3339 is taken as it is.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from cyclopts import Parameter

from cli import problem

Moment = Annotated[str | None, Parameter(allow_leading_hyphen=True)]
"""An option that takes one: `-3d` is no option of its own."""

_SPAN: Final = re.compile(r"([+-]?)([0-9]{1,6})([hdwmy])")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTHS: Final = 12


def parse(option: str, text: str, now: datetime) -> str:
    """The moment that is meant, in RFC 3339, UTC where it was not written with its zone.

    Raises:
        Problem: (usage) nothing is.
    """
    try:
        return _parsed(text.strip(), now)
    except (ValueError, OverflowError) as err:
        raise problem.usage(
            f"{option} is no moment", text, hint="write 2h, 3d, 1w, 2026-12-24 or tomorrow"
        ) from err


def given(option: str, text: str | None, now: datetime) -> str | None:
    """The same of an option that may be left out."""
    return None if text is None else parse(option, text, now)


def _parsed(text: str, now: datetime) -> str:
    if span := _SPAN.fullmatch(text):
        sign, number, unit = span.groups()
        return _utc(_moved(now, -int(number) if sign == "-" else int(number), unit))
    if text == "tomorrow":
        return _utc(_beginning(now.astimezone() + timedelta(days=1)))
    at = datetime.fromisoformat(text)
    if _DAY.fullmatch(text):
        return _utc(at.astimezone())
    if at.tzinfo is None:
        raise ValueError(text)
    return text


def _moved(now: datetime, number: int, unit: str) -> datetime:
    match unit:
        case "h":
            return now + timedelta(hours=number)
        case "d":
            return now + timedelta(days=number)
        case "w":
            return now + timedelta(weeks=number)
        case "m":
            return _in_months(now, number)
        case _:
            return _in_months(now, number * _MONTHS)


def _in_months(now: datetime, number: int) -> datetime:
    years, month = divmod(now.year * _MONTHS + now.month - 1 + number, _MONTHS)
    first = now.replace(year=years, month=month + 1, day=1)
    return first + timedelta(days=now.day - 1)


def _beginning(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
