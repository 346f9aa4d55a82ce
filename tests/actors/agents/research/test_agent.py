from pathlib import Path

import pytest

from actors.agents.protocol import Task
from actors.agents.research.agent import ResearchAgent
from actors.agents.research.facts import Analysis
from actors.agents.research.messages import (
    AnalyseRequest,
    DiscoverRequest,
    Report,
    SynthesiseRequest,
)
from actors.agents.research.workflow import research
from actors.agents.site import Site
from actors.errors import ValidationError
from actors.workflows.definition import ActivityFailure, workflow_of
from supervision import Named
from tests.actors.agents.research.index import LocalIndex


class Notes(list[str]):
    def note(self, message: str, fraction: float | None, level: str, progress: bool) -> None:
        self.append(message)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def task(project: Path, notes: Notes) -> Task:
    return Task("wf-1", "0", 1, Site(repo=project, workspace=project / ".git"), notes.note)


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
    agent: ResearchAgent,
    task: Task,
    notes: Notes,
    index: LocalIndex,
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
    assert isinstance(report, Report)
    assert report.recommendation.startswith("Keep alpha 1.0")
    assert "looked up alpha" in notes


async def test_without_candidates_and_without_a_match_it_says_what_to_do(
    agent: ResearchAgent, task: Task
) -> None:
    with pytest.raises(ActivityFailure, match=r"name them, e\.g\. candidates=") as caught:
        await analysed(agent, task, "Which message broker?")
    assert caught.value.code == "no_candidates"
    assert not caught.value.retryable


async def test_an_installed_summary_makes_a_dependency_match(
    agent: ResearchAgent, task: Task
) -> None:
    analysis = await analysed(agent, task, "Which testing framework?")
    assert analysis.candidates == ("pytest",)


def test_the_agent_offers_its_activities() -> None:
    assert ResearchAgent.capabilities() == (
        "analyse",
        "analyse_dependencies",
        "discover",
        "inventory",
        "synthesise",
    )


def test_the_workflow_refuses_variables_it_does_not_know() -> None:
    definition = workflow_of(research)
    assert definition is not None
    assert definition.agent_type == "research"
    with pytest.raises(ValidationError, match="it knows: candidates, query, question, weights"):
        definition.parse({"question": "Which one?", "module": "os"})
