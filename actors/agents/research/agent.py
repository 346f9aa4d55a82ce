"""The research agent: answers which library a project should use, with evidence.

It needs no model, and no network beyond the package index that the person's own installer is
configured to ask.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import trio
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from actors.agents.kit.beating import BEAT_S, beating
from actors.agents.kit.followups import Opened, open_followups
from actors.agents.kit.outcome import StoredFile
from actors.agents.kit.prose import prose
from actors.agents.kit.toolbox import Toolbox, install_hint
from actors.agents.protocol import Agent, Task
from actors.agents.report import AgentHealth
from actors.agents.research.analyse import analyse
from actors.agents.research.choice import choose_candidates
from actors.agents.research.compare import compare
from actors.agents.research.compare_messages import CompareRequest, Comparison
from actors.agents.research.complexity import measure_complexity
from actors.agents.research.complexity_messages import Complexity, ComplexityRequest
from actors.agents.research.dependencies import analyse_dependencies
from actors.agents.research.dependency_messages import Dependencies, DependenciesRequest
from actors.agents.research.discover import discover
from actors.agents.research.facts import Analysis, Discovery
from actors.agents.research.inventory import take_inventory
from actors.agents.research.inventory_messages import Inventory, InventoryRequest
from actors.agents.research.messages import (
    AnalyseRequest,
    DiscoverRequest,
    ProjectReport,
    Report,
    SynthesiseRequest,
)
from actors.agents.research.project import follow_ups, said
from actors.agents.research.report import render
from actors.agents.research.search import search_code
from actors.agents.research.search_messages import CodeSearch, CodeSearchRequest
from actors.agents.research.synthesise import synthesise
from actors.agents.research.vulnerabilities import find_vulnerabilities
from actors.agents.research.vulnerability_messages import Vulnerabilities, VulnerabilitiesRequest
from actors.workflows.definition import RetryPolicy, activity

_TOOLS: Final = ("git", "rg", "deptry", "lizard")
_SILENT_S: Final = 12 * BEAT_S
_AGAIN: Final = RetryPolicy(attempts=3, initial_s=1.0)
_INSTRUCTION: Final = (
    "Say in one or two paragraphs what the research found: what is recommended and why, and what "
    "in the project has to be looked at."
)


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("a directory is named by its whole path")
    return path


Absolute = Annotated[Path, AfterValidator(_absolute)]


class ResearchConfig(BaseModel):
    """What a research agent can be set up with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sites: tuple[Absolute, ...] = Field(
        default=(),
        max_length=20,
        description="Directories of installed distributions (site-packages), of the server's "
        "machine, that are read before the project's own",
    )
    advisories: Absolute | None = Field(
        default=None,
        description="A directory of advisories in the OSV format; without, `advisories` in the "
        "server's workspace",
    )


