"""/api/v1/analytics: what happened in a period, counted when it is asked for."""

from dataclasses import asdict
from typing import Any

from quart import Blueprint, request

from actors.analytics.messages import (
    Asked,
    MeasureAgents,
    MeasurePerformance,
    MeasureTrends,
    MeasureWorkflows,
)
from api.analytics_models import (
    AnalyticsAgentsQuery,
    AnalyticsPerformanceQuery,
    AnalyticsTrendsQuery,
    AnalyticsWorkflowsQuery,
    PeriodQuery,
)
from api.body import read_query
from api.doors import Doors
from supervision import ask

DEADLINE_S = 30.0
"""Questions wait for one another."""


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("analytics", __name__, url_prefix="/api/v1/analytics")

    @blueprint.get("/performance")
    async def performance() -> dict[str, Any]:
        query = read_query(request, AnalyticsPerformanceQuery)
        message = MeasurePerformance(
            asked=_asked(query), group_by=query.group_by, limit=query.limit
        )
        found = await ask(doors.analyst, message, deadline_s=DEADLINE_S)
        return asdict(found)

    @blueprint.get("/workflows")
    async def workflows() -> dict[str, Any]:
        query = read_query(request, AnalyticsWorkflowsQuery)
        message = MeasureWorkflows(asked=_asked(query), group_by=query.group_by, limit=query.limit)
        found = await ask(doors.analyst, message, deadline_s=DEADLINE_S)
        return asdict(found)

    @blueprint.get("/agents")
    async def agents() -> dict[str, Any]:
        query = read_query(request, AnalyticsAgentsQuery)
        message = MeasureAgents(asked=_asked(query), group_by=query.group_by, limit=query.limit)
        found = await ask(doors.analyst, message, deadline_s=DEADLINE_S)
        return asdict(found)

    @blueprint.get("/trends")
    async def trends() -> dict[str, Any]:
        query = read_query(request, AnalyticsTrendsQuery)
        message = MeasureTrends(asked=_asked(query), group_by=query.group_by)
        found = await ask(doors.analyst, message, deadline_s=DEADLINE_S)
        return asdict(found)

    return blueprint


def _asked(query: PeriodQuery) -> Asked:
    return Asked(period=query.period, since=query.since, until=query.until)
