"""Which refusals an operation may answer with: those of its kind, and those of its own.

The meaning of each code is in docs/http.md; a test compares the statuses.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from api.operations import headers
from api.operations.operation import JSON, Operation

STATUSES: Final[dict[str, int]] = {
    "bad_request": 400,
    "bad_body": 400,
    "unauthenticated": 401,
    "foreign_host": 403,
    "forbidden": 403,
    "not_yourself": 403,
    "not_your_workflow": 403,
    "csrf_failed": 403,
    "not_found": 404,
    "actor_unknown": 404,
    "request_timeout": 408,
    "artifact_cut_off": 408,
    "conflict": 409,
    "request_in_progress": 409,
    "workflow_closed": 409,
    "workflow_not_running": 409,
    "workflow_stalled": 409,
    "not_retryable": 409,
    "query_failed": 409,
    "ambiguous_id": 409,
    "issue_blocked": 409,
    "dependency_cycle": 409,
    "gate_answered": 409,
    "already_claimed": 409,
    "stale_claim": 409,
    "nothing_ready": 409,
    "no_such_part": 409,
    "sync_refused": 409,
    "no_remote": 409,
    "unrelated_histories": 409,
    "sync_contended": 409,
    "child_workflow": 409,
    "not_the_holder": 409,
    "already_the_holder": 409,
    "wrong_agent_type": 409,
    "agent_busy": 409,
    "agent_draining": 409,
    "agent_lost": 409,
    "too_many_signals": 409,
    "agent_exists": 409,
    "agent_of_settings": 409,
    "status_transition": 409,
    "variables_fixed": 409,
    "workflow_changed": 412,
    "issue_changed": 412,
    "body_too_large": 413,
    "artifact_too_large": 413,
    "artifacts_too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "validation_error": 422,
    "result_too_large": 422,
    "idempotency_key_reused": 422,
    "rate_limited": 429,
    "headers_too_large": 431,
    "internal_error": 500,
    "store_damaged": 500,
    "artifact_damaged": 500,
    "artifact_not_stored": 500,
    "store_lost": 503,
    "remote_unavailable": 503,
    "circuit_open": 503,
    "publication_failed": 503,
    "overloaded": 503,
    "mailbox_full": 503,
    "unavailable": 503,
    "too_many_connections": 503,
    "storage_full": 507,
}
"""Codes that operations answer with, and their statuses."""

ANY: Final = (
    *("bad_request", "foreign_host", "headers_too_large", "internal_error"),
    "too_many_connections",
)
COUNTED: Final = ("rate_limited", "overloaded")
GUARDED: Final = ("unauthenticated", "forbidden", "csrf_failed")
ASKED: Final = ("mailbox_full", "unavailable", "store_damaged", "store_lost")
WITH_BODY: Final = ("bad_body", "body_too_large", "request_timeout", "unsupported_media_type")
WRITTEN: Final = ("conflict", "storage_full")
KEYED: Final = ("request_in_progress", "idempotency_key_reused")
SIGNED: Final = ("not_yourself", "not_your_workflow")


def codes_of(
    operation: Operation, method: str, path: str, *, guarded: bool, counted: bool
) -> list[str]:
    """All codes that an operation may answer with, those of its kind included."""
    codes = (COUNTED if counted else (), _codes(operation, method, path, guarded=guarded))
    return list(dict.fromkeys(chain.from_iterable(codes)))


def _codes(operation: Operation, method: str, path: str, *, guarded: bool) -> Iterator[str]:
    yield from ANY
    if guarded:
        yield from (*GUARDED, *ASKED, "validation_error")
    if "{" in path or "Last-Event-ID" in operation.headers:  # streams name workflows
        yield "not_found"
    if operation.body is not None and operation.body_type == JSON:
        yield from WITH_BODY
    if guarded and method != "GET":
        yield from (*WRITTEN, *SIGNED)
    if headers.KEY in headers.asked_of(operation, method, path):
        yield from KEYED
    yield from operation.codes
