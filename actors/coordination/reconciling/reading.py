"""Reading workflows as all stores have them, a page at a time, from the pools of readers."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from actors.coordination.reconciling.view import Mapped, OpenTask, Ran, Told, View
from storage import payload
from storage.coordination import divergences as bridge
from storage.issues import divergences as issues
from storage.issues import jsonl, provenance
from storage.pool import ReadPool
from storage.workflows import divergences as engine
from storage.workflows.queries import FAILURE

PAGE: Final = 50
"""Workflows examined at once: a few milliseconds of the event loop between two checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Read-only connections to the three databases."""

    coordination: ReadPool
    tempolite: ReadPool
    beads: ReadPool


async def look(
    pools: Pools, workflow_ids: Sequence[str], issues_of: Mapping[str, str] | None = None
) -> list[View]:
    """Give these workflows as all stores have them.

    `issues_of` names the issues that say of themselves whose they are, for those without mapping.
    """
    ids = json.dumps(list(workflow_ids))
    mapped = {
        row["workflow_id"]: _mapped(row)
        for row in await pools.coordination.fetch("reconcile", bridge.SEEN, (ids,))
    }
    ran = {
        row["workflow_id"]: _ran(row)
        for row in await pools.tempolite.fetch("reconcile", engine.SEEN, (ids,))
    }
    tasks = defaultdict(list)
    for row in await pools.tempolite.fetch("reconcile", engine.TASKS, (ids,)):
        tasks[row["workflow_id"]].append(_task(row))
    known = {w: m.issue_id for w, m in mapped.items()}
    wanted = {**(issues_of or {}), **known}
    told = await _told(pools.beads, sorted({wanted[w] for w in workflow_ids if w in wanted}))
    views = [
        View(
            workflow_id=workflow_id,
            mapped=mapped.get(workflow_id),
            ran=ran.get(workflow_id),
            told=told.get(wanted.get(workflow_id, "")),
            tasks=tuple(sorted(tasks[workflow_id], key=lambda t: (t.created_at, t.op))),
        )
        for workflow_id in workflow_ids
    ]
    return [await _closer(pools, view) for view in views]


async def _closer(pools: Pools, view: View) -> View:
    """What is asked of a few only: one query each."""
    ran, told, mapped = view.ran, view.told, view.mapped
    if ran is None or mapped is None:
        return view
    if told is not None and not ran.is_over and (told.status == "closed" or told.is_deleted):
        rows = await pools.tempolite.fetch("reconcile", engine.CANCEL_ASKED, (view.workflow_id,))
        view = replace(view, ran=replace(ran, cancel_asked=bool(rows)))
    if ran.status in ("failed", "stalled", "dead_letter") and mapped.status != ran.shown:
        rows = await pools.tempolite.fetch("reconcile", FAILURE, (view.workflow_id,))
        body = payload.decode(rows[0]["payload"]) if rows else {}
        code, message = body.get("code"), body.get("message")
        view = replace(view, ran=replace(ran, code=code, message=message))
    return view


async def _told(pool: ReadPool, issue_ids: Sequence[str]) -> dict[str, Told]:
    ids = (json.dumps(list(issue_ids)),)
    lines = {r["id"]: r["line"] for r in await pool.fetch("reconcile", issues.LINES, ids)}
    ends = {r["id"]: r["kind"] for r in await pool.fetch("reconcile", issues.ENDS, ids)}
    leased = {r["issue_id"] for r in await pool.fetch("reconcile", issues.LEASED, ids)}
    strokes = provenance.strokes(await pool.fetch("reconcile", provenance.LAST_STROKES, ids))
    labelled = {
        row["issue_id"]
        for row in await pool.fetch("reconcile", provenance.LAST_LABELLED, ids)
        if not row["automatic"]
    }
    return {
        issue_id: Told(
            issue_id=issue_id,
            row=jsonl.parse(lines[issue_id]) if issue_id in lines else None,
            was_removed=ends.get(issue_id) == "removed",
            stroke=strokes.get(issue_id),
            labelled_by_hand=issue_id in labelled,
            is_leased=issue_id in leased,
        )
        for issue_id in issue_ids
    }


def _mapped(row: sqlite3.Row) -> Mapped:
    return Mapped(
        issue_id=row["issue_id"],
        workflow_type=row["workflow_type"],
        title=row["title"],
        status=row["status"],
        priority=row["priority"],
        agent_type=row["agent_type"],
        created_at=row["created_at"],
        intent_at=row["intent_at"],
        assignment_id=row["assignment_id"],
        assignment=row["assignment_status"],
        agent_id=row["agent_id"],
        assigned_type=row["assigned_type"],
        error_code=row["error_code"],
    )


def _ran(row: sqlite3.Row) -> Ran:
    return Ran(
        status=row["status"],
        parent_id=row["parent_id"],
        is_parked=bool(row["parked"]),
        updated_at=row["updated_at"],
    )


def _task(row: sqlite3.Row) -> OpenTask:
    return OpenTask(
        op=row["op"],
        agent_type=row["agent_type"],
        activity=row["activity"],
        state=row["state"],
        fence=row["fence"],
        agent_id=row["agent_id"],
        created_at=row["created_at"],
    )
