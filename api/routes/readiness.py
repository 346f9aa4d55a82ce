"""/api/v1/issues: what can be worked on, what waits, and why."""

from typing import Any

from quart import Blueprint, request

from actors.issues.questions import (
    BlockedIssues,
    DependencyCycles,
    DependencyTree,
    Explained,
    ExplainIssue,
    ReadyIssues,
)
from api.body import read_query
from api.doors import Doors
from api.issue_models import BlockedQuery, ExplainedView, ReadyQuery, TreeQuery, tree_of
from api.models import NoQuery
from supervision import Ask, ask

DEADLINE_S = 10.0


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("readiness", __name__, url_prefix="/api/v1/issues")

    async def explained(message: Ask[tuple[Explained, ...]]) -> dict[str, Any]:
        found = await ask(doors.tracker, message, deadline_s=DEADLINE_S)
        return {"data": [ExplainedView.of(each).model_dump() for each in found]}

    @blueprint.get("/ready")
    async def ready() -> dict[str, Any]:
        query = read_query(request, ReadyQuery)
        return await explained(
            ReadyIssues(
                filter=query.filter(),
                policy=query.policy,
                classic=query.classic,
                limit=query.limit,
            )
        )

    @blueprint.get("/blocked")
    async def blocked() -> dict[str, Any]:
        query = read_query(request, BlockedQuery)
        return await explained(BlockedIssues(filter=query.filter(), limit=query.limit))

    @blueprint.get("/cycles")
    async def cycles() -> dict[str, Any]:
        read_query(request, NoQuery)
        found = await ask(doors.tracker, DependencyCycles(), deadline_s=DEADLINE_S)
        return {"data": [list(cycle) for cycle in found]}

    @blueprint.get("/<issue_id>/why")
    async def why(issue_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        message = ExplainIssue(issue_id=issue_id)
        found = await ask(doors.tracker, message, deadline_s=DEADLINE_S)
        return ExplainedView.of(found).model_dump()

    @blueprint.get("/<issue_id>/tree")
    async def tree(issue_id: str) -> dict[str, Any]:
        query = read_query(request, TreeQuery)
        message = DependencyTree(issue_id=issue_id, direction=query.direction, depth=query.depth)
        return tree_of(await ask(doors.tracker, message, deadline_s=DEADLINE_S))

    return blueprint
