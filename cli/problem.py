"""What a command could not do, and what its user can do about it.

Every refusal a command meets (the server's problem document, an answer that is none, a server that
is not there, a wrong option) becomes one `Problem`; the boundary in commands.py prints it and
returns its exit code. A Problem crashes nothing and never shows a traceback.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from cli.exits import ExitCode, for_status

_CLIENT_ERROR = 400
_SERVER_ERROR = 500
_PHRASES = frozenset({status.phrase for status in HTTPStatus} | {"Unprocessable Content"})
"""HTTP's own titles, which say nothing to a person. A newer Python has another phrase for 422."""


class Problem(Exception):  # noqa: N818 - the field's word (RFC 9457)
    """A refusal with its title, detail, stable code, hint and exit code."""

    def __init__(
        self,
        title: str,
        detail: str = "",
        *,
        code: str,
        exit_code: ExitCode,
        hint: str = "",
        retryable: bool = False,
        errors: tuple[str, ...] = (),
    ) -> None:
        """`errors` are lines on single fields, each naming its place in the request."""
        super().__init__(title)
        self.title = title
        self.detail = detail
        self.code = code
        self.exit_code = exit_code
        self.hint = hint
        self.retryable = retryable
        self.errors = errors

    @property
    def message(self) -> str:
        """Title and detail in one sentence; a detail that repeats the title is left out."""
        title = self.title.rstrip(".:")
        if not self.detail or self.detail.rstrip(".") == title:
            return title
        return f"{title}: {self.detail}"


_HINTS = {
    "unauthenticated": "put an API key into WORKFLOW_API_KEY or a file (--key-file), or, on the"
    " server's own machine, name no server and need none"
}
"""Of codes whose remedy has other words on a command line than over HTTP."""


def usage(title: str, detail: str = "", *, hint: str = "") -> Problem:
    """A command line that cannot be meant."""
    return Problem(title, detail, code="usage", exit_code=ExitCode.USAGE, hint=hint)


def unreadable(what: str) -> Problem:
    """An answer that breaks the contract: usually something else listens on that port."""
    return Problem(
        "The answer cannot be read",
        what,
        code="unreadable_answer",
        exit_code=ExitCode.FAILED,
        hint="check that the URL is that of a beadflow server, and that its version matches",
    )


def from_answer(status: int, body: bytes) -> Problem:
    """Reads a refusal; one without a problem document still says its status."""
    document = _document(body)
    if document is None:
        return _bare(status)
    title, detail = _text(document, "title"), _text(document, "detail")
    if title in _PHRASES and detail:
        title, detail = detail, ""
    return Problem(
        title or f"The server answered {status}",
        detail,
        code=_text(document, "code") or f"http_{status}",
        exit_code=for_status(status, _text(document, "code")),
        hint=_HINTS.get(_text(document, "code"))
        or _text(document, "hint")
        or _server_hint(status, _text(document, "request_id")),
        retryable=document.get("retryable") is True,
        errors=_field_errors(document.get("errors")),
    )


def _document(body: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _bare(status: int) -> Problem:
    if status < _CLIENT_ERROR:
        return unreadable(f"the server answered {status}, which is no answer to this request")
    return Problem(
        f"The server answered {status} without saying why",
        code=f"http_{status}",
        exit_code=for_status(status),
        hint=_server_hint(status, "") or "check that the URL is that of a beadflow server",
        retryable=status >= _SERVER_ERROR,
    )


def _server_hint(status: int, request_id: str) -> str:
    if status < _SERVER_ERROR:
        return ""
    about = f" about request {request_id}" if request_id else ""
    return f"the server's log says more{about}"


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _field_errors(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    found = (item for item in value if isinstance(item, dict))
    return tuple(f"{_text(item, 'pointer')}: {_text(item, 'msg')}" for item in found)
