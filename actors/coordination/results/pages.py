"""Pages of results and artifacts: where one ends, and the cursor for the next. Pure."""

import base64
import binascii
import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from actors.errors import ValidationError

PAGE_LIMIT: Final = 1000
PAGE_BYTES: Final = 4 * 1024 * 1024
"""A result may hold 2 MiB: a page ends before it holds more than so much, but has one at least."""

_LARGEST: Final = 2**63 - 1


def check_limit(limit: int) -> None:
    if not 1 <= limit <= PAGE_LIMIT:
        raise ValidationError(f"limit is 1 to {PAGE_LIMIT}, not {limit}", field="limit")


def cut(sizes: Sequence[sqlite3.Row], limit: int) -> Sequence[sqlite3.Row]:
    """The rows of a page, of those that were found: one more than the limit says that more come."""
    total = 0
    for count, row in enumerate(sizes[:limit]):
        total += row["size"]
        if count and total > PAGE_BYTES:
            return sizes[:count]
    return sizes[:limit]


def cursor(*place: str | int) -> str:
    """A place in a list, opaque."""
    text = json.dumps(place)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(given: str, *kinds: type) -> tuple[str | int, ...]:
    """The place that a cursor stands for.

    Raises:
        ValidationError: it is no cursor of such a list.
    """
    try:
        found = json.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _bad(given) from error
    if not isinstance(found, list) or tuple(map(type, found)) != kinds:
        raise _bad(given)
    if not all(_is_fit(part) for part in found):
        raise _bad(given)
    return tuple(found)


def _is_fit(part: str | int) -> bool:
    """What SQLite takes: half a surrogate pair, or more than 64 bits, would crash it."""
    return part.isprintable() if isinstance(part, str) else 0 <= part <= _LARGEST


def _bad(given: str) -> ValidationError:
    return ValidationError(
        "the cursor is not one this list gave out; begin again without it",
        field="cursor",
        value=given,
    )
