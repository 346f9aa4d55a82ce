"""Requests that come again: with its Idempotency-Key, a POST is done once and answered alike.

Once a request with a key is done, its whole answer is kept, and given to whoever sends the same
request with the same key. While it is being done, a second one is refused; with another request,
the key is. A refusal is not kept: nothing was done. The keys of one principal mean nothing to
another.

Some know a repeated request by themselves (`KNOWING`), in the transaction that makes it true: for
these nothing is kept here, and it is only looked whether the key is known, so that their answer can
say so. The others may be cut off by a crash between what they do and the note of it. What they ask
the issues and a signal carries the key along, so that it is known there; the rest comes to the same
when it is done again.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from quart import Request, Response
from quart.wrappers.response import DataBody

from actors.coordination.messages import FindAnswer, IsKeyKnown, KeepAnswer
from actors.errors import KeyReused
from api.body import read_bytes
from api.doors import Doors
from api.keys import idempotency_key
from supervision import Refused, ask

KNOWING: Final = frozenset(
    {
        "agents.register",
        "assignments.assign",
        "handoff.handoff",
        "results.store",
        "workflows.start",
        "workflows.update",
    }
)
"""Endpoints that know a repeated request by themselves."""

ASKING: Final = frozenset({"control.query"})
"""Endpoints that change nothing, whatever their method."""

SECRETIVE: Final = frozenset({"auth", "auth_keys", "sessions"})
"""Blueprints whose answers are written down nowhere."""

ANSWER_LIMIT: Final = 1024 * 1024
"""Characters of an answer that is kept; of a longer one only the status is."""

DEADLINE_S: Final = 30.0
REPLAYED: Final = "Idempotency-Replayed"
_KEPT_HEADERS: Final = ("Content-Type", "ETag", "Location")


class InProgress(Refused):
    """The same request is being done at this moment."""

    code = "request_in_progress"
    status = 409
    retryable = True
    hint = "wait for the answer of the first one, or send it again in a moment"
    message = "the same request, with the same idempotency key, is being done"


class Repeats:
    """Does each request with a key once."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._under_way: dict[str, str] = {}

    async def answer(self, request: Request, answer: Callable[[], Awaitable[Any]]) -> Any:
        """Answer a request by `answer`, or by what it was answered before."""
        if not self._minds(request):
            return await answer()
        key = idempotency_key(request)
        if key is None:
            return await answer()
        if request.endpoint in KNOWING:
            return await self._marked(key, answer)
        sha256 = await _fingerprint(request)
        self._begin(key, sha256)
        try:
            return await self._once(key, sha256, answer)
        finally:
            del self._under_way[key]

    def _minds(self, request: Request) -> bool:
        endpoint = request.endpoint
        if endpoint is None or endpoint in ASKING or "Idempotency-Key" not in request.headers:
            return False
        if request.method != "POST" and endpoint not in KNOWING:
            return False
        return request.blueprint not in SECRETIVE and self._doors.keeps_answers

    async def _marked(self, key: str, answer: Callable[[], Awaitable[Any]]) -> Any:
        """The answer of an endpoint that knows by itself, marked where nothing is done for it."""
        known = await ask(self._doors.manager, IsKeyKnown(key=key), deadline_s=DEADLINE_S)
        response: Response = await answer()
        if known and response.status_code < 300:  # noqa: PLR2004 - HTTP's own line
            response.headers[REPLAYED] = "true"
        return response

    def _begin(self, key: str, sha256: str) -> None:
        there = self._under_way.get(key)
        if there is None:
            self._under_way[key] = sha256
        elif there == sha256:
            raise InProgress
        else:
            raise KeyReused("this idempotency key came with another request")

    async def _once(self, key: str, sha256: str, answer: Callable[[], Awaitable[Any]]) -> Any:
        manager = self._doors.manager
        known = await ask(
            manager, FindAnswer(key=key, request_sha256=sha256), deadline_s=DEADLINE_S
        )
        if known is not None:
            return _again(known)
        response: Response = await answer()
        if response.status_code < 300:  # noqa: PLR2004 - HTTP's own line
            keep = KeepAnswer(key=key, request_sha256=sha256, answer=_kept(response))
            await ask(manager, keep, deadline_s=DEADLINE_S)
        return response


async def _fingerprint(request: Request) -> str:
    """What tells one request from another: where it goes, and every byte of it."""
    body = await read_bytes(request)
    digest = hashlib.sha256(f"{request.path}\n".encode())
    digest.update(request.query_string + b"\n")
    digest.update(body)
    return digest.hexdigest()


def _kept(response: Response) -> dict[str, Any]:
    body = response.response
    text = body.data.decode() if isinstance(body, DataBody) else ""
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return {
        "status": response.status_code,
        "headers": headers,
        "body": text if len(text) <= ANSWER_LIMIT else "{}",
    }


def _again(known: dict[str, Any]) -> Response:
    headers = {**known["headers"], REPLAYED: "true"}
    return Response(known["body"], status=known["status"], headers=headers)
