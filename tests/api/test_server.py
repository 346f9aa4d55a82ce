"""The doors on real sockets: up, down, again, and the whole way through."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from httpx2.websockets import AsyncWebSocketSession, WebSocketDisconnect
from prometheus_client.parser import text_string_to_metric_families
from quart_trio import QuartTrio

from api.server import doors_specs, listen
from tests.api.site import WORKFLOWS, site
from tests.api.wire import door, hello, read_all, read_head

EVENTS = "/api/v1/events"


def test_a_host_that_is_none_of_this_machines_is_not_listened_on() -> None:
    with pytest.raises(OSError, match="assign"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_a_loopback_host_is_listened_on(host: str) -> None:
    with closing(listen(host, 0)) as listening:
        assert listening.getsockname()[1] > 0


def test_a_port_that_is_taken_is_an_error_that_leaves_no_socket_open() -> None:
    with closing(listen("127.0.0.1", 0)) as listening, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", listening.getsockname()[1])


async def test_a_door_answers_and_keeps_the_connection() -> None:
    async with door(lambda _: hello) as here, await here.connect() as wire:
        for _ in range(3):
            await wire.send_all(here.request())
            head = await read_head(wire)
            assert head.startswith(b"HTTP/1.1 200")
            assert b"server:" not in head.lower()
            assert await wire.receive_some() == b"hello"


async def test_a_client_that_comes_while_the_door_is_down_waits_for_the_next_one() -> None:
    async with door(lambda _: hello) as here:
        before = here.system.named("http").ref
        await here.crash()
        assert here.system.named("http").ref is None
        assert b"hello" in await here.fetch()
        assert here.system.named("http").ref not in {None, before}


class Slow:
    """An ASGI app whose answer waits for the test."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.released = trio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.set()
        await self.released.wait()
        await hello(scope, receive, send)


async def test_a_stop_lets_a_request_in_progress_end() -> None:
    slow = Slow()
    async with door(lambda _: slow) as here, await here.connect() as wire:
        await wire.send_all(here.request())
        await slow.begun.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.system.stop)
            await trio.testing.wait_all_tasks_blocked()
            slow.released.set()
            answer = await read_all(wire)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"hello" in answer


async def test_a_stop_does_not_wait_for_ever_for_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.connections.GRACE_S", 0.05)
    slow = Slow()
    with trio.fail_after(5):
        async with door(lambda _: slow) as here, await here.connect() as wire:
            await wire.send_all(here.request())
            await slow.begun.wait()
            await here.system.stop()
            assert await read_all(wire) == b""


def quart() -> QuartTrio:
    app = QuartTrio("hello")
    app.add_url_rule("/", "hello", lambda: "hello")
    return app


@pytest.mark.parametrize("app", [hello, quart()])
async def test_a_stop_does_not_wait_for_connections_that_idle(app: Any) -> None:
    with trio.fail_after(2):
        async with (
            door(lambda _: app) as here,
            await here.connect(),
            await here.connect() as used,
        ):
            await used.send_all(here.request())
            await read_head(used)
            await here.system.stop()


class Sockets:
    """The two bound sockets of a server."""

    def __init__(self) -> None:
        self.http = listen("127.0.0.1", 0)
        self.metrics = listen("127.0.0.1", 0)
        self.local = listen("127.0.0.1", 0)  # it matters to nobody here what it is

    def specs(self, doors: Any, world: Any) -> Any:
        registry = world.meters.registry
        return doors_specs(doors, registry, http=self.http, metrics=self.metrics, local=self.local)

    def client(self, which: socket.socket | None = None) -> httpx2.AsyncClient:
        host, port = (which or self.http).getsockname()
        return httpx2.AsyncClient(base_url=f"http://{host}:{port}", timeout=10)


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    bound = Sockets()
    with closing(bound.http), closing(bound.metrics), closing(bound.local):
        yield bound


