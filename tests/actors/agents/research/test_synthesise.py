import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from actors.agents.research.analyse import analyse
from actors.agents.research.discover import discover
from actors.agents.research.messages import (
    AnalyseRequest,
    Criterion,
    DiscoverRequest,
    ProjectReport,
    SynthesiseRequest,
)
from actors.agents.research.synthesise import synthesise
from tests.actors.agents.research.index import LocalIndex, metadata, wheel

NOW = datetime(2026, 11, 1, tzinfo=UTC)
QUESTION = "Which SQLite library for trio?"
TRIO = "Classifier: Framework :: Trio"
ASYNCIO = "Classifier: Framework :: AsyncIO"


async def inputs(
    environ: dict[str, str], project: Path, *names: str, question: str = QUESTION
) -> dict[str, Any]:
    def silent(message: str, fraction: float | None) -> None:
        return

    discovery = await discover(
        DiscoverRequest(question=question, candidates=names),
        root=project,
        progress=silent,
        now=lambda: NOW,
        environ=environ,
    )
    analysis = await analyse(
        AnalyseRequest(question=question), root=project, progress=silent, now=lambda: NOW
    )
    return {
        "question": question,
        "discovery": discovery,
        "analysis": analysis,
        "as_of": NOW,
    }


async def report_on(index: LocalIndex, project: Path, *names: str, **more: Any) -> ProjectReport:
    question = more.pop("question", QUESTION)
    facts = await inputs(index.environ(), project, *names, question=question)
    return synthesise(SynthesiseRequest(**facts, **more))


def score(report: ProjectReport, name: str, criterion: Criterion) -> float | None:
    return next(
        cell.score
        for cell in report.matrix
        if (cell.candidate, cell.criterion) == (name, criterion)
    )


@pytest.fixture
def market(index: LocalIndex) -> LocalIndex:
    """alpha is in use and for asyncio; beta is for trio and requires alpha; gamma is stale."""
    index.add("alpha", "1.0", text=metadata("alpha", "1.0", "asyncio SQLite", ASYNCIO))
    beta = TRIO + "\nRequires-Dist: alpha\nRequires-Dist: delta"
    index.add("beta", "2.0", text=metadata("beta", "2.0", "SQLite for trio", beta))
    index.add("gamma", "0.1", uploaded="2015-01-01T00:00:00Z", requires_python="<3.8")
    return index


async def test_every_citation_exists_and_every_claim_cites(
    market: LocalIndex, project: Path
) -> None:
    report = await report_on(market, project, "alpha", "beta", "gamma", "missing")
    known = {entry.id for entry in report.evidence}
    cited = set(re.findall(r"\bE\d+\b", report.markdown))
    assert cited == known
    for claim in (*report.reasons, *report.relations, *report.sensitivity):
        assert claim.evidence, claim.text
        assert set(claim.evidence) <= known
    for cell in report.matrix:
        assert set(cell.evidence) <= known
        assert cell.evidence or cell.score is None, cell


async def test_evidence_is_numbered_through(market: LocalIndex, project: Path) -> None:
    report = await report_on(market, project, "alpha", "beta")
    assert [e.id for e in report.evidence] == [f"E{n + 1}" for n in range(len(report.evidence))]


async def test_the_same_facts_give_the_same_report(market: LocalIndex, project: Path) -> None:
    facts = await inputs(market.environ(), project, "alpha", "beta", "gamma")
    request = SynthesiseRequest(**facts)
    stored = SynthesiseRequest.model_validate_json(request.model_dump_json())
    assert synthesise(request) == synthesise(stored)


async def test_a_report_survives_being_stored(market: LocalIndex, project: Path) -> None:
    report = await report_on(market, project, "alpha", "beta")
    assert ProjectReport.model_validate_json(report.model_dump_json()) == report


async def test_async_fit_counts_only_when_the_question_is_about_async(
    market: LocalIndex, project: Path
) -> None:
    asked = await report_on(market, project, "alpha", "beta")
    assert score(asked, "beta", Criterion.ASYNC_FIT) == 1.0
    assert score(asked, "alpha", Criterion.ASYNC_FIT) == 0.3
    plain = await report_on(market, project, "alpha", "beta", question="Which SQLite library?")
    assert Criterion.ASYNC_FIT not in plain.weights


async def test_weights_decide_and_a_weight_of_zero_leaves_a_criterion_out(
    market: LocalIndex, project: Path
) -> None:
    report = await report_on(
        market, project, "alpha", "beta", weights={Criterion.IN_USE: 50, Criterion.TYPED: 0}
    )
    assert report.ranking[0].candidate == "alpha"
    assert report.recommendation.startswith("Keep alpha 1.0")
    assert Criterion.TYPED not in report.weights


async def test_a_candidate_for_none_of_the_projects_pythons_is_blocked(
    market: LocalIndex, project: Path
) -> None:
    report = await report_on(market, project, "gamma", weights={Criterion.IN_USE: 0})
    assert report.ranking[0].blockers == ("0.1 runs on none of the project's Pythons",)
    assert report.recommendation.startswith("None can be recommended")
    assert report.confidence <= 0.2


