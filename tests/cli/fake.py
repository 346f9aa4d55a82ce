"""A server on a real socket that says what a test tells it to, in the words of the contract.

It knows nothing of workflows: answers are set per path, and each WebSocket connection plays the
next script of `connections`. When there is no script left, a connection is refused.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

PROBLEM = "application/problem+json"
TCP = ("127.0.0.1", 0)


@dataclass(frozen=True)
class Answer:
    body: Any = None
    status: int = 200
    kind: str = "application/json"
    raw: bytes | None = None

    def content(self) -> bytes:
        return json.dumps(self.body).encode() if self.raw is None else self.raw


def problem(status: int, title: str, **fields: Any) -> Answer:
    body = {"type": "about:blank", "title": title, "status": status, **fields}
    return Answer(body, status, PROBLEM)


class Hold:
    """Keeps the connection open without a word until the client goes or the server ends."""


class Drop:
    """Cuts the connection without a close frame."""


@dataclass(frozen=True)
class Close:
    """Closes the connection in order."""

    code: int


Script = Iterable[list[dict[str, Any]] | str | Hold | Close | Drop | Callable[[], object]]


@dataclass
class Seen:
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: Any = None


class Unix(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def __init__(self, path: str, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(path, handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


@dataclass
class FakeServer:
    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    connections: list[Script] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    at: str = ""
    "Path of a Unix socket to be on instead of a port."

    def __enter__(self) -> Self:
        handler = _handler(self)
        self._http = Unix(self.at, handler) if self.at else ThreadingHTTPServer(TCP, handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def answer(self, method: str, path: str) -> Answer:
        """The answer set for this path; the last of several is given for ever."""
        found = self.answers.get(f"{method} {path}", problem(404, "Not found", code="not_found"))
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found

    def requests(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, path)]


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._seen(None)
            if self.headers.get("Upgrade", "").lower() == "websocket" and server.connections:
                self.close_connection = True
                with contextlib.suppress(ConnectionError):  # the client may leave first
                    _play(self, server, server.connections.pop(0))
                return
            self._say(server.answer("GET", urlsplit(self.path).path))

        def do_POST(self) -> None:
            self._seen(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._say(server.answer("POST", urlsplit(self.path).path))

        def do_PUT(self) -> None:
            self._seen(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._say(server.answer("PUT", urlsplit(self.path).path))

        def do_DELETE(self) -> None:
            self._seen(None)
            self._say(server.answer("DELETE", urlsplit(self.path).path))

        def _seen(self, body: Any) -> None:
            url = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(
                self.command,
                url.path,
                dict(parse_qsl(url.query, keep_blank_values=True)),
                headers,
                body,
            )
            server.seen.append(seen)

        def _say(self, answer: Answer) -> None:
            content = answer.content()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


def _play(handler: BaseHTTPRequestHandler, server: FakeServer, script: Script) -> None:
    ws = WSConnection(ConnectionType.SERVER)
    headers = [(name.encode(), value.encode()) for name, value in handler.headers.items()]
    ws.initiate_upgrade_connection(headers, handler.path)
    assert any(isinstance(event, Request) for event in ws.events())
    connection = handler.connection
    connection.sendall(ws.send(AcceptConnection()))
    for act in script:
        match act:
            case Close(code):
                connection.sendall(ws.send(CloseConnection(code=code)))
                return
            case Drop():
                connection.shutdown(socket.SHUT_RDWR)
                return
            case Hold():
                server.held.set()
                _until_gone(connection, server)
                return
            case str():
                connection.sendall(ws.send(TextMessage(data=act)))
            case list():
                connection.sendall(ws.send(TextMessage(data=json.dumps(act))))
            case _:
                act()
    connection.sendall(ws.send(CloseConnection(code=1012)))


def _until_gone(connection: socket.socket, server: FakeServer) -> None:
    connection.settimeout(0.05)
    while not server.ended.is_set():
        try:
            if not connection.recv(4096):
                return
        except TimeoutError:
            continue
