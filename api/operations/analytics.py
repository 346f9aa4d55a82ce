"""Operations that count what happened in a period."""

from typing import Final

from actors.analytics.messages import AgentReport, Performance, Trends, WorkflowReport
from api.analytics_models import (
    AnalyticsAgentsQuery,
    AnalyticsPerformanceQuery,
    AnalyticsTrendsQuery,
    AnalyticsWorkflowsQuery,
)
from api.operations.operation import Operation

OPERATIONS: Final[dict[str, Operation]] = {
    "analytics.performance": Operation(
        summary="Count what a period came to", query=AnalyticsPerformanceQuery, answer=Performance
    ),
    "analytics.workflows": Operation(
        summary="Count workflows of a period by group",
        query=AnalyticsWorkflowsQuery,
        answer=WorkflowReport,
    ),
    "analytics.agents": Operation(
        summary="Count what agents did in a period", query=AnalyticsAgentsQuery, answer=AgentReport
    ),
    "analytics.trends": Operation(
        summary="Divide a period, and compare it with the one before",
        query=AnalyticsTrendsQuery,
        answer=Trends,
    ),
}
