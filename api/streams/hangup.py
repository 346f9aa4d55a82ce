"""How streams end: softly, so that no frame is cut in two, and then for certain."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import trio

from api.problem import Absence
from supervision import Refused

GOING_AWAY: Final = 1001
POLICY: Final = 1008
TRY_AGAIN_LATER: Final = 1013

LAST_WORDS_S: Final = 2.0
"""Time for the frame that is on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangup:
    """Why a WebSocket is closed."""

    code: int
    why: str


TOO_SLOW: Final = Hangup(code=TRY_AGAIN_LATER, why="come back with the last number seen")
STOPPING: Final = Hangup(code=GOING_AWAY, why="the server stops")


def of_refusal(error: Refused | Absence) -> Hangup:
    """The end of one that was accepted to hear who asks, and then could not be served."""
    if isinstance(error, Refused) and not error.retryable:
        return Hangup(code=POLICY, why=error.code)
    return TOO_SLOW


Watch = Callable[[], Awaitable[Hangup]]
"""Returns when a stream has to end."""


def when_closing(closing: trio.Event) -> Watch:
    """Ends streams when their door closes."""

    async def watch() -> Hangup:
        await closing.wait()
        return STOPPING

    return watch
