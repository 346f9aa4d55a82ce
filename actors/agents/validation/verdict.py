"""What validation comes to, from what its steps found out. Pure.

Something that is wrong is a failure. Something that was asked for and could not be found out, and a
criterion that no program can check, is for a person. Whatever was not asked for says nothing.
"""

from collections.abc import Iterator

from actors.agents.kit.followups import FollowUp
from actors.agents.kit.outcome import Finding, Level
from actors.agents.validation.messages import (
    CoverageOutcome,
    Reason,
    ReportRequest,
    Verdict,
)

_ORDER = (Verdict.FAIL, Verdict.NEEDS_HUMAN, Verdict.PASS)


def judge(request: ReportRequest) -> tuple[Verdict, tuple[Reason, ...]]:
    """The verdict, and the reasons for it, those that count most first."""
    reasons = sorted(_reasons(request), key=lambda reason: _ORDER.index(reason.verdict))
    if not reasons:
        nothing = Reason(verdict=Verdict.NEEDS_HUMAN, text="Nothing was checked.")
        return nothing.verdict, (nothing,)
    return reasons[0].verdict, tuple(reasons)


def _reasons(request: ReportRequest) -> Iterator[Reason]:
    if request.tests is not None:
        yield Reason(verdict=_tests(request), text=request.tests.summary)
    if request.review is not None:
        yield Reason(verdict=_review(request), text=request.review.summary)
    if request.coverage is not None:
        yield Reason(verdict=_coverage(request.coverage), text=request.coverage.summary)
    if request.acceptance is not None and request.acceptance.criteria:
        yield Reason(verdict=_acceptance(request), text=request.acceptance.summary)


def _tests(request: ReportRequest) -> Verdict:
    """A run in which no test passed or failed says nothing about the commit."""
    assert request.tests is not None  # noqa: S101 - asked before
    results = request.tests.results
    if results.failed or results.errors:
        return Verdict.FAIL
    return Verdict.PASS if results.passed else Verdict.NEEDS_HUMAN


def _review(request: ReportRequest) -> Verdict:
    assert request.review is not None  # noqa: S101 - asked before
    review = request.review
    if review.metrics.get("review_errors", 0) or _errors(review.findings):
        return Verdict.FAIL
    return Verdict.PASS if review.tools or not review.files else Verdict.NEEDS_HUMAN


def _coverage(coverage: CoverageOutcome) -> Verdict:
    if coverage.is_met:
        return Verdict.PASS
    return Verdict.NEEDS_HUMAN if coverage.skipped else Verdict.FAIL


def _acceptance(request: ReportRequest) -> Verdict:
    assert request.acceptance is not None  # noqa: S101 - asked before
    verdicts = {criterion.verdict for criterion in request.acceptance.criteria}
    return next(verdict for verdict in _ORDER if verdict in verdicts)


def _errors(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.level is Level.ERROR]


# --- what is to be done about it -----------------------------------------------------------------


def follow_ups(request: ReportRequest) -> tuple[FollowUp, ...]:
    """An issue for each thing that is wrong: the same titles whenever it is found again."""
    return (*_of_tests(request), *_of_review(request), *_of_coverage(request), *_unmet(request))


def _of_tests(request: ReportRequest) -> Iterator[FollowUp]:
    tests = request.tests
    for case in tests.results.failures if tests else ():
        where = f"\n\nIn {case.place}." if case.place else ""
        detail = f"\n\n```text\n{_fenced(case.detail)}\n```" if case.detail else ""
        yield FollowUp(
            title=f"Test fails: {case.id}",
            description=f"{case.message or 'It gave no message.'}{where}{detail}",
            priority=1,
        )


def _of_review(request: ReportRequest) -> Iterator[FollowUp]:
    """One for each file and rule: ten unused imports are one piece of work."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in _errors(request.review.findings) if request.review else ():
        path = finding.place.path if finding.place else "the project"
        groups.setdefault((finding.tool, finding.rule, path), []).append(finding)
    for (tool, rule, path), found in groups.items():
        lines = "\n".join(f"- {finding.place or path}: {finding.message}" for finding in found)
        yield FollowUp(title=f"{tool} {rule} in {path}", description=lines)


def _of_coverage(request: ReportRequest) -> Iterator[FollowUp]:
    coverage = request.coverage
    if coverage is None or _coverage(coverage) is not Verdict.FAIL:
        return
    for path in dict.fromkeys(f.place.path for f in coverage.findings if f.place):
        found = [f for f in coverage.findings if f.place and f.place.path == path]
        lines = "\n".join(f"- {finding.place}: {finding.message}" for finding in found)
        yield FollowUp(title=f"Changed lines without a test in {path}", description=lines)


def _unmet(request: ReportRequest) -> Iterator[FollowUp]:
    for criterion in request.acceptance.criteria if request.acceptance else ():
        if criterion.verdict is Verdict.FAIL:
            yield FollowUp(
                title=f"Not met: {criterion.text}",
                description=f"{criterion.why}.",
                issue_type="task",
                priority=1,
            )


def _fenced(text: str) -> str:
    return text.replace("```", "'''")
