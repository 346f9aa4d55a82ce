"""Reading the event log by a filter, in bounded steps.

The log has one index beside its numbers, that of workflows: another would cost every event. So what
else is asked for is looked at row by row, and for one page no further than `SCAN_LIMIT` rows: the
page then says how far it has looked, and there is more.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from actors.bus import NO_END, logged_fact
from actors.coordination.messages import LogBounds, LogPage, ReadLog
from actors.coordination.reading import check_limit, get_workflow
from actors.coordination.rows import fetch
from actors.event_filter import EventFilter, check
from actors.facts import LoggedFact
from storage.coordination import queries
from storage.pool import ReadPool

PAGE_LIMIT: Final = 1000
STEP: Final = 1000
"""Rows looked at in one query."""

SCAN_LIMIT: Final = 20_000
"""Rows looked at for one page."""


async def read_log(pool: ReadPool, histories: ReadPool, request: ReadLog) -> LogPage:
    """Raises `NotFound` (a workflow), `ValidationError` (limit, a topic)."""
    check_limit(request.limit, PAGE_LIMIT)
    check(request.wanted)
    for workflow_id in request.wanted.workflow_ids:
        await get_workflow(pool, histories, workflow_id)
    found: list[LoggedFact] = []
    reached = request.after
    for _ in range(SCAN_LIMIT // STEP):
        rows = await _stretch(pool, request, reached)
        for fact in _wanted(request.wanted, rows):
            if len(found) == request.limit:
                return LogPage(facts=tuple(found), reached=found[-1].seq, more=True)
            found.append(fact)
        if len(rows) < STEP:
            end = reached if not rows else rows[-1]["seq"]
            return LogPage(facts=tuple(found), reached=end, more=False)
        reached = rows[-1]["seq"]
    return LogPage(facts=tuple(found), reached=reached, more=True)


async def log_bounds(pool: ReadPool) -> LogBounds:
    """From where on the log is whole, and its last number."""
    rows = await fetch(pool, "log_bounds", queries.LOG_BOUNDS, (queries.FORGOTTEN,))
    return LogBounds(last=rows[0]["last"], forgotten=rows[0]["forgotten"])


async def _stretch(pool: ReadPool, request: ReadLog, after: int) -> Sequence[sqlite3.Row]:
    until = NO_END if request.until is None else request.until
    if len(request.wanted.workflow_ids) == 1:
        of = (request.wanted.workflow_ids[0], after, until, STEP)
        return await fetch(pool, "read_log", queries.EVENTS_OF_WORKFLOW, of)
    return await fetch(pool, "read_log", queries.EVENTS, (after, until, STEP))


def _wanted(wanted: EventFilter, rows: Sequence[sqlite3.Row]) -> Iterator[LoggedFact]:
    """What the filter lets through; only of that the data is decoded."""
    for row in rows:
        if not wanted.may_want(row["type"], row["workflow_id"], row["issue_id"]):
            continue
        if wanted.agent_id is not None and wanted.agent_id not in row["data"]:
            continue
        fact = logged_fact(row)
        if wanted.is_about(fact.data):
            yield fact
