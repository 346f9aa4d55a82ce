"""How many may be connected, and who makes room for whom."""

import json
import select
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from quart import request
from trio.testing import MockClock, wait_all_tasks_blocked

from api.addresses import Peer
from api.app import App, _app
from api.crowd import KEPT_FREE, Crowd
from api.exposure import Exposure
from api.overload import CALM
from api.wire import CALM_S, HEAD_S, IDLE_S
from tests.api.wire import DEADLINE_S, Door, door, hello, read_all, read_head

HERE = Peer("127.0.0.1", True)
ELSEWHERE = Peer("203.0.113.5", False)


@dataclass(eq=False)
class Guest:
    idle_since: float = 0.0
    is_idle: bool = True
    was_cut: bool = False

    def cut(self) -> None:
        self.was_cut = True


def test_so_many_may_be_connected_and_no_more_while_all_are_at_work() -> None:
    crowd = Crowd(Exposure(connections=3))
    busy = [Guest(is_idle=False) for _ in range(3)]
    assert all(crowd.enter(guest, HERE) for guest in busy)
    assert not crowd.enter(Guest(), HERE)
    crowd.leave(busy[0])
    assert crowd.enter(Guest(), HERE)


def test_the_one_that_has_idled_longest_makes_room() -> None:
    crowd = Crowd(Exposure(connections=3))
    guests = [Guest(2.0), Guest(1.0), Guest(0.0, is_idle=False)]
    for guest in guests:
        crowd.enter(guest, HERE)
    assert crowd.enter(Guest(3.0), HERE)
    assert [guest.was_cut for guest in guests] == [False, True, False]
    assert len(crowd) == 3


def test_one_address_has_its_own_bound_and_others_none_of_it() -> None:
    crowd = Crowd(Exposure(connections=10, connections_per_address=2))
    busy = [Guest(is_idle=False) for _ in range(2)]
    for guest in busy:
        crowd.enter(guest, ELSEWHERE)
    assert not crowd.enter(Guest(), ELSEWHERE)
    assert crowd.enter(Guest(is_idle=False), Peer("203.0.113.6", False))
    assert all(crowd.enter(Guest(is_idle=False), HERE) for _ in range(5))


def test_an_address_that_has_enough_makes_room_among_its_own() -> None:
    crowd = Crowd(Exposure(connections=10, connections_per_address=2))
    other, mine = Guest(0.0), [Guest(1.0), Guest(2.0)]
    crowd.enter(other, Peer("203.0.113.6", False))
    for guest in mine:
        crowd.enter(guest, ELSEWHERE)
    assert crowd.enter(Guest(3.0), ELSEWHERE)
    assert [guest.was_cut for guest in (other, *mine)] == [False, True, False]


def test_nothing_is_kept_of_those_who_have_left() -> None:
    crowd = Crowd(Exposure(connections=4, connections_per_address=2))
    for number in range(1000):
        guest = Guest()
        crowd.enter(guest, Peer(f"203.0.{number % 250}.1", False))
        crowd.leave(guest)
        crowd.leave(guest)
    assert (len(crowd), len(crowd._of)) == (0, 0)


def test_there_are_never_more_than_descriptors_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (KEPT_FREE + 2, 10**6))
    crowd = Crowd(Exposure(connections=1000))
    assert [crowd.enter(Guest(is_idle=False), HERE) for _ in range(4)] == [True, True, False, False]


class Held:
    """An ASGI app that answers when it is let go."""

    def __init__(self) -> None:
        self.gate = trio.Event()
        self.begun = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        await self.gate.wait()
        await hello(scope, receive, send)


def open_to(exposure: Exposure, app: Any = hello) -> Any:
    return door(lambda _: app, exposure)


async def test_who_is_turned_away_is_told_why() -> None:
    held = Held()
    async with open_to(Exposure(connections=2), held) as here:
        async with filled(here, 2, here.request()):
            while held.begun < 2:
                await trio.lowlevel.checkpoint()
            head, _, body = (await here.fetch()).partition(b"\r\n\r\n")
            held.gate.set()
        assert b"hello" in await here.fetch()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"application/problem+json" in head
    assert b"retry-after: 1" in head
    assert b"nosniff" in head
    assert json.loads(body)["code"] == "too_many_connections"


@asynccontextmanager
async def filled(here: Door, times: int, sent: bytes) -> AsyncIterator[None]:
    """So many clients that have sent this much and no more."""
    async with AsyncExitStack() as stack:
        for _ in range(times):
            wire = await stack.enter_async_context(await here.connect())
            with suppress(trio.BrokenResourceError):
                await wire.send_all(sent)
        yield


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
async def test_two_hundred_that_send_next_to_nothing_shut_nobody_out(sent: bytes) -> None:
    async with open_to(Exposure(connections=50)) as here, filled(here, 200, sent):
        for _ in range(5):
            assert b"hello" in await here.fetch()


