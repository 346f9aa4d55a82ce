"""HTTP clients in a process of their own, for `benchmarks.http`: each sends, waits, sends again.

They read raw bytes and look for the end of an answer: a client that parsed every header would be
what is measured. What is to be sent is read from standard input, a JSON object a line, and answered
with one on standard output.
"""

import json
import selectors
import socket
import sys
from itertools import count
from statistics import quantiles
from time import perf_counter
from typing import Any, Final

SILENCE_S: Final = 30.0
RECEIVED_BYTES: Final = 1 << 18

_END: Final = b"\r\n\r\n"
_CLOSE: Final = b"\r\nconnection: close"
_LENGTH: Final = b"content-length: "


class Requester:
    """One connection, and what has come of the answer that it waits for."""

    def __init__(self, port: int, expected: bytes) -> None:
        self.socket = _connected(port)
        self.is_last = False
        self.sent_at = 0.0
        self._expected = expected
        self._answer = b""
        self._size = 0

    def send(self, request: bytes) -> None:
        self._answer, self._size = b"", 0
        self.sent_at = perf_counter()
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Take what is there; say whether that is all of it."""
        found = self.socket.recv(RECEIVED_BYTES)
        if not found:
            raise ConnectionError(f"closed after {self._answer[:200]!r}")
        self._answer += found
        if not self._size:
            head = self._answer.find(_END)
            if head < 0:
                return False
            if not self._answer.startswith(self._expected):
                raise ConnectionError(self._answer.decode("utf-8", "replace"))
            self._size = head + len(_END) + _length(self._answer[:head])
            self.is_last = _CLOSE in self._answer[:head].lower()
        return len(self._answer) >= self._size


def _connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=SILENCE_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(_LENGTH)
    return int(rest.partition(b"\r")[0])


def run(job: dict[str, Any], numbers: "count[int]") -> dict[str, float]:
    """Send for so many seconds over so many connections.

    Args:
        job: `port`, `connections`, `seconds`, the `status` that is expected, and the `requests`,
            which are sent in turn; `{number}` in one is another number each time.
        numbers: those.
    """
    texts = job["requests"]
    expected = f"HTTP/1.1 {job['status']}".encode()

    def request() -> bytes:
        number = next(numbers)
        text: str = texts[number % len(texts)]
        return text.replace("{number}", f"{number:09}").encode()

    times: list[float] = []
    with selectors.DefaultSelector() as selector:
        open_ones = [Requester(job["port"], expected) for _ in range(job["connections"])]
        began = perf_counter()
        for one in open_ones:
            selector.register(one.socket, selectors.EVENT_READ, one)
            one.send(request())
        waiting = len(open_ones)
        while waiting:
            for key, _ in selector.select(SILENCE_S):
                one = key.data
                if not one.is_answered():
                    continue
                now = perf_counter()
                times.append(now - one.sent_at)
                if one.is_last:  # the server closes a connection after so many answers
                    selector.unregister(one.socket)
                    one.socket.close()
                    one = Requester(job["port"], expected)
                    selector.register(one.socket, selectors.EVENT_READ, one)
                if now - began < job["seconds"]:
                    one.send(request())
                else:
                    waiting -= 1
        took_s = perf_counter() - began
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    shares = quantiles(times, n=100, method="inclusive") if len(times) > 1 else times * 99
    return {"per_s": len(times) / took_s, "p50_s": shares[49], "p99_s": shares[98]}


def main() -> None:
    numbers = count(1)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), numbers)), flush=True)


if __name__ == "__main__":
    main()
