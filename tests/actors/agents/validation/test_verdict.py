"""What a validation comes to: pure, so every part is made by hand."""

import pytest

from actors.agents.kit.junit import Case, Results, Status
from actors.agents.kit.outcome import Finding, Level, Place, Skipped
from actors.agents.validation.messages import (
    AcceptOutcome,
    CoverageOutcome,
    Criterion,
    ReportRequest,
    ReviewOutcome,
    TestOutcome,
    Verdict,
)
from actors.agents.validation.verdict import follow_ups, judge

PASSED = Results(passed=3)
FAILED = Results(
    passed=3,
    failed=1,
    cases=(
        Case(
            id="tests/test_a.py::test_b",
            status=Status.FAILED,
            message="assert 1",
            detail="```\nassert 1",
            place=Place(path="tests/test_a.py", line=3),
        ),
    ),
)


def outcome_of(results: Results) -> TestOutcome:
    return TestOutcome(summary="tests", ref="HEAD", commit="c", results=results)


def review_of(*levels: Level, tools: tuple[str, ...] = ("ruff",), files: int = 1) -> ReviewOutcome:
    place = Place(path="a.py", line=1)
    findings = tuple(
        Finding(tool="ruff", rule="F401", level=level, message="m", place=place) for level in levels
    )
    return ReviewOutcome(
        summary="review",
        findings=findings,
        ref="HEAD",
        commit="c",
        base=None,
        files=files,
        tools=tools,
    )


def coverage_of(*, is_met: bool, skipped: bool = False) -> CoverageOutcome:
    finding = Finding(
        tool="diff-cover",
        rule="untested",
        level=Level.ERROR,
        message="line 1 is not run by any test",
        place=Place(path="a.py", line=1),
    )
    return CoverageOutcome(
        summary="coverage",
        percent=None if skipped else 50.0,
        minimum=80.0,
        lines=2,
        is_met=is_met,
        findings=() if skipped else (finding,),
        skipped=(Skipped(what="coverage", why="it was not measured"),) if skipped else (),
    )


def criteria(*verdicts: Verdict) -> AcceptOutcome:
    return AcceptOutcome(
        summary="criteria",
        criteria=tuple(
            Criterion(text=f"c{n}", kind="file", verdict=verdict, why="because")
            for n, verdict in enumerate(verdicts)
        ),
    )


@pytest.mark.parametrize(
    ("request_", "verdict"),
    [
        (ReportRequest(), Verdict.NEEDS_HUMAN),
        (ReportRequest(tests=outcome_of(PASSED)), Verdict.PASS),
        (ReportRequest(tests=outcome_of(FAILED)), Verdict.FAIL),
        (ReportRequest(tests=outcome_of(Results())), Verdict.NEEDS_HUMAN),
        (ReportRequest(tests=outcome_of(Results(skipped=2))), Verdict.NEEDS_HUMAN),
        (ReportRequest(review=review_of()), Verdict.PASS),
        (ReportRequest(review=review_of(Level.WARNING, Level.NOTE)), Verdict.PASS),
        (ReportRequest(review=review_of(Level.NOTE, Level.ERROR)), Verdict.FAIL),
        (ReportRequest(review=review_of(tools=())), Verdict.NEEDS_HUMAN),
        (ReportRequest(review=review_of(tools=(), files=0)), Verdict.PASS),
        (ReportRequest(coverage=coverage_of(is_met=True)), Verdict.PASS),
        (ReportRequest(coverage=coverage_of(is_met=False)), Verdict.FAIL),
        (ReportRequest(coverage=coverage_of(is_met=False, skipped=True)), Verdict.NEEDS_HUMAN),
        (ReportRequest(acceptance=criteria(Verdict.PASS)), Verdict.PASS),
        (
            ReportRequest(acceptance=criteria(Verdict.PASS, Verdict.NEEDS_HUMAN)),
            Verdict.NEEDS_HUMAN,
        ),
        (ReportRequest(acceptance=criteria(Verdict.NEEDS_HUMAN, Verdict.FAIL)), Verdict.FAIL),
        (
            ReportRequest(tests=outcome_of(PASSED), acceptance=criteria(Verdict.NEEDS_HUMAN)),
            Verdict.NEEDS_HUMAN,
        ),
        (
            ReportRequest(tests=outcome_of(FAILED), acceptance=criteria(Verdict.NEEDS_HUMAN)),
            Verdict.FAIL,
        ),
    ],
)
def test_the_worst_of_all_parts_counts(request_: ReportRequest, verdict: Verdict) -> None:
    assert judge(request_)[0] is verdict


def test_an_error_beyond_those_that_are_listed_counts() -> None:
    review = review_of(Level.NOTE).model_copy(update={"metrics": {"review_errors": 1.0}})
    assert judge(ReportRequest(review=review))[0] is Verdict.FAIL


def test_reasons_begin_with_what_counts_most() -> None:
    request = ReportRequest(
        tests=outcome_of(PASSED),
        review=review_of(Level.ERROR),
        acceptance=criteria(Verdict.NEEDS_HUMAN),
    )
    _, reasons = judge(request)
    assert [reason.text for reason in reasons] == ["review", "criteria", "tests"]


def test_everything_that_is_wrong_gets_a_follow_up() -> None:
    request = ReportRequest(
        tests=outcome_of(FAILED),
        review=review_of(Level.ERROR, Level.ERROR, Level.NOTE),
        coverage=coverage_of(is_met=False),
        acceptance=criteria(Verdict.FAIL, Verdict.NEEDS_HUMAN),
    )
    wanted = follow_ups(request)
    assert [one.title for one in wanted] == [
        "Test fails: tests/test_a.py::test_b",
        "ruff F401 in a.py",
        "Changed lines without a test in a.py",
        "Not met: c0",
    ]
    assert wanted[1].description.count("\n- ") == 1
    assert "```text\n'''\nassert 1\n```" in wanted[0].description


def test_what_is_right_gets_none() -> None:
    request = ReportRequest(
        tests=outcome_of(PASSED),
        review=review_of(Level.WARNING),
        coverage=coverage_of(is_met=True),
        acceptance=criteria(Verdict.PASS),
    )
    assert follow_ups(request) == ()