async def test_a_workflow_is_started_and_looked_at_over_http(repo: Path, sockets: Sockets) -> None:
    async with site(repo, sockets.specs) as there, sockets.client() as client:
        body = {"issue_title": "t", "workflow_type": "counting"}
        started = await client.post(WORKFLOWS, json=body)
        assert started.status_code == 201
        await there.running.ended(started.json()["id"])
        found = await client.get(started.headers["location"])
        assert found.json()["status"] == "completed"
        missing = await client.get(f"{WORKFLOWS}/%00..%2f")
        assert missing.headers["content-type"] == "application/problem+json"


async def test_the_metrics_are_on_a_door_of_their_own(repo: Path, sockets: Sockets) -> None:
    async with site(repo, sockets.specs) as there:
        await there.done("counting")
        async with sockets.client(sockets.metrics) as client:
            text = (await client.get("/metrics")).text
            assert (await client.get(WORKFLOWS)).status_code == 404
    names = {family.name for family in text_string_to_metric_families(text)}
    assert "workflow_system_workflows_completed" in names


async def received(session: AsyncWebSocketSession, until: str) -> list[dict[str, Any]]:
    """The events up to the first of that type."""
    found: list[dict[str, Any]] = []
    with trio.fail_after(10):
        while not any(event["type"] == until for event in found):
            found += json.loads(await session.receive_text())
    return found


async def test_a_stream_gives_the_past_and_the_present_without_a_gap_or_a_double(
    repo: Path, sockets: Sockets
) -> None:
    async with site(repo, sockets.specs) as there, sockets.client() as client:
        await there.done("counting")
        known = [fact.seq for fact in there.running.log()]
        async with client.websocket(EVENTS, params={"after": known[2]}) as session:
            workflow_id = (await there.start("failing")).json()["id"]
            found = await received(session, "workflow_failed")
        logged = [fact.seq for fact in there.running.log()]
        seqs = [event["seq"] for event in found]
        assert seqs == logged[3 : 3 + len(seqs)]
        assert found[-1]["seq"] > known[-1]
        assert workflow_id in {event["workflow_id"] for event in found}


async def test_many_readers_while_workflows_run_all_see_the_same(
    repo: Path, sockets: Sockets
) -> None:
    seen: list[list[int]] = []

    async with site(repo, sockets.specs) as there, sockets.client() as client:

        async def read() -> None:
            async with client.websocket(EVENTS, params={"after": 0}) as session:
                found = await received(session, "workflow_failed")
            seen.append([event["seq"] for event in found])

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(read)
                await there.done("counting")
            await there.done("failing")
        logged = [fact.seq for fact in there.running.log()]
    assert [numbers == logged[: len(numbers)] for numbers in seen] == [True] * 3


async def test_a_stream_of_one_workflow_holds_only_its_events(repo: Path, sockets: Sockets) -> None:
    async with site(repo, sockets.specs) as there, sockets.client() as client:
        mine = await there.done("counting")
        await there.done("failing")
        async with client.websocket(EVENTS, params={"after": 0, "workflow_id": mine}) as session:
            found = await received(session, "workflow_completed")
    assert {event["workflow_id"] for event in found} == {mine}
    assert [event["seq"] for event in found] == sorted({event["seq"] for event in found})


async def test_a_stop_ends_the_streams_at_once_with_going_away(
    repo: Path, sockets: Sockets
) -> None:
    async with (
        site(repo, sockets.specs) as there,
        sockets.client() as client,
        client.websocket(EVENTS) as session,
    ):
        with trio.fail_after(2):  # less than the grace that requests are given
            await there.running.system.stop()
        with pytest.raises(WebSocketDisconnect) as gone:
            await session.receive_text()
    assert gone.value.code == 1001


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ({"workflow_id": "nothing"}, {}, 404),
        ({"after": "x"}, {}, 422),
        ({}, {"Origin": "http://example.org"}, 403),
        ({}, {"Host": "example.org"}, 403),
    ],
)
async def test_a_stream_that_is_refused_is_told_why_in_http(
    repo: Path, sockets: Sockets, query: dict[str, str], headers: dict[str, str], status: int
) -> None:
    async with site(repo, sockets.specs), sockets.client() as client:
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        }
        answer = await client.get(EVENTS, params=query, headers={**upgrade, **headers})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
