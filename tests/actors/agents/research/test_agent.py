import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError as ModelError

from actors.agents.protocol import Task
from actors.agents.research.agent import ResearchAgent, ResearchConfig
from actors.agents.research.dependency_messages import DependenciesRequest
from actors.agents.research.facts import Analysis
from actors.agents.research.inventory_messages import InventoryRequest
from actors.agents.research.messages import (
    AnalyseRequest,
    DiscoverRequest,
    ProjectReport,
    SynthesiseRequest,
)
from actors.agents.research.workflow import nothing_discovered, research
from actors.agents.site import Site
from actors.errors import ValidationError
from actors.workflows.definition import workflow_of
from supervision import Named
from tests.actors.agents.research.index import LocalIndex


class Notes(list[str]):
    def note(self, message: str, fraction: float | None, level: str, progress: bool) -> None:
        self.append(message)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def stored() -> dict[str, bytes]:
    return {}


@pytest.fixture
def task(project: Path, notes: Notes, stored: dict[str, bytes]) -> Task:
    async def store(name: str, source: bytes | Path, media_type: str | None) -> dict[str, Any]:
        assert isinstance(source, bytes)
        stored[name] = source
        return {
            "name": name,
            "version": 1,
            "sha256": hashlib.sha256(source).hexdigest(),
            "size": len(source),
            "media_type": media_type or "text/plain",
        }

    site = Site(repo=project, workspace=project / ".git")
    return Task("wf-1", "0", 1, site, notes.note, _store=store)


@pytest.fixture
def agent(project: Path) -> ResearchAgent:
    nobody: Named = None  # type: ignore[assignment] # the coordinator is not spoken to here
    return ResearchAgent(
        agent_id="research-1",
        coordinator=nobody,
        site=Site(repo=project, workspace=project / ".git"),
    )


async def analysed(agent: ResearchAgent, task: Task, question: str) -> Analysis:
    return await agent.analyse(task, AnalyseRequest(question=question))


async def test_the_three_steps_end_in_a_report(
    *,
    agent: ResearchAgent,
    task: Task,
    notes: Notes,
    index: LocalIndex,
    stored: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index.add("alpha", "1.0")
    for name, value in index.environ(PIP_EXTRA_INDEX_URL="").items():
        monkeypatch.setenv(name, value)
    question = "Is alpha the best for SQLite?"
    analysis = await analysed(agent, task, question)
    assert analysis.candidates == ("alpha",)
    discovery = await agent.discover(
        task, DiscoverRequest(question=question, candidates=analysis.candidates)
    )
    report = await agent.synthesise(
        task,
        SynthesiseRequest(
            question=question,
            discovery=discovery,
            analysis=analysis,
            as_of=discovery.retrieved_at,
        ),
    )
    assert isinstance(report, ProjectReport)
    assert report.recommendation.startswith("Keep alpha 1.0")
    assert "looked up alpha" in notes
    assert stored["report.md"].decode() == report.markdown
    assert [(file.name, file.size) for file in report.artifacts] == [
        ("report.md", len(stored["report.md"])),
        ("report.json", len(stored["report.json"])),
    ]


async def test_without_candidates_and_without_a_match_the_report_is_on_the_project(
    agent: ResearchAgent, task: Task
) -> None:
    question = "Which message broker?"
    analysis = await analysed(agent, task, question)
    assert analysis.candidates == ()
    report = await agent.synthesise(
        task,
        SynthesiseRequest(
            question=question,
            discovery=nothing_discovered(analysis),
            analysis=analysis,
            as_of=analysis.retrieved_at,
            inventory=await agent.inventory(task, InventoryRequest()),
            dependencies=await agent.analyse_dependencies(task, DependenciesRequest()),
        ),
    )
    assert isinstance(report, ProjectReport)
    assert report.recommendation.startswith("No library was compared")
    assert "candidates=aiosqlite,apsw" in report.open_questions[0]
    assert (report.ranking, report.confidence) == ((), 0.0)
    for chapter in ("The project", "Findings", "Inventory", "Dependencies", "Evidence"):
        assert f"## {chapter}\n" in report.markdown
    assert "## Ranking" not in report.markdown


async def test_an_installed_summary_makes_a_dependency_match(
    agent: ResearchAgent, task: Task
) -> None:
    analysis = await analysed(agent, task, "Which testing framework?")
    assert analysis.candidates == ("pytest",)


def test_the_agent_offers_its_activities() -> None:
    assert ResearchAgent.capabilities() == (
        "analyse",
        "analyse_dependencies",
        "code_search",
        "compare",
        "complexity",
        "discover",
        "inventory",
        "synthesise",
        "vulnerabilities",
    )


def test_the_workflow_refuses_variables_it_does_not_know() -> None:
    definition = workflow_of(research)
    assert definition is not None
    assert definition.agent_type == "research"
    with pytest.raises(
        ValidationError, match="it knows: candidates, follow_ups, policy, query, question"
    ):
        definition.parse({"question": "Which one?", "module": "os"})


async def test_a_model_that_is_configured_has_a_few_words_in_the_report(
    agent: ResearchAgent, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def prose(task: Task, instruction: str, facts: Any) -> str:
        assert facts["question"] == "Which message broker?"
        return "Some words."

    monkeypatch.setattr("actors.agents.research.agent.prose", prose)
    question = "Which message broker?"
    analysis = await analysed(agent, task, question)
    request = SynthesiseRequest(
        question=question,
        discovery=nothing_discovered(analysis),
        analysis=analysis,
        as_of=analysis.retrieved_at,
    )
    report = await agent.synthesise(task, request)
    assert isinstance(report, ProjectReport)
    assert report.prose == "Some words."
    assert "of these facts:\n\nSome words.\n" in report.markdown


@pytest.mark.parametrize("field", ["sites", "advisories"])
def test_a_directory_in_the_configuration_is_named_by_its_whole_path(field: str) -> None:
    given = "here" if field == "advisories" else ["here"]
    with pytest.raises(ModelError, match="whole path"):
        ResearchConfig.model_validate({field: given})
    assert ResearchConfig().sites == ()


async def test_it_says_which_tools_it_has(agent: ResearchAgent) -> None:
    health = await agent.health_check()
    assert (health.healthy, health.details["deptry"]) == (True, "installed")
    assert health.details["rg"] in {"installed", "install ripgrep"}


async def test_it_is_not_healthy_without_a_directory_that_it_was_given(
    agent: ResearchAgent, tmp_path: Path
) -> None:
    agent.config = ResearchConfig(sites=(tmp_path,), advisories=tmp_path / "gone")
    health = await agent.health_check()
    assert not health.healthy
    assert health.message.endswith("gone")
