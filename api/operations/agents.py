"""Operations on agents."""

from typing import Final

from api.agent_models import (
    Agent,
    AgentsQuery,
    AgentStatus,
    Config,
    ConfigRequest,
    RegisterRequest,
    UnregisterQuery,
)
from api.models import NoBody, ReasonRequest
from api.operations.answers import AgentList, AgentTypes
from api.operations.operation import Operation

OPERATIONS: Final[dict[str, Operation]] = {
    "agents.register": Operation(
        summary="Register an agent",
        description="Its actor starts then; its address is in `Location`.",
        body=RegisterRequest,
        answer=Agent,
        status=201,
        answer_headers=("Location",),
        codes=("not_found", "agent_exists"),
        example={"agent_type": "research", "agent_id": "research-2", "max_workload": 2},
    ),
    "agents.listing": Operation(summary="List agents", query=AgentsQuery, answer=AgentList),
    "agents.types": Operation(summary="List types of agents", answer=AgentTypes),
    "agents.get": Operation(summary="Get an agent", answer=Agent),
    "agents.unregister": Operation(
        summary="Unregister an agent",
        description="Answers it as it was.",
        query=UnregisterQuery,
        answer=Agent,
        codes=("agent_busy", "agent_of_settings"),
    ),
    "agents.status": Operation(
        summary="Ask an agent how it is",
        description="The agent, and what it says of itself.",
        answer=AgentStatus,
    ),
    "agents.config": Operation(summary="Get what an agent is set up with", answer=Config),
    "agents.configure": Operation(
        summary="Set an agent up anew",
        body=ConfigRequest,
        answer=Config,
        example={"config": {}, "merge": True, "max_workload": 3},
    ),
    "agents.drain": Operation(
        summary="Have an agent take nothing new",
        body=ReasonRequest,
        answer=Agent,
        also=(202,),
        example={"reason": "it moves to another machine"},
    ),
    "agents.activate": Operation(
        summary="Have an agent take work again", body=NoBody, answer=Agent, example={}
    ),
}
