"""The connections of one door: hypercorn speaks HTTP/1.1 on each, and each fails alone.

hypercorn's own server runs all its connections in one nursery, and some malformed requests raise
out of it (a WebSocket header that is not ASCII): one client would end everybody's connections and
use up the door's restarts. It writes behind a shield: a client that stops reading could keep a
connection, and with it the whole stop, for ever. And it speaks HTTP/2 to whoever asks, which nobody
here needs. So the accept loop is ours. A connection that fails is closed and logged, and so is one
that takes too long for what it is at (`api.wire`); at the end all have GRACE_S to finish.
"""

import math
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

import h11
import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.events import EndBody, Response
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr, wrap_app

from api import local_socket, peers, problem
from api.crowd import Crowd
from api.exposure import DEFAULT, Exposure
from api.headers import PLAIN
from api.heads import Heads
from api.overload import CALM
from api.turned_away import no_room
from api.uploads import is_upload
from api.wire import Wire

GRACE_S = 3.0
TURNED_AWAY = 64
"""Connections that are told at the same time why there is no room for them."""

TOLD_S = 0.5
RECEIVED_BYTES = 2**16
MADE_UP = [(b"content-length", b"0"), (b"connection", b"close")]
"""The headers of a refusal that no app has made."""

LINGER_S = 2.0
LINGER_BYTES = 2**21
"""What is dropped of a request that has its answer, at most, until its client takes note."""

EXTENSIONS = b"sec-websocket-extensions"

log = structlog.get_logger("beadflow.api")


class Connections:
    """Everybody who is connected to one ASGI app.

    Args:
        app: the ASGI app; there is no lifespan, it has to be ready.
        config: hypercorn's settings; what they say about sockets is not looked at.
        exposure: how many may be connected.
    """

    def __init__(self, app: Any, config: Config, exposure: Exposure = DEFAULT) -> None:
        self._app: AppWrapper = wrap_app(app, config.wsgi_max_body_size, "asgi")
        self._config = config
        self._context = WorkerContext(None)
        self._open: set[Wire] = set()
        self._crowd = Crowd(exposure)
        self._turned_away = 0

    async def serve(
        self, listening: socket.socket, closing: trio.Event, serving: Callable[[], None]
    ) -> None:
        """Accept on a copy of the socket until `closing`, then finish within GRACE_S.

        Args:
            listening: a bound and listening socket, which stays open.
            closing: ends it.
            serving: called once connections are accepted.
        """
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening.dup()))
        async with trio.open_nursery() as end:
            async with trio.open_nursery() as handlers:
                accept = partial(trio.serve_listeners, handler_nursery=handlers)
                async with trio.open_nursery() as accepting:
                    await accepting.start(accept, self._handle, [listener])
                    serving()
                    await closing.wait()
                    accepting.cancel_scope.cancel()
                await self._context.terminated.set()
                for wire in self._open:
                    if wire.is_idle:
                        wire.cut()
                end.start_soon(self._cut_off_late, handlers.cancel_scope)
            end.cancel_scope.cancel()

    async def _handle(self, stream: trio.SocketStream) -> None:
        wire = Wire(stream)
        self._open.add(wire)
        try:
            if not self._crowd.enter(wire, wire.peer()):
                await self._turn_away(wire)
                return
            await Speaker(self._app, self._config, self._context, wire).run()
        except* Exception as failed:  # noqa: BLE001 - the boundary: see the module
            log.warning("connection failed", why=repr(_innermost(failed)))
        finally:
            self._open.discard(wire)
            self._crowd.leave(wire)
            wire.cut()
            await wire.aclose()

    async def _turn_away(self, wire: Wire) -> None:
        """Say why, unless so many have to be told that this alone were too much."""
        if self._turned_away >= TURNED_AWAY:
            return
        self._turned_away += 1
        try:
            with suppress(trio.BrokenResourceError), trio.move_on_after(TOLD_S):
                await wire.send_all(no_room())
                await wire.send_eof()
                while await wire.receive_some(RECEIVED_BYTES):  # or it would not hear the answer
                    pass
        finally:
            self._turned_away -= 1

    async def _cut_off_late(self, late: trio.CancelScope) -> None:
        await trio.sleep(GRACE_S)
        for wire in self._open:
            wire.cut()
        late.cancel()


