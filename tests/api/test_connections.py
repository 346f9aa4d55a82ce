"""Connections on real sockets: each fails alone, and none lasts for ever."""

import json
from typing import Any

import pytest
import trio

from api.server import HEADER_LIMIT_BYTES
from api.wire import Wire
from tests.api.wire import UPGRADE, Door, door, hello, read_all, read_head

H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST


def websocket(*more: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\n" + HOST + UPGRADE + b"".join(line + b"\r\n" for line in more)


def h2c(*settings: bytes) -> bytes:
    head = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    return head + b"".join(b"HTTP2-Settings: " + value + b"\r\n" for value in settings) + b"\r\n"


MALFORMED = {
    "no request": b"\x00\xff\xfe\r\n\r\n",
    "a TLS hello": bytes.fromhex("1603010200010001fc0303") + b"\x00" * 300,
    "no version": b"GET /\r\n\r\n",
    "half a line": b"GET / HT",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "a target that is not ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a giant header": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
    "a giant target": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length and chunks": POST
        + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown transfer coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "a chunk of no size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab",
    "a giant chunk extension": POST + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"a" * 70_000,
    "less than it said": POST + b"Content-Length: 100\r\n\r\n{",
    "a body nobody reads": POST + b"Content-Length: 3000000\r\n\r\n" + b"x" * 3_000_000,
    "requests and then noise": (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * 3 + b"\xff\xff\r\n\r\n",
    "HTTP/2 settings that are too short": h2c(b"AAA"),
    "HTTP/2 settings that are no base64": h2c(b"\xff\xff"),
    "HTTP/2 without settings": h2c(),
    "HTTP/2 and then noise": H2 + b"\xff" * 200,
    "HTTP/2 data for no stream": H2
        + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
        + b"\x00\x00\x01\x00\x01\x00\x00\x00\x01x",
    "a WebSocket extension that is not ASCII":
        websocket(b"Sec-WebSocket-Extensions: \xff") + b"\r\n",
    "a WebSocket protocol that is not ASCII": websocket(b"Sec-WebSocket-Protocol: \xff") + b"\r\n",
    "a WebSocket that gets no app": websocket() + b"\r\n",
    "a WebSocket with a body": websocket(b"Content-Length: 5") + b"\r\nabcde",
    "a WebSocket frame before the answer": websocket() + b"\r\n\x83\x80abcd",
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_request_ends_no_connection_but_its_own(name: str) -> None:
    async with door(lambda _: hello) as here:
        before = here.system.named("http").ref
        async with await here.connect() as bystander:
            answer = await here.exchange(MALFORMED[name])
            assert b"Traceback" not in answer
            assert b"HTTP/1.1 500" not in answer or "WebSocket" in name
            await bystander.send_all(here.request())
            assert b"200" in await read_head(bystander)
        assert here.system.named("http").ref is before


async def takes(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app that takes a body until its client is gone."""
    del scope, send
    while (await receive())["type"] != "http.disconnect":
        pass


PUT = b"PUT /api/v1/workflows/w/artifacts/a HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (PUT + CHUNKED + b"a\r\nabcde", 408, "artifact_cut_off"),
        (PUT + CHUNKED + b"zz\r\nabcde", 408, "artifact_cut_off"),
        (PUT + b"Content-Length: 9\r\n\r\nabcde", 408, "artifact_cut_off"),
        (POST + CHUNKED + b"zz\r\nab", 400, "bad_request"),
        (POST + b"Transfer-Encoding: identity\r\n\r\n", 400, "bad_request"),
        (POST + b"X: " + b"a" * 70_000, 431, "headers_too_large"),
        (PUT + b"Content-Length: -1\r\n\r\n", 400, "bad_request"),
        (b"\x00\xff\xfe\r\n\r\n", 400, "bad_request"),
        (POST + b"Content-Length: 5\r\n" + CHUNKED + b"0\r\n\r\n", 400, "bad_request"),
        (
            b"GET / HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            400,
            "bad_request",
        ),
    ],
)
async def test_what_breaks_http_is_answered_with_a_problem(
    sent: bytes, status: int, code: str
) -> None:
    async with door(lambda _: takes) as here:
        head, _, body = (await here.exchange(sent)).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in head
    told = json.loads(body)
    assert (told["status"], told["code"]) == (status, code)
    assert f"x-request-id: {told['request_id']}".encode() in head


LIMIT = HEADER_LIMIT_BYTES


def head_of(size: int, where: str) -> bytes:
    """A head of so many bytes, most of them in one place."""
    before, after = {
        "a header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: ", b"\r\n\r\n"),
        "the query": (b"GET /?q=", b" HTTP/1.1\r\n" + HOST + b"\r\n"),
        "many headers": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 1000 + b"X: ", b"\r\n\r\n"),
        "the method": (b"HEAD / HTTP/1.1\r\n" + HOST + b"X: ", b"\r\n\r\n"),
        "an upgrade": (websocket() + b"X: ", b"\r\n\r\n"),
    }[where]
    return before + b"a" * (size - len(before) - len(after)) + after


@pytest.mark.parametrize("piece", [1 << 20, 1000], ids=["in one piece", "in small ones"])
@pytest.mark.parametrize("size", [LIMIT + 1, 60_000, 70_000])
@pytest.mark.parametrize(
    "where", ["a header", "the query", "many headers", "the method", "an upgrade"]
)
async def test_a_head_is_counted_in_all(where: str, size: int, piece: int) -> None:
    sent = head_of(size, where)
    async with door(lambda _: hello) as here:
        answer = await here.exchange(*(sent[at : at + piece] for at in range(0, size, piece)))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "headers_too_large"


@pytest.mark.parametrize("piece", [1 << 20, 1000], ids=["in one piece", "in small ones"])
@pytest.mark.parametrize("where", ["a header", "the query", "many headers", "the method"])
async def test_a_head_of_just_the_limit_is_taken(where: str, piece: int) -> None:
    sent = head_of(LIMIT, where) + b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    async with door(lambda _: hello) as here:
        parts = [sent[at : at + piece] for at in range(0, len(sent), piece)]
        assert (await here.exchange(*parts)).count(b"HTTP/1.1 200 ") == 2


async def test_heads_and_bodies_that_come_at_once_are_counted_one_by_one() -> None:
    body = b"Content-Length: 30000\r\n\r\n" + b"x" * 30_000
    async with door(lambda _: hello) as here:
        small = await here.exchange(POST + body + head_of(LIMIT, "a header") * 2)
        large = await here.exchange(POST + body + head_of(LIMIT + 1, "a header"))
    assert small.count(b"HTTP/1.1 200 ") == 3
    assert [large.count(b"HTTP/1.1 %d " % status) for status in (200, 431)] == [1, 1]


async def test_nobody_speaks_http_2() -> None:
    async with door(lambda _: hello) as here, await here.connect() as wire:
        await wire.send_all(h2c(b"AAMAAABkAARAAAAAAAIAAAAA"))
        assert (await read_head(wire)).startswith(b"HTTP/1.1 200")


FRAMES = {
    "an opcode that is none": b"\x83\x80abcd",
    "no mask": b"\x81\x03abc",
    "text that is not UTF-8": b"\x81\x82\x00\x00\x00\x00\xff\xff",
    "a length beyond 2^63": b"\x82\xff" + b"\xff" * 8,
    "more than 64 KiB": b"\x82\xff" + (200_000).to_bytes(8) + bytes(4) + b"a" * 200_000,
    "a close, and more after it": b"\x88\x80\x00\x00\x00\x00\x81\x81\x00\x00\x00\x00a",
    "half a close code": b"\x88\x81\x00\x00\x00\x00a",
    "a close code that is none": b"\x88\x82\x00\x00\x00\x00\x03\xe7",
    "a giant ping": b"\x89\xfe\x00\x7e" + bytes(130),
    "reserved bits": b"\xf1\x80\x00\x00\x00\x00",
    "an end without a beginning": b"\x80\x80\x00\x00\x00\x00",
    "noise where deflate should be": b"\xc1\x84\x00\x00\x00\x00\xff\xff\xff\xff",
}


async def listens(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app that takes what a WebSocket brings until it goes."""
    if scope["type"] == "http":
        return await hello(scope, receive, send)
    await send({"type": "websocket.accept", "headers": [], "subprotocol": None})
    while (await receive())["type"] != "websocket.disconnect":
        pass
    return None


@pytest.mark.parametrize("extension", [b"X: y", b"Sec-WebSocket-Extensions: permessage-deflate"])
@pytest.mark.parametrize("name", FRAMES)
async def test_a_malformed_frame_ends_no_connection_but_its_own(
    name: str, extension: bytes
) -> None:
    async with door(lambda _: listens) as here:
        before = here.system.named("http").ref
        async with await here.connect() as bystander, await here.connect() as wire:
            await wire.send_all(websocket(extension) + b"\r\n")
            assert b"101" in await read_head(wire)
            await wire.send_all(FRAMES[name])
            await wire.send_eof()
            await read_all(wire)
            await bystander.send_all(here.request())
            assert b"200" in await read_head(bystander)
        assert here.system.named("http").ref is before


async def test_frames_are_not_compressed_whoever_offers_it() -> None:
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    async with door(lambda _: listens) as here, await here.connect() as wire:
        await wire.send_all(websocket(offer) + b"\r\n")
        head = await read_head(wire)
        assert b"101" in head
        assert b"sec-websocket-extensions" not in head.lower()


async def test_a_websocket_that_ended_leaves_nothing_behind() -> None:
    async with door(lambda _: listens) as here, await here.connect() as wire:
        await wire.send_all(websocket() + b"\r\n")
        await read_head(wire)
        await wire.send_all(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
        await wire.send_eof()
        with trio.fail_after(5):  # its pings come every 20 s
            assert (await read_all(wire)).endswith(b"\x88\x02\x03\xe8")


async def test_a_connection_that_failed_is_logged_with_the_reason(logged: list[Any]) -> None:
    async with door(lambda _: hello) as here:
        await here.exchange(websocket(b"Sec-WebSocket-Protocol: \xff") + b"\r\n")
    (entry,) = [entry for entry in logged if entry["event"] == "connection failed"]
    assert entry["why"].startswith("UnicodeDecodeError")


class Flood:
    """An ASGI app that sends a WebSocket more than anybody takes, and says when that ended."""

    def __init__(self) -> None:
        self.ended = trio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "websocket.accept", "headers": [], "subprotocol": None})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._until_gone, receive, nursery.cancel_scope)
                while True:
                    await trio.lowlevel.checkpoint()
                    await send({"type": "websocket.send", "bytes": bytes(100_000), "text": None})
        finally:
            self.ended.set()

    async def _until_gone(self, receive: Any, scope: trio.CancelScope) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass
        scope.cancel()


async def flooded(here: Door) -> trio.SocketStream:
    """A client that has stopped reading."""
    wire = await here.connect()
    await wire.send_all(websocket() + b"\r\n")
    assert b"101" in await read_head(wire)
    return wire


async def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.wire.STALL_S", 0.1)
    flood = Flood()
    async with door(lambda _: flood) as here, await flooded(here):
        with trio.fail_after(5):
            await flood.ended.wait()


async def test_a_client_that_takes_nothing_does_not_hold_up_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.connections.GRACE_S", 0.1)
    flood = Flood()
    with trio.fail_after(5):
        async with door(lambda _: flood) as here, await flooded(here):
            await here.system.stop()
            assert flood.ended.is_set()


async def test_the_head_of_an_answer_of_known_length_leaves_with_its_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[bytes] = []
    send_all = Wire.send_all

    async def noted(self: Wire, data: bytes) -> None:
        sent.append(data)
        await send_all(self, data)

    monkeypatch.setattr(Wire, "send_all", noted)
    async with door(lambda _: measured) as here:
        answer = await here.fetch()
    assert answer.endswith(b"\r\n\r\nhello")
    assert sent == [answer]


async def measured(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app that says how much it will answer."""
    del scope, receive
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello", "more_body": False})


async def test_the_head_of_a_stream_does_not_wait_for_what_comes_later() -> None:
    go_on = trio.Event()

    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"late", "more_body": False})

    async with door(lambda _: streaming) as here, await here.connect() as wire:
        await wire.send_all(here.request())
        with trio.fail_after(10):
            assert b"200" in await read_head(wire)
        go_on.set()


@pytest.mark.parametrize("status", [200, 204, 304])
async def test_an_answer_without_a_body_is_sent_too(status: int) -> None:
    async def bare(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        headers = [] if status == 204 else [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async with door(lambda _: bare) as here:
        assert f" {status} ".encode() in await here.fetch()
