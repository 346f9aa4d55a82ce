"""What is written about agents that give signs of life, and about those that do not."""

from dataclasses import dataclass

from actors.writer import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewLeases(Command[None]):
    """Write when agents were seen last, and until when they count as there without another sign.

    Args:
        seen: (agent id, type, when) of each, RFC 3339.
    """

    seen: tuple[tuple[str, str, str], ...]
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLost(Command[bool]):
    """Write that an agent gives no sign of life any more: what it had is for others.

    Answers False when there is nothing to lose: it is lost or unregistered already. One that was
    drained stays so, and is said to be lost even so.
    """

    agent_id: str
    agent_type: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRecovered(Command[str]):
    """Write that an agent that was lost is there again. Answers its status now.

    One that was drained when it was lost is drained still.
    """

    agent_id: str
    at: str
