"""What is asked and written about which agents there are.

An agent is an instance of a type; its class comes from a plugin, never from a request. Those of the
settings are there as long as the settings say so; those registered by request until somebody
unregisters them. All of it is durable once it is answered, and asked of the coordinator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from actors.agents.report import AgentHealth, AgentMetrics
from actors.writer import Command
from supervision import Ask

Origin = Literal["settings", "request"]
AgentStatus = Literal["active", "draining", "lost", "unregistered"]

SETTINGS: Final = "settings"
REQUEST: Final = "request"
ACTIVE: Final = "active"
DRAINING: Final = "draining"
LOST: Final = "lost"
UNREGISTERED: Final = "unregistered"


class AboutAgents:
    """Base of all that is asked about agents."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    """One agent as everybody outside sees it; times are RFC 3339, UTC.

    Args:
        status: `draining` takes nothing new, `lost` gives no sign of life.
        up: its actor is there to take tasks.
        reason: why it is drained or lost.
        workload: workflows it is reserved for or does steps of, as `max_workload` counts them.
        running: "<workflow id>/<operation>" of each attempt in progress.
        registered_at: None for one of the settings that nothing was ever said of.
        drained_at: since when one that is drained has nothing left to do.
        seen_at: its last sign of life that was written down.
        lease_expires_at: until when it counts as there without another one.
    """

    agent_id: str
    agent_type: str
    origin: str
    status: str
    up: bool
    capabilities: tuple[str, ...]
    workload: int
    max_workload: int
    running: tuple[str, ...]
    reason: str = ""
    registered_at: str | None = None
    drained_at: str | None = None
    seen_at: str | None = None
    lease_expires_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindAgents(AboutAgents, Ask[tuple[AgentRecord, ...]]):
    """Every agent, by its id; the unregistered are not there any more."""

    agent_type: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAgent(AboutAgents, Ask[AgentRecord]):
    """Refused with `NotFound`."""

    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """An agent, and what it says of itself.

    Args:
        assignments: (assignment id, workflow id) of what it has.
        health: None when it gave no answer; `silence` says why.
        restarts: of its actor.
    """

    agent: AgentRecord
    assignments: tuple[tuple[int, str], ...]
    health: AgentHealth | None
    metrics: AgentMetrics | None
    restarts: int
    silence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAgentState(AboutAgents, Ask[AgentState]):
    """Refused with `NotFound`. Answered within 10 seconds, whatever the agent does."""

    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """What an agent is set up with, defaults included; secrets are masked.

    Args:
        pending: its actor goes on with what it was set up with before until it is between tasks.
    """

    agent_id: str
    agent_type: str
    config: Mapping[str, Any]
    max_workload: int
    pending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAgentConfig(AboutAgents, Ask[AgentConfig]):
    """Refused with `NotFound`."""

    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTypeRecord:
    """A type of agent that can be registered.

    Args:
        activities: each with `name`, `description`, and JSON schemas of `input` (None: it takes
            none) and `output`.
        config: a JSON schema of what an instance can be set up with.
        max_workload: of an instance that says nothing else.
        agents: the instances there are.
    """

    agent_type: str
    description: str
    capabilities: tuple[str, ...]
    activities: tuple[Mapping[str, Any], ...]
    config: Mapping[str, Any]
    max_workload: int
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAgentTypes(AboutAgents, Ask[tuple[AgentTypeRecord, ...]]):
    """By name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterAgent(AboutAgents, Ask[AgentRecord]):
    """Have one more agent of a type: it is there, and there again after each restart.

    Refused with `NotFound` (the type), `ValidationError` (names the field; a module or a path is
    never a type), and with `Conflict` when there is another agent of that id, or when the
    idempotency key came with another request.

    Args:
        agent_id: None makes one up: "<type>-<number>".
        config: fields of the class's `Config`.
        max_workload: 0 takes nothing; None is the class's.
    """

    agent_type: str
    agent_id: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    max_workload: int | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAgentConfig(AboutAgents, Ask[AgentConfig]):
    """Set an agent up anew: at once where its class can, else between its tasks.

    Refused with `NotFound` and `ValidationError`.

    Args:
        config: all of it; None leaves it as it is.
        merge: only the fields that are named change.
        max_workload: None leaves it as it is.
    """

    agent_id: str
    config: Mapping[str, Any] | None = None
    merge: bool = False
    max_workload: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainAgent(AboutAgents, Ask[AgentRecord]):
    """Have an agent take nothing new and finish what it has. Twice is once.

    When it has nothing left, `agent_drained` is logged. Refused with `NotFound`.
    """

    agent_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateAgent(AboutAgents, Ask[AgentRecord]):
    """Have an agent that is drained or lost, or was given up, take work again. Twice is once.

    Refused with `NotFound`.
    """

    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnregisterAgent(AboutAgents, Ask[AgentRecord]):
    """Have an agent no longer. Answers what it was.

    Refused with `NotFound`, and with `Conflict` for one of the settings (`agent_of_settings`) and
    for one that still has work (`agent_busy`) without `force`.

    Args:
        force: its workflows wait for another agent of its type, and what it does is given up.
    """

    agent_id: str
    force: bool = False


# What is written.


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAgent(Command[str]):
    """Write that there is an agent. Answers its id, or the one that the key stands for already.

    Refused with `Conflict`.

    Args:
        config: stored JSON text.
        key: (idempotency key, SHA-256 of the request).
    """

    agent_id: str
    agent_type: str
    config: str
    max_workload: int | None
    key: tuple[str, str] | None
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentIdentity:
    """What a row says of an agent that had none until now: one of the settings.

    Args:
        config: stored JSON text.
    """

    agent_id: str
    agent_type: str
    config: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordConfig(Command[None]):
    """Write what an agent is set up with. `config` is stored JSON text."""

    agent: AgentIdentity
    config: str
    max_workload: int | None
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStatus(Command[None]):
    """Write that an agent is drained or active again, and log it; nothing when it is so already."""

    agent: AgentIdentity
    status: Literal["active", "draining"]
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDrained(Command[bool]):
    """Log that a draining agent has nothing left, once. Answers whether it has nothing left."""

    agent_id: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordGone(Command[tuple[str, ...]]):
    """Write that an agent is unregistered, and queue its workflows for others of its type.

    Answers the workflows. Refused with `Conflict` (`agent_busy`) when it has some and not `force`.
    """

    agent_id: str
    force: bool
    at: str
