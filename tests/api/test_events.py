"""WS /api/v1/events, in process: what is sent, when, and how it ends."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from jsonschema import Draft202012Validator
from quart import g, websocket
from trio.testing import MockClock

from actors import feed as events_feed
from actors.bus import Subscribe, Subscription, log_line, tell_bus
from actors.coordination.messages import (
    GetLogBounds,
    GetWorkflow,
    LogBounds,
    LogPage,
    ReadLog,
)
from actors.errors import Overloaded
from actors.event_filter import EVERYTHING
from actors.facts import LoggedFact
from api.app import create_app
from api.operations.frames import SENT_BESIDE_EVENTS
from api.streams.socket import HEARTBEAT_S
from supervision import Actor, Ask, ChildSpec, System, ask
from tests.api.asgi import Stream, call, stream
from tests.api.problems import refused
from tests.api.site import Site, nowhere, site

EVENTS = "/api/v1/events"


def fact(seq: int, workflow_id: str = "w") -> LoggedFact:
    return LoggedFact(
        seq=seq, type="log", workflow_id=workflow_id, issue_id=None, at="", data={"n": seq}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish(Ask[bool]):
    """Answers whether anybody listens."""

    facts: tuple[LoggedFact, ...]


class Feed(Actor):
    """A bus and a manager whose log is a list, so that time can be the test's."""

    def __init__(
        self,
        logged: list[LoggedFact],
        *,
        readable: bool = True,
        bounds: LogBounds | None = None,
    ) -> None:
        super().__init__()
        self._bounds = bounds or LogBounds(last=len(logged), forgotten=0)
        self._logged = logged
        self._readable = readable
        self._wanted = EVERYTHING
        self._feed = events_feed.Feed(9, events_feed.CUT, lambda _: None)

    async def on_receive(self, message: object) -> object:
        match message:
            case Subscribe(wanted=wanted):
                self._wanted = wanted
                self._feed = events_feed.Feed(9, events_feed.CUT, lambda _: None)
                return Subscription(after=len(self._logged), batches=self._feed)
            case ReadLog(after=after, until=until, limit=limit):
                if not self._readable:
                    raise Overloaded("not now")
                last = len(self._logged) if until is None else until
                found = tuple(f for f in self._logged if after < f.seq <= last)
                reached = found[:limit][-1].seq if found else after
                return LogPage(facts=found[:limit], reached=reached, more=len(found) > limit)
            case GetWorkflow():
                return None
            case GetLogBounds():
                return self._bounds
            case Publish(facts=facts):
                return self._publish(facts)
            case _:
                return await super().on_receive(message)

    def _publish(self, facts: tuple[LoggedFact, ...]) -> bool:
        if found := self._wanted.select(facts):
            self._feed.offer(found)
        return not self._feed.is_closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    app: Any
    system: System
    closing: trio.Event

    async def publish(self, *facts: LoggedFact) -> bool:
        return await ask(self.system.named("feed"), Publish(facts=facts))


@asynccontextmanager
async def channel(
    logged: int = 0, *, readable: bool = True, bounds: LogBounds | None = None
) -> AsyncIterator[Channel]:
    """An app over a feed in which so many events are logged, and published."""
    known = [fact(seq) for seq in range(1, logged + 1)]
    async with System.open() as system:
        feed = system.named("feed")
        spec = ChildSpec(
            id="feed", name="feed", build=lambda: Feed(known, readable=readable, bounds=bounds)
        )
        await system.start(spec)
        doors = replace(nowhere(system), manager=feed, bus=feed, needed=())
        closing = trio.Event()
        yield Channel(app=create_app(doors, closing), system=system, closing=closing)


def numbers(frame: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in frame]


async def test_what_was_logged_comes_first_in_frames_of_at_most_500(
    autojump_clock: MockClock,
) -> None:
    async with channel(1203) as feed, stream(feed.app, f"{EVENTS}?after=1") as client:
        await feed.publish(fact(1204))
        frames = [numbers(await client.frame()) for _ in range(3)]
    assert [len(frame) for frame in frames] == [500, 500, 203]
    assert [seq for frame in frames for seq in frame] == list(range(2, 1205))


