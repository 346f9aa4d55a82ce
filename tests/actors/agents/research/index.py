"""A package index on the loopback interface, built by the test that asks it."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

JSON = "application/vnd.pypi.simple.v1+json"

METADATA = """\
Metadata-Version: 2.4
Name: {name}
Version: {version}
Summary: {summary}
License-Expression: MIT
Classifier: Development Status :: 5 - Production/Stable
{more}
A long description.
"""


def metadata(name: str, version: str, summary: str = "A library.", more: str = "") -> bytes:
    return METADATA.format(name=name, version=version, summary=summary, more=more).encode()


def wheel(name: str, version: str, text: bytes, *, files: tuple[str, ...] = ()) -> bytes:
    """A wheel as built, with stored (not compressed) modules so that its size can be chosen."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in files or (f"{name}/__init__.py", f"{name}/py.typed"):
            archive.writestr(file, b"#" * 20)
        archive.writestr(f"{name}-{version}.dist-info/METADATA", text)
    return buffer.getvalue()


@dataclass
class LocalIndex:
    """Pages and files by path; what was asked for is kept."""

    url: str = ""
    pages: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ranges: bool = True
    stall: Callable[[], object] | None = None
    busy: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def add(
        self,
        name: str,
        version: str,
        *,
        text: bytes | None = None,
        data: bytes | None = None,
        uploaded: str = "2026-06-01T00:00:00Z",
        requires_python: str | None = ">=3.9",
        yanked: bool = False,
        serve_metadata: bool = False,
        tag: str = "py3-none-any",
    ) -> None:
        """Lists one wheel; without `data` one is built around `text`."""
        text = text if text is not None else metadata(name, version)
        data = data if data is not None else wheel(name, version, text)
        filename = f"{name.replace('-', '_')}-{version}-{tag}.whl"
        self.files[f"/files/{filename}"] = data
        entry: dict[str, Any] = {
            "filename": filename,
            "url": f"{self.url}/files/{filename}",
            "hashes": {},
            "requires-python": requires_python,
            "size": len(data),
            "upload-time": uploaded,
            "yanked": yanked,
        }
        if serve_metadata:
            self.files[f"/files/{filename}.metadata"] = text
            entry["core-metadata"] = {"sha256": hashlib.sha256(text).hexdigest()}
        page = self.pages.setdefault(
            name, {"meta": {"api-version": "1.1"}, "name": name, "versions": [], "files": []}
        )
        page["versions"].append(version)
        page["files"].append(entry)

    @property
    def simple(self) -> str:
        return f"{self.url}/simple"

    def environ(self, **more: str) -> dict[str, str]:
        """An environment whose pip asks this index and nothing else."""
        return {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": self.simple, **more}


@contextmanager
def served() -> Iterator[LocalIndex]:
    index = LocalIndex()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, index)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    index.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(handler: BaseHTTPRequestHandler, index: LocalIndex) -> None:
    path = handler.path
    index.requests.append((path, dict(handler.headers)))
    if index.stall is not None:
        index.stall()
    if index.busy:
        status, headers = index.busy.pop(0)
        send(handler, status, b"busy", "text/plain", headers)
        return
    name = path.removeprefix("/simple/").strip("/")
    if path in index.redirects:
        handler.send_response(302)
        handler.send_header("Location", index.redirects[path])
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    elif path.startswith("/simple/") and name in index.pages:
        send(handler, 200, json.dumps(index.pages[name]).encode(), JSON)
    elif path in index.files:
        send_file(handler, index.files[path], ranges=index.ranges)
    else:
        send(handler, 404, b"no", "text/plain")


def send_file(handler: BaseHTTPRequestHandler, data: bytes, *, ranges: bool) -> None:
    asked = handler.headers.get("Range", "").removeprefix("bytes=")
    if not asked or not ranges:
        send(handler, 200, data, "application/octet-stream")
        return
    first, _, last = asked.partition("-")
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(len(data), int(last) + 1) if first and last else len(data)
    extra = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}
    send(handler, 206, data[start:end], "application/octet-stream", extra)


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    kind: str,
    headers: dict[str, str] | None = None,
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def write_file_index(root: Path, name: str, version: str, text: bytes) -> str:
    """A local index of HTML pages, as a directory; returns its URL."""
    files = root / "files"
    page = root / "simple" / name
    files.mkdir(parents=True, exist_ok=True)
    page.mkdir(parents=True)
    filename = f"{name}-{version}-py3-none-any.whl"
    (files / filename).write_bytes(wheel(name, version, text))
    (page / "index.html").write_text(
        f'<!DOCTYPE html><a href="../../files/{filename}">{filename}</a>'
    )
    return (root / "simple").as_uri()
