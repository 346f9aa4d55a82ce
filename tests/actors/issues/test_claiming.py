"""The verbs of claims, as the tracker runs them: many who ask, and a writer that decides."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.clock import rfc3339
from actors.errors import StorageFull, ValidationError
from actors.issues.messages import ApplyChange, Issue, SetStatus
from actors.issues.publishing.publisher import PublisherSettings
from actors.issues.questions import ClaimReady
from actors.issues.verbs import (
    AlreadyClaimed,
    Claim,
    ClaimIssue,
    HeartbeatClaim,
    NothingReady,
    ReleaseClaim,
    StaleClaim,
)
from actors.issues.writing.claims import Claiming, TakeLease
from actors.stores import BEADS_SCHEMA
from actors.writer import DatabaseWriter
from storage.issues import leases, queries
from supervision import ChildSpec, Named, System, supervisor
from tests.actors.issues.world import HANDLERS, LATER, World, fixed_clock, make

QUIET = PublisherSettings(debounce_s=3600, record=False)


@dataclass
class Desk:
    """`Claiming` over a world. `offered` says what is ready, `now` what time it is."""

    world: World
    writer: Named
    offered: Callable[[], Iterable[str]]
    now: datetime = field(default_factory=fixed_clock)

    def __post_init__(self) -> None:
        self.claiming = Claiming(
            writer=self.writer,
            resolve=lambda text: f"x-{text.removeprefix('x-')}",
            ready=self.ready,
            clock=lambda: self.now,
            home="home-here",
        )

    async def ready(self, message: ClaimReady, limit: int) -> list[str]:
        del message
        await trio.lowlevel.checkpoint()
        return list(self.offered())[:limit]

    async def claim(self, holder: str = "ada", issue_id: str = "x-1", **more: Any) -> Claim:
        claim = await self.claiming.run(ClaimIssue(issue_id=issue_id, actor=holder, **more))
        assert isinstance(claim, Claim)
        return claim

    async def claim_ready(self, holder: str = "ada") -> Claim:
        claim = await self.claiming.run(ClaimReady(actor=holder))
        assert isinstance(claim, Claim)
        return claim


@asynccontextmanager
async def opened(world: World, issues: int = 1) -> AsyncIterator[Desk]:
    for n in range(1, issues + 1):
        world.create(f"x-{n}")

    def open_ones() -> list[str]:
        sql = "SELECT id FROM issues WHERE status = 'open' ORDER BY id"
        return [row[0] for row in world.conn.execute(sql)]

    async with world.running(QUIET) as system:
        yield Desk(world, system.named("beads_writer"), open_ones)


async def test_a_claim_answers_with_the_issue_and_what_its_holder_needs(
    world: World, autojump_clock: MockClock
) -> None:
    async with opened(world) as desk:
        claim = await desk.claim(issue_id="1", ttl_s=60)
    lease = leases.get(world.conn, "x-1")
    assert lease is not None
    assert (claim.holder, claim.token) == ("ada", lease.token)
    assert claim.expires_at == lease.expires_at == rfc3339(fixed_clock() + timedelta(seconds=60))
    assert (claim.issue.id, claim.issue.status, claim.issue.assignee) == (
        "x-1",
        "in_progress",
        "ada",
    )


async def test_a_heartbeat_renews_from_now(world: World, autojump_clock: MockClock) -> None:
    async with opened(world) as desk:
        claim = await desk.claim(ttl_s=60)
        desk.now += timedelta(seconds=50)
        beat = HeartbeatClaim(issue_id="x-1", token=claim.token, ttl_s=60)
        renewed = await desk.claiming.run(beat)
    assert isinstance(renewed, Claim)
    assert renewed.token == claim.token
    assert renewed.expires_at == rfc3339(fixed_clock() + timedelta(seconds=110))


async def test_a_released_issue_is_open_and_nobodys(
    world: World, autojump_clock: MockClock
) -> None:
    async with opened(world) as desk:
        claim = await desk.claim()
        release = ReleaseClaim(issue_id="x-1", actor="ada", token=claim.token)
        given_back = await desk.claiming.run(release)
        assert isinstance(given_back, Issue)
        assert (given_back.status, given_back.assignee) == ("open", "")
        with pytest.raises(StaleClaim):
            await desk.claiming.run(release)
        assert (await desk.claim("bob")).holder == "bob"


async def test_two_claims_of_one_holder_are_two_requests(
    world: World, autojump_clock: MockClock
) -> None:
    async with opened(world) as desk:
        await desk.claim(ttl_s=60)
        again = await desk.claim(ttl_s=120)
    assert again.expires_at == rfc3339(fixed_clock() + timedelta(seconds=120))


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan"), float("inf"), 31 * 24 * 3600])
async def test_a_term_that_is_none_is_refused(
    world: World, autojump_clock: MockClock, ttl_s: float
) -> None:
    async with opened(world) as desk:
        for message in (
            ClaimIssue(issue_id="x-1", actor="ada", ttl_s=ttl_s),
            ClaimReady(actor="ada", ttl_s=ttl_s),
            HeartbeatClaim(issue_id="x-1", token=1, ttl_s=ttl_s),
        ):
            with pytest.raises(ValidationError, match="lasts more than 0"):
                await desk.claiming.run(message)


async def test_a_claim_of_nobody_is_refused(world: World, autojump_clock: MockClock) -> None:
    async with opened(world) as desk:
        with pytest.raises(ValidationError, match="somebody who holds it"):
            await desk.claim(" ")
        with pytest.raises(ValidationError, match="somebody who holds it"):
            await desk.claim_ready("")


# --- ready work, and many who want it ------------------------------------------------------------


async def test_the_best_ready_issue_is_claimed(world: World, autojump_clock: MockClock) -> None:
    async with opened(world, 3) as desk:
        assert (await desk.claim_ready()).issue.id == "x-1"
        assert (await desk.claim_ready()).issue.id == "x-2"


async def test_nothing_ready_says_so(world: World, autojump_clock: MockClock) -> None:
    async with opened(world) as desk:
        await desk.claim_ready()
        with pytest.raises(NothingReady):
            await desk.claim_ready("bob")


async def test_what_was_taken_since_it_was_offered_is_passed_over(
    world: World, autojump_clock: MockClock
) -> None:
    async with opened(world, 3) as desk:
        desk.offered = lambda: ["x-9", "x-1", "x-2", "x-3"]  # what a list from before says
        await desk.claim("bob")
        world.run(ApplyChange(issue_id="x-2", changes=(SetStatus(status="closed"),), at=LATER))
        assert (await desk.claim_ready()).issue.id == "x-3"


async def test_two_who_ask_at_once_are_given_two_issues_without_a_refusal(
    world: World, autojump_clock: MockClock
) -> None:
    claims: list[Claim] = []
    async with opened(world, 2) as desk:
        written: list[object] = []
        world.before = written.append

        async def take() -> None:
            claims.append(await desk.claim_ready())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            nursery.start_soon(take)
    assert {claim.issue.id for claim in claims} == {"x-1", "x-2"}
    assert len([one for one in written if isinstance(one, TakeLease)]) == 2


async def test_an_issue_whose_claim_failed_is_offered_again(
    world: World, autojump_clock: MockClock
) -> None:
    def full(message: object) -> None:
        if isinstance(message, TakeLease):
            raise StorageFull("the disk is full")

    async with opened(world) as desk:
        world.before = full
        with pytest.raises(StorageFull):
            await desk.claim_ready()
        world.before = lambda _message: None
        assert (await desk.claim_ready()).issue.id == "x-1"


ISSUES, WORKERS = 300, 24


async def test_each_issue_of_a_queue_goes_to_exactly_one_of_many_workers(world: World) -> None:
    """With the writer's own thread and its batches; every worker claims until nothing is left."""
    with world.conn:
        for n in range(ISSUES):
            queries.put_row(world.conn, make(f"x-{n:03d}"))
    rows = world.conn.execute("SELECT id FROM issues ORDER BY id").fetchall()
    offered = [row[0] for row in rows]  # learns of a claim after it was answered, as an index does
    won: list[tuple[str, str, int]] = []
    async with writing(world) as writer:
        desk = Desk(world, writer, lambda: offered)

        async def work(name: str) -> None:
            while True:
                try:
                    claim = await desk.claim_ready(name)
                except NothingReady:
                    return
                won.append((claim.issue.id, name, claim.token))
                offered.remove(claim.issue.id)

        async with trio.open_nursery() as nursery:
            for n in range(WORKERS):
                nursery.start_soon(work, f"worker-{n}")
    assert sorted(issue_id for issue_id, _, _ in won) == [row[0] for row in rows]
    assert len({token for _, _, token in won}) == ISSUES
    held = {lease.issue_id: lease.holder for lease in all_leases(world)}
    assert held == {issue_id: name for issue_id, name, _ in won}


