"""Claims as they are asked for: through the tracker of a whole system."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.issues.messages import CreateIssue, Flush
from actors.issues.questions import ClaimReady, IssueFilter, ShowIssue
from actors.issues.verbs import (
    AlreadyClaimed,
    Claim,
    ClaimIssue,
    HeartbeatClaim,
    NothingReady,
    ReleaseClaim,
)
from actors.writer import write
from storage.issues import jsonl
from tests.actors.issues.world import make
from tests.support.world import Running, running_system

ISSUES, WORKERS = 120, 8


@dataclass
class Clock:
    now: datetime = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Desk:
    running: Running
    clock: Clock

    async def add(self, issue_id: str, **more: Any) -> None:
        row = make(issue_id) | more
        await write(self.running.system.named("beads_writer"), CreateIssue(row=row))

    async def ask(self, message: Any) -> Any:
        return await self.running.ask("tracker", message)

    async def claim(self, issue_id: str, actor: str = "ada", **more: Any) -> Claim:
        claim = await self.ask(ClaimIssue(issue_id=issue_id, actor=actor, **more))
        assert isinstance(claim, Claim)
        return claim

    async def claim_ready(self, actor: str = "ada", **wanted: Any) -> str:
        claim = await self.ask(ClaimReady(actor=actor, filter=IssueFilter(**wanted)))
        assert isinstance(claim, Claim)
        return claim.issue.id


@asynccontextmanager
async def desk_of(repo: Path) -> AsyncIterator[Desk]:
    clock = Clock()
    async with running_system(repo, clock=clock) as running:
        yield Desk(running, clock)


async def test_a_claim_is_shown_with_its_issue_until_it_is_released(repo: Path) -> None:
    async with desk_of(repo) as desk:
        await desk.add("x-1")
        claim = await desk.claim("x-1", ttl_s=60)
        shown = await desk.ask(ShowIssue(issue_id="x-1"))
        assert shown.issue == claim.issue
        assert shown.claim == {
            "holder": "ada",
            "token": claim.token,
            "expires_at": "2026-03-01T00:01:00.000000Z",
        }
        await desk.ask(HeartbeatClaim(issue_id="x-1", token=claim.token, ttl_s=120))
        shown = await desk.ask(ShowIssue(issue_id="x-1"))
        assert shown.claim["expires_at"] == "2026-03-01T00:02:00.000000Z"
        await desk.ask(ReleaseClaim(issue_id="x-1", actor="ada"))
        shown = await desk.ask(ShowIssue(issue_id="x-1"))
        assert (shown.claim, shown.issue.status) == (None, "open")


async def test_a_claim_carries_the_home_of_this_installation_into_the_file(repo: Path) -> None:
    async with desk_of(repo) as desk:
        await desk.add("x-1")
        await desk.claim("x-1")
        await desk.running.ask("publisher", Flush())
        (line,) = (repo / ".beads" / "issues.jsonl").read_bytes().splitlines()
        home = desk.running.stores.identity.home
    assert jsonl.parse(line)["metadata"] == {"beadflow": {"home": home}}


async def test_the_most_urgent_ready_issue_that_fits_is_claimed(repo: Path) -> None:
    async with desk_of(repo) as desk:
        await desk.add("x-1", priority=2)
        await desk.add("x-2", priority=1)
        await desk.add("x-3", priority=3, labels=["small"])
        blocked = {"issue_id": "x-4", "depends_on_id": "x-1", "type": "blocks"}
        await desk.add("x-4", priority=0, dependencies=[blocked])
        assert await desk.claim_ready() == "x-2"
        assert await desk.claim_ready(labels=("small",)) == "x-3"
        assert await desk.claim_ready() == "x-1"
        with pytest.raises(NothingReady):
            await desk.claim_ready()


async def test_what_was_held_for_too_long_is_claimed_when_nothing_else_is_ready(
    repo: Path,
) -> None:
    async with desk_of(repo) as desk:
        await desk.add("x-1", priority=0, labels=["a"])
        await desk.add("x-2")
        held = await desk.claim("x-1", ttl_s=60)
        desk.clock.now += timedelta(seconds=60)
        assert await desk.claim_ready("bob") == "x-2"
        with pytest.raises(NothingReady):
            await desk.claim_ready("bob", labels=("b",))
        assert await desk.claim_ready("bob") == "x-1"
        with pytest.raises(AlreadyClaimed, match="claimed by bob until"):
            await desk.claim("x-1")
        shown = await desk.ask(ShowIssue(issue_id="x-1"))
        assert shown.claim["token"] > held.token


async def test_each_issue_of_a_queue_goes_to_exactly_one_who_asks(repo: Path) -> None:
    won: dict[str, list[str]] = defaultdict(list)
    async with desk_of(repo) as desk:
        for number in range(ISSUES):
            await desk.add(f"x-{number:03d}")

        async def work(name: str) -> None:
            while True:
                try:
                    won[await desk.claim_ready(name)].append(name)
                except NothingReady:
                    return

        async with trio.open_nursery() as nursery:
            for number in range(WORKERS):
                nursery.start_soon(work, f"worker-{number}")
        assignees = {
            issue_id: (await desk.ask(ShowIssue(issue_id=issue_id))).issue.assignee
            for issue_id in won
        }
    assert len(won) == ISSUES
    assert {issue_id: [name] for issue_id, name in assignees.items()} == won
