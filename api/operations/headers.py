"""The headers that operations take and answer with, as OpenAPI describes them."""

from collections.abc import Iterator
from typing import Any, Final

from api.operations.operation import JSON, Operation

Described = dict[str, Any]

KEY: Final = "Idempotency-Key"

_SAYING: Final = {KEY: "Idempotency-Replayed", "Prefer": "Preference-Applied"}
"""Headers of answers that say what became of one of the request."""


def asked_of(operation: Operation, method: str, path: str) -> list[str]:
    """Which headers an operation takes, those of its kind included."""
    return list(dict.fromkeys(_asked(operation, method, path)))


def answered_of(operation: Operation, method: str, path: str, *, counted: bool) -> list[str]:
    """Which headers an ordinary answer has, those of its kind included."""
    told = ("RateLimit", "RateLimit-Policy") if counted else ()
    return list(dict.fromkeys((*_answered(operation, method, path), *told)))


def is_fresh(operation: Operation, method: str) -> bool:
    """Whether its answers have a tag, by which 304 says that the client has it."""
    return method == "GET" and operation.answer_type == JSON


def _asked(operation: Operation, method: str, path: str) -> Iterator[str]:
    yield from operation.headers
    if method == "POST" and not path.startswith("/api/v1/auth"):
        yield KEY
    if is_fresh(operation, method):
        yield "If-None-Match"


def _answered(operation: Operation, method: str, path: str) -> Iterator[str]:
    yield from operation.answer_headers
    asked = asked_of(operation, method, path)
    yield from (_SAYING[name] for name in asked if name in _SAYING)
    if is_fresh(operation, method):
        yield "ETag"
    if any(name.startswith("next_") for name in getattr(operation.answer, "model_fields", ())):
        yield "Link"
    yield "X-Request-Id"


def _text(description: str, **more: Any) -> Described:
    return {"description": description, "schema": {"type": "string", **more}}


def _always(described: Described) -> Described:
    return {**described, "required": True}


ASKED: Final[dict[str, Described]] = {
    "Idempotency-Key": _text(
        "The same key with the same request is one request.", minLength=1, maxLength=255
    ),
    "If-Match": _text("`ETag` of an earlier answer: refused when it has changed since."),
    "If-None-Match": _text("`ETag` of an earlier answer: 304 when it is the same still."),
    "If-Range": _text("`ETag` of the file of which a part is there already."),
    "Last-Event-ID": _text("Of a stream that was cut off: the last `id` that came."),
    "Prefer": _text("`wait=N`: answer when the workflow has ended, or after N seconds."),
    "Range": _text("One range of bytes, such as `bytes=0-99`."),
}

ANSWERED: Final[dict[str, Described]] = {
    "Artifact-Version": {"description": "Which version it is.", "schema": {"type": "integer"}},
    "Content-Disposition": _text("By which a browser saves it."),
    "Content-Range": _always(_text("Which bytes these are, of how many.")),
    "ETag": _text("The state of what is answered, for `If-Match` and `If-None-Match`."),
    "Idempotency-Replayed": _text("`true` where this was answered before, and not done again."),
    "Link": _text('The next page, where there is one: `<…>; rel="next"`.'),
    "Location": _always(_text("The address of what is new.")),
    "Preference-Applied": _text("What of `Prefer` was followed."),
    "RateLimit": _text("How much of a policy is left, and when it is whole again."),
    "RateLimit-Policy": _text("How much may be asked in which time."),
    "Retry-After": {
        "description": "Seconds after which the same request may succeed.",
        "schema": {"type": "integer"},
    },
    "Set-Cookie": _text("The session, which no page can read."),
    "WWW-Authenticate": _always(_text("How to say who asks.")),
    "X-Request-Id": _always(_text("By which the request is found in the server's log.")),
}
