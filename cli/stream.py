"""The event stream, over one WebSocket connection.

A connection ends in one of two ways: `StreamRefused`, when the server (or something before it) does
not do WebSockets, so that trying again is useless; or `StreamDropped`, when it was there and is
gone, so that the caller connects again after the last event it has seen. Reconnecting is not done
here: watch.py knows what to do in between.
"""

import contextlib
import json
import socket
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from httpx2.websockets import (
    HTTPXWSException,
    WebSocketDisconnect,
    WebSocketSession,
    WebSocketUpgradeError,
)
from wsproto.events import CloseConnection
from wsproto.utilities import LocalProtocolError

from cli import records
from cli.problem import Problem

_IDLE_S = 0.5  # how often a silent stream gives its reader a turn
_SILENCE_S = 40.0  # the server's heartbeat comes every 15 s; two missed ones mean it is gone
_LAPSED = 4401  # the token has ended, or was revoked
_FRAME_BYTES = 4 << 20  # one frame carries a burst of events; the library's default is 64 KiB


class StreamRefused(Exception):  # noqa: N818 - an outcome, not a fault
    """The server answers, but not with a WebSocket."""


class StreamDropped(Exception):  # noqa: N818 - an outcome, not a fault
    """The connection could not be made or has ended."""


class StreamLapsed(StreamDropped):
    """The server is there and wants to be shown a new token, which the next connection does."""


@dataclass(frozen=True, slots=True)
class Reset:
    """What follows is not all that happened since the number that was asked for.

    Args:
        after: that number.
        last: the last one of the server's log. Where `after` is beyond it, the log is another one.
    """

    after: int
    last: int

    @property
    def reached(self) -> int:
        """After which number the stream goes on."""
        return min(self.after, self.last)

    def __str__(self) -> str:
        if self.after > self.last:
            return f"the log ends at {self.last}, before {self.after}: it is another one now"
        return f"some of what came after {self.after} was archived"


def batches(
    http: httpx2.Client, workflow_id: str, after: int, *, silence_s: float = _SILENCE_S
) -> Generator[list[records.Event] | Reset | None]:
    """Yields each frame's events ([] for a heartbeat), and None whenever nothing came for 0.5 s.

    A `Reset` comes first where the server's log does not go back to `after`.

    Args:
        http: the client whose address and settings are used.
        workflow_id: only its events are sent.
        after: the last sequence number already seen; 0 for all.
        silence_s: how long nothing at all may come before the connection counts as dead.

    Raises:
        StreamRefused: see above.
        StreamDropped: see above; also for frames that hold no events.
    """
    params: dict[str, str | int] = {"workflow_id": workflow_id, "after": after}
    for frame in frames(http, params, silence_s=silence_s):
        yield [_event(raw) for raw in frame] if isinstance(frame, list) else frame


def frames(
    http: httpx2.Client, params: Mapping[str, str | int], *, silence_s: float = _SILENCE_S
) -> Generator[list[Any] | Reset | None]:
    """Yields as `batches` does, but events as the server sends them.

    Args:
        http: the client whose address and settings are used.
        params: which events, and after which number.
        silence_s: how long nothing at all may come before the connection counts as dead.

    Raises:
        StreamRefused: see above.
        StreamDropped: see above.
    """
    try:
        with _connected(http, params) as session:
            yield from _frames(session, silence_s)
    except WebSocketUpgradeError as err:
        if err.response.is_server_error:
            raise StreamDropped(f"status {err.response.status_code}") from err
        raise StreamRefused(f"status {err.response.status_code}") from err
    except WebSocketDisconnect as err:
        raise _dropped(err) from err
    except (HTTPXWSException, httpx2.HTTPError) as err:
        raise StreamDropped(str(err) or type(err).__name__) from err


def _dropped(err: WebSocketDisconnect) -> StreamDropped:
    kind = StreamLapsed if err.code == _LAPSED else StreamDropped
    return kind(f"closed with {err.code} {err.reason}".rstrip())


@contextlib.contextmanager
def _connected(http: httpx2.Client, params: Mapping[str, str | int]) -> Iterator[WebSocketSession]:
    with http.websocket(
        "/api/v1/events",
        params=dict(params),
        max_message_size_bytes=_FRAME_BYTES,
        keepalive_ping_interval_seconds=None,  # the server's heartbeat does that
    ) as session:
        try:
            yield session
        finally:
            _hang_up(session)


def _hang_up(session: WebSocketSession) -> None:
    # The session reads in a thread of its own, and closing a socket does not wake a thread that is
    # blocked in recv(): with a server that has gone silent, the process could not exit. Shutting
    # the connection down does wake it, so the close frame has to be sent before.
    with contextlib.suppress(HTTPXWSException, LocalProtocolError):
        session.send(CloseConnection(code=1000))
    connection = session.stream.get_extra_info("socket")
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _frames(session: WebSocketSession, silence_s: float) -> Iterator[list[Any] | Reset | None]:
    heard_at = time.monotonic()
    while True:
        try:
            frame = session.receive_text(timeout=_IDLE_S)
        except TimeoutError:
            if time.monotonic() - heard_at > silence_s:
                raise StreamDropped(f"silent for {silence_s:g} s") from None
            yield None
            continue
        heard_at = time.monotonic()
        yield _read(frame)


def _read(frame: str) -> list[Any] | Reset:
    try:
        raw: Any = json.loads(frame)
    except ValueError as err:
        raise StreamDropped(f"unreadable events ({err})") from err
    if isinstance(raw, dict) and raw.get("op") == "reset" and (lost := reset(raw)) is not None:
        return lost
    if not isinstance(raw, list):
        raise StreamDropped("unreadable events (no list)")
    return raw


def reset(raw: Any) -> Reset | None:
    """What a server says of a lost place; None where it says nothing of one."""
    given = raw if isinstance(raw, dict) else {}
    after, last = given.get("after"), given.get("last")
    return Reset(after, last) if isinstance(after, int) and isinstance(last, int) else None


def _event(raw: Any) -> records.Event:
    try:
        return records.event(raw)
    except Problem as err:
        raise StreamDropped(f"unreadable events ({err})") from err
