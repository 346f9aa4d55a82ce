"""What a connection is told for which there is no room: an answer made without reading anything."""

import secrets

from api import problem
from api.headers import PLAIN


def no_room() -> bytes:
    """The whole answer to who cannot be connected now."""
    request_id = secrets.token_hex(8)
    body = problem.document(
        status=503,
        code="too_many_connections",
        detail="as many are connected as there is room for, and all are at work",
        request_id=request_id,
        hint="close connections that are not needed, and try again in a moment",
        retryable=True,
    ).encode()
    lines = (
        *(b"HTTP/1.1 503 Service Unavailable", b"content-type: " + problem.MEDIA_TYPE.encode()),
        *(b"content-length: %d" % len(body), b"connection: close", b"retry-after: 1"),
        b"x-request-id: " + request_id.encode(),
        *(name + b": " + value for name, value in PLAIN),
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
