"""The research workflow: analyse the repository, discover the candidates, synthesise a report."""

from actors.agents.research.agent import ResearchAgent
from actors.agents.research.messages import (
    AnalyseRequest,
    DiscoverRequest,
    Report,
    ResearchRequest,
    SynthesiseRequest,
)
from actors.workflows.context import Context
from actors.workflows.definition import workflow


@workflow(name="research", agent_type="research")
async def research(ctx: Context, request: ResearchRequest) -> Report:
    """Compare libraries for this project and recommend one, with evidence for every claim."""
    analysis = await ctx.activity(
        ResearchAgent.analyse,
        AnalyseRequest(question=request.question, candidates=request.candidates),
    )
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
        ),
    )