@pytest.mark.parametrize(("after", "bounds"), [(3, (9, 5)), (12, (9, 0))])
async def test_a_place_that_the_log_does_not_go_back_to_is_said_to_be_lost(
    autojump_clock: MockClock, after: int, bounds: tuple[int, int]
) -> None:
    there = LogBounds(last=bounds[0], forgotten=bounds[1])
    reset = {"after": after, "forgotten": bounds[1], "last": bounds[0]}
    async with channel(9, bounds=there) as feed:
        page = (await call(feed.app, "GET", f"{EVENTS}?after={after}")).json()
        async with stream(feed.app, f"{EVENTS}?after={after}") as client:
            first: Any = await client.frame()
            await feed.publish(fact(10))
            following = numbers(await client.frame())
    assert (page["reset"], page["next_after"]) == (reset, 9)
    assert numbers(page["data"]) == [seq for seq in range(1, 10) if seq > after]
    assert first == {"op": "reset", **reset}
    Draft202012Validator(SENT_BESIDE_EVENTS["PlaceLost"]).validate(first)
    assert following[0] == min(after + 1, 10)


@pytest.mark.parametrize("after", [0, 5, 9])
async def test_a_place_that_the_log_goes_back_to_is_not_lost(
    autojump_clock: MockClock, after: int
) -> None:
    async with channel(9, bounds=LogBounds(last=9, forgotten=5)) as feed:
        page = (await call(feed.app, "GET", f"{EVENTS}?after={after}")).json()
        assert page["reset"] is None


async def test_without_a_number_only_what_follows_is_sent(autojump_clock: MockClock) -> None:
    async with channel(5) as feed, stream(feed.app, EVENTS) as client:
        await feed.publish(fact(6), fact(7))
        assert numbers(await client.frame()) == [6, 7]


async def test_batches_that_wait_become_one_frame(autojump_clock: MockClock) -> None:
    async with channel() as feed, stream(feed.app, EVENTS) as client:
        await feed.publish(fact(1))
        await trio.testing.wait_all_tasks_blocked()  # 1 is on its way, the others wait
        await feed.publish(fact(2))
        await feed.publish(fact(3))
        assert numbers(await client.frame()) == [1]
        assert numbers(await client.frame()) == [2, 3]


async def test_a_client_ahead_of_the_bus_is_sent_nothing_twice(
    autojump_clock: MockClock,
) -> None:
    """It read up to 3 in the log; the bus had published only 1 when it subscribed."""
    bounds = LogBounds(last=3, forgotten=0)
    async with (
        channel(1, bounds=bounds) as feed,
        stream(feed.app, f"{EVENTS}?after=3") as client,
    ):
        await feed.publish(fact(2), fact(3))
        await feed.publish(fact(4))
        assert numbers(await client.frame()) == [4]


async def test_an_event_has_these_fields(autojump_clock: MockClock) -> None:
    async with channel() as feed, stream(feed.app, EVENTS) as client:
        await feed.publish(fact(1))
        assert await client.frame() == [
            {
                "seq": 1,
                "type": "log",
                "workflow_id": "w",
                "issue_id": None,
                "at": "",
                "data": {"n": 1},
            }
        ]


async def test_an_empty_frame_is_the_heartbeat(autojump_clock: MockClock) -> None:
    async with channel() as feed, stream(feed.app, EVENTS) as client:
        assert await client.frame() == []
        assert trio.current_time() == pytest.approx(HEARTBEAT_S, abs=0.01)
        assert await client.frame() == []
        assert trio.current_time() == pytest.approx(2 * HEARTBEAT_S, abs=0.01)


