"""The Idempotency-Key header: by which a repeated request is known."""

from typing import Final

from quart import Request

from actors.errors import ValidationError

KEY_LIMIT: Final = 255


def idempotency_key(request: Request) -> str | None:
    """The key of a request, None without one.

    Raises:
        ValidationError: it is empty, too long, or holds what cannot be printed.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= KEY_LIMIT and key.isprintable()):
        raise ValidationError(
            f"Idempotency-Key is 1 to {KEY_LIMIT} printable characters",
            field="Idempotency-Key",
            value=None,
        )
    return key
