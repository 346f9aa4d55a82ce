"""The analyst: counts what happened in a period, one question at a time.

A long period takes a read connection for up to a second. Questions wait for one another here, and
not on the connections that lists and histories need; whoever finds the queue full is refused.
"""

from collections import defaultdict
from dataclasses import replace

from actors.analytics import measuring, periods
from actors.analytics.messages import (
    AGENT_GROUPS,
    BUCKETS,
    GROUPS_LIMIT,
    WORK_GROUPS,
    WORKFLOW_GROUPS,
    AgentGroup,
    AgentReport,
    Bucket,
    MeasureAgents,
    MeasurePerformance,
    MeasureTrends,
    MeasureWorkflows,
    Performance,
    Period,
    Steps,
    Total,
    Trends,
    Usage,
    WorkflowGroup,
    WorkflowReport,
    WorkGroup,
)
from actors.clock import Clock, rfc3339
from actors.coordination.reading import check_limit
from actors.coordination.rows import fetch
from storage.coordination import analytics
from storage.pool import ReadPool
from supervision import Actor


class Analyst(Actor):
    """See the module.

    Args:
        pool: read-only connections to the coordination database.
    """

    mailbox_bound = 20

    def __init__(self, *, pool: ReadPool, clock: Clock) -> None:
        super().__init__()
        self._pool = pool
        self._clock = clock

    async def on_receive(self, message: object) -> object:
        match message:
            case MeasurePerformance():
                return await self._performance(message)
            case MeasureWorkflows():
                return await self._workflows(message)
            case MeasureAgents():
                return await self._agents(message)
            case MeasureTrends():
                return await self._trends(message)
            case _:
                return await super().on_receive(message)

    async def _performance(self, message: MeasurePerformance) -> Performance:
        check_limit(message.limit, GROUPS_LIMIT)
        period = periods.period_of(message.asked, self._clock())
        groups: list[WorkGroup] = []
        if message.group_by is not None:
            periods.check_group(message.group_by, WORK_GROUPS)
            groups = await self._work(period, message.group_by)
        whole = await measuring.workflows(self._pool, period, "")
        usage = await measuring.usage(self._pool, period, "")
        return Performance(
            period=period,
            now=await measuring.open_now(self._pool),
            workflows=whole.of("", period.seconds),
            steps=await measuring.steps(self._pool, period),
            usage=usage.get("", Usage()),
            group_by=message.group_by,
            groups=tuple(groups[: message.limit]),
            is_cut=len(groups) > message.limit,
        )

    async def _work(self, period: Period, group: str) -> list[WorkGroup]:
        steps = await measuring.work(self._pool, period, group)
        usage = await measuring.usage(self._pool, period, group)
        groups = [
            WorkGroup(key=key, steps=steps.get(key, Steps()), usage=usage.get(key, Usage()))
            for key in steps.keys() | usage.keys()
        ]
        return sorted(groups, key=lambda each: (-_many(each.steps), each.key))

    async def _workflows(self, message: MeasureWorkflows) -> WorkflowReport:
        check_limit(message.limit, GROUPS_LIMIT)
        periods.check_group(message.group_by, WORKFLOW_GROUPS)
        period = periods.period_of(message.asked, self._clock())
        found = await measuring.workflows(self._pool, period, message.group_by)
        says_open = message.group_by not in BUCKETS
        groups = [
            WorkflowGroup(key=key, workflows=found.of(key, period.seconds, says_open=says_open))
            for key in found.keys
        ]
        groups.sort(key=lambda each: (-each.workflows.started - each.workflows.ended, each.key))
        return WorkflowReport(
            period=period,
            group_by=message.group_by,
            groups=tuple(groups[: message.limit]),
            is_cut=len(groups) > message.limit,
        )

    async def _agents(self, message: MeasureAgents) -> AgentReport:
        check_limit(message.limit, GROUPS_LIMIT)
        periods.check_group(message.group_by, AGENT_GROUPS)
        now = self._clock()
        period = periods.period_of(message.asked, now)
        found = await self._each_agent(period, min(period.until, rfc3339(now)))
        groups = found if message.group_by == "agent" else _by_type(found, period)
        groups.sort(key=lambda each: (-each.busy_s, -each.completed - each.failed, each.key))
        return AgentReport(
            period=period,
            group_by=message.group_by,
            groups=tuple(groups[: message.limit]),
            is_cut=len(groups) > message.limit,
        )

    async def _each_agent(self, period: Period, end: str) -> list[AgentGroup]:
        span = {"since": period.since, "until": period.until}
        held = []
        if end > period.since:
            held = await fetch(self._pool, "analytics_held", analytics.HELD, {**span, "end": end})
        work = await fetch(self._pool, "analytics_work", analytics.AT_WORK, span)
        handed = await fetch(self._pool, "analytics_handed", analytics.HANDED_ON, span)
        usage = await measuring.usage(self._pool, period, "agent")
        found: dict[str, AgentGroup] = {}

        def known(agent_id: str) -> AgentGroup:
            return found.get(agent_id) or AgentGroup(key=agent_id, agent_type=None)

        for row in held:
            found[row["agent_id"]] = AgentGroup(
                key=row["agent_id"],
                agent_type=row["agent_type"],
                assignments=row["assignments"],
                taken_away=row["taken_away"],
                busy_s=row["busy_s"],
                load=round(row["busy_s"] / period.seconds, 6),
            )
        for row in work:
            each = known(row["agent_id"])
            found[each.key] = replace(
                each,
                agent_type=each.agent_type or row["agent_type"],
                completed=row["completed"],
                failed=row["failed"],
                retried=row["retried"],
                success_rate=measuring.success_rate(row["completed"], row["failed"]),
                step_s=row["step_s"],
            )
        for row in handed:
            found[row["agent_id"]] = replace(known(row["agent_id"]), handed_on=row["many"])
        for key, spent in usage.items():
            found[key] = replace(known(key), usage=spent)
        return list(found.values())

    async def _total(self, period: Period) -> Total:
        found = await measuring.workflows(self._pool, period, "")
        return measuring.total(found.of("", period.seconds))

    async def _trends(self, message: MeasureTrends) -> Trends:
        period = periods.period_of(message.asked, self._clock())
        earlier = periods.before(period)
        group = periods.grouping(period, message.group_by)
        found = await measuring.workflows(self._pool, period, group)
        now, then = await self._total(period), await self._total(earlier)
        return Trends(
            period=period,
            group_by=group,
            buckets=tuple(
                Bucket(
                    since=since,
                    until=until,
                    workflows=found.of(key, periods.seconds(since, until), says_open=False),
                )
                for key, since, until in periods.buckets(period, group)
            ),
            total=now,
            before=then,
            change=measuring.changes(now, then),
        )