async def test_other_workflows_events_neither_reach_a_client_nor_silence_its_heartbeat(
    autojump_clock: MockClock,
) -> None:
    async with (
        channel() as feed,
        stream(feed.app, f"{EVENTS}?workflow_id=w") as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(chatter, feed)
        assert await client.frame() == []
        assert trio.current_time() == pytest.approx(HEARTBEAT_S, abs=0.01)
        assert numbers(await client.frame()) == [6]


async def chatter(feed: Channel) -> None:
    """Another workflow's events, more often than the heartbeat; in the end one of w's."""
    for seq in range(1, 6):
        await trio.sleep(HEARTBEAT_S / 4)
        await feed.publish(fact(seq, "another"))
    await feed.publish(fact(6, "w"), fact(7, "another"))


async def test_a_log_that_cannot_be_read_ends_the_stream_with_come_back_later(
    autojump_clock: MockClock,
) -> None:
    async with channel(3, readable=False) as feed, stream(feed.app, f"{EVENTS}?after=0") as client:
        assert await client.until_closed() == []
        assert client.closed_with == 1013


async def test_a_door_that_closes_tells_its_streams_at_once(autojump_clock: MockClock) -> None:
    async with channel() as feed, stream(feed.app, EVENTS) as client:
        feed.closing.set()
        assert await client.until_closed() == []
        assert client.closed_with == 1001
        assert trio.current_time() == 0


async def test_a_client_that_hangs_up_ends_its_subscription(autojump_clock: MockClock) -> None:
    async with channel() as feed:
        async with stream(feed.app, EVENTS):
            pass
        assert not await feed.publish(fact(1))


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=1&after=2", "types=log"])
async def test_a_query_it_cannot_follow_is_refused_before_the_handshake(query: str) -> None:
    async with channel() as feed, stream(feed.app, f"{EVENTS}?{query}") as client:
        assert client.refusal is not None
        refused(client.refusal, 422, "validation_error")


@pytest.mark.parametrize(
    ("query", "readable", "code"), [("after=x", True, 1008), ("after=0", False, 1013)]
)
async def test_what_cannot_be_followed_closes_a_stream_that_was_accepted_before(
    query: str, readable: bool, code: int
) -> None:
    """As one is whose first message says who asks."""

    async def accept() -> None:
        await websocket.accept()
        g.heard = True

    async with channel(3, readable=readable) as feed:
        feed.app.before_websocket(accept)
        async with stream(feed.app, f"{EVENTS}?{query}") as client:
            assert await client.until_closed() == []
            assert client.closed_with == code


@pytest.mark.parametrize(
    "origin", ["http://example.org", "null", "", "http://localhost.evil", "https://[::2]", "x"]
)
async def test_a_page_from_elsewhere_is_refused(origin: str) -> None:
    async with channel() as feed, stream(feed.app, EVENTS, headers=[("Origin", origin)]) as client:
        assert client.refusal is not None
        refused(client.refusal, 403, "foreign_host")


@pytest.mark.parametrize(
    "origin", ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"]
)
async def test_a_page_of_this_server_is_let_in(origin: str) -> None:
    async with channel() as feed, stream(feed.app, EVENTS, headers=[("Origin", origin)]) as client:
        assert client.refusal is None


async def test_a_stream_from_a_foreign_host_is_refused() -> None:
    async with channel() as feed, stream(feed.app, EVENTS, host="evil") as client:
        assert client.refusal is not None
        refused(client.refusal, 403, "foreign_host")


async def test_a_stream_of_a_bus_that_is_away_is_refused() -> None:
    async with System.open() as system, stream(create_app(nowhere(system)), EVENTS) as client:
        assert client.refusal is not None
        assert refused(client.refusal, 503, "unavailable")["retryable"] is True


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [("/nope", 404, "not_found"), ("/health/live", 400, "websocket_mismatch")],
)
async def test_there_is_no_other_stream(target: str, status: int, code: str) -> None:
    async with channel() as feed, stream(feed.app, target) as client:
        assert client.refusal is not None
        refused(client.refusal, status, code)


async def test_the_stream_of_an_unknown_workflow_is_refused_before_the_handshake(
    repo: Path,
) -> None:
    async with site(repo) as there, stream(there.app, f"{EVENTS}?workflow_id=x") as client:
        assert client.refusal is not None
        refused(client.refusal, 404, "not_found")


async def log_lines(there: Site, count: int) -> None:
    """Log lines one by one, each published before the next is told."""
    bus = there.running.system.named("event_bus")
    for number in range(count):
        before = len(there.running.log())
        line = log_line(workflow_id="w", source="t", level="info", message=str(number), at="")
        tell_bus(bus, line)
        await there.running.until(partial(longer, before))


