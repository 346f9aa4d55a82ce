"""What clients send and get about agents, as models; fields that are not listed are refused."""

from dataclasses import asdict
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from actors.agents.registration_messages import (
    AgentConfig,
    AgentRecord,
    AgentState,
    AgentTypeRecord,
)
from api.models import NAME_LIMIT, Strict, Words

Status = Literal["active", "draining", "lost"]


class RegisterRequest(Strict):
    """Body of POST /api/v1/agents."""

    agent_type: str = Field(strict=True, max_length=NAME_LIMIT)
    agent_id: str | None = Field(default=None, strict=True)
    config: dict[str, Any] = Field(default_factory=dict, strict=True)
    max_workload: int | None = Field(default=None, strict=True)


class ConfigRequest(Strict):
    """Body of PUT /api/v1/agents/{id}/config."""

    config: dict[str, Any] | None = Field(default=None, strict=True)
    merge: bool = Field(default=False, strict=True)
    max_workload: int | None = Field(default=None, strict=True)


class AgentsQuery(Strict):
    """Query of GET /api/v1/agents."""

    type: str | None = None
    status: Status | None = None
    fields: Words = Field(default_factory=list)


class UnregisterQuery(Strict):
    """Query of DELETE /api/v1/agents/{id}."""

    force: bool = False


class Agent(BaseModel):
    """An agent. Times are RFC 3339, UTC."""

    agent_id: str
    agent_type: str
    origin: str
    status: str
    up: bool
    capabilities: list[str]
    workload: int
    max_workload: int
    running: list[str]
    reason: str
    registered_at: str | None
    drained_at: str | None
    seen_at: str | None
    lease_expires_at: str | None

    @classmethod
    def of(cls, record: AgentRecord) -> Self:
        return cls.model_validate(asdict(record))


class Assigned(BaseModel):
    id: int
    workflow_id: str


class Health(BaseModel):
    healthy: bool
    message: str
    details: dict[str, Any]


class Metrics(BaseModel):
    tasks_done: int
    tasks_failed: int
    seconds: float
    current: int
    tokens: int
    cost_usd: float


class AgentStatus(Agent):
    """Answer of GET /api/v1/agents/{id}/status: the agent, and what it says of itself."""

    assignments: list[Assigned]
    health: Health | None
    metrics: Metrics | None
    silence: str
    restarts: int

    @classmethod
    def of_state(cls, state: AgentState) -> Self:
        return cls.model_validate(
            {
                **asdict(state.agent),
                "assignments": [
                    {"id": number, "workflow_id": workflow_id}
                    for number, workflow_id in state.assignments
                ],
                "health": None if state.health is None else asdict(state.health),
                "metrics": None if state.metrics is None else asdict(state.metrics),
                "silence": state.silence,
                "restarts": state.restarts,
            }
        )


class Config(BaseModel):
    """Answer of GET and PUT /api/v1/agents/{id}/config."""

    agent_id: str
    agent_type: str
    config: dict[str, Any]
    max_workload: int
    pending: bool

    @classmethod
    def of(cls, found: AgentConfig) -> Self:
        return cls.model_validate(asdict(found))


class Activity(BaseModel):
    """What an agent can do. `input` is null where it takes none."""

    name: str
    description: str
    timeout_s: float
    input: dict[str, Any] | None
    output: dict[str, Any]


class AgentType(BaseModel):
    """A type of agent; schemas are JSON schemas."""

    agent_type: str
    description: str
    capabilities: list[str]
    activities: list[Activity]
    config: dict[str, Any]
    max_workload: int
    agents: list[str]

    @classmethod
    def of(cls, record: AgentTypeRecord) -> Self:
        return cls.model_validate(asdict(record))
