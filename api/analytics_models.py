"""What clients send and get of analytics, as models."""

from typing import Literal

from pydantic import Field

from api.models import Strict

LIMIT = 200


class PeriodQuery(Strict):
    """What every question about a period may say."""

    period: str | None = None
    since: str | None = None
    until: str | None = None


class AnalyticsPerformanceQuery(PeriodQuery):
    """Query of GET /api/v1/analytics/performance."""

    group_by: Literal["activity", "agent", "minute", "hour", "day"] | None = None
    limit: int = Field(default=LIMIT, ge=1, le=LIMIT)


class AnalyticsWorkflowsQuery(PeriodQuery):
    """Query of GET /api/v1/analytics/workflows."""

    group_by: Literal[
        "type", "agent", "agent_type", "status", "priority", "minute", "hour", "day"
    ] = "type"
    limit: int = Field(default=LIMIT, ge=1, le=LIMIT)


class AnalyticsAgentsQuery(PeriodQuery):
    """Query of GET /api/v1/analytics/agents."""

    group_by: Literal["agent", "agent_type"] = "agent"
    limit: int = Field(default=LIMIT, ge=1, le=LIMIT)


class AnalyticsTrendsQuery(PeriodQuery):
    """Query of GET /api/v1/analytics/trends."""

    group_by: Literal["minute", "hour", "day"] | None = None
