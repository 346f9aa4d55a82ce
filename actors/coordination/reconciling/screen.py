"""Passing over what is over and at one with itself, without bringing it into the event loop.

Most workflows are over, and nothing is wrong with them. So the three databases compare those among
themselves: each says, of a stretch of ids, which it would agree to pass over, and the next one is
given those. What comes back is text, made and read by SQLite in the pools' threads, which lets the
interpreter go meanwhile. Every condition is enough for `rules.examine` to find nothing; whatever
does not meet it is read whole and examined, so a condition that is too narrow costs only time.
"""

import json
from typing import Final

from actors.coordination.reconciling.reading import Pools
from storage.coordination import divergences as bridge
from storage.issues import divergences as issues
from storage.workflows import divergences as engine

STRETCH: Final = 1000
"""Workflows compared at once: a few milliseconds in a pool's thread, one at most outside."""


async def mapped(pools: Pools, after: str, home: str) -> tuple[str, list[str], list[str]]:
    """Give the last id of the next stretch of mappings, "" at the end; what to examine; the rest.

    The rest is over, and nothing is wrong with it, unless an actor runs it.
    """
    row = (await pools.coordination.fetch("reconcile", bridge.STRETCH, (after, STRETCH)))[0]
    if row["last"] is None:
        return "", [], []
    agreed = await pools.tempolite.fetch("reconcile", engine.AGREED, (row["over"],))
    fine = await pools.beads.fetch("reconcile", issues.AGREED, (agreed[0]["agreed"], home))
    at_one: list[str] = json.loads(fine[0]["agreed"])
    known = set(at_one)
    return row["last"], [w for w in json.loads(row["ids"]) if w not in known], at_one


async def unmapped(pools: Pools, after: str) -> tuple[str, list[str]]:
    """Give the last id of the next stretch of instances, and those of them without a mapping."""
    row = (await pools.tempolite.fetch("reconcile", engine.STRETCH, (after, STRETCH)))[0]
    if row["last"] is None:
        return "", []
    found = await pools.coordination.fetch("reconcile", bridge.UNMAPPED, (row["ids"],))
    return row["last"], json.loads(found[0]["ids"])


async def claimed(pools: Pools, after: str, home: str) -> tuple[str, list[tuple[str, str]]]:
    """Give the last id of the next stretch of issues, and those that say they are a workflow's.

    Each with that workflow's id; only ours, that are not closed.
    """
    row = (await pools.beads.fetch("reconcile", issues.STRETCH, (after, STRETCH, home)))[0]
    return row["last"] or "", [(i, w) for i, w in json.loads(row["claims"])]
