"""Valid requests of every operation, as bytes: what is to be made invalid."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from api.app import App
from api.operations.openapi import build
from api.operations.table import OPERATIONS
from api.permissions import PERMISSIONS
from tests.api.fuzz import values

QUIET = ("/api/v1/issues/sync", "/api/v1/reconcile")
"""Operations that take seconds and are the same for every request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Valid:
    """One request that the document allows."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def raw(self, host: str = "127.0.0.1") -> bytes:
        """Its bytes."""
        target = f"{self.path}?{self.query}" if self.query else self.path
        return self.around(target.encode(), self.body, host)

    def around(self, target: bytes, body: bytes, host: str = "127.0.0.1") -> bytes:
        """The same request with another target and body."""
        length = [("Content-Length", str(len(body)))] if body else []
        lines = [f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, *length)]
        head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
        return self.method.encode() + b" " + target + b" HTTP/1.1\r\n" + head + body


def document(app: App) -> dict[str, Any]:
    """The description of the API that an app has."""
    return build(app.url_map.iter_rules(), OPERATIONS, PERMISSIONS)


def requests(described: dict[str, Any], ids: dict[str, str], key: str) -> Iterator[Valid]:
    """Requests of each operation: a bare one, and one with all that it takes.

    Args:
        ids: things that are there, by the name that paths have for them.
        key: what they show of who asks.
    """
    shown = (("Authorization", f"Bearer {key}"),)
    for path, operations in described["paths"].items():
        if path in QUIET:
            continue
        for method, operation in operations.items():
            for valid in _of(path, method.upper(), operation, ids):
                yield replace(valid, headers=(*shown, *valid.headers))


def templates(described: dict[str, Any], key: str) -> Iterator[Valid]:
    """One request of each operation that takes ids, with the names of these in its path."""
    for path, operations in described["paths"].items():
        if "{" in path:
            for method, operation in operations.items():
                found = next(_of(path, method.upper(), operation, {}))
                shown = ("Authorization", f"Bearer {key}")
                yield replace(found, path=path, headers=(shown, *found.headers))


def _of(path: str, method: str, operation: dict[str, Any], ids: dict[str, str]) -> Iterator[Valid]:
    parameters = operation.get("parameters", [])
    query = [each["name"] for each in parameters if each.get("in") == "query"]
    headers = [each["name"] for each in parameters if each.get("in") == "header"]
    content = operation.get("requestBody", {}).get("content", {})
    media_type = next(iter(content), "")
    body = b""
    if "json" in media_type:
        body = json.dumps(content[media_type].get("example", {})).encode()
    elif media_type:
        body = b"some bytes of a file"
    typed = (("Content-Type", media_type),) if media_type else ()
    for filled in (path.format_map(values.Names(ids)), path.format_map(values.Names({}))):
        yield Valid(method=method, path=filled, headers=typed, body=body)
    yield Valid(
        method=method,
        path=path.format_map(values.Names(ids)),
        query="&".join(f"{name}={values.of(name)}" for name in query),
        headers=(*typed, *((name, values.of(name)) for name in headers)),
        body=body,
    )
