"""The Idempotency-Key header: by which a repeated request is known."""

import hashlib
from typing import Final

from quart import Request, g

from actors.auth.messages import Principal
from actors.errors import ValidationError

KEY_LIMIT: Final = 255


def idempotency_key(request: Request) -> str | None:
    """The key of a request, None without one; keys of different principals differ.

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
    principal: Principal | None = g.get("principal")
    if key is None or principal is None or principal.via == "local":
        return key
    return hashlib.sha256(f"{principal.user_id}\0{key}".encode()).hexdigest()
