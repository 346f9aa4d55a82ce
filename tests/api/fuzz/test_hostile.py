"""Tricks with raw sockets against a whole server: who plays them gets no more than an answer."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.api.fuzz.raw import HANG_S, ask, connected
from tests.api.fuzz.served import Served, served_beside
from tests.support.world import git_repository

HOST = b"Host: 127.0.0.1\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"
HIDDEN = b"GET /api/v1/system HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /api/v1/issues HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
MANY_KEYS = b"{" + b",".join(b'"%05d":0' % number for number in range(99_000)) + b"}"


def request(line: bytes, *more: bytes) -> bytes:
    return b"\r\n".join((line, b"Host: 127.0.0.1", *more, b"", b""))


def one_of_many(*more: bytes) -> bytes:
    return request(b"GET /api/v1/workflows HTTP/1.1", *more)


TRICKS = {
    "a length and chunks": POST
        + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunks and a length": POST
        + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX" + HIDDEN,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + HIDDEN,
    "a length with a sign": POST + b"Content-Length: +0\r\n\r\n" + HIDDEN,
    "a length in hexadecimal": POST + b"Content-Length: 0x0\r\n\r\n" + HIDDEN,
    "a length list": POST + b"Content-Length: 0, 40\r\n\r\n" + HIDDEN,
    "a space before the colon": POST + b"Content-Length : 0\r\n\r\n" + HIDDEN,
    "a folded header": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunked with a tab": POST + b"Transfer-Encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n" + HIDDEN,
    "an identity": POST + b"Transfer-Encoding: identity\r\n\r\n" + HIDDEN,
    "bare line feeds": POST.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n",
    "a null in a header": one_of_many(b"X: a\x00b") + HIDDEN,
    "a carriage return in a header": one_of_many(b"X: a\rY: b") + HIDDEN,
    "no name of a header": one_of_many(b": x") + HIDDEN,
    "HTTP/1.0": request(b"GET /api/v1/workflows HTTP/1.0"),
    "HTTP/0.9": b"GET /api/v1/workflows\r\n\r\n",
    "HTTP/9.9": request(b"GET /api/v1/workflows HTTP/9.9"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(40),
    "TLS": bytes.fromhex("1603010200010001fc0303") + bytes(200),
    "an address of a proxy": request(b"GET http://evil.example/ HTTP/1.1"),
    "a tunnel": request(b"CONNECT evil.example:443 HTTP/1.1"),
    "a trace": request(b"TRACE / HTTP/1.1", b"Cookie: secret=1"),
    "a thousand headers": one_of_many(*(b"a%d: b" % number for number in range(1000))),
    "five thousand headers": one_of_many(*(b"a%d: b" % number for number in range(5000))),
    "one header of 1 MiB": one_of_many(b"X: " + b"a" * (1 << 20)),
    "an address of 1 MiB": request(b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1"),
    "a chunk of 2^64": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\nab",
    "ranges without end": one_of_many(b"Range: bytes=" + b"0-1," * 2000),
    "hosts without end": request(b"GET / HTTP/1.1", *[b"Host: 127.0.0.1"] * 50),
    "an upgrade to nothing": one_of_many(b"Connection: Upgrade", b"Upgrade: everything"),
    "a compressed body": POST + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\0\0",
    "a form": request(b"POST /api/v1/issues HTTP/1.1", b"Content-Length: 7",
        b"Content-Type: multipart/form-data; boundary=x") + b"--x\r\n\r\n",
    "deep JSON": POST + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
    "a long number": POST + b"Content-Length: 100005\r\n\r\n" + b'{"a":' + b"9" * 100_000,
    "many keys": POST + b"Content-Length: %d\r\n\r\n" % (len(MANY_KEYS)) + MANY_KEYS,
}  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    repo: Path = git_repository(tmp_path_factory.mktemp("hostile") / "repo")
    with served_beside(repo) as found:
        yield found


async def answers(address: tuple[str, int], raw: bytes) -> list[int]:
    """The statuses of all that comes back until the server closes."""
    found = b""
    with trio.fail_after(HANG_S):
        async with await connected(address) as wire:
            try:
                await wire.send_all(raw)
                await wire.send_eof()
                while part := await wire.receive_some():
                    found += part
            except trio.BrokenResourceError:
                pass
    assert b"Traceback" not in found
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", found)]


@pytest.mark.parametrize("name", TRICKS)
async def test_a_trick_comes_to_a_refusal_and_hides_no_other_request(
    here: Served, name: str, logged: list[dict[str, Any]]
) -> None:
    """No credential is shown, and there is a key: nothing but /health answers 200."""
    found = await answers(here.address, TRICKS[name])
    assert all(400 <= status < 500 for status in found), found
    assert set(found[1:]) <= {400}, found
    alive = await ask(here.address, LIVE)
    assert alive is not None
    assert alive.status == 200
    assert [entry for entry in logged if entry["log_level"] == "error"] == []
