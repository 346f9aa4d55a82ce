"""What agents and their coordinator say to each other, and what others may ask of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from actors.agents.report import AgentHealth, AgentMetrics
from actors.writer import Command
from supervision import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReady:
    """Told to the coordinator: task rows may be ready. A hint; the rows are what counts.

    Args:
        workflow_id: the live workflow that says so; None when the dispatcher does.
    """

    workflow_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWithdrawn:
    """Told to the coordinator: nobody waits for this task any more. A hint; its row says so."""

    workflow_id: str
    op: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveAgent(Ask[str | None]):
    """Reserve the least loaded agent of a type for a workflow.

    Answers the agent's id, or None when all of them are busy. Refused with `NotFound` when no
    agent of that type is configured. Asking twice for one workflow answers the same.
    """

    workflow_id: str
    agent_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAgent:
    """Told to the coordinator: this workflow needs no agent, unless its start is recorded."""

    workflow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadAssignments:
    """Told to the coordinator: whoever reserved may have died, so see which starts are recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignQueued(Command[bool]):
    """Write that a queued assignment has got its agent. Answers False when it is over.

    Args:
        announced: log it as a fact, too. The engine does, of a workflow that has not run yet.
    """

    workflow_id: str
    agent_id: str
    at: str
    announced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantQueued:
    """Told to the coordinator: an assignment was queued, or an agent may have room. A hint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentUp:
    """Told to the coordinator by an agent that has started, and answered to `Introduce`.

    Args:
        incarnation: differs for each start of an agent; a new one does nothing yet.
        running: (workflow id, operation, fence) of each attempt in progress.
        config_sha256: of the stored JSON text of what it is set up with.
    """

    agent_id: str
    incarnation: int
    running: tuple[tuple[str, str, int], ...] = ()
    config_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduce(Ask[AgentUp]):
    """Ask an agent who it is now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskForgotten(Ask[None]):
    """Tell the coordinator that an agent does not do this attempt, whatever the rows say.

    It is taken back, and offered again with the next fence, unless it is over.
    """

    agent_id: str
    workflow_id: str
    op: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAwaited(Ask[frozenset[tuple[str, str]]]):
    """Ask the coordinator which begun steps it looks after: (workflow id, step).

    Nobody does them, or they are just being given to somebody.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """How an agent is, and what it does. `running` is as in `AgentUp`."""

    health: AgentHealth
    metrics: AgentMetrics
    running: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examine(Ask[AgentReport]):
    """Ask an agent how it is. Answered while it works, within 5 seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure(Ask[None]):
    """Have an agent go on with another configuration: an instance of its class's `Config`."""

    config: BaseModel
    config_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentGone:
    """Told to the coordinator: this agent's restarts are used up."""

    agent_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentBeat:
    """Told to the coordinator by an agent every few seconds, and by none that hangs."""

    agent_id: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOrder:
    """Told to an agent: do this. `input` is plain JSON.

    Args:
        fence: rises with each attempt; a result with an old one is refused.
        timeout_s: how long it may take.
        heartbeat_timeout_s: how long it may be silent; None for ever.
        heartbeat: stored JSON text of what the attempt before said last; None when it said nothing.
    """

    workflow_id: str
    op: str
    activity: str
    input: Any
    attempt: int
    fence: int
    timeout_s: float
    heartbeat_timeout_s: float | None = None
    heartbeat: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTask:
    """Told to an agent: nobody wants the outcome of this attempt any more."""

    workflow_id: str
    op: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDone:
    """Told to the coordinator: an attempt succeeded. `result` is stored JSON text."""

    agent_id: str
    order: TaskOrder
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed:
    """Told to the coordinator: an attempt failed.

    Args:
        heartbeat: stored JSON text of what it said last, for the next attempt.
    """

    agent_id: str
    order: TaskOrder
    code: str
    message: str
    retryable: bool
    heartbeat: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBeat:
    """Told to the coordinator: what an attempt said of how far it is, as stored JSON text."""

    agent_id: str
    order: TaskOrder
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNote:
    """Told to the coordinator: an agent says how far it is, or logs a line.

    Args:
        fraction: 0.0 to 1.0, None when it cannot tell, or when this is a log line.
        level: "debug", "info", "warning" or "error".
        progress: a progress report, not a log line.
    """

    agent_id: str
    order: TaskOrder
    message: str
    fraction: float | None = None
    level: str = "info"
    progress: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskUsed:
    """Told to the coordinator: what a model's work for a task has come to.

    Args:
        usage: tokens by kind, and the cost where it is known.
    """

    agent_id: str
    agent_type: str
    order: TaskOrder
    usage: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """One agent instance as the coordinator sees it.

    Args:
        workload: for each workflow that it holds or works for, the number of tasks it does for it,
            and at least one where it holds it.
        status: "active", "draining", "lost" or "unregistered".
    """

    agent_id: str
    agent_type: str
    capabilities: tuple[str, ...]
    workload: int
    max_workload: int
    running: tuple[str, ...]
    status: str = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAgents(Ask[tuple[AgentView, ...]]):
    """Ask the coordinator for every configured agent instance."""
