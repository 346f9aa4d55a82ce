"""What an agent says of itself: how it is set up, how it is, and what it has done so far.

An agent class declares what it can be set up with (`Config`, a pydantic model) and may look after
itself (`health_check`). Whoever asks gets an answer within a deadline: what an agent's own code
raises, or takes too long for, is a bad state of health and crashes nobody.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import trio
from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError, to_jsonable_python

from actors.agents.kit.usage import Usage
from actors.workflows.activities import failure_of
from actors.workflows.containment import contained
from storage import payload
from storage.errors import PayloadError
from storage.payload import plain_text

HEALTH_CHECK_S: Final = 5.0
"""How long an agent may take to find out how it is."""

MESSAGE_LIMIT: Final = 500
DETAILS_LIMIT_BYTES: Final = 16 * 1024


class NoConfig(BaseModel):
    """Of agents that there is nothing to set up of."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentHealth:
    """How an agent is.

    Args:
        message: why it is not healthy, or whatever else is worth knowing.
        details: small JSON.
    """

    healthy: bool = True
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMetrics:
    """What an agent has done since its actor started.

    Args:
        tasks_done: attempts that succeeded.
        tasks_failed: attempts that did not; those that were called off are neither.
        seconds: spent on both, all added up.
        current: attempts in progress.
        tokens: of models that it had work.
        cost_usd: what that has cost, as far as it is known.
    """

    tasks_done: int = 0
    tasks_failed: int = 0
    seconds: float = 0.0
    current: int = 0
    tokens: int = 0
    cost_usd: float = 0.0


@dataclass(slots=True)
class Tally:
    """Counts what an agent has done."""

    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    used: Usage = field(default_factory=Usage)

    def count(self, seconds: float, *, succeeded: bool) -> None:
        self.done += succeeded
        self.failed += not succeeded
        self.seconds += seconds

    def shown(self, current: int) -> AgentMetrics:
        return AgentMetrics(
            tasks_done=self.done,
            tasks_failed=self.failed,
            seconds=round(self.seconds, 6),
            current=current,
            tokens=self.used.tokens,
            cost_usd=self.used.cost_usd or 0.0,
        )


async def examine(health_check: Callable[[], Awaitable[AgentHealth]]) -> AgentHealth:
    """How an agent is, whatever its own code makes of the question."""
    try:
        with trio.move_on_after(HEALTH_CHECK_S), contained():
            return _presentable(await health_check())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the agent's own code ends here
        failure = failure_of(error)
        return _ill(f"its health check failed: {failure.code}: {failure.message}")
    return _ill(f"its health check took longer than {HEALTH_CHECK_S:g} s")


def _presentable(found: object) -> AgentHealth:
    if not isinstance(found, AgentHealth):
        return _ill("its health check answered something else than an AgentHealth")
    try:
        details = to_jsonable_python(dict(found.details))
        size = len(payload.encode(details))
    except (PydanticSerializationError, PayloadError, TypeError, ValueError):
        return _ill("its health check answered details that are no JSON")
    if size > DETAILS_LIMIT_BYTES:
        details = {}
    message = plain_text(str(found.message))[:MESSAGE_LIMIT]
    return AgentHealth(healthy=bool(found.healthy), message=message, details=details)


def _ill(why: str) -> AgentHealth:
    return AgentHealth(healthy=False, message=plain_text(why)[:MESSAGE_LIMIT])
