"""The research workflow: take stock of the project, discover the candidates, write a report."""

from actors.agents.research.agent import ResearchAgent
from actors.agents.research.dependency_messages import DependenciesRequest
from actors.agents.research.facts import Analysis, Discovery
from actors.agents.research.inventory_messages import InventoryRequest
from actors.agents.research.messages import (
    AnalyseRequest,
    DiscoverRequest,
    ProjectReport,
    Report,
    ResearchRequest,
    SynthesiseRequest,
)
from actors.agents.research.search_messages import QUERY_CHARACTERS, CodeSearchRequest
from actors.agents.research.vulnerability_messages import VulnerabilitiesRequest
from actors.workflows.context import Context
from actors.workflows.definition import workflow


@workflow(name="research", agent_type="research")
async def research(ctx: Context, request: ResearchRequest) -> ProjectReport | Report:
    """Report on the project, and recommend one of the libraries, with evidence for every claim."""
    is_whole = ctx.version("the project as a whole", 0, 1) > 0
    analysis = await ctx.activity(
        ResearchAgent.analyse,
        AnalyseRequest(question=request.question, candidates=request.candidates),
    )
    inventory = dependencies = vulnerabilities = search = None
    if is_whole:
        inventory = await ctx.activity(ResearchAgent.inventory, InventoryRequest())
        dependencies = await ctx.activity(
            ResearchAgent.analyse_dependencies, DependenciesRequest(policy=request.policy)
        )
        vulnerabilities = await ctx.activity(
            ResearchAgent.vulnerabilities, VulnerabilitiesRequest()
        )
        search = await ctx.activity(
            ResearchAgent.code_search, CodeSearchRequest(query=one_line(request.question))
        )
    discovery = nothing_discovered(analysis)
    if analysis.candidates:
        discovery = await ctx.activity(
            ResearchAgent.discover,
            DiscoverRequest(question=request.question, candidates=analysis.candidates),
        )
    return await ctx.activity(
        ResearchAgent.synthesise,
        SynthesiseRequest(
            question=request.question,
            weights=request.weights,
            discovery=discovery,
            analysis=analysis,
            as_of=discovery.retrieved_at,
            inventory=inventory,
            dependencies=dependencies,
            vulnerabilities=vulnerabilities,
            search=search,
            issue_id=ctx.issue_id,
            follow_ups=request.follow_ups,
        ),
    )


def nothing_discovered(analysis: Analysis) -> Discovery:
    """What is known of candidates where there are none."""
    return Discovery(
        retrieved_at=analysis.retrieved_at, indexes=(), candidates=(), evidence=(), gaps=()
    )


def one_line(question: str) -> str:
    """A question as it may be searched for."""
    return " ".join(question.replace("\0", " ").split())[:QUERY_CHARACTERS] or "?"
