"""The headers that operations take and answer with, as OpenAPI describes them."""

from typing import Any, Final

Described = dict[str, Any]


def _text(description: str, **more: Any) -> Described:
    return {"description": description, "schema": {"type": "string", **more}}


ASKED: Final[dict[str, Described]] = {
    "Idempotency-Key": _text(
        "The same key with the same request is one request.", minLength=1, maxLength=255
    ),
    "If-Match": _text("`ETag` of an earlier answer: refused when it has changed since."),
    "If-None-Match": _text("`ETag` of an earlier answer: 304 when it is the same still."),
    "If-Range": _text("`ETag` of the file of which a part is there already."),
    "Range": _text("One range of bytes, such as `bytes=0-99`."),
}

ANSWERED: Final[dict[str, Described]] = {
    "Artifact-Version": {"description": "Which version it is.", "schema": {"type": "integer"}},
    "Content-Disposition": _text("By which a browser saves it."),
    "Content-Range": _text("Which bytes these are, of how many."),
    "ETag": _text("The state of what is answered, for `If-Match` and `If-None-Match`."),
    "Location": _text("The address of what is new."),
    "Retry-After": {
        "description": "Seconds after which the same request may succeed.",
        "schema": {"type": "integer"},
    },
    "WWW-Authenticate": _text("How to say who asks."),
    "X-Request-Id": _text("By which the request is found in the server's log."),
}