async def test_of_many_who_claim_one_issue_one_wins_and_the_others_are_told_who(
    world: World,
) -> None:
    world.create()
    answers = Counter[str]()
    async with writing(world) as writer:
        desk = Desk(world, writer, list)

        async def want(name: str) -> None:
            try:
                answers[f"won by {(await desk.claim(name)).holder}"] += 1
            except AlreadyClaimed as err:
                answers[str(err).partition(" until")[0]] += 1

        async with trio.open_nursery() as nursery:
            for n in range(WORKERS):
                nursery.start_soon(want, f"worker-{n}")
    lease = leases.get(world.conn, "x-1")
    assert lease is not None
    assert answers == {
        f"won by {lease.holder}": 1,
        f"issue x-1 is claimed by {lease.holder}": WORKERS - 1,
    }


def all_leases(world: World) -> list[leases.Lease]:
    return leases.expired(world.conn, "9999-01-01T00:00:00.000000Z", 10 * ISSUES)


@asynccontextmanager
async def writing(world: World) -> AsyncIterator[Named]:
    """The real writer of the world's database, in its own thread."""
    async with System.open() as system:
        spec = ChildSpec(
            id="beads_writer",
            name="beads_writer",
            build=lambda: DatabaseWriter(world.database, BEADS_SCHEMA, HANDLERS, database="beads"),
        )
        await system.start(supervisor("root", "one_for_one", [spec]))
        yield system.named("beads_writer")