async def test_two_hundred_whose_bodies_do_not_come_shut_nobody_out() -> None:
    app: App = _app(Exposure())
    app.add_url_rule("/", "x", lambda: "hello")
    sent = b"POST /y HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"
    async with open_to(Exposure(), app) as here, filled(here, 200, sent):
        for _ in range(5):
            assert b"hello" in await here.fetch()


@pytest.mark.parametrize("part", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX:"])
async def test_a_head_that_does_not_come_whole_is_given_up(
    part: bytes, mock_clock: MockClock
) -> None:
    async with open_to(Exposure()) as here, await here.connect() as wire:
        await wire.send_all(part)
        await wait_all_tasks_blocked()
        mock_clock.jump(HEAD_S)
        head, _, body = (await read_all(wire)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["code"] == "request_timeout"


async def test_a_byte_now_and_then_wins_a_head_no_time(mock_clock: MockClock) -> None:
    async with open_to(Exposure()) as here, await here.connect() as wire:
        await wire.send_all(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(10):
            await wait_all_tasks_blocked()
            mock_clock.jump(HEAD_S / 10)
            with suppress(trio.BrokenResourceError):
                await wire.send_all(b"a")
        assert (await read_all(wire)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("requests", [0, 1, 2])
async def test_a_connection_that_asks_for_nothing_is_closed_without_a_word(
    requests: int, mock_clock: MockClock
) -> None:
    async with open_to(Exposure()) as here, await here.connect() as wire:
        for _ in range(requests):
            await wire.send_all(here.request())
            await read_head(wire)
            await wire.receive_some(5)
        await wait_all_tasks_blocked()
        mock_clock.jump(IDLE_S)
        assert await read_all(wire) == b""


async def test_an_answer_may_take_longer_than_any_head(mock_clock: MockClock) -> None:
    held = Held()
    async with open_to(Exposure(), held) as here, await here.connect() as wire:
        await wire.send_all(here.request())
        await wait_all_tasks_blocked()
        mock_clock.jump(10 * (HEAD_S + IDLE_S))
        await wait_all_tasks_blocked()
        held.gate.set()
        assert b"200" in await read_head(wire)


async def too_much(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app to which everything is too much."""
    scope["state"][CALM]()
    await hello(scope, receive, send)


async def test_who_was_told_to_wait_is_not_heard_before(mock_clock: MockClock) -> None:
    async with open_to(Exposure(), too_much) as here, await here.connect() as wire:
        await wire.send_all(here.request() * 2)
        await read_head(wire)
        assert await wire.receive_some(5) == b"hello"
        await wait_all_tasks_blocked()
        assert select.select([wire.socket], [], [], 0)[0] == []
        mock_clock.jump(CALM_S)
        assert b"200" in await read_head(wire)


PIECE = b"10000\r\n" + b"x" * 65536 + b"\r\n"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"Content-Length: 1073741824", b"x" * 65536),
        (b"Transfer-Encoding: chunked", PIECE),
    ],
    ids=["a length", "chunks"],
)
@pytest.mark.parametrize("path", [b"/reads", b"/ignores", b"/nowhere"])
async def test_a_gibibyte_is_not_taken(path: bytes, head: bytes, piece: bytes) -> None:
    """What the server does not take cannot fill its memory."""
    app: App = _app(Exposure())
    app.add_url_rule("/reads", "reads", reads, methods=["POST"])
    app.add_url_rule("/ignores", "ignores", lambda: "no", methods=["POST"])
    async with open_to(Exposure(), app) as here, await here.connect() as wire:
        lines = (b"POST " + path + b" HTTP/1.1", b"Host: 127.0.0.1", head)
        await wire.send_all(b"\r\n".join((*lines, b"", b"")))
        sent = await sent_until_closed(wire, piece)
    assert sent < 16 * 1024 * 1024


async def test_a_client_that_sends_too_much_hears_why() -> None:
    app: App = _app(Exposure())
    app.add_url_rule("/", "reads", reads, methods=["POST"])
    async with open_to(Exposure(), app) as here:
        request_line = here.request("POST", "/", "Content-Length: 1900000")
        answer = await here.exchange(request_line, b"x" * 1_900_000)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer


async def test_a_connection_that_is_to_be_closed_is_closed_when_it_has_its_answer() -> None:
    app: App = _app(Exposure())
    app.add_url_rule("/", "reads", reads)
    with trio.fail_after(HEAD_S):
        async with open_to(Exposure(), app) as here:
            assert (await here.fetch()).endswith(b"read")


async def sent_until_closed(wire: trio.SocketStream, piece: bytes) -> int:
    sent = 0
    with trio.fail_after(DEADLINE_S):
        while sent < 1 << 30:
            try:
                await wire.send_all(piece)
            except trio.BrokenResourceError:
                break
            sent += len(piece)
    return sent


async def reads() -> str:
    await request.get_data(as_text=False, parse_form_data=False)
    return "read"
