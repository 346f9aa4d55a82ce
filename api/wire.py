"""A connection's stream, as far as hypercorn uses it, and what its client is at.

A write ends, one way or the other: whoever takes nothing for STALL_S is cut off. So does a wait for
the client: the head of a request has to come within HEAD_S of its first byte, a request within
IDLE_S of the one before, and of a body something within READ_S.
"""

import socket
from contextlib import suppress
from typing import Final

import trio
from hypercorn.utils import parse_socket_addr
from werkzeug.datastructures import Headers

from api.addresses import Peer, peer_of

STALL_S: Final = 30.0
HEAD_S: Final = 10.0
IDLE_S: Final = 60.0
READ_S: Final = 60.0
CALM_S: Final = 1.0
"""How long a connection waits that was told to come back later, as Retry-After says at the least.

Else a thousand that ask again at once leave no time for those that are let in.
"""


class Wire:
    """One connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.socket = stream.socket
        self.receive_some = stream.receive_some
        self.send_eof = stream.send_eof
        self.aclose = stream.aclose
        self.is_idle = True  # no request is in progress
        self.idle_since = trio.current_time()
        self.calm_until = 0.0
        self._begun_at: float | None = None
        self._stream = stream

    @property
    def has_begun(self) -> bool:
        """Whether some of a request's head has come, and not all."""
        return self._begun_at is not None

    @property
    def due(self) -> float:
        """The moment up to which something has to come."""
        if not self.is_idle:
            return trio.current_time() + READ_S
        return self.idle_since + IDLE_S if self._begun_at is None else self._begun_at + HEAD_S

    def hear(self) -> None:
        """Something came."""
        if self.is_idle and self._begun_at is None:
            self._begun_at = trio.current_time()

    def turn(self, *, idle: bool) -> None:
        """A request has begun, or ended."""
        self.is_idle = idle
        self.idle_since = trio.current_time()
        self._begun_at = None

    def peer(self) -> Peer:
        """Who is at the other end; whoever is there, it may be gone by now."""
        with suppress(OSError):
            client = parse_socket_addr(self.socket.family, self.socket.getpeername())
            return peer_of(client, Headers(), ())
        return peer_of(("", 0), Headers(), ())

    async def send_all(self, data: bytes) -> None:
        """Send, or raise `trio.BrokenResourceError` when the client takes nothing in time."""
        with trio.move_on_after(STALL_S) as stalled:
            await self._stream.send_all(data)
        if stalled.cancelled_caught:
            self.cut()
            raise trio.BrokenResourceError(f"the client took nothing for {STALL_S:g} s")

    def calm(self) -> None:
        """Take no further request for CALM_S: who asks again at once after being told to wait."""
        self.calm_until = trio.current_time() + CALM_S

    def stop_sending(self) -> None:
        """Let the client know that nothing more comes; it may still send."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Wake whoever waits for this client."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
