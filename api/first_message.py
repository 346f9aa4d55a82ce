"""The first message of a WebSocket, where nothing at its handshake says who asks.

`{"op": "auth", "token": "…"}`, within FIRST_S: before that nothing else is read or sent.
"""

from typing import Final

import trio
from pydantic import Field
from quart import g, websocket

from actors.auth.errors import Unauthenticated
from actors.errors import Overloaded
from api.body import parse_object, validated
from api.credentials import BadCredential
from api.models import Strict
from supervision import Refused

FIRST_S: Final = 5.0
WAITING: Final = 64
"""How many may be silent at a time."""


class AuthMessage(Strict):
    """The first message of a WebSocket."""

    op: str = Field(strict=True, pattern="^auth$")
    token: str = Field(strict=True, repr=False)


async def credential(silent: trio.CapacityLimiter) -> str:
    """Accept the present WebSocket and wait for its credential; `g.heard` is true from then on.

    Args:
        silent: those that are waited for.

    Raises:
        Unauthenticated: it did not come, or something else did.
        Overloaded: too many are waited for already; it was not accepted.
    """
    try:
        silent.acquire_nowait()
    except trio.WouldBlock:
        raise Overloaded("too many connections have not said yet who they are") from None
    try:
        await websocket.accept()
        g.heard = True
        with trio.move_on_after(FIRST_S):
            return _token(await websocket.receive())
        raise Unauthenticated("nothing was heard that says who asks")
    finally:
        silent.release()


def _token(message: str | bytes) -> str:
    raw = message if isinstance(message, bytes) else message.encode("utf-8", "replace")
    try:
        return validated(parse_object(raw), AuthMessage).token
    except Refused as error:
        raise BadCredential("the first message does not say who asks") from error
