from datetime import UTC, datetime
from typing import Any

import pytest

from actors.agents.research.evidence import Ledger
from actors.agents.research.facts import (
    Analysis,
    Artefacts,
    Candidate,
    Dependency,
    Manifest,
    Metadata,
    Practices,
    PythonBound,
    Releases,
)
from actors.agents.research.messages import Cell, Criterion, Use
from actors.agents.research.scene import Scene
from actors.agents.research.scores import judge

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RELEASES = Releases(
    version="2.0",
    stable=True,
    released_at=None,
    newer_prerelease=None,
    count=2,
    yanked=0,
    first_at=None,
    in_24_months=None,
    requires_python=">=3.12",
    python_bounds=(
        PythonBound(version="2.0", requires_python=">=3.12"),
        PythonBound(version="1.4", requires_python=None),
    ),
    status=None,
    status_reason=None,
)
METADATA = Metadata(
    version="2.0",
    summary=None,
    licence=None,
    dependencies=("idna; python_version < '3.12'", "six", "colorama; sys_platform == 'win32'"),
    extras={},
    development_status=None,
    typed=False,
    pythons=(),
    urls={},
    question_words={},
    async_signals=(),
)
ARTEFACTS = Artefacts(
    sdist=True, wheels=0, universal=False, stable_abi_from=None, pythons=(), platforms=()
)
UNUSED: dict[str, Any] = {
    "candidate": "alpha",
    "declared": (),
    "runtime": False,
    "import_names": ("alpha",),
    "names_from": "a guess from the name",
    "imported_files": 0,
    "places": (),
}


def judged(criterion: Criterion, question: str = "Which trio library?", **facts: Any) -> Cell:
    requires_python = facts.pop("requires_python", ">=3.11")
    use = Use(**{**UNUSED, **facts.pop("use", {})})
    candidate = Candidate(name="alpha", found="found", **facts)
    manifest = Manifest(
        path="pyproject.toml",
        ecosystem="python",
        dependencies=(Dependency(name="six", requirement="six", scope="runtime"),),
    )
    analysis = Analysis(
        retrieved_at=NOW,
        listed_by="directory walk",
        files=0,
        skipped={},
        languages=(),
        manifests=(manifest,),
        requires_python=requires_python,
        imports=(),
        practices=Practices(test_files=0, documentation_files=0, ci=()),
        activity=None,
        evidence=(),
        gaps=(),
    )
    scene = Scene(
        question=question, names=("alpha",), analysis=analysis, uses={"alpha": use}, as_of=NOW
    )
    return judge(candidate, criterion, scene, Ledger())


def changed(model: Any, **fields: Any) -> Any:
    return model.model_copy(update=fields)


@pytest.mark.parametrize(
    "criterion", [c for c in Criterion if c not in {Criterion.IN_USE, Criterion.LICENCE}]
)
def test_without_facts_nothing_is_scored(criterion: Criterion) -> None:
    assert judged(criterion).score is None


def test_a_python_left_out_costs_its_share_and_names_the_version_that_has_it() -> None:
    cell = judged(Criterion.PYTHON, releases=RELEASES)
    assert cell.score == 0.8
    assert cell.reason == ">=3.12 leaves out the project's 3.11 (newest for 3.11: 1.4)"


def test_pythons_claimed_by_classifier_stand_in_for_a_missing_requirement() -> None:
    releases = changed(RELEASES, requires_python=None)
    metadata = changed(METADATA, pythons=("3.11", "3.12"))
    assert judged(Criterion.PYTHON, releases=releases, metadata=metadata).score == 0.4
    assert judged(Criterion.PYTHON, releases=releases, metadata=METADATA).score is None


def test_a_project_without_a_requirement_is_not_compared() -> None:
    assert judged(Criterion.PYTHON, releases=RELEASES, requires_python=None).score is None


def test_sources_only_score_low_and_nothing_at_all_scores_zero() -> None:
    assert judged(Criterion.WHEELS, artefacts=ARTEFACTS).score == 0.2
    assert judged(Criterion.WHEELS, artefacts=changed(ARTEFACTS, sdist=False)).score == 0.0


def test_only_dependencies_that_are_new_to_the_project_cost() -> None:
    cell = judged(Criterion.DEPENDENCIES, metadata=METADATA)
    assert cell.score == 0.9
    assert "adds idna " in cell.reason


def test_prereleases_only_are_immature() -> None:
    releases = changed(RELEASES, stable=False)
    metadata = changed(METADATA, development_status=4)
    assert judged(Criterion.MATURITY, releases=releases, metadata=metadata).score == 0.3


def test_a_licence_nobody_knows_is_unknown() -> None:
    cell = judged(Criterion.LICENCE, metadata=changed(METADATA, licence="House Rules 1.0"))
    assert cell.score is None
    assert "House Rules" in cell.reason


@pytest.mark.parametrize(
    ("use", "score"),
    [
        ({"runtime": True, "declared": ("a (runtime)",), "imported_files": 2}, 1.0),
        ({"runtime": True, "declared": ("a (runtime)",)}, 0.8),
        ({"imported_files": 1}, 0.8),
        ({"declared": ("a (dev)",), "imported_files": 1}, 0.5),
        ({}, 0.0),
    ],
)
def test_use_is_graded(use: dict[str, Any], score: float) -> None:
    assert judged(Criterion.IN_USE, use=use).score == score


@pytest.mark.parametrize(
    ("question", "signals", "score"),
    [
        ("trio?", ("depends on anyio",), 1.0),
        ("trio?", ("description mentions trio",), 0.6),
        ("trio?", ("classifier Framework :: AsyncIO",), 0.3),
        ("trio?", ("summary mentions async",), 0.3),
        ("trio?", (), 0.1),
        ("asyncio?", ("extra asyncio",), 1.0),
        ("asyncio?", ("classifier Framework :: Trio",), 0.3),
        ("async code?", ("description mentions async",), 0.6),
    ],
)
def test_async_fit_is_graded_by_the_event_loop(
    question: str, signals: tuple[str, ...], score: float
) -> None:
    metadata = changed(METADATA, async_signals=signals)
    assert judged(Criterion.ASYNC_FIT, question, metadata=metadata).score == score


def test_a_word_that_only_the_description_has_counts_less() -> None:
    metadata = changed(METADATA, question_words={"sqlite": "summary", "pool": "description"})
    cell = judged(Criterion.RELEVANCE, "trio sqlite pool?", metadata=metadata)
    assert cell.score == 0.8


def test_typing_claimed_by_classifier_is_believed_where_nobody_looked() -> None:
    assert judged(Criterion.TYPED, metadata=changed(METADATA, typed=True)).score == 1.0
    assert judged(Criterion.TYPED, metadata=METADATA).score is None
