"""Problems: how every refusal and every fault looks to an HTTP client (RFC 9457).

`code` is stable and documented; `hint` says what to do; `retryable` whether the same request may
succeed later. A fault never shows more than that it happened, and an id to find it by in the log.
"""

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from quart import Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing.exceptions import WebsocketMismatch

from actors.coordination.results.errors import CutOff
from actors.errors import ValidationError
from api.conventions import tracing
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused

MEDIA_TYPE = "application/problem+json"

Absence = ActorDeadError | ActorRestarting | AskTimeout
"""No answer: of a part that is down, being restarted, or too slow."""

_KNOWN = {
    400: ("bad_request", "check the address and the headers of the request"),
    404: ("not_found", "check the address: no trailing slash, no doubled one"),
    405: ("method_not_allowed", "use one of the methods that the Allow header names"),
    408: ("request_timeout", "send the body at once"),
    431: ("headers_too_large", "send a shorter address and fewer headers, 16 KiB in all"),
    413: ("body_too_large", "send at most 1 MiB"),
}
"""What Quart itself refuses, by status: code and hint."""

_HINTS = {True: "send the same request again in a moment", False: "look into the server's log"}
"""For refusals of the kernel, which knows no people."""

_ABSENT = ("unavailable", "try again; with an Idempotency-Key a repeated request is done once")

_OTHER = ("http_error", "check the request against the documentation")


def problem(
    *,
    status: int,
    code: str,
    detail: str,
    request_id: str,
    hint: str = "",
    retryable: bool = False,
    errors: Sequence[dict[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem as a response."""
    body = document(
        status=status,
        code=code,
        detail=detail,
        request_id=request_id,
        hint=hint,
        retryable=retryable,
        errors=errors,
    )
    more = {"Retry-After": "1"} if retryable else {}
    return Response(
        body, status=status, content_type=MEDIA_TYPE, headers={**more, **(headers or {})}
    )


def document(**told: Any) -> str:
    """One problem as text; see `members`."""
    return json.dumps(members(**told))


def members(
    *,
    status: int,
    code: str,
    detail: str,
    request_id: str,
    hint: str = "",
    retryable: bool = False,
    errors: Sequence[dict[str, str]] = (),
) -> dict[str, Any]:
    """What one problem says."""
    body: dict[str, Any] = {
        "type": f"urn:beadflow:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
        "retryable": retryable,
        "request_id": request_id,
        **tracing.words(),
    }
    if errors:
        body["errors"] = list(errors)
    return body


def of_protocol(status: int, request_id: str, *, is_upload: bool) -> tuple[int, str]:
    """What breaks HTTP itself, before or after an app has it: status and problem document."""
    if is_upload:
        status = CutOff.status
        return status, document(
            status=status,
            code=CutOff.code,
            detail="the artifact ended before it was whole, or a piece of it has no valid size",
            request_id=request_id,
            hint=CutOff.hint,
            retryable=CutOff.retryable,
        )
    if status == HTTPStatus.NOT_IMPLEMENTED:
        status = 400  # a transfer coding that nobody has is the client's fault, whatever h11 says
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return status, _fault(request_id)
    code, hint = _KNOWN.get(status, _OTHER)
    detail = "the request breaks the rules of HTTP/1.1, or ended before it was whole"
    return status, document(
        status=status, code=code, detail=detail, request_id=request_id, hint=hint
    )


def of_refusal(error: Refused, request_id: str) -> Response:
    return problem(**_refused(error), request_id=request_id, headers=_later(error))


def of_part(error: Refused | Absence, request_id: str) -> dict[str, Any]:
    """What became of one part of a request that has several: why it was not done."""
    told = _refused(error) if isinstance(error, Refused) else _absent(error)
    return members(**told, request_id=request_id)


def text_of(error: Refused | Absence, request_id: str) -> str:
    """The same as text, for a stream that has begun."""
    return json.dumps(of_part(error, request_id))


def _refused(error: Refused) -> dict[str, Any]:
    errors = []
    if isinstance(error, ValidationError):
        pointer = "/" + error.field.replace("~", "~0").replace("/", "~1").replace(".", "/")
        errors = [{"pointer": pointer, "msg": error.message}]
    return {
        "status": error.status,
        "code": error.code,
        "detail": getattr(error, "message", str(error)),
        "hint": getattr(error, "hint", "") or _HINTS[error.retryable],
        "retryable": error.retryable,
        "errors": errors,
    }


def _later(error: Refused) -> dict[str, str]:
    """When to come back, where the refusal knows it better than "in a moment"."""
    wait_s = getattr(error, "retry_after_s", None)
    return {} if wait_s is None else {"Retry-After": str(max(1, math.ceil(wait_s)))}


def of_absence(error: Absence, request_id: str) -> Response:
    """A part that is down, being restarted, or too slow."""
    return problem(**_absent(error), request_id=request_id)


def _absent(error: Absence) -> dict[str, Any]:
    code, hint = _ABSENT
    ran = "it did not run" if isinstance(error, ActorRestarting) else "it may have run"
    return {
        "status": 503,
        "code": code,
        "detail": f"a part of the system did not answer this request; {ran}",
        "hint": hint,
        "retryable": True,
    }


def of_http(error: HTTPException, request_id: str) -> Response:
    """What Quart refuses before a route is asked: addresses, methods, sizes."""
    status = error.code or 500
    detail = error.description or HTTPStatus(status).phrase
    code, hint = _KNOWN.get(status, _OTHER)
    headers = {}
    match error:
        case MethodNotAllowed(valid_methods=allowed) if allowed:
            headers = {"Allow": ", ".join(sorted(allowed))}
        case WebsocketMismatch():
            detail = "this address is for WebSockets only, or for everything but them"
            code, hint = "websocket_mismatch", "/api/v1/events is the one WebSocket"
    return problem(
        status=status, code=code, detail=detail, request_id=request_id, hint=hint, headers=headers
    )


def of_fault(request_id: str) -> Response:
    return Response(_fault(request_id), status=500, content_type=MEDIA_TYPE)


def _fault(request_id: str) -> str:
    return document(
        status=500,
        code="internal_error",
        detail="the server failed on this request; its log has the reason under this request id",
        request_id=request_id,
        hint="look the request id up in the server's log",
    )