class Speaker(TCPServer):
    """hypercorn's connection, without its choice of protocols."""

    def __init__(self, app: AppWrapper, config: Config, context: WorkerContext, wire: Wire) -> None:
        self._wire = wire
        self._patience = trio.CancelScope()
        self._is_ending = False
        self._dropped_bytes = 0
        stream: Any = wire  # any stream will do
        super().__init__(app, config, context, _state(wire), stream)

    async def run(self) -> None:
        connected = self.stream.socket
        with trio.CancelScope() as over:
            async with TaskGroup() as tasks:
                self._task_group = tasks
                speaks: Any = Http1(
                    self.app,
                    self.config,
                    self.context,
                    tasks,
                    ConnectionState(self.state),
                    ssl=False,
                    client=parse_socket_addr(connected.family, connected.getpeername()),
                    server=parse_socket_addr(connected.family, connected.getsockname()),
                    send=self.protocol_send,
                )
                speaks.wire = self._wire
                self.protocol = speaks
                await self._read_data()
                over.cancel()  # pings do not outlive the connection

    async def _read_data(self) -> None:
        """Read until the client goes, or takes longer than it may for what it is at."""
        with trio.CancelScope() as self._patience:
            while await self._hear():
                pass
        if self._patience.cancelled_caught and not self._is_ending:
            await self._tell_late()
        await self.protocol.handle(Closed())

    async def _hear(self) -> bool:
        """Take what comes next; whether something may come after it."""
        if not self._is_ending:
            self._patience.deadline = self._due()
        try:
            data = await self._wire.receive_some(RECEIVED_BYTES)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            return False
        if self._is_ending:
            self._dropped_bytes += len(data)
            return len(data) > 0 and self._dropped_bytes < LINGER_BYTES
        self._wire.hear()
        self._patience.deadline = math.inf
        await self.protocol.handle(RawData(bytes(data)))
        return len(data) > 0

    def _due(self) -> float:
        """The moment up to which something has to come."""
        speaks: Any = self.protocol
        if not self._wire.is_idle and speaks.connection.their_state is h11.DONE:
            return math.inf  # it is the client that waits
        return self._wire.due

    def _end(self) -> None:
        """Say that no more is sent, and drop what still comes for a while.

        A client that is still sending would otherwise find the connection reset, and might never
        read why. Nothing here may wait: the task that ends a connection is often cancelled by that.
        """
        if self.context.terminated.is_set():
            return self._wire.cut()
        self._is_ending = True
        self._wire.turn(idle=True)
        self._wire.stop_sending()
        self._patience.deadline = trio.current_time() + LINGER_S
        return None

    async def _tell_late(self) -> None:
        if self._wire.is_idle and self._wire.has_begun:
            speaks: Any = self.protocol
            await speaks.refuse(HTTPStatus.REQUEST_TIMEOUT)

    async def protocol_send(self, event: Any) -> None:
        """Send, and keep in mind whether a request is in progress.

        hypercorn waits for idle connections in a task that it starts from the request's, and that
        dies with it. Here an idle one is known as such, and the read timeout ends it.
        """
        if isinstance(event, Updated):
            self._wire.turn(idle=event.idle)
            self._patience.deadline = self._wire.due if event.idle else math.inf
            if event.idle and self.context.terminated.is_set():
                self._wire.cut()
        elif isinstance(event, Closed):
            self._end()
            await self.protocol.handle(event)
        else:
            await super().protocol_send(event)


def _state(wire: Wire) -> ConnectionState:
    """What every request of a connection has in its scope, as `state`."""
    peer = local_socket.peer(wire.socket)
    return ConnectionState({CALM: wire.calm} | ({} if peer is None else {peers.STATE: peer}))


class Http1(H11Protocol):
    """hypercorn's, where the head of an answer of known length leaves with its first bytes.

    One write for both: each takes a lock, two cancel scopes and a call of the system.
    """

    wire: Wire
    _brings_file = False
    _held = b""
    _has_refused = False

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.connection = Heads(self.config.h11_max_incomplete_size)

    async def _check_protocol(self, event: Any) -> None:
        """Take an invitation to HTTP/2 for an ordinary request, as RFC 9110 (7.8) allows."""

    async def _create_stream(self, request: h11.Request) -> None:
        names = [name for name, _ in request.headers]
        if b"transfer-encoding" in names and b"content-length" in names:
            # a proxy may have taken the other for the body's end, and the rest for a request
            await self.refuse(HTTPStatus.BAD_REQUEST)
            await self.send(Closed())
            return
        if self.wire.calm_until:
            await trio.sleep_until(self.wire.calm_until)
            self.wire.calm_until = 0.0
        path = request.target.partition(b"?")[0].decode("latin-1")
        asked = {"method": request.method.decode("ascii").upper(), "path": path}
        self._brings_file = is_upload(asked)
        await super()._create_stream(_uncompressed(request))

    async def _send_h11_event(self, event: Any) -> None:
        try:
            data = self.connection.send(event) or b""
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        if type(event) is h11.Response and _says_length(event):
            self._held += data
            return
        data, self._held = self._held + data, b""
        if data:
            await self.send(RawData(data=data))

    async def stream_send(self, event: Any) -> None:
        """Send; a refusal that hypercorn makes up itself, of a WebSocket, as all refusals are."""
        if isinstance(event, Response) and event.headers == MADE_UP:
            await self.refuse(event.status_code)
            self._has_refused = True
        elif not (self._has_refused and isinstance(event, EndBody)):
            await super().stream_send(event)

    async def refuse(self, status: int) -> None:
        """Answer a request that is not whole."""
        await self._send_error_response(status)

    async def _send_error_response(self, status_code: int) -> None:
        """Say what is wrong as all refusals do; hypercorn would send a status alone.

        An app that has the request already is told that its client is gone.
        """
        request_id = secrets.token_hex(8)
        is_file = self._brings_file and self.stream is not None
        status, text = problem.of_protocol(status_code, request_id, is_upload=is_file)
        body = text.encode()
        headers = [
            (b"content-type", problem.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *PLAIN,
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=status, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


def _says_length(head: h11.Response) -> bool:
    return any(name == b"content-length" for name, _ in head.headers)


def _uncompressed(request: h11.Request) -> h11.Request:
    """The request without its offer to compress the frames of a WebSocket.

    Each connection would keep some 170 KiB for that, and every frame would be compressed anew for
    each client that it is sent to; and a small frame that comes could be a large one.
    """
    kept = [(name, value) for name, value in request.headers if name != EXTENSIONS]
    if len(kept) == len(request.headers):
        return request
    return h11.Request(
        method=request.method,
        headers=kept,
        target=request.target,
        http_version=request.http_version,
    )


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
