"""Lists of assignments, newest first: who has which workflow, and who had it before."""

import base64
import binascii
from dataclasses import asdict
from typing import Final

from actors.bus import NO_END
from actors.coordination.assignment_messages import (
    AssignmentPage,
    AssignmentRecord,
    ListAssignments,
)
from actors.coordination.reading import check_limit
from actors.coordination.rows import fetch
from actors.errors import ValidationError
from storage.coordination import assignments
from storage.pool import ReadPool

PAGE_LIMIT: Final = 200
STATUSES: Final = frozenset({"queued", "assigned", "completed", "reassigned"})


async def list_assignments(pool: ReadPool, request: ListAssignments) -> AssignmentPage:
    """Raises `ValidationError`: limit, status, or a cursor that is not one of ours."""
    check_limit(request.limit, PAGE_LIMIT)
    if request.status is not None and request.status not in STATUSES:
        known = ", ".join(sorted(STATUSES))
        raise ValidationError(
            f"an assignment is {known}, not {request.status!r}",
            field="status",
            value=request.status,
        )
    before = NO_END if request.cursor is None else _parse_cursor(request.cursor)
    params = {**asdict(request), "before": before, "limit": request.limit + 1}
    del params["cursor"]
    rows = await fetch(pool, "list_assignments", _statement(request), params)
    records = tuple(AssignmentRecord(**dict(row)) for row in rows[: request.limit])
    more = _cursor(records[-1].id) if len(rows) > request.limit else None
    return AssignmentPage(records=records, next_cursor=more)


def _statement(request: ListAssignments) -> str:
    if request.workflow_id is not None:
        return assignments.OF_WORKFLOW
    if request.status == "queued":
        return assignments.QUEUED
    if request.status == "assigned":
        return assignments.ASSIGNED
    return assignments.ALL if request.agent_id is None else assignments.OF_AGENT


def _cursor(assignment_id: int) -> str:
    return base64.urlsafe_b64encode(f"a{assignment_id}".encode()).decode().rstrip("=")


def _parse_cursor(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise _bad_cursor(cursor) from error
    digits = text.removeprefix("a")
    if not (text.startswith("a") and digits.isdigit() and int(digits) <= NO_END):
        raise _bad_cursor(cursor)
    return int(digits)


def _bad_cursor(cursor: str) -> ValidationError:
    return ValidationError(
        "the cursor is not one this list gave out; begin again without it",
        field="cursor",
        value=cursor,
    )