def _by_type(agents: list[AgentGroup], period: Period) -> list[AgentGroup]:
    """All agents of one type as one; those whose type nothing tells have an empty key."""
    kinds: dict[str, list[AgentGroup]] = defaultdict(list)
    for agent in agents:
        kinds[agent.agent_type or ""].append(agent)
    return [_together(kind, found, period) for kind, found in kinds.items()]


def _together(kind: str, agents: list[AgentGroup], period: Period) -> AgentGroup:
    completed, failed = sum(a.completed for a in agents), sum(a.failed for a in agents)
    busy_s = round(sum(a.busy_s for a in agents), 3)
    return AgentGroup(
        key=kind,
        agent_type=kind or None,
        agents=len(agents),
        assignments=sum(a.assignments for a in agents),
        taken_away=sum(a.taken_away for a in agents),
        handed_on=sum(a.handed_on for a in agents),
        busy_s=busy_s,
        load=round(busy_s / period.seconds, 6),
        completed=completed,
        failed=failed,
        retried=sum(a.retried for a in agents),
        success_rate=measuring.success_rate(completed, failed),
        step_s=round(sum(a.step_s for a in agents), 3),
        usage=measuring.together(a.usage for a in agents),
    )


def _many(steps: Steps) -> int:
    return steps.completed + steps.failed
