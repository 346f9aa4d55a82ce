"""Many WebSocket clients in one process of their own, for `benchmarks.fanout`.

They read raw bytes and count what is in them: a client that decoded every event would be what is
measured. Each checks that the numbers of its events follow each other without a gap.

Run as `python -m benchmarks.listeners HOST PORT CLIENTS COUNT…`. It says `ready` when all are
connected, and then one JSON object when everybody has got COUNT events more, for each COUNT.
"""

import json
import re
import resource
import selectors
import socket
import sys
import time
from array import array
from statistics import quantiles
from typing import Final

PATH: Final = "/api/v1/events?topics=log"
SILENCE_S: Final = 30.0
RECEIVED_BYTES: Final = 1 << 20

_EVENT: Final = b'{"seq":'
_NUMBER: Final = re.compile(rb'\{"seq":(\d+)')
_STAMP: Final = re.compile(rb'"message":"([0-9.]+)"')
_TEXT: Final = 1
_PING: Final = 9
_SHORT: Final = 126


class Listener:
    """One client: its socket, what is left of its bytes, and the last number it has seen."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=SILENCE_S)
        self.socket.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: {address[0]}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(1)
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(head.decode("latin1"))
        self.socket.setblocking(False)
        self.last = 0
        self.count = 0
        self._bytes = bytearray()

    def read(self, late_s: "array[float]") -> int:
        """Take what is there; answers how many frames of events that was."""
        found = self.socket.recv(RECEIVED_BYTES)
        if not found:
            raise ConnectionError(f"closed after event {self.last}")
        self._bytes += found
        frames = 0
        while (payload := self._frame()) is not None:
            if payload:
                frames += 1
                self._count(payload)
                stamp = _STAMP.search(payload)
                late_s.append(time.monotonic() - float(stamp[1] if stamp else 0))
        return frames

    def _frame(self) -> bytes | None:
        """The next frame of events; empty for any other, None when it is not whole yet."""
        there = self._bytes
        if len(there) < 2:
            return None
        kind, length, start = there[0] & 15, there[1], 2
        if length >= _SHORT:
            start = 4 if length == _SHORT else 10
            length = int.from_bytes(there[2:start])
        if len(there) < start + length:
            return None
        payload = bytes(there[start : start + length])
        del there[: start + length]
        if kind == _PING:
            self.socket.sendall(bytes([0x8A, 0x80 | length, 0, 0, 0, 0]) + payload)
        return payload if kind == _TEXT and length > len("[]") else b""

    def _count(self, payload: bytes) -> None:
        count = payload.count(_EVENT)
        first = _NUMBER.search(payload)
        final = _NUMBER.match(payload, payload.rfind(_EVENT))
        if first is None or final is None:
            raise ValueError(f"no events in {payload[:80]!r}")
        begin, end = int(first[1]), int(final[1])
        if end - begin + 1 != count or self.last not in (0, begin - 1):
            raise ValueError(f"{count} events from {begin} to {end}, after {self.last}")
        self.last = end
        self.count += count


def listen(address: tuple[str, int], clients: int, counts: list[int]) -> None:
    """Connect, and say what came; see the module."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ready = selectors.DefaultSelector()
    everybody = [Listener(address) for _ in range(clients)]
    for one in everybody:
        ready.register(one.socket, selectors.EVENT_READ, one)
    print("ready", flush=True)
    expected = 0
    for count in counts:
        expected += count
        late_s, frames = array("d"), 0
        missing = {one for one in everybody if one.count < expected}
        while missing:
            found = ready.select(SILENCE_S)
            if not found:
                raise TimeoutError(f"{len(missing)} clients wait for event {expected}")
            for key, _ in found:
                frames += key.data.read(late_s)
                if key.data.count >= expected:
                    missing.discard(key.data)
        cuts = quantiles(late_s, n=100)
        said = {"ended": time.monotonic(), "frames": frames, "p50_s": cuts[49], "p99_s": cuts[98]}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    host, port, many, *wanted = sys.argv[1:]
    listen((host, int(port)), int(many), [int(count) for count in wanted])
