"""What can go wrong when a model is asked, and whether asking again may help.

The text of a failure may hold words of the service, in one line and cut short, but never the key.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from actors.agents.kit.untrusted import plain
from actors.retrying import retry_after_s
from actors.workflows.definition import ActivityFailure

SHOWN: Final = 300
LONGEST_WAIT_S: Final = 86400.0

_FAULTS_FROM: Final = 500
_BUSY: Final = frozenset({408, 409, 425, 429})
_SPENT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_TOO_LONG: Final = frozenset({"context_length_exceeded", "string_above_max_length"})


class ChatFailure(ActivityFailure):
    """The model could not be asked, or gave no answer that can be used.

    Args:
        is_down: whether it is the service that failed.
        retry_after_s: seconds after which it may be asked again, where that is known.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        is_down: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, message, retryable=retryable)
        self.is_down = is_down
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What a service says of an error: `{"error": {"message", "code", "param"}}`, or anything."""

    message: str = ""
    code: str = ""
    param: str = ""

    @classmethod
    def read(cls, body: bytes) -> "Complaint":
        found: Any = None
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(body)
        return cls.of(found) if found is not None else cls(message=_line(body))

    @classmethod
    def of(cls, found: Any) -> "Complaint":
        """Read it from JSON; services differ in where they say what."""
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, Mapping):
            found = found.get("error", found)
        if not isinstance(found, Mapping):
            return cls(message=plain(str(found), SHOWN))
        said = found.get("message") or found.get("detail") or ""
        code = found.get("code") or found.get("type") or ""
        return cls(
            message=plain(str(said), SHOWN),
            code=plain(str(code), SHOWN),
            param=plain(str(found.get("param") or ""), SHOWN),
        )


def refused(status: int, complaint: Complaint, wait_s: float | None = None) -> ChatFailure:
    """What an answer with an error's status means.

    Args:
        status: of HTTP, 300 or more.
        complaint: what came with it.
        wait_s: what it said of when it may be asked again.
    """
    said = f"the model's service answered {status}: {complaint.message or 'no reason given'}"
    if complaint.code in _SPENT or status == 402:  # noqa: PLR2004 - Payment Required
        return ChatFailure("quota_exhausted", said)
    if status in _BUSY:
        return ChatFailure("model_busy", said, retryable=True, retry_after_s=wait_s)
    if status >= _FAULTS_FROM:
        return ChatFailure("model_failed", said, retryable=True, is_down=True, retry_after_s=wait_s)
    if status in {401, 403}:
        return ChatFailure("model_denied", said)
    if complaint.code in _TOO_LONG:
        return ChatFailure("context_too_long", said)
    return ChatFailure("model_refused", said)


def unreachable(error: Exception) -> ChatFailure:
    """The service could not be spoken to, or broke off."""
    said = plain(str(error) or type(error).__name__, SHOWN)
    return ChatFailure(
        "model_unreachable",
        f"the model's service cannot be reached: {said}",
        retryable=True,
        is_down=True,
    )


def senseless(why: str) -> ChatFailure:
    """It answered with something that is no answer of the protocol."""
    return ChatFailure(
        "bad_reply",
        f"the model's service gave no answer that can be read: {plain(why, SHOWN)}",
        retryable=True,
        is_down=True,
    )


def wait_of(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that an answer asks to wait, at most a day; None where it does not say."""
    exact = headers.get("retry-after-ms", "")
    if exact.isascii() and exact.isdigit():
        return min(LONGEST_WAIT_S, int(exact[:12]) / 1000.0)
    asked_s = retry_after_s(headers.get("retry-after", ""), now)
    return None if asked_s is None else min(LONGEST_WAIT_S, asked_s)


def _line(body: bytes) -> str:
    return plain(body[: SHOWN * 4].decode("utf-8", "replace"), SHOWN)