async def test_a_retired_project_is_blocked(market: LocalIndex, project: Path) -> None:
    market.pages["beta"]["project-status"] = {"status": "archived", "reason": "moved on"}
    report = await report_on(market, project, "alpha", "beta")
    assert report.ranking[1].blockers == ("archived by its maintainers or the index",)
    assert score(report, "beta", Criterion.MAINTENANCE) == 0.0


async def test_a_candidate_that_requires_another_is_no_mere_rival(
    market: LocalIndex, project: Path
) -> None:
    report = await report_on(market, project, "alpha", "beta")
    assert report.relations[0].text == "beta requires alpha: choosing it brings both."
    cell = next(
        cell
        for cell in report.matrix
        if (cell.candidate, cell.criterion) == ("beta", Criterion.DEPENDENCIES)
    )
    assert cell.score == 0.9, "alpha is declared already, delta is new"


async def test_what_is_in_use_is_found_by_the_modules_a_wheel_installs(
    index: LocalIndex, project: Path
) -> None:
    files = ("alpha/__init__.py",)
    text = metadata("other-name", "1.0")
    index.add("other-name", "1.0", text=text)
    filename = next(path for path in index.files if path.endswith(".whl"))
    index.files[filename] = wheel("other_name", "1.0", text, files=files)
    report = await report_on(index, project, "other-name")
    assert report.uses[0].places == ("src/app/store.py:3",)
    assert report.uses[0].names_from == "wheel contents"


async def test_the_standard_library_is_mentioned_where_it_does_the_job(
    market: LocalIndex, project: Path
) -> None:
    (project / "src" / "app" / "store.py").write_text("import sqlite3\n")
    report = await report_on(market, project, "alpha", question="Which sqlite library?")
    assert any("sqlite3" in claim.text for claim in report.relations)


async def test_without_a_network_there_is_still_a_report(project: Path) -> None:
    environ = {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    facts = await inputs(environ, project, "pytest", "alpha")
    report = synthesise(SynthesiseRequest(**facts))
    assert report.confidence < 0.5
    assert "Index unreachable" in report.markdown
    assert score(report, "pytest", Criterion.MAINTENANCE) is None


async def test_nothing_from_an_index_is_markup(index: LocalIndex, project: Path) -> None:
    """A hostile summary, licence and status stay text in every paragraph, list and table."""
    evil = "<script>x</script> | [a](https://evil.example) ![i](x) **b** \x1b[31m `c` # h"
    text = f"Name: alpha\nVersion: 1.0\nSummary: {evil}\nLicense: {evil}\nKeywords: {evil}\n"
    index.add("alpha", "1.0", text=text.encode(), requires_python="<3.8")
    index.add("beta", "1.0", text=text.encode())
    index.pages["alpha"]["project-status"] = {"status": "archived", "reason": evil}
    report = await report_on(index, project, "alpha", "beta", question=f"Which? {evil}")
    html = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(report.markdown)
    for tag in ("<script", "<a ", "<img"):
        assert tag not in html
    assert html.count("<strong>") == 1
    assert "\x1b" not in report.markdown
    rows = [line for line in report.markdown.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert widths == {8, 5}


async def test_many_candidates_turn_the_matrix_round(index: LocalIndex, project: Path) -> None:
    names = [f"name{number}" for number in range(8)]
    for name in names:
        index.add(name, "1.0")
    report = await report_on(index, project, *names)
    assert "| candidate | relevance (2)" in report.markdown


async def test_equal_candidates_are_called_equal(index: LocalIndex, project: Path) -> None:
    for name in ("one", "two"):
        index.add(name, "1.0")
    report = await report_on(index, project, "one", "two")
    assert "come out equal" in report.recommendation


async def test_a_summary_is_short_and_plain(market: LocalIndex, project: Path) -> None:
    report = await report_on(market, project, "alpha", "beta")
    assert len(report.summary) <= 400
    assert report.summary.startswith(report.recommendation)


async def test_maintenance_fades_with_the_age_of_the_last_release(
    index: LocalIndex, project: Path
) -> None:
    for name, days in (("fresh", 30), ("aging", 600), ("stale", 2_000)):
        uploaded = (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        index.add(name, "1.0", uploaded=uploaded)
    report = await report_on(index, project, "fresh", "aging", "stale")
    scores = [score(report, n, Criterion.MAINTENANCE) for n in ("fresh", "aging", "stale")]
    assert scores[0] == 1.0
    assert scores[1] == pytest.approx(0.541, abs=0.001)
    assert scores[2] == 0.0


async def test_platform_wheels_count_by_platforms_and_pythons(
    index: LocalIndex, project: Path
) -> None:
    index.add("alpha", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
    index.add("alpha", "1.0", tag="cp312-cp312-macosx_11_0_arm64")
    index.add("beta", "1.0", tag="cp310-abi3-win_amd64")
    report = await report_on(index, project, "alpha", "beta")
    assert score(report, "alpha", Criterion.WHEELS) == pytest.approx(2 / 3 * 2 / 5, abs=0.001)
    assert score(report, "beta", Criterion.WHEELS) == pytest.approx(1 / 3, abs=0.001)
