"""Bytes of valid requests, damaged by a seed."""

import random
import re

from tests.api.fuzz.corpus import Valid

TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\x00", b"\xff", b" ", b"\t", b":", b"%", b"%00", b"%2f", b"%ff"),
    *(b"..", b"/", b"//", b"\\", b"?", b"#", b"&", b"=", b";", b",", b'"', b"'", b"{", b"}", b"["),
    *(b"]", b"\xed\xa0\x80", b"\xc0\xaf", b"\xe2\x80\xae", b"-1", b"0", b"9" * 40, b"1e999"),
    *(b"NaN", b"null", b"true", b"\\u0000", b"\\ud800", b"a" * 300, b"Host: evil\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(
        b"Transfer-Encoding: identity\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"Connection: keep-alive\r\n"),
    *(
        b"Authorization: Bearer x\r\n",
        b"Cookie: a=b\r\n",
        b"Origin: null\r\n",
        b"Range: bytes=-1\r\n",
    ),
    *(b"X-Forwarded-For: 1\r\n", b"Accept: text/event-stream\r\n", b"If-Match: *\r\n"),
)


NO_TARGET = re.compile(rb"[^\x21-\x7e]")
"""What ends a target, or the request, where it stands in one."""


def mutated(valid: Valid, chance: random.Random, others: list[bytes]) -> bytes:
    """A request with a few faults, somewhere, or in its target or body alone.

    Faults anywhere mostly break HTTP itself; the others come as far as the routes.
    """
    target = f"{valid.path}?{valid.query}".rstrip("?").encode()
    match chance.choice(("all", "target", "target", "body", "body")):
        case "target":
            damaged = _damaged(target, chance, others)
            escaped = NO_TARGET.sub(lambda found: b"%%%02x" % found[0][0], damaged)
            return valid.around(escaped or b"/", valid.body)
        case "body" if valid.body:
            return valid.around(target, _damaged(valid.body, chance, others))
        case _:
            return _damaged(valid.raw(), chance, others)


def _damaged(raw: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    data = bytearray(raw)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        _damage(data, chance, others)
    return bytes(data)


def _damage(data: bytearray, chance: random.Random, others: list[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    size = min(chance.choice((1, 1, 2, 8, 40)), len(data) - at)
    match chance.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1 if at < len(data):
            data[at] = chance.randrange(256)
        case 2:
            data[at:at] = chance.choice(TOKENS)
        case 3:
            del data[at : at + size]
        case 4:
            data[at:at] = data[at : at + size] * chance.choice((1, 2, 20))
        case 5:
            other = chance.choice(others)
            data[at:] = other[chance.randrange(len(other)) :]
        case 6:
            data[at : at + size] = bytes(chance.randrange(256) for _ in range(size))
        case _:
            _in_a_line(data, chance)


def _in_a_line(data: bytearray, chance: random.Random) -> None:
    """Something that means something there: after a header's line, or in the body's text."""
    ends = [at for at in range(len(data)) if data[at : at + 2] == b"\r\n"]
    if ends:
        at = chance.choice(ends) + 2
        data[at:at] = chance.choice(TOKENS)
