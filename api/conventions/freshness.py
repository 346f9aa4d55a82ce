"""Whether what a client has is still what there is: ETag, If-None-Match and Cache-Control.

Every answer in JSON to a GET has a strong tag of its bytes. It is made when the answer is, so it
spares the way to the client and not the question to the actors; and it never lies, whatever part
of an answer moved. Of what may be changed with If-Match the tag begins with `updated_at`
(`api.etags`), which is all that is compared then.

Answers are private: what one principal may read is not another's. A client keeps one to ask with,
and asks each time. Refusals and what came of a change are not kept at all.
"""

from hashlib import blake2b
from typing import Final

from quart import Response, request
from quart.wrappers.response import DataBody

from api.etags import DIGEST_BYTES, SEPARATOR

KEEP: Final = "private, no-cache"
FORGET: Final = "no-store"
FOREVER: Final = "private, max-age=31536000, immutable"
"""Of what is named by its version: the bytes behind such an address never change."""

WHO: Final = "Authorization, Cookie"
_TAGGED: Final = ("application/json", "application/x-ndjson")
_NOT_TOLD: Final = ("Content-Type", "Content-Length")


async def freshen(response: Response) -> Response:
    """Tag an answer, or leave its body out where the client has it already."""
    headers = response.headers
    if request.method not in ("GET", "HEAD") or response.status_code != 200:  # noqa: PLR2004
        headers.setdefault("Cache-Control", FORGET)
        return response
    headers.setdefault("Cache-Control", KEEP)
    headers["Vary"] = f"{headers['Vary']}, {WHO}" if "Vary" in headers else WHO
    body = response.response
    if not isinstance(body, DataBody) or response.content_type not in _TAGGED:
        return response
    if headers["Cache-Control"] == FORGET:
        return response
    headers["ETag"] = _whole(headers.get("ETag"), body.data)
    if _has(headers["ETag"]):
        response.status_code = 304
        response.set_data(b"")
        for name in _NOT_TOLD:
            headers.pop(name, None)
    return response


def _whole(state: str | None, data: bytes) -> str:
    digest = blake2b(data, digest_size=DIGEST_BYTES).hexdigest()
    return f'"{digest}"' if state is None else f'{state[:-1]}{SEPARATOR}{digest}"'


def _has(tag: str) -> bool:
    given = request.headers.get("If-None-Match")
    if given is None:
        return False
    return given == tag or request.if_none_match.contains_weak(tag[1:-1])