def longer(known: int, seen: Sequence[LoggedFact]) -> bool:
    return len(seen) > known


async def test_a_client_that_is_too_slow_is_closed_and_misses_nothing_when_it_is_back(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.streams.following.BUFFER", 1)
    async with site(repo) as there:
        async with stream(there.app, EVENTS) as client:
            await log_lines(there, 6)
            first = [event["seq"] for event in await client.until_closed()]
            assert client.closed_with == 1013
        logged = [fact.seq for fact in there.running.log()]
        assert first == logged[: len(first)]
        assert len(first) < len(logged)
        async with stream(there.app, f"{EVENTS}?after={first[-1]}") as client:
            assert first + await read_until(client, logged[-1]) == logged


async def read_until(client: Stream, last: int) -> list[int]:
    found: list[int] = []
    with trio.fail_after(10):
        while not found or found[-1] < last:
            found += numbers(await client.frame())
    return found


# --- what is asked for


async def two_that_ended(there: Site) -> tuple[str, str]:
    return await there.done("arithmetic", variables={"first": 5}), await there.done("failing")


async def paged(there: Site, query: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after, more = 0, True
    while more:
        target = f"{EVENTS}?after={after}&limit={limit}&{query}"
        page = (await there.call("GET", target)).json()
        found += page["data"]
        after, more = page["next_after"], page["more"]
    return found


async def test_pages_and_the_stream_have_the_same_events_whatever_is_asked_for(
    repo: Path,
) -> None:
    async with site(repo) as there:
        one, two = await two_that_ended(there)
        issue = (await there.call("GET", f"/api/v1/workflows/{one}")).json()["beads_issue_id"]
        log = [fact._asdict() for fact in there.running.log()]
        questions = {
            "": lambda _: True,
            f"workflow_id={one}": lambda e: e["workflow_id"] == one,
            f"workflow_id={one},{two}": lambda e: e["workflow_id"] in (one, two),
            "topics=workflow_*": lambda e: e["type"].startswith("workflow_"),
            "topics=issue_*,workflow_failed": (
                lambda e: e["type"].startswith("issue_") or e["type"] == "workflow_failed"
            ),
            f"issue_id={issue}": lambda e: e["issue_id"] == issue,
            f"issue_id={issue}&topics=step_*": (
                lambda e: e["issue_id"] == issue and e["type"].startswith("step_")
            ),
            "agent_id=nobody": lambda _: False,
        }
        for query, wanted in questions.items():
            expected = [event for event in log if wanted(event)]
            for limit in (2, 1000):  # the issues may be followed meanwhile
                page = await paged(there, query, limit)
                assert [e for e in page if e["seq"] <= log[-1]["seq"]] == expected, query
            if not expected:
                continue
            async with stream(there.app, f"{EVENTS}?after=0&{query}") as client:
                seen = await read_until(client, expected[-1]["seq"])
                assert seen[: len(expected)] == [event["seq"] for event in expected]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("topics=nothing", "/topics"),
        ("topics=step_%2A,Step", "/topics"),
        ("topics=" + ",".join(["log"] * 21), "/topics"),
        ("workflow_id=" + ",".join("abcdefghijklmnopqrstu"), "/workflow_id"),
        ("limit=1001", "/limit"),
        ("lag=drop", "/lag"),
        ("after=-1", "/after"),
    ],
)
async def test_a_page_refuses_what_it_cannot_follow(query: str, pointer: str) -> None:
    async with channel() as feed:
        answer = await call(feed.app, "GET", f"{EVENTS}?{query}")
        assert refused(answer, 422, "validation_error")["errors"][0]["pointer"] == pointer


async def test_a_stream_that_may_lose_events_is_told_which(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.streams.following.BUFFER", 1)
    async with site(repo) as there, stream(there.app, f"{EVENTS}?lag=drop&topics=log") as client:
        await log_lines(there, 6)
        seen, counted = 0, 0
        with trio.fail_after(10):
            while seen < there.running.log()[-1].seq:
                for event in await client.frame():
                    seen = event["seq"]
                    is_marker = event["type"] == "lagged"
                    counted += event["data"]["dropped"] if is_marker else 1
        assert counted == 6
