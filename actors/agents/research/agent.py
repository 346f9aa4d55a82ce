"""The research agent: answers which library a project should use, with evidence.

It needs no model, and no network beyond the package index that the person's own installer is
configured to ask.
"""

from pathlib import Path

import trio
from pydantic import BaseModel, ConfigDict, Field

from actors.agents.protocol import Agent, Task
from actors.agents.research.analyse import analyse
from actors.agents.research.choice import choose_candidates, declared_names
from actors.agents.research.dependencies import analyse_dependencies
from actors.agents.research.dependency_messages import Dependencies, DependenciesRequest
from actors.agents.research.discover import discover
from actors.agents.research.facts import Analysis, Discovery
from actors.agents.research.inventory import take_inventory
from actors.agents.research.inventory_messages import Inventory, InventoryRequest
from actors.agents.research.messages import (
    AnalyseRequest,
    DiscoverRequest,
    Report,
    SynthesiseRequest,
)
from actors.agents.research.synthesise import synthesise
from actors.workflows.definition import ActivityFailure, activity


class ResearchConfig(BaseModel):
    """What a research agent can be set up with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sites: tuple[Path, ...] = Field(
        default=(),
        max_length=20,
        description="Directories of installed distributions (site-packages), of the server's "
        "machine, that are read before the project's own",
    )


class ResearchAgent(Agent):
    """Answers which library to use, with evidence."""

    agent_type = "research"
    Config = ResearchConfig

    @activity(timeout_s=90.0)
    async def analyse(self, task: Task, request: AnalyseRequest) -> Analysis:
        """Read the repository: languages, manifests, imports, activity."""
        analysis = await analyse(request, root=task.repo, progress=task.progress)
        if analysis.candidates:
            return analysis
        candidates = await choose_candidates(request.question, analysis, task.repo)
        if not candidates:
            declared = ", ".join(declared_names(analysis)[:10]) or "none"
            raise ActivityFailure(
                "no_candidates",
                "no candidates were given and no dependency of the project matches the question "
                f"(declared: {declared}): name them, e.g. candidates=aiosqlite,apsw",
                retryable=False,
            )
        return analysis.model_copy(update={"candidates": candidates})

    @activity(timeout_s=90.0)
    async def inventory(self, task: Task, request: InventoryRequest) -> Inventory:
        """Take stock: languages, where programs begin, what changes often, what waits."""
        return await take_inventory(request, root=task.repo, progress=task.progress)

    @activity(timeout_s=120.0)
    async def analyse_dependencies(self, task: Task, request: DependenciesRequest) -> Dependencies:
        """Analyse what the project depends on: graph, unused, missing, conflicts, licences."""
        return await analyse_dependencies(
            request, root=task.repo, progress=task.progress, sites=self.config.sites
        )

    @activity(timeout_s=60.0)
    async def discover(self, task: Task, request: DiscoverRequest) -> Discovery:
        """Look the candidates up in the configured index and in what is installed."""
        return await discover(
            request, root=task.repo, progress=task.progress, breakers=task.breakers
        )

    @activity(timeout_s=30.0)
    async def synthesise(self, task: Task, request: SynthesiseRequest) -> Report:
        """Compare, rank, and write the report."""
        task.progress("comparing", 0.0)
        return await trio.to_thread.run_sync(synthesise, request)