class ResearchAgent(Agent):
    """Answers which library to use, with evidence."""

    agent_type = "research"
    Config = ResearchConfig

    async def configure(self, config: BaseModel) -> None:
        """Take effect with the next task."""

    async def health_check(self) -> AgentHealth:
        """Which tools it has; not healthy where a directory of its configuration is not there."""
        return await trio.to_thread.run_sync(_health, self.config, Toolbox(self.site.repo))

    @activity(timeout_s=90.0)
    async def analyse(self, task: Task, request: AnalyseRequest) -> Analysis:
        """Read the repository: languages, manifests, imports, activity."""
        analysis = await analyse(request, root=task.repo, progress=task.progress)
        if analysis.candidates:
            return analysis
        candidates = await choose_candidates(
            request.question, analysis, task.repo, self.config.sites
        )
        return analysis.model_copy(update={"candidates": candidates})

    @activity(timeout_s=90.0)
    async def inventory(self, task: Task, request: InventoryRequest) -> Inventory:
        """Take stock: languages, where programs begin, what changes often, what waits."""
        return await take_inventory(request, root=task.repo, progress=task.progress)

    @activity(timeout_s=300.0, heartbeat_timeout_s=_SILENT_S, retry=_AGAIN)
    async def analyse_dependencies(self, task: Task, request: DependenciesRequest) -> Dependencies:
        """Analyse what the project depends on: graph, unused, missing, conflicts, licences."""
        root, progress, sites = task.repo, task.progress, self.config.sites
        return await beating(
            task, lambda: analyse_dependencies(request, root=root, progress=progress, sites=sites)
        )

    @activity(timeout_s=300.0, heartbeat_timeout_s=_SILENT_S, retry=_AGAIN)
    async def code_search(self, task: Task, request: CodeSearchRequest) -> CodeSearch:
        """Search the code: lines that fit, the most telling first, and symbols."""
        root, progress = task.repo, task.progress
        return await beating(task, lambda: search_code(request, root=root, progress=progress))

    @activity(timeout_s=300.0, heartbeat_timeout_s=_SILENT_S, retry=_AGAIN)
    async def complexity(self, task: Task, request: ComplexityRequest) -> Complexity:
        """Measure how many ways lead through each function."""
        root, progress = task.repo, task.progress
        return await beating(
            task, lambda: measure_complexity(request, root=root, progress=progress)
        )

    @activity(timeout_s=300.0, heartbeat_timeout_s=_SILENT_S, retry=_AGAIN)
    async def vulnerabilities(self, task: Task, _: VulnerabilitiesRequest) -> Vulnerabilities:
        """Hold what the project uses against a directory of advisories."""
        book = self.config.advisories or task.site.workspace / "advisories"
        root, progress, sites = task.repo, task.progress, self.config.sites
        return await beating(
            task,
            lambda: find_vulnerabilities(
                root=root, advisories=book, progress=progress, sites=sites
            ),
        )

    @activity(timeout_s=60.0)
    async def discover(self, task: Task, request: DiscoverRequest) -> Discovery:
        """Look the candidates up in the configured index and in what is installed."""
        return await discover(
            request,
            root=task.repo,
            progress=task.progress,
            breakers=task.breakers,
            sites=self.config.sites,
        )

    @activity(timeout_s=60.0, retry=_AGAIN)
    async def compare(self, task: Task, request: CompareRequest) -> Comparison:
        """Compare options by criteria and weights, over the evidence given."""
        made = await trio.to_thread.run_sync(compare, request)
        facts = made.model_dump_json(exclude={"markdown", "artifacts"}, indent=2)
        files = {"comparison.md": made.markdown, "comparison.json": facts}
        return made.model_copy(update={"artifacts": await _stored(task, files)})

    @activity(timeout_s=150.0, retry=_AGAIN)
    async def synthesise(self, task: Task, request: SynthesiseRequest) -> ProjectReport | Report:
        """Compare, rank, and write the report."""
        task.progress("comparing", 0.0)
        report = await trio.to_thread.run_sync(synthesise, request)
        words = await prose(task, _INSTRUCTION, _facts(report))
        issues = await self._follow_ups(task, request, report)
        report = report.model_copy(update={"prose": words, "issues": issues})
        report = report.model_copy(update={"markdown": render(report)})
        task.progress("storing the report", 0.8)
        facts = report.model_dump_json(exclude={"markdown", "artifacts"}, indent=2)
        files = {"report.md": report.markdown, "report.json": facts}
        return report.model_copy(update={"artifacts": await _stored(task, files)})

    async def _follow_ups(
        self, task: Task, request: SynthesiseRequest, report: ProjectReport
    ) -> tuple[Opened, ...]:
        wanted = follow_ups(report) if request.follow_ups else ()
        if not wanted:
            return ()
        task.progress("opening follow-up issues", 0.6)
        return await open_followups(
            self.system.named("tracker"),
            task,
            wanted,
            actor=self.agent_id,
            origin=request.issue_id,
            labels=(self.agent_type,),
        )


def _health(config: ResearchConfig, toolbox: Toolbox) -> AgentHealth:
    tools = {tool: toolbox.find(tool) for tool in _TOOLS}
    details = {tool: "installed" if path else install_hint(tool) for tool, path in tools.items()}
    named = (*config.sites, *((config.advisories,) if config.advisories else ()))
    gone = [str(place) for place in named if not place.is_dir()]
    if gone:
        message = f"there is no such directory: {', '.join(gone)}"
        return AgentHealth(healthy=False, message=message, details=details)
    return AgentHealth(details=details)


def _facts(report: ProjectReport) -> dict[str, Any]:
    """What a model may tell of: a little of all, because it is cut off."""
    return {
        "question": report.question,
        "recommendation": report.recommendation,
        "reasons": [claim.text for claim in report.reasons],
        "findings": [said(finding) for finding in report.findings],
        "open questions": report.open_questions,
    }


async def _stored(task: Task, files: Mapping[str, str]) -> tuple[StoredFile, ...]:
    """Stored with the workflow: for people, and for programs."""
    return tuple(
        [
            StoredFile.model_validate(await task.artifact(name, text.encode()))
            for name, text in files.items()
        ]
    )
