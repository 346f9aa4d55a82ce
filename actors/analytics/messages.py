"""What analytics is asked: what happened in a period, as a whole and by group."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from supervision import Ask

WORKFLOW_GROUPS: Final = (
    "type",
    "agent",
    "agent_type",
    "status",
    "priority",
    "minute",
    "hour",
    "day",
)
WORK_GROUPS: Final = ("activity", "agent", "minute", "hour", "day")
AGENT_GROUPS: Final = ("agent", "agent_type")
BUCKETS: Final = ("minute", "hour", "day")

GROUPS_LIMIT: Final = 200
"""The most groups that one answer holds: those with the most in them."""

BUCKETS_LIMIT: Final = 1500
"""The most buckets of a trend: a day by the minute, two months by the hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which period; at most two of the three.

    Args:
        period: its length, such as `24h` or `7d`; a day when nothing is said.
        since: its first moment, RFC 3339.
        until: the first moment after it; now when it is not said.
    """

    period: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From `since` on, up to `until`, which is not in it."""

    since: str
    until: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How measured seconds are spread. A percentile is a value that was measured."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflows:
    """Workflows with an issue of their own; children are not among them.

    Args:
        started: in the period.
        open: those of them that have not ended by now, by status; None in groups of a time.
        ended: in the period, whenever they were started.
        success_rate: completed, of those that were completed or failed; None where there are none.
        per_hour: those that ended, for each hour of the period.
        queue_s: how long those that ended had waited to be started.
        run_s: how long they took from their first start to their end.
    """

    started: int = 0
    open: Mapping[str, int] | None = None
    ended: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    terminated: int = 0
    success_rate: float | None = None
    per_hour: float = 0.0
    queue_s: Spread | None = None
    run_s: Spread | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Steps that ended in the period, children's too.

    Args:
        retried: attempts that failed and were followed by another one.
        success_rate: completed, of those that were completed or failed; None where there are none.
        per_hour: those completed, for each hour of the period.
        seconds: how long agents took for the last attempt; None where no agent did any, and of a
            whole period, since different activities tell nothing together.
    """

    completed: int = 0
    failed: int = 0
    retried: int = 0
    success_rate: float | None = None
    per_hour: float = 0.0
    seconds: Spread | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What language models read and wrote.

    Args:
        calls: pieces of work that a model was asked for.
        cost_usd: US dollars, of those calls whose cost is known; None where none is.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkGroup:
    key: str
    steps: Steps
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What a whole period came to.

    Args:
        now: all workflows that are open now, by status.
        groups: of steps; none where no grouping was asked for.
        is_cut: there are more groups than were asked for.
    """

    period: Period
    now: Mapping[str, int]
    workflows: Workflows
    steps: Steps
    usage: Usage
    group_by: str | None
    groups: tuple[WorkGroup, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowGroup:
    """`key` is empty for workflows that never had an agent, where they are grouped by agents."""

    key: str
    workflows: Workflows


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowReport:
    period: Period
    group_by: str
    groups: tuple[WorkflowGroup, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentGroup:
    """One agent, or all of one type.

    Args:
        key: the agent's id, or the type.
        agent_type: None where nothing tells.
        agents: how many did anything.
        assignments: workflows that were given to it in the period.
        taken_away: those that went to another agent of its type, because it was lost or went.
        handed_on: those that it passed on itself.
        busy_s: how long it had workflows, added up over all of them.
        load: how many it had on average.
        step_s: how long it took for the steps that it completed, each one's last attempt.
    """

    key: str
    agent_type: str | None
    agents: int = 1
    assignments: int = 0
    taken_away: int = 0
    handed_on: int = 0
    busy_s: float = 0.0
    load: float = 0.0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    success_rate: float | None = None
    step_s: float = 0.0
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    period: Period
    group_by: str
    groups: tuple[AgentGroup, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A stretch of a trend; the first and the last may be shorter than the others."""

    since: str
    until: str
    workflows: Workflows


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A period's sums. `run_mean_s` is None where none that ended had started."""

    started: int
    ended: int
    completed: int
    failed: int
    cancelled: int
    terminated: int
    success_rate: float | None
    per_hour: float
    run_mean_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    """A period in buckets, beside the one of the same length before it.

    Args:
        change: of each number of the totals, as a part of what it was before: 0.5 is half as much
            again. None where it was nothing before, or is not known.
    """

    period: Period
    group_by: str
    buckets: tuple[Bucket, ...]
    total: Total
    before: Total
    change: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurePerformance(Ask[Performance]):
    """Refused with `ValidationError`, and with `Overloaded` where it takes too long."""

    asked: Asked = field(default_factory=Asked)
    group_by: str | None = None
    limit: int = GROUPS_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureWorkflows(Ask[WorkflowReport]):
    """Refused as `MeasurePerformance` is."""

    asked: Asked = field(default_factory=Asked)
    group_by: str = "type"
    limit: int = GROUPS_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureAgents(Ask[AgentReport]):
    """Refused as `MeasurePerformance` is."""

    asked: Asked = field(default_factory=Asked)
    group_by: str = "agent"
    limit: int = GROUPS_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureTrends(Ask[Trends]):
    """Refused as `MeasurePerformance` is. Without `group_by` its length decides."""

    asked: Asked = field(default_factory=Asked)
    group_by: str | None = None
