"""Reading the bridge's records, from read-only connections; lists are in listing.py."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from actors.bus import NO_END, logged_fact
from actors.coordination.messages import (
    GetHistory,
    HistoryPage,
    HistoryRecord,
    ReadEvents,
    WorkflowRecord,
)
from actors.coordination.rows import fetch
from actors.errors import NotFound, ValidationError
from actors.facts import LoggedFact
from actors.workflows.history import CLOSED, Status
from storage import payload
from storage.coordination import queries, repeats
from storage.lookups import Reads
from storage.pool import ReadPool
from storage.workflows import queries as workflows

EVENTS_LIMIT = 1000
HISTORY_LIMIT = 1000
HISTORY_PAGE_BYTES = 4 * 1024 * 1024
"""An event may hold 2 MiB: a page ends before it holds more than so much, but has one at least."""


def workflow_record(row: sqlite3.Row | Mapping[str, Any]) -> WorkflowRecord:
    return WorkflowRecord(
        id=row["tempolite_workflow_id"],
        beads_issue_id=row["beads_issue_id"],
        type=row["workflow_type"],
        version=row["workflow_version"],
        title=row["title"],
        status=row["status"],
        priority=row["priority"],
        agent_type=row["agent_type"],
        agent_id=row["agent_id"],
        variables=payload.decode(row["metadata"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        error_code=row["error_code"],
        error_message=row["error_message"],
        updated_at=row["updated_at"],
        waits_for_agent=row["waits_for_agent"],
    )


async def get_workflow(pool: Reads, histories: Reads, workflow_id: str) -> WorkflowRecord:
    """Raises `NotFound`. A child is told by the engine alone."""
    rows = await fetch(pool, "get_workflow", queries.MAPPING, (workflow_id,))
    if rows:
        return workflow_record(rows[0])
    views = await fetch(histories, "get_child", workflows.VIEW, (workflow_id,))
    if not views or views[0]["parent_id"] is None:
        raise NotFound(f"there is no workflow {workflow_id!r}")
    return await _child(pool, histories, views[0])


async def _child(pool: Reads, histories: Reads, view: sqlite3.Row) -> WorkflowRecord:
    """What the engine says of a child; issue, title and priority are those of the one above."""
    above = await get_workflow(pool, histories, view["parent_id"])
    code, message = await _failure(histories, view)
    return WorkflowRecord(
        id=view["workflow_id"],
        beads_issue_id=above.beads_issue_id,
        type=view["name"],
        version=view["version"],
        title=above.title,
        status=shown_status(view["status"]),
        priority=above.priority,
        agent_type=None,
        agent_id=None,
        variables=payload.decode(view["input"]),
        created_at=view["created_at"],
        started_at=view["created_at"],
        completed_at=view["updated_at"] if view["status"] in CLOSED else None,
        error_code=code,
        error_message=message,
        parent_id=view["parent_id"],
        updated_at=above.updated_at,
    )


async def _failure(histories: Reads, view: sqlite3.Row) -> tuple[str | None, str | None]:
    if view["status"] not in (Status.FAILED, Status.STALLED, Status.DEAD_LETTER):
        return None, None
    rows = await fetch(histories, "child_failure", workflows.FAILURE, (view["workflow_id"],))
    body = payload.decode(rows[0]["payload"]) if rows else {}
    return body.get("code"), body.get("message")


def shown_status(status: str) -> str:
    """The engine's word for it in the words of everybody else."""
    return "active" if status == Status.RUNNING else status


async def read_events(
    pool: ReadPool, histories: ReadPool, request: ReadEvents
) -> tuple[LoggedFact, ...]:
    """Raises `NotFound` when the workflow does not exist, `ValidationError` for a wrong limit."""
    check_limit(request.limit, EVENTS_LIMIT)
    until = NO_END if request.until is None else request.until
    if request.workflow_id is None:
        rows = await fetch(
            pool, "read_events", queries.EVENTS, (request.after, until, request.limit)
        )
    else:
        await get_workflow(pool, histories, request.workflow_id)
        rows = await fetch(
            pool,
            "read_workflow_events",
            queries.EVENTS_OF_WORKFLOW,
            (request.workflow_id, request.after, until, request.limit),
        )
    return tuple(logged_fact(row) for row in rows)


async def get_history(pool: ReadPool, histories: ReadPool, request: GetHistory) -> HistoryPage:
    """Raises `NotFound`, `ValidationError` for a wrong limit.

    Args:
        pool: of the coordination database, which knows a start before the engine does.
        histories: of the engine's database.
        request: whose, and which part of it.
    """
    check_limit(request.limit, HISTORY_LIMIT)
    asked = (request.workflow_id, request.after, request.limit + 1)
    sizes = await fetch(histories, "history_sizes", workflows.SIZES, asked)
    if not sizes:
        await get_workflow(pool, histories, request.workflow_id)
        return HistoryPage(records=(), next_after=None)
    last, more = _page_end(sizes, request.limit)
    stretch = (request.workflow_id, request.after, last)
    rows = await fetch(histories, "get_history", workflows.STRETCH, stretch)
    records = tuple(_history_record(row) for row in rows)
    return HistoryPage(records=records, next_after=last if more else None)


def _page_end(sizes: Sequence[sqlite3.Row], limit: int) -> tuple[int, bool]:
    """The last event of a page, and whether more follow it."""
    total, last = 0, int(sizes[0]["seq"])
    for count, row in enumerate(sizes):
        total += row["size"]
        if count == limit or (count and total > HISTORY_PAGE_BYTES):
            return last, True
        last = int(row["seq"])
    return last, False


async def engine_status(histories: Reads, workflow_id: str) -> str | None:
    """Where the engine is with it; None when it has no such instance."""
    rows = await fetch(histories, "engine_status", workflows.STATUS, (workflow_id,))
    return rows[0]["status"] if rows else None


async def agent_types_of(pool: Reads, histories: Reads, workflow_id: str) -> set[str]:
    """Types of agents: what it was started for, is with or waits for, and its open steps'."""
    asked = {"workflow_id": workflow_id}
    holders = await fetch(pool, "types_of", queries.TYPES_OF, asked)
    steps = await fetch(histories, "open_types", workflows.OPEN_TYPES, (workflow_id,))
    return {row["agent_type"] for row in (*holders, *steps)}


async def repeated(pool: Reads, key: str) -> sqlite3.Row | None:
    """What is written down of the request with an idempotency key."""
    rows = await fetch(pool, "idempotency_key", repeats.ANSWER, (key,))
    return rows[0] if rows else None


async def started(pool: Reads, key: str) -> sqlite3.Row | None:
    """The workflow that a start with an idempotency key made."""
    rows = await fetch(pool, "start_of_key", repeats.STARTED, (key,))
    return rows[0] if rows else None


def _history_record(row: sqlite3.Row) -> HistoryRecord:
    return HistoryRecord(
        seq=row["seq"],
        kind=row["kind"],
        op=row["op"],
        name=row["name"],
        at=row["at"],
        payload=payload.decode(row["payload"]),
    )


def check_limit(limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise ValidationError(f"limit is 1 to {most}, not {limit}", field="limit", value=limit)
