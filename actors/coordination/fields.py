"""Fields that requests have in common: names, reasons, values. What is wrong with one is said.

Nothing here asks anybody. Who calls it is whoever answers a request for the bridge.
"""

from typing import Any, Final

from actors.errors import ValidationError
from storage import payload
from storage.errors import PayloadError

NAME_CHARACTERS: Final = 200
MESSAGE_ID_CHARACTERS: Final = 255
REASON_CHARACTERS: Final = 1000
VALUE_LIMIT_BYTES: Final = 256 * 1024


def check_text(field: str, text: str, most: int) -> None:
    """Raises `ValidationError` unless it is 1 to `most` printable characters."""
    if not (0 < len(text) <= most and text.isprintable()):
        raise ValidationError(
            f"{field} is 1 to {most} printable characters", field=field, value=text
        )


def check_reason(reason: str) -> None:
    """Prose: it may have lines. Whatever cannot be stored as text is escaped later."""
    if len(reason) > REASON_CHARACTERS:
        raise ValidationError(
            f"the reason is at most {REASON_CHARACTERS} characters, not {len(reason)}",
            field="reason",
            value=reason,
        )


def stored(field: str, value: Any) -> str:
    """The stored form of a JSON value. Raises `ValidationError` when it is none, or too large."""
    try:
        text = payload.encode(value)
    except PayloadError as error:
        raise ValidationError(f"{field}: {error}", field=field) from error
    size = len(text.encode())
    if size > VALUE_LIMIT_BYTES:
        raise ValidationError(
            f"the {field} is {size} bytes, the limit is {VALUE_LIMIT_BYTES}", field=field
        )
    return text
