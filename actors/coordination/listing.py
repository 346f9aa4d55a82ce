"""Lists of workflows: any filters at once, newest or oldest first, by page.

Status and type have an index each, and one for both; several statuses are as many walks, merged.
The other filters have none, since each would cost every start and every change of a status. So what
they ask about is looked at row by row along such a walk, in steps, and for one request no further
than `SCAN_LIMIT` rows of each walk: the page then ends where the look ended, however little was
found, and its cursor goes on from there.
"""

import base64
import binascii
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from actors.clock import rfc3339
from actors.coordination.messages import ListWorkflows, WorkflowPage, WorkflowRecord
from actors.coordination.reading import check_limit, workflow_record
from actors.coordination.rows import fetch
from actors.errors import ValidationError
from storage.coordination import listing
from storage.issues import instants
from storage.pool import ReadPool

PAGE_LIMIT: Final = 200
STEP: Final = 500
"""Rows looked at in one query."""

SCAN_LIMIT: Final = 20_000
"""Rows of one walk looked at for one page."""

Row = sqlite3.Row | Mapping[str, Any]
Place = tuple[str, str]
"""When a workflow was made, and its id: the newest sorts highest."""


_FALLING: Final = {
    (False, False): (listing.MAPPINGS, listing.SEEN),
    (False, True): (listing.MAPPINGS_OF_STATUS, listing.SEEN_OF_STATUS),
    (True, False): (listing.MAPPINGS_OF_TYPE, listing.SEEN_OF_TYPE),
    (True, True): (listing.MAPPINGS_OF_TYPE_AND_STATUS, listing.SEEN_OF_TYPE_AND_STATUS),
}
"""The statements of a walk, by whether a type and a status are asked for."""

