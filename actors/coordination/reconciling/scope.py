"""Which workflows a pass examines: all that are not plainly well, or what is live or has changed.

Read in stretches, by key, from the pools: nothing waits for it, and no query is long.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.coordination.reconciling import screen
from actors.coordination.reconciling.reading import Pools
from storage.coordination import divergences as bridge
from storage.coordination import queries
from storage.issues import divergences as issues
from storage.workflows import divergences as engine

STRETCH: Final = 2000
"""Rows of ids read at once."""

LIVE: Final = ("queued", "active", "paused", "stalled", "dead_letter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """An issue that says that it is a workflow's, which has another one."""

    issue_id: str
    workflow_id: str
    mapped_to: str


@dataclass(slots=True)
class Scope:
    """What a pass looks at.

    Args:
        workflow_ids: in the order in which they were found.
        issues_of: by workflow, the issue of ours that says it is that workflow's.
        results: workflows that have results and no mapping.
        passed_over: how many are over, and in which nothing is wrong: they are not in here.
        events: how far the events were read, for the next pass; so `journal`.
    """

    workflow_ids: dict[str, None] = field(default_factory=dict)
    issues_of: dict[str, str] = field(default_factory=dict)
    results: set[str] = field(default_factory=set)
    copied: list[Copied] = field(default_factory=list)
    passed_over: int = 0
    events: int = 0
    journal: int = 0

    def add(self, workflow_ids: Iterable[str]) -> None:
        """Have these looked at, too."""
        self.workflow_ids.update(dict.fromkeys(workflow_ids))


async def all_there_is(pools: Pools, home: str, actors: frozenset[str]) -> Scope:
    """Give every workflow that any store knows of, but for those that `screen` passes over.

    Each of `actors`, the workflows that have an actor, is given.
    """
    scope = Scope()
    after = ""
    while True:
        after, ids, at_one = await screen.mapped(pools, after, home)
        if not after:
            break
        scope.add([*ids, *actors.intersection(at_one)])
        scope.passed_over += len(at_one) - len(actors.intersection(at_one))
    while True:
        after, ids = await screen.unmapped(pools, after)
        if not after:
            break
        scope.add(ids)
    while True:
        row = (await pools.coordination.fetch("reconcile", bridge.WITH_RESULTS, (after, STRETCH)))[
            0
        ]
        if row["last"] is None:
            break
        after = row["last"]
        scope.results.update(json.loads(row["ids"]))
    scope.add(sorted(scope.results))
    after = ""
    while True:
        after, claims = await screen.claimed(pools, after, home)
        if not after:
            break
        await _claims(scope, pools, dict(claims))
    _add(scope, await pools.coordination.fetch("reconcile", bridge.OPEN_ASSIGNMENTS, ()))
    return scope


async def lately(pools: Pools, home: str, events: int, journal: int) -> Scope:
    """Give what is live, and what has changed since the pass that read as far as this."""
    scope = Scope(events=events, journal=journal)
    for status in LIVE:
        _add(scope, await pools.coordination.fetch("reconcile", bridge.OF_STATUS, (status,)))
    _add(scope, await pools.tempolite.fetch("reconcile", engine.LIVE, ()))
    _add(scope, await pools.coordination.fetch("reconcile", bridge.OPEN_ASSIGNMENTS, ()))
    while rows := await pools.coordination.fetch(
        "reconcile", bridge.CHANGED, (scope.events, STRETCH)
    ):
        scope.events = rows[-1]["seq"]
        _add(scope, rows)
    while rows := await pools.beads.fetch("reconcile", issues.CHANGED, (scope.journal, STRETCH)):
        scope.journal = rows[-1]["seq"]
        ids = json.dumps(sorted({row["issue_id"] for row in rows}))
        claims = await pools.beads.fetch("reconcile", issues.CLAIMS_OF, (ids,))
        await _claims(scope, pools, _said(claims, home))
    return scope


def _add(scope: Scope, rows: Sequence[sqlite3.Row]) -> None:
    scope.add(row["workflow_id"] for row in rows if row["workflow_id"] is not None)


def _said(rows: Sequence[sqlite3.Row], home: str) -> dict[str, str]:
    """The workflows that issues of ours say they are, by issue."""
    return {
        row["id"]: str(row["workflow_id"])
        for row in rows
        if row["home"] == home and row["workflow_id"] and row["status"] != "closed"
    }


async def _claims(scope: Scope, pools: Pools, said: dict[str, str]) -> None:
    """Add the workflows that issues of ours say they are."""
    if not said:
        return
    ids = json.dumps(sorted(set(said.values())))
    found = await pools.coordination.fetch("reconcile", queries.ISSUES_OF, (ids,))
    mapped = {row["tempolite_workflow_id"]: row["beads_issue_id"] for row in found}
    for issue_id, workflow_id in said.items():
        scope.workflow_ids[workflow_id] = None
        scope.issues_of.setdefault(workflow_id, issue_id)
        other = mapped.get(workflow_id, issue_id)
        if other != issue_id:
            scope.copied.append(Copied(issue_id=issue_id, workflow_id=workflow_id, mapped_to=other))
