"""/api/v1/agents: which agents there are, what they are set up with, and what they do.

A request names a registered type; it never names code. What is asked for is durable once it is
answered.
"""

from typing import Any

from quart import Blueprint, Response, jsonify, request

from actors.agents.registration_messages import (
    ActivateAgent,
    AgentRecord,
    DrainAgent,
    FindAgents,
    GetAgent,
    GetAgentConfig,
    GetAgentState,
    ListAgentTypes,
    RegisterAgent,
    UnregisterAgent,
    UpdateAgentConfig,
)
from api.agent_models import (
    Agent,
    AgentsQuery,
    AgentStatus,
    AgentType,
    Config,
    ConfigRequest,
    RegisterRequest,
    UnregisterQuery,
)
from api.body import read_model, read_query
from api.conventions.selection import select
from api.doors import Doors
from api.keys import idempotency_key
from api.models import NoBody, NoQuery, ReasonRequest
from supervision import Ask, ask

WRITE_DEADLINE_S = 30.0
READ_DEADLINE_S = 10.0


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("agents", __name__, url_prefix="/api/v1/agents")

    async def told(message: Ask[AgentRecord]) -> dict[str, Any]:
        record = await ask(doors.coordinator, message, deadline_s=WRITE_DEADLINE_S)
        return Agent.of(record).model_dump()

    @blueprint.post("")
    async def register() -> Response:
        read_query(request, NoQuery)
        body = await read_model(request, RegisterRequest)
        made = await told(
            RegisterAgent(
                agent_type=body.agent_type,
                agent_id=body.agent_id,
                config=body.config,
                max_workload=body.max_workload,
                idempotency_key=idempotency_key(request),
            )
        )
        response = jsonify(made)
        response.status_code = 201
        response.headers["Location"] = f"/api/v1/agents/{made['agent_id']}"
        return response

    @blueprint.get("")
    async def listing() -> dict[str, Any]:
        query = read_query(request, AgentsQuery)
        message = FindAgents(agent_type=query.type, status=query.status)
        found = await ask(doors.coordinator, message, deadline_s=READ_DEADLINE_S)
        data = [Agent.of(record).model_dump() for record in found]
        return {"data": select(data, query.fields, Agent.model_fields)}

    @blueprint.get("/types")
    async def types() -> dict[str, Any]:
        read_query(request, NoQuery)
        found = await ask(doors.coordinator, ListAgentTypes(), deadline_s=READ_DEADLINE_S)
        return {"data": [AgentType.of(record).model_dump() for record in found]}

    @blueprint.get("/<agent_id>")
    async def get(agent_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        message = GetAgent(agent_id=agent_id)
        record = await ask(doors.coordinator, message, deadline_s=READ_DEADLINE_S)
        return Agent.of(record).model_dump()

    @blueprint.delete("/<agent_id>")
    async def unregister(agent_id: str) -> dict[str, Any]:
        query = read_query(request, UnregisterQuery)
        return await told(UnregisterAgent(agent_id=agent_id, force=query.force))

    @blueprint.get("/<agent_id>/status")
    async def status(agent_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        message = GetAgentState(agent_id=agent_id)
        state = await ask(doors.coordinator, message, deadline_s=READ_DEADLINE_S)
        return AgentStatus.of_state(state).model_dump()

    @blueprint.get("/<agent_id>/config")
    async def config(agent_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        message = GetAgentConfig(agent_id=agent_id)
        found = await ask(doors.coordinator, message, deadline_s=READ_DEADLINE_S)
        return Config.of(found).model_dump()

    @blueprint.put("/<agent_id>/config")
    async def configure(agent_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        body = await read_model(request, ConfigRequest)
        message = UpdateAgentConfig(
            agent_id=agent_id,
            config=body.config,
            merge=body.merge,
            max_workload=body.max_workload,
        )
        found = await ask(doors.coordinator, message, deadline_s=WRITE_DEADLINE_S)
        return Config.of(found).model_dump()

    @blueprint.post("/<agent_id>/drain")
    async def drain(agent_id: str) -> Response:
        """One that has work left is to be looked at again."""
        read_query(request, NoQuery)
        body = await read_model(request, ReasonRequest)
        agent = await told(DrainAgent(agent_id=agent_id, reason=body.reason))
        response = jsonify(agent)
        if agent["drained_at"] is None:
            response.status_code = 202
            response.headers["Location"] = f"/api/v1/agents/{agent['agent_id']}"
        return response

    @blueprint.post("/<agent_id>/activate")
    async def activate(agent_id: str) -> dict[str, Any]:
        read_query(request, NoQuery)
        await read_model(request, NoBody)
        return await told(ActivateAgent(agent_id=agent_id))

    return blueprint
