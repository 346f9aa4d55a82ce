"""A language model's service on a real socket of this machine, which says what a test has written.

It speaks the chat-completions protocol, whole and as a stream, and can do what services do wrong:
errors, silence, broken JSON, connections that are cut. Each question takes the next `Turn` of the
script; a question beyond it gets a 500.
"""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from actors.agents.endpoint import ModelEndpoint

USAGE = {"prompt_tokens": 100, "completion_tokens": 10}


@dataclass(frozen=True)
class Asked:
    """A question as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def last(self) -> dict[str, Any]:
        """The last message of the conversation."""
        return dict(self.body["messages"][-1])


Turn = Callable[["_Handler"], None]


@dataclass
class ChatServer:
    """What it was asked, and what it will say."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    script: list[Turn] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def says(self, *turns: Turn) -> None:
        self.script.extend(turns)

    def endpoint(self, **more: Any) -> ModelEndpoint:
        given = {"model": "parrot", "input_price": 1.0, "output_price": 2.0, "timeout_s": 10.0}
        return ModelEndpoint(url=self.url, **{**given, **more})

    def take(self, asked: Asked) -> Turn:
        with self._lock:
            self.asked.append(asked)
            return self.script.pop(0) if self.script else error(500, "the script is at its end")


def text(*pieces: str, finish: str = "stop", usage: Any = USAGE) -> Turn:
    """Say something, a piece at a time."""
    chunks = [_chunk({"content": piece}) for piece in pieces]
    return partial(_stream, chunks=[*chunks, _chunk({}, finish)], usage=usage)


def calls(*wanted: tuple[str, Any], usage: Any = USAGE) -> Turn:
    """Want tools to be used; arguments that are text are sent as they are, in two pieces."""
    chunks = []
    for index, (name, arguments) in enumerate(wanted):
        given = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call = {"index": index, "id": f"c{index}", "type": "function"}
        half = len(given) // 2
        first = {**call, "function": {"name": name, "arguments": given[:half]}}
        rest = {"index": index, "function": {"arguments": given[half:]}}
        chunks += [_chunk({"tool_calls": [first]}), _chunk({"tool_calls": [rest]})]
    return partial(_stream, chunks=[*chunks, _chunk({}, "tool_calls")], usage=usage)


def whole(content: str, **more: Any) -> Turn:
    """Say it in one piece, as services do that do not stream."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    body = {"choices": [{**choice, "finish_reason": "stop"}], "usage": USAGE, **more}
    return partial(_json, status=200, body=body)


def error(status: int, message: str = "no", headers: Any = (), **more: Any) -> Turn:
    body = {"error": {"message": message, **more}}
    return partial(_json, status=status, body=body, headers=dict(headers))


def raw(content: bytes, kind: str = "text/event-stream", headers: Any = ()) -> Turn:
    """These very bytes, whole."""

    def say(handler: "_Handler") -> None:
        handler.begin(
            200, {"Content-Type": kind, "Content-Length": str(len(content)), **dict(headers)}
        )
        handler.wfile.write(content)

    return say


def cut(*pieces: str) -> Turn:
    """Say this, then cut the connection in the middle of the answer."""

    def say(handler: "_Handler") -> None:
        handler.begin_stream()
        for piece in pieces:
            handler.event(_chunk({"content": piece}))
        handler.cut()

    return say


def hang(*pieces: str) -> Turn:
    """Say this, and then nothing more until the server is closed."""

    def say(handler: "_Handler") -> None:
        handler.begin_stream()
        for piece in pieces:
            handler.event(_chunk({"content": piece}))
        handler.chat.closing.wait(30)
        handler.cut()

    return say


def paced(steps: Sequence[threading.Event], *pieces: str) -> Turn:
    """Say each piece once its step is set."""

    def say(handler: "_Handler") -> None:
        handler.begin_stream()
        for step, piece in zip(steps, pieces, strict=True):
            step.wait(30)
            handler.event(_chunk({"content": piece}))
        handler.event(_chunk({}, "stop"))
        handler.end_stream()

    return say


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "object": "chat.completion.chunk",
        "model": "parrot-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _stream(handler: "_Handler", *, chunks: Sequence[Any], usage: Any) -> None:
    handler.begin_stream()
    for chunk in chunks:
        handler.event(chunk)
    if usage is not None:
        handler.event({"choices": [], "usage": usage})
    handler.end_stream()


def _json(handler: "_Handler", *, status: int, body: Any, headers: Any = ()) -> None:
    content = json.dumps(body).encode()
    given = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    handler.begin(status, {**given, **dict(headers)})
    handler.wfile.write(content)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, chat: ChatServer, *rest: Any) -> None:
        self.chat = chat
        super().__init__(*rest)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        turn = self.chat.take(Asked(self.path, headers, body))
        try:
            turn(self)
        except (BrokenPipeError, ConnectionResetError):  # who asked has gone
            self.close_connection = True

    def begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def begin_stream(self) -> None:
        self.begin(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})

    def event(self, chunk: Any) -> None:
        self._chunk(f"data: {json.dumps(chunk)}\n\n".encode())

    def end_stream(self) -> None:
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def cut(self) -> None:
        """End the connection as a crash does: with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    chat = ChatServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, chat))
    server.daemon_threads = True
    chat.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield chat
    finally:
        chat.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
