"""WS /api/v1/events?ops=true, in process: what a client asks for on one connection, and gets."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.auth.messages import Principal
from actors.auth.roles import Permission, Role
from actors.coordination.messages import LogBounds
from api.streams.desk import SUBSCRIPTIONS
from api.streams.socket import HEARTBEAT_S
from tests.api.asgi import Stream, call, stream
from tests.api.problems import refused
from tests.api.site import Site, site
from tests.api.test_events import EVENTS, Channel, channel, fact

STEERED = f"{EVENTS}?ops=true"


def ask_for(client: Stream, op: str = "subscribe", name: str = "a", **more: Any) -> None:
    client.say(json.dumps({"op": op, "id": name, **more}))


async def heard(client: Stream) -> Any:
    """The next frame."""
    with trio.fail_after(20):
        return await client.frame()


@asynccontextmanager
async def steered(logged: int = 0, **more: Any) -> AsyncIterator[tuple[Channel, Stream]]:
    async with channel(logged, **more) as feed, stream(feed.app, STEERED) as client:
        yield feed, client


async def test_nothing_is_sent_before_it_is_asked_for(autojump_clock: MockClock) -> None:
    async with steered(3) as (_, client):
        assert await heard(client) == {"op": "heartbeat"}
        assert trio.current_time() == pytest.approx(HEARTBEAT_S, abs=0.01)


async def test_a_subscription_begins_in_the_log_and_goes_on(autojump_clock: MockClock) -> None:
    async with steered(3) as (feed, client):
        ask_for(client, after=1)
        assert await heard(client) == {"op": "subscribed", "id": "a", "after": 1}
        logged = await heard(client)
        assert (logged["op"], logged["id"], logged["reached"]) == ("events", "a", 3)
        assert [event["seq"] for event in logged["events"]] == [2, 3]
        await feed.publish(fact(4))
        assert (await heard(client))["events"] == [fact(4)._asdict()]


async def test_a_frame_says_how_far_it_goes_and_no_further(autojump_clock: MockClock) -> None:
    async with steered(1203) as (_, client):
        ask_for(client, after=1)
        await heard(client)
        frames = [await heard(client) for _ in range(3)]
    assert [frame["reached"] for frame in frames] == [501, 1001, 1203]
    assert [frame["events"][-1]["seq"] for frame in frames] == [501, 1001, 1203]


async def test_a_subscription_says_that_its_place_is_lost(autojump_clock: MockClock) -> None:
    bounds = LogBounds(last=9, forgotten=5)
    async with steered(9, bounds=bounds) as (_, client):
        ask_for(client, after=2)
        await heard(client)
        reset = {"op": "reset", "id": "a", "after": 2, "forgotten": 5, "last": 9}
        assert await heard(client) == reset


async def test_who_unsubscribes_is_told_the_place_and_sent_nothing_more(
    autojump_clock: MockClock,
) -> None:
    async with steered(3) as (feed, client):
        ask_for(client)
        assert (await heard(client))["after"] == 3
        ask_for(client, "unsubscribe")
        assert await heard(client) == {"op": "unsubscribed", "id": "a", "after": 3}
        assert not await feed.publish(fact(4))
        ask_for(client, after=3)
        assert (await heard(client))["op"] == "subscribed"


@pytest.mark.parametrize(
    ("frame", "code", "pointer"),
    [
        ("[]", "bad_body", None),
        ("nothing", "bad_body", None),
        ("{" * 99, "bad_body", None),
        ("{}", "validation_error", "/op"),
        ('{"op": "steal", "id": "a"}', "validation_error", "/op"),
        ('{"op": ["subscribe"], "id": "a"}', "validation_error", "/op"),
        ('{"op": "subscribe"}', "validation_error", "/id"),
        ('{"op": "subscribe", "id": "a b"}', "validation_error", "/id"),
        ('{"op": "subscribe", "id": "a\\n"}', "validation_error", "/id"),
        ('{"op": "subscribe", "id": "a", "after": -1}', "validation_error", "/after"),
        ('{"op": "subscribe", "id": "a", "after": "1"}', "validation_error", "/after"),
        ('{"op": "subscribe", "id": "a", "topics": ["x"]}', "validation_error", "/topics"),
        ('{"op": "subscribe", "id": "a", "topics": [1]}', "validation_error", "/topics/0"),
        ('{"op": "subscribe", "id": "a", "more": 1}', "validation_error", "/more"),
        ('{"op": "unsubscribe", "id": "a"}', "not_found", None),
    ],
)
async def test_what_cannot_be_done_is_answered_and_the_connection_stays(
    frame: str, code: str, pointer: str | None
) -> None:
    async with steered() as (_, client):
        client.say(frame)
        answer = await heard(client)
        assert (answer["op"], answer["problem"]["code"]) == ("error", code)
        pointers = [error["pointer"] for error in answer["problem"].get("errors", [])]
        assert pointers == ([] if pointer is None else [pointer])
        ask_for(client)
        assert (await heard(client))["op"] == "subscribed"


async def test_an_id_stands_for_one_subscription() -> None:
    async with steered() as (_, client):
        ask_for(client)
        ask_for(client)
        assert (await heard(client))["op"] == "subscribed"
        assert (await heard(client))["problem"]["code"] == "conflict"


async def test_a_connection_has_so_many_subscriptions_and_no_more() -> None:
    async with steered() as (_, client):
        for number in range(SUBSCRIPTIONS + 1):
            ask_for(client, name=f"{number}")
        answers = [await heard(client) for _ in range(SUBSCRIPTIONS + 1)]
        assert [answer["op"] for answer in answers] == ["subscribed"] * SUBSCRIPTIONS + ["error"]


async def test_a_door_that_closes_tells_its_clients_at_once(autojump_clock: MockClock) -> None:
    async with steered() as (feed, client):
        ask_for(client)
        await heard(client)
        feed.closing.set()
        assert await client.until_closed() == []
        assert client.closed_with == 1001
        assert trio.current_time() == 0


async def test_a_log_that_cannot_be_read_closes_with_come_back_later() -> None:
    async with steered(3, readable=False) as (_, client):
        ask_for(client, after=1)
        await heard(client)
        await client.until_closed()
        assert client.closed_with == 1013


@pytest.mark.parametrize("query", ["ops=true&after=1", "ops=true&topics=log", "ops=maybe"])
async def test_a_steered_connection_takes_no_other_query(query: str) -> None:
    async with channel() as feed, stream(feed.app, f"{EVENTS}?{query}") as client:
        assert client.refusal is not None
        refused(client.refusal, 422, "validation_error")


async def test_subscriptions_of_one_connection_get_each_their_own(repo: Path) -> None:
    async with site(repo) as there:
        one = await there.done("arithmetic", variables={"first": 5})
        two = await there.done("failing")
        async with stream(there.app, STEERED) as client:
            ask_for(client, name="one", workflow=[one], after=0)
            ask_for(client, name="two", workflow=two, topics="workflow_*", after=0)
            ask_for(client, name="none", workflow=["x"])
            found = await ended(client, {"one": "workflow_completed", "two": "workflow_failed"})
        log = there.running.log()
        ofs = {"one": [f.seq for f in log if f.workflow_id == one]}
        ofs["two"] = [f.seq for f in log if f.workflow_id == two and f.type.startswith("workflow_")]
        assert found["error"] == ["not_found"]
        for name, expected in ofs.items():
            seqs = found[name]
            assert seqs == expected[: len(seqs)]
            assert seqs


async def ended(client: Stream, ends: dict[str, str]) -> dict[str, list[Any]]:
    """What each subscription is sent up to the event that ends it."""
    found: dict[str, list[Any]] = {}
    missing, answered = dict(ends), 0
    while missing or answered < len(ends) + 1:
        frame: dict[str, Any] = await heard(client)
        match frame["op"]:
            case "events":
                found.setdefault(frame["id"], []).extend(e["seq"] for e in frame["events"])
                if missing.get(frame["id"]) in [e["type"] for e in frame["events"]]:
                    del missing[frame["id"]]
            case "error":
                answered += 1
                found.setdefault("error", []).append(frame["problem"]["code"])
            case "subscribed":
                answered += 1
    return found


# --- who may see what


def without_issues(there: Site) -> Principal:
    return Principal(
        user_id="u",
        roles=frozenset({Role.VIEWER}),
        permissions=frozenset({Permission.WORKFLOW_READ}),
        via="key",
    )


async def test_events_of_issues_are_for_who_may_read_issues(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pages and in both streams."""
    async with site(repo) as there:
        done = await there.done("arithmetic", variables={"first": 5})
        await there.running.until(lambda log: any(f.type == "issue_closed" for f in log))
        who = without_issues(there)
        for room in ("api.routes.events", "api.routes.workflows"):
            monkeypatch.setattr(f"{room}.principal", lambda: who)
        page = (await there.call("GET", f"{EVENTS}?workflow_id={done}")).json()["data"]
        types = [event["type"] for event in page]
        assert "workflow_completed" in types
        assert not [kind for kind in types if kind.startswith("issue_")]
        async with stream(there.app, f"{EVENTS}?workflow_id={done}&after=0") as client:
            assert [event["type"] for event in await client.frame()] == types
        refused(await call(there.app, "GET", f"{EVENTS}?topics=issue_*"), 403, "forbidden")
        lines = (await there.call("GET", f"/api/v1/workflows/{done}/logs")).json()["data"]
        assert [line["seq"] for line in lines] == [event["seq"] for event in page]
        async with stream(there.app, STEERED) as client:
            ask_for(client, topics=["issue_*"])
            assert (await heard(client))["problem"]["code"] == "forbidden"
            ask_for(client, topics=["*"], workflow=[done], after=0)
            assert (await heard(client))["op"] == "subscribed"
            assert [event["type"] for event in (await heard(client))["events"]] == types
