"""Raw bytes to a server, and whether its answer is one that may be given to anything."""

import json
import re
from dataclasses import dataclass
from typing import Any

import h11
import trio

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n")
HANG_S = 20.0


class Unfit(AssertionError):  # noqa: N818 - it is the answer's fault
    """An answer that must not be given."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def is_whole(raw: bytes) -> bool:
    """Whether a server has all it needs to answer; else it would wait for more."""
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=16 * 1024)
    try:
        reader.receive_data(raw)
        while (event := reader.next_event()) is not h11.NEED_DATA:
            if event is h11.PAUSED or isinstance(event, h11.EndOfMessage):
                return True
    except h11.RemoteProtocolError:
        return True
    return False


async def connected(address: tuple[str, int]) -> trio.SocketStream:
    """A connection; trio's own way looks names up and tries several."""
    wire = trio.socket.socket()
    await wire.connect(address)
    return trio.SocketStream(wire)


async def ask(address: tuple[str, int], raw: bytes) -> Reply | None:
    """The first answer to these bytes; None when the server closes without one.

    Raises:
        Unfit: it is no answer, or none that may be given.
        trio.TooSlowError: nothing came.
    """
    with trio.fail_after(HANG_S):
        async with await connected(address) as wire:
            found = b""
            try:
                await wire.send_all(raw)
                if not is_whole(raw):
                    await wire.send_eof()
                while not _has_answer(found) and (part := await wire.receive_some()):
                    found += part
            except trio.BrokenResourceError:
                pass
    reply = _first(found)
    if reply is not None:
        check(reply)
    return reply


def check(reply: Reply) -> None:
    """Raises Unfit."""
    if reply.status >= 500:
        raise Unfit(f"{reply.status}: {reply.body!r}")
    if reply.status >= 400:
        if reply.headers.get("content-type") != "application/problem+json":
            raise Unfit(f"{reply.status} is no problem: {reply.headers} {reply.body!r}")
        _check_problem(reply)
    if b"Traceback" in reply.body:
        raise Unfit("a traceback")
    if reply.status >= 200 and reply.headers.get("x-content-type-options") != "nosniff":
        raise Unfit(f"{reply.status} without what all answers have")


def _check_problem(reply: Reply) -> None:
    if not reply.body:
        return  # of HEAD
    try:
        told: dict[str, Any] = json.loads(reply.body)
    except ValueError as error:
        raise Unfit(f"no JSON: {reply.body!r}") from error
    missing = {"type", "title", "status", "detail", "code", "hint", "request_id"} - set(told)
    if missing or told["status"] != reply.status:
        raise Unfit(f"{missing} {told}")


def _has_answer(found: bytes) -> bool:
    head, end, body = _final(found).partition(b"\r\n\r\n")
    if not end:
        return False
    headers = _headers(head)
    if headers.get("transfer-encoding") == "chunked":
        return body.endswith(b"0\r\n\r\n")
    if "text/event-stream" in headers.get("content-type", "") or b" 101 " in head[:15]:
        return True
    return "content-length" in headers and len(body) >= int(headers["content-length"])


def _final(found: bytes) -> bytes:
    """What follows the answers that only say that there will be one."""
    while (status := STATUS.match(found)) and status[1] == b"100":
        found = found.partition(b"\r\n\r\n")[2]
    return found


def _first(found: bytes) -> Reply | None:
    found = _final(found)
    if not found:
        return None
    status = STATUS.match(found)
    if status is None:
        raise Unfit(f"no answer: {found[:200]!r}")
    head, _, body = found.partition(b"\r\n\r\n")
    headers = _headers(head)
    length = int(headers.get("content-length", len(body)))
    return Reply(int(status[1]), headers, body[:length])


def _headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {
        name.decode("latin1").lower(): value.decode("latin1").strip() for name, _, value in pairs
    }
