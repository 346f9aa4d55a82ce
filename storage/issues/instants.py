"""Points in time as the published file writes them: RFC 3339 text with up to nine fraction digits.

Rows keep the text they were read with, in whatever zone its writer had; this module only compares
such texts and writes new ones. Texts are never compared as strings: trailing zeros of the fraction
are trimmed and zones differ, so equal instants have many spellings. Nanoseconds are integers here
because `datetime` stops at microseconds.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_PATTERN = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZERO = "0001-01-01T00:00:00Z"
"""What bd writes for a time that was never set."""


@lru_cache(maxsize=4096)
def to_ns(text: str) -> int:
    """Return the instant as nanoseconds since 1970.

    Raises:
        ValueError: the text is no RFC 3339 time.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    day, clock, fraction, sign, hours, minutes = match.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds - _offset_s(sign, hours, minutes)
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def _offset_s(sign: str | None, hours: str | None, minutes: str | None) -> int:
    offset = int(hours or 0) * 3600 + int(minutes or 0) * 60
    return -offset if sign == "-" else offset


_FIRST_NS = to_ns(ZERO)
_LAST_NS = to_ns("9999-12-31T23:59:59.999999999Z")


def from_datetime(moment: datetime) -> str:
    """Write an aware moment in UTC, the fraction's trailing zeros trimmed."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return trim(f"{utc.isoformat(timespec='microseconds')}Z")


def has_utc(text: str) -> bool:
    """Whether the instant has a date in UTC: zones reach into the years 0 and 10,000.

    Raises:
        ValueError: the text is no RFC 3339 time.
    """
    return _FIRST_NS <= to_ns(text) <= _LAST_NS


def from_us(microseconds: int) -> str:
    """Write microseconds since 1970 in UTC; before the first moment or after the last, that."""
    us = min(max(microseconds, _FIRST_NS // 1000), _LAST_NS // 1000)
    return from_datetime(_EPOCH + timedelta(microseconds=us))


def just_after(text: str) -> str:
    """Return the time a microsecond later, in UTC; the same one at the end of all time."""
    microseconds = to_ns(text) // 1000 + 1
    try:
        return from_datetime(_EPOCH + timedelta(microseconds=microseconds))
    except OverflowError:
        return text


def in_utc(text: str) -> str:
    """Write a time in UTC, to its last digit: one spelling for each instant.

    A time that is in the year 0 or 10,000 there stays as it is.

    Raises:
        ValueError: the text is no RFC 3339 time.
    """
    seconds, ns = divmod(to_ns(text), 1_000_000_000)
    try:
        day = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None)
    except OverflowError:
        return text
    return trim(f"{day.isoformat(timespec='seconds')}.{ns:09d}Z")


def trim(text: str) -> str:
    """Return the same time without trailing zeros in its fraction; other texts as they are."""
    head, point, fraction = text.removesuffix("Z").partition(".")
    if not text.endswith("Z") or not point:
        return text
    kept = fraction.rstrip("0")
    return f"{head}.{kept}Z" if kept else f"{head}Z"
