"""What a report says of the project, on a whole running system and on its page."""

from pathlib import Path
from typing import Any

import pytest

from actors.agents.kit.followups import Opened
from actors.agents.kit.outcome import Evidence, Finding, Level, Place, Skipped
from actors.agents.research.agent import ResearchAgent
from actors.agents.research.analyse import analyse
from actors.agents.research.inventory import take_inventory
from actors.agents.research.inventory_messages import InventoryRequest
from actors.agents.research.messages import AnalyseRequest, ProjectReport, SynthesiseRequest
from actors.agents.research.project import follow_ups
from actors.agents.research.report import render
from actors.agents.research.synthesise import synthesise
from actors.agents.research.workflow import nothing_discovered, one_line, research
from tests.support.planted import planted
from tests.support.world import running_system

QUESTION = "Where is a basket filled?"


async def test_a_question_without_candidates_is_answered_with_the_project(tmp_path: Path) -> None:
    orchard = planted(tmp_path)
    variables: dict[str, Any] = {"question": QUESTION, "follow_ups": True}
    async with running_system(
        orchard.repo, workflows=[research], agents=[ResearchAgent], data_dir=tmp_path / "data"
    ) as running:
        started = await running.start("research", variables=variables)
        (ended,) = await running.ended(started.id)
        assert ended.status == "completed"
        report = ProjectReport.model_validate(await running.output(started.id))
    found = {(finding.rule, finding.message.split(" ")[0]) for finding in report.findings}
    assert found == {("DEP001", orchard.missing), ("DEP002", orchard.unused)}
    assert [issue.title.split(" ")[1] for issue in report.issues] == [orchard.missing]
    assert report.search is not None
    assert report.search.hits[0].place.path == "orchard/prices.py"
    chapters = [line[3:] for line in report.markdown.splitlines() if line.startswith("## ")]
    assert chapters == [
        *("The project", "Findings", "Inventory", "Dependencies", "In the code"),
        *("What was skipped", "Issues", "Open questions", "Evidence"),
    ]


@pytest.fixture
async def request_(project: Path) -> SynthesiseRequest:
    def quiet(message: str, fraction: float | None) -> None:
        del message, fraction

    analysis = await analyse(AnalyseRequest(question=QUESTION), root=project, progress=quiet)
    inventory = await take_inventory(InventoryRequest(), root=project, progress=quiet)
    return SynthesiseRequest(
        question=QUESTION,
        discovery=nothing_discovered(analysis),
        analysis=analysis,
        as_of=analysis.retrieved_at,
        inventory=inventory,
    )


def finding(level: Level, message: str = "it <b>is</b> *wrong*") -> Finding:
    return Finding(tool="ruff", rule="X|1", level=level, message=message, place=Place(path="a.py"))


def having(asked: SynthesiseRequest, *findings: Finding, **more: Any) -> SynthesiseRequest:
    assert asked.inventory is not None
    given = {"findings": findings, **more}
    return asked.model_copy(update={"inventory": asked.inventory.model_copy(update=given)})


async def test_the_worst_findings_come_first_and_cite_their_evidence(
    request_: SynthesiseRequest,
) -> None:
    asked = having(request_, finding(Level.NOTE, "small"), finding(Level.ERROR, "large"))
    report = synthesise(asked)
    assert [one.message for one in report.findings] == ["large", "small"]
    cited = {entry.id: entry.statement for entry in report.evidence}
    lines = [line for line in report.markdown.splitlines() if line.startswith(("- error", "- no"))]
    assert lines[0].startswith(r"- error (ruff X\|1) `a.py`: large [E")
    for line, said in zip(lines, ("large", "small"), strict=True):
        assert said in cited[line.rpartition("[")[2].rstrip("]")]
    assert report.summary.endswith("In the project: 2 findings, 1 error.")
    assert "What is to be done about it?" in report.open_questions[-1]


async def test_nothing_that_was_found_is_markup(request_: SynthesiseRequest) -> None:
    report = synthesise(having(request_, finding(Level.ERROR)))
    assert r"it \<b>is\</b> \*wrong\*" in report.markdown


async def test_many_findings_are_cut_and_it_is_said(request_: SynthesiseRequest) -> None:
    many = [finding(Level.NOTE, f"number {number}") for number in range(50)]
    report = synthesise(having(request_, *many))
    assert "- … and 10 more." in report.markdown
    assert len(report.findings) == 50


async def test_no_findings_are_said_to_be_none(request_: SynthesiseRequest) -> None:
    assert "## Findings\n\nNone.\n" in synthesise(request_).markdown


async def test_what_was_skipped_and_which_issues_there_are_is_said(
    request_: SynthesiseRequest,
) -> None:
    skipped = (Skipped(what="all", why="it is late", install="sleep"),)
    seen = (Evidence(id="E1", source="eyes", statement="There is a tree."),)
    report = synthesise(having(request_, skipped=skipped, evidence=seen))
    issues = (
        Opened(issue_id="bd-1", title="One", is_new=True),
        Opened(issue_id="bd-2", title="Two", is_new=False),
    )
    page = render(report.model_copy(update={"issues": issues}))
    assert "- all skipped, because it is late: sleep.\n" in page
    assert "- bd-1 (opened): One\n- bd-2 (open already): Two\n" in page
    assert "- There is a tree. [E" in page


async def test_only_errors_are_followed_up_under_titles_that_stay_the_same(
    request_: SynthesiseRequest,
) -> None:
    report = synthesise(having(request_, finding(Level.WARNING), finding(Level.ERROR, "large")))
    (wanted,) = follow_ups(report)
    assert (wanted.title, wanted.description) == ("X|1: large", "Found by ruff in a.py.")


def test_a_question_of_several_lines_is_searched_for_as_one() -> None:
    assert one_line("Which\n one\0?") == "Which one ?"
    assert len(one_line("x" * 2_000)) == 500
