"""What every error must look like."""

from typing import Any

from tests.api.asgi import Answer

KEYS = {"type", "title", "status", "detail", "code", "hint", "retryable", "request_id"}


def problem_of(answer: Answer) -> dict[str, Any]:
    """The problem an answer holds; fails when it is not a proper one."""
    assert answer.headers["content-type"] == "application/problem+json", answer
    body: dict[str, Any] = answer.json()
    assert set(body) - {"errors"} == KEYS
    assert body["status"] == answer.status
    assert body["type"] == f"urn:beadflow:problem:{body['code']}"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert all(body[name] for name in ("title", "detail", "code", "hint", "request_id"))
    assert "Traceback" not in body["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    return body


def refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The problem, which must be this one."""
    body = problem_of(answer)
    assert (answer.status, body["code"]) == (status, code), body
    return body
