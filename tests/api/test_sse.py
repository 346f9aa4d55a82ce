"""GET /api/v1/events as Server-Sent Events, in process: the ids, the heartbeat, coming back."""

import pytest
import trio
from trio.testing import MockClock

from actors.coordination.messages import LogBounds
from api.streams.socket import HEARTBEAT_S
from tests.api.asgi import call
from tests.api.problems import refused
from tests.api.sse import listening
from tests.api.test_events import EVENTS, channel, fact


async def test_what_was_logged_comes_first_and_then_what_happens(autojump_clock: MockClock) -> None:
    async with channel(3) as feed, listening(feed.app, f"{EVENTS}?after=1") as client:
        await feed.publish(fact(4))
        assert await client.events(3) == [2, 3, 4]
        assert client.head.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert client.head.headers["cache-control"] == "no-store"


async def test_a_stream_begins_with_its_place_and_when_to_come_back(
    autojump_clock: MockClock,
) -> None:
    """So that whoever is cut off before the first event misses none."""
    async with channel(7) as feed, listening(feed.app, EVENTS) as client:
        first = await client.message()
        assert (first.id, first.retry, first.data) == ("7", "1000", None)


async def test_a_client_that_comes_back_goes_on_after_its_last_event(
    autojump_clock: MockClock,
) -> None:
    """The address is still the one it came with first."""
    last = ("Last-Event-ID", "3")
    async with channel(5) as feed, listening(feed.app, f"{EVENTS}?after=1", last) as client:
        assert await client.events(2) == [4, 5]


async def test_a_comment_with_the_place_is_the_heartbeat(autojump_clock: MockClock) -> None:
    async with channel(2) as feed, listening(feed.app, f"{EVENTS}?after=0") as client:
        assert await client.events(2) == [1, 2]
        began = trio.current_time()
        beat = await client.message()
        assert (beat.comment, beat.id, beat.data) == ("heartbeat", "2", None)
        assert trio.current_time() - began == pytest.approx(HEARTBEAT_S, abs=0.01)


@pytest.mark.parametrize(("after", "bounds"), [(3, (9, 5)), (12, (9, 0))])
async def test_a_place_that_the_log_does_not_go_back_to_is_said_to_be_lost(
    autojump_clock: MockClock, after: int, bounds: tuple[int, int]
) -> None:
    """Events up to 5 were archived; or the number is of another log."""
    there = LogBounds(last=bounds[0], forgotten=bounds[1])
    async with (
        channel(9, bounds=there) as feed,
        listening(feed.app, EVENTS, ("Last-Event-ID", str(after))) as client,
    ):
        await client.message()
        reset = await client.message()
        assert reset.event == "reset"
        assert reset.data == {"after": after, "forgotten": bounds[1], "last": bounds[0]}
        await feed.publish(fact(10))
        assert (await client.events(1))[0] == min(after + 1, 10)


async def test_a_place_that_the_log_goes_back_to_is_not_lost(autojump_clock: MockClock) -> None:
    there = LogBounds(last=9, forgotten=5)
    for after in (5, 9):
        async with (
            channel(9, bounds=there) as feed,
            listening(feed.app, EVENTS, ("Last-Event-ID", str(after))) as client,
        ):
            await feed.publish(fact(10))
            await client.message()
            assert (await client.message()).event == "message"


async def test_a_client_that_hangs_up_ends_its_subscription(autojump_clock: MockClock) -> None:
    async with channel() as feed:
        async with listening(feed.app, EVENTS) as client:
            await client.message()
        assert not await feed.publish(fact(1))


async def test_a_door_that_closes_ends_its_streams_at_once(autojump_clock: MockClock) -> None:
    async with channel() as feed, listening(feed.app, EVENTS) as client:
        feed.closing.set()
        assert len(await client.until_closed()) == 1
        assert trio.current_time() == 0


async def test_a_log_that_cannot_be_read_ends_the_stream(autojump_clock: MockClock) -> None:
    async with (
        channel(3, readable=False) as feed,
        listening(feed.app, f"{EVENTS}?after=0") as client,
    ):
        assert [said.data for said in await client.until_closed()] == [None]


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "\uff19", "9" * 20, str(2**62 + 1)])
async def test_a_last_event_id_that_is_no_number_is_refused(last: str) -> None:
    async with channel() as feed:
        headers = [
            ("Accept", "text/event-stream"),
            ("Last-Event-ID", last.encode().decode("latin1")),
        ]
        answer = await call(feed.app, "GET", EVENTS, headers=headers)
        assert refused(answer, 422, "validation_error")["errors"][0]["pointer"] == "/Last-Event-ID"


@pytest.mark.parametrize("query", ["limit=1", "after=-1", "topics=nothing", "ops=true"])
async def test_a_query_it_cannot_follow_is_refused_with_an_answer(query: str) -> None:
    async with channel() as feed:
        answer = await call(
            feed.app, "GET", f"{EVENTS}?{query}", headers=[("Accept", "text/event-stream")]
        )
        refused(answer, 422, "validation_error")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/*", "text/html, */*;q=0.8"])
async def test_who_does_not_name_the_stream_gets_a_page(accept: str) -> None:
    async with channel(2) as feed:
        answer = await call(feed.app, "GET", EVENTS, headers=[("Accept", accept)])
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"


async def test_the_head_of_a_stream_can_be_asked_for_alone(autojump_clock: MockClock) -> None:
    async with channel(2) as feed:
        answer = await call(feed.app, "HEAD", EVENTS, headers=[("Accept", "text/event-stream")])
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert not await feed.publish(fact(3))
