"""What comes after a turn: another one, a wait for a limit to end, or the end. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from actors.agents.command.messages import CommandRequest, Status, Turn
from actors.agents.kit.usage import Usage

GO_ON: Final = "Go on where you stopped."
WARN_SHARE: Final = 0.8
"""Of a budget; people are told when so much of it is spent."""

_FIRST_WAIT_S: Final = 300.0
_LONGEST_WAIT_S: Final = 3600.0
_LONGEST_LIMIT_S: Final = 8 * 86_400.0
_AFTER_RESET_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Another:
    """Another turn, after a wait of so many seconds."""

    prompt: str
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class End:
    """No more turns."""

    status: Status
    code: str
    why: str


def plan(request: CommandRequest, turns: Sequence[Turn], now: datetime) -> Another | End:
    """What to do after the last of these turns."""
    last = turns[-1]
    limited = sum(turn.status is Status.RATE_LIMITED for turn in turns)
    end = End(last.status, last.code, last.why)
    if last.status in (Status.DONE, Status.OVER_BUDGET):
        return end
    over = request.budget.used_up(spent(turns))
    if over:
        return End(Status.OVER_BUDGET, "budget", f"{over}; {last.why}")
    if last.status is Status.RATE_LIMITED:
        if limited > request.waits:
            return end
        return Another(_next_prompt(request, last), _wait_s(last, limited, now))
    if not last.may_go_on or len(turns) - limited >= request.turns:
        return end
    if request.command and last.status is Status.NEEDS_ATTENTION:
        return end  # it would do the same again
    return Another(_next_prompt(request, last))


def spent(turns: Sequence[Turn]) -> Usage:
    """What all turns have cost."""
    return sum((turn.usage for turn in turns), Usage())


def _next_prompt(request: CommandRequest, last: Turn) -> str:
    if request.command or not last.session:
        return request.prompt
    if last.status is Status.NEEDS_ATTENTION and last.checklist:
        return f"Your work is not finished yet. Mend this:\n{last.why}"
    return GO_ON


def _wait_s(last: Turn, limited: int, now: datetime) -> float:
    """Until the limit ends; without a time, longer each time."""
    if last.resets_at is None:
        return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(limited - 1, 10))
    left_s = (last.resets_at - now).total_seconds() + _AFTER_RESET_S
    return min(_LONGEST_LIMIT_S, max(_AFTER_RESET_S, left_s))
