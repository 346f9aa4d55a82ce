"""Finds the facts about each candidate: from the configured indexes, and from what is installed.

Candidates are given by name; no list of an index's projects is ever read. Each has a deadline of
its own and there is one for all. An index that does not answer is a gap in the result, never an
error, so that a report can be made with no network at all.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import trio

from actors.agents.research.evidence import Ledger
from actors.agents.research.facts import PACKAGE_INDEX, Candidate, Discovery, Gap
from actors.agents.research.fetch import RETRIES
from actors.agents.research.indexes import Indexes, configured_indexes
from actors.agents.research.installed import Copy, installed
from actors.agents.research.lookup import Finding, Lookup
from actors.agents.research.messages import DiscoverRequest
from actors.agents.research.statements import describe
from actors.breakers import Breakers
from actors.clock import Clock, system_clock
from actors.retrying import Retries

Progress = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long discovery may take.

    Args:
        candidate_s: For one candidate, from the moment it has a slot.
        total_s: For all; candidates not looked up by then are gaps.
        at_once: Candidates looked up at the same time.
        retries: How often an index is asked that is busy or cannot be reached.
    """

    candidate_s: float = 10.0
    total_s: float = 45.0
    at_once: int = 4
    retries: Retries = RETRIES


@dataclass(slots=True)
class _Found:
    findings: dict[str, Finding] = field(default_factory=dict)
    copies: dict[str, Copy | None] = field(default_factory=dict)


async def discover(
    request: DiscoverRequest,
    *,
    root: Path | None,
    progress: Progress,
    now: Clock = system_clock,
    environ: Mapping[str, str] = os.environ,
    limits: Limits = Limits(),
    breakers: Breakers | None = None,
    sites: Sequence[Path] = (),
) -> Discovery:
    """Looks every candidate up.

    Args:
        request: The question and the candidates.
        root: The project's root, whose virtual environment counts as evidence; None for none.
        progress: Told after each candidate, with the fraction done.
        now: The clock that dates the evidence.
        environ: Where `PIP_*` and `UV_*` settings are read from.
        limits: Deadlines and concurrency.
        breakers: The circuits of the indexes; without them this call has some of its own.
        sites: Directories of installed distributions, which come before the project's own.

    Cancellation leaves at most a few reads behind that end by their own deadline.
    """
    at = now()
    indexes = await configured_indexes(environ)
    shelf = await trio.to_thread.run_sync(installed, root, sites)
    found = _Found()
    breakers = breakers or Breakers()
    slots = trio.Semaphore(limits.at_once)
    # A read that is given up keeps its thread until its socket's timeout: others need not wait.
    threads = trio.CapacityLimiter(len(request.candidates) + limits.at_once)

    async def look_up(name: str) -> None:
        async with slots:
            found.copies[name] = await trio.to_thread.run_sync(shelf.find, name)
            lookup = Lookup(
                name=name,
                question=request.question,
                indexes=indexes,
                now=at,
                deadline_s=limits.candidate_s,
                breakers=breakers,
                retries=limits.retries,
            )
            with trio.move_on_after(limits.candidate_s):
                found.findings[name] = await trio.to_thread.run_sync(
                    lookup.run, abandon_on_cancel=True, limiter=threads
                )
            progress(f"looked up {name}", len(found.findings) / len(request.candidates))

    with trio.move_on_after(limits.total_s):
        async with trio.open_nursery() as nursery:
            for name in request.candidates:
                nursery.start_soon(look_up, name)
    return _discovery(request, indexes, found, at)


def _discovery(
    request: DiscoverRequest, indexes: Indexes, found: _Found, at: datetime
) -> Discovery:
    ledger = Ledger()
    candidates: list[Candidate] = []
    gaps = [Gap(subject="package index", what="configuration", why=why) for why in indexes.remarks]
    for name in request.candidates:
        candidate, missing = describe(
            name,
            found.findings.get(name) or _late(name, found),
            found.copies.get(name),
            ledger,
            question=request.question,
            at=at,
        )
        candidates.append(candidate)
        gaps += missing
    return Discovery(
        retrieved_at=at,
        indexes=indexes.shown,
        candidates=tuple(candidates),
        evidence=ledger.entries,
        gaps=tuple(gaps),
    )


def _late(name: str, found: _Found) -> Finding:
    when = "its own deadline" if name in found.copies else "the deadline for all candidates"
    return Finding(gaps=[(PACKAGE_INDEX, f"the index did not answer before {when}")])