_RISING: Final = {
    (False, False): (listing.OLDEST, listing.OLDEST_SEEN),
    (False, True): (listing.OLDEST_OF_STATUS, listing.OLDEST_SEEN_OF_STATUS),
    (True, False): (listing.OLDEST_OF_TYPE, listing.OLDEST_SEEN_OF_TYPE),
    (True, True): (
        listing.OLDEST_OF_TYPE_AND_STATUS,
        listing.OLDEST_SEEN_OF_TYPE_AND_STATUS,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The places between which workflows are asked for, without the two."""

    after: Place
    before: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Workflows in the order of an index.

    Args:
        whole: the statement for whole rows.
        seen: the one for what filters without an index look at.
    """

    whole: str
    seen: str
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a walk came to.

    Args:
        reached: how far it is known; None for to its end.
    """

    rows: Sequence[Row]
    reached: Place | None


async def list_workflows(pool: ReadPool, request: ListWorkflows) -> WorkflowPage:
    """Raises `ValidationError`: limit, a moment, or a cursor that is not one of ours."""
    check_limit(request.limit, PAGE_LIMIT)
    bounds = _bounds(request)
    if request.issue_id is not None:
        return await _of_issue(pool, request, bounds)
    begin = bounds.after if request.oldest_first else bounds.before
    found = [await _go(pool, walk, request, begin) for walk in _walks(request, bounds)]
    return await _page(pool, found, request)


def _walks(request: ListWorkflows, bounds: Bounds) -> list[Walk]:
    """The fewest index walks on which all that may be asked for lies."""
    statuses, typed = request.statuses, request.workflow_type is not None
    table = _RISING if request.oldest_first else _FALLING
    whole, seen = table[typed, bool(statuses)]
    stretch = {"since": bounds.after[0], "until": bounds.before[0], "type": request.workflow_type}
    if not statuses:
        return [Walk(whole=whole, seen=seen, params=stretch)]
    return [
        Walk(whole=whole, seen=seen, params={**stretch, "status": status})
        for status in dict.fromkeys(statuses)
    ]


async def _go(pool: ReadPool, walk: Walk, request: ListWorkflows, before: Place) -> Found:
    """One more than the page holds, or all there is, or what a bounded look found."""
    wanted = _filter(request)
    most = request.limit + 1
    if wanted is None:
        packed = await _stretch(pool, walk.whole, walk, before, most)
        rows = sorted(listing.unpacked(packed), key=_place, reverse=not request.oldest_first)
        return Found(rows=rows, reached=_place(rows[-1]) if len(rows) == most else None)
    kept: list[Row] = []
    for _ in range(SCAN_LIMIT // STEP):
        seen = await _stretch(pool, walk.seen, walk, before, STEP)
        kept += [row for row in seen if wanted(row)]
        if len(seen) < STEP:
            return Found(rows=kept, reached=None)
        before = _place(seen[-1])
        if len(kept) >= most:
            break
    return Found(rows=kept, reached=before)


async def _stretch(
    pool: ReadPool, statement: str, walk: Walk, before: Place, limit: int
) -> list[sqlite3.Row]:
    at, workflow_id = before
    places = {"before_at": at, "before_id": workflow_id, "after_at": at, "after_id": workflow_id}
    params = {**walk.params, **places, "limit": limit}
    return await fetch(pool, "list_workflows", statement, params)


async def _page(pool: ReadPool, found: Sequence[Found], request: ListWorkflows) -> WorkflowPage:
    """The first of all walks, as far as every one of them is known."""
    rising = request.oldest_first
    nearest = min if rising else max
    known = nearest((walk.reached for walk in found if walk.reached is not None), default=None)
    rows = sorted((row for walk in found for row in walk.rows), key=_place, reverse=not rising)
    if known is not None:
        rows = [row for row in rows if nearest(_place(row), known) == _place(row)]
    page, more = rows[: request.limit], len(rows) > request.limit
    end = _place(page[-1]) if more else known
    records = [workflow_record(row) for row in await _whole(pool, page, request)]
    return WorkflowPage(records=tuple(records), next_cursor=None if end is None else _cursor(end))


async def _whole(pool: ReadPool, page: Sequence[Row], request: ListWorkflows) -> Sequence[Row]:
    if _filter(request) is None or not page:
        return page
    asked = json.dumps([row["tempolite_workflow_id"] for row in page])
    packed = await fetch(pool, "list_workflows", listing.MAPPINGS_BY_ID, (asked,))
    return sorted(listing.unpacked(packed), key=_place, reverse=not request.oldest_first)


async def _of_issue(pool: ReadPool, request: ListWorkflows, bounds: Bounds) -> WorkflowPage:
    """An issue has one workflow at most, which is looked up."""
    rows = await fetch(pool, "list_workflows", listing.MAPPING_OF_ISSUE, (request.issue_id,))
    wanted = _filter(request) or _all
    records: tuple[WorkflowRecord, ...] = tuple(
        workflow_record(row)
        for row in rows
        if bounds.after < _place(row) < bounds.before
        and row["status"] in (request.statuses or (row["status"],))
        and row["workflow_type"] == (request.workflow_type or row["workflow_type"])
        and wanted(row)
    )
    return WorkflowPage(records=records, next_cursor=None)


def _filter(request: ListWorkflows) -> Callable[[Row], bool] | None:
    """What has no index, as a question about a row; None when nothing of it is asked."""
    exact = {
        "agent_id": request.agent_id,
        "agent_type": request.agent_type,
        "priority": request.priority,
    }
    asked = {name: value for name, value in exact.items() if value is not None}
    text = request.text.casefold()
    if not asked and not text:
        return None
    return lambda row: (
        all(row[name] == value for name, value in asked.items())
        and text in str(row["title"]).casefold()
    )


def _all(row: Row) -> bool:
    del row
    return True


def _place(row: Row) -> Place:
    return row["created_at"], row["tempolite_workflow_id"]


def _bounds(request: ListWorkflows) -> Bounds:
    """Between which places the page lies; one of them is where the page before ended."""
    before, after = [listing.BEFORE_ALL], [listing.AFTER_ALL]
    if request.cursor:
        (after if request.oldest_first else before).append(_parse_cursor(request.cursor))
    if request.created_before is not None:
        before.append((_moment("created_before", request.created_before), ""))
    if request.created_after is not None:
        after.append((_moment("created_after", request.created_after), ""))
    return Bounds(after=max(after), before=min(before))


def _moment(field: str, text: str) -> str:
    """A moment as it is stored, so that texts compare as times do."""
    try:
        microseconds = instants.to_ns(text) // 1000
        return rfc3339(datetime.fromisoformat(instants.from_us(microseconds)).astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise ValidationError(
            f"{field} is a moment in RFC 3339, such as 2026-01-02T03:04:05Z",
            field=field,
            value=text,
        ) from error


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _parse_cursor(cursor: str) -> Place:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        at, workflow_id = json.loads(text)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _bad_cursor(cursor) from error
    if not (isinstance(at, str) and isinstance(workflow_id, str)):
        raise _bad_cursor(cursor)
    if not (at + workflow_id).isprintable():  # half a surrogate pair is none, and crashes SQLite
        raise _bad_cursor(cursor)
    return at, workflow_id


def _bad_cursor(cursor: str) -> ValidationError:
    return ValidationError(
        "the cursor is not one this list gave out; begin again without it",
        field="cursor",
        value=cursor,
    )
