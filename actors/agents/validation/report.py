"""Writes a validation as Markdown. Pure; all text of tools and repositories is escaped here."""

from collections.abc import Iterator

from actors.agents.kit.outcome import Finding, Level
from actors.agents.kit.untrusted import code, escaped
from actors.agents.validation.messages import (
    ReportRequest,
    TestOutcome,
    Validation,
    Verdict,
)

SHOWN = 50
"""Lines of one list; the stored files have all."""

_WORDS = {
    Verdict.PASS: "passes",
    Verdict.FAIL: "fails",
    Verdict.NEEDS_HUMAN: "needs a person",
}
_LINE_CHARACTERS = 500


def render(report: Validation, request: ReportRequest) -> str:
    """The whole document; it ends with a newline."""
    lines = [
        *_head(report),
        *([report.words, ""] if report.words else []),
        *_tests(request.tests),
        *_findings("Review of the change", request.review.findings if request.review else ()),
        *_findings("Lines without a test", request.coverage.findings if request.coverage else ()),
        *_criteria(report),
        *_issues(report),
        *_skipped(report),
        *_evidence(report),
        *_files(report),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _head(report: Validation) -> Iterator[str]:
    yield f"# Validation of {escaped(report.ref)}: {_WORDS[report.verdict]}"
    yield ""
    if report.commit:
        yield f"Commit {code(report.commit)}"
        yield ""
    for reason in report.reasons:
        yield f"- **{_WORDS[reason.verdict]}**: {escaped(reason.text, _LINE_CHARACTERS)}"
    yield ""


def _tests(tests: TestOutcome | None) -> Iterator[str]:
    failures = tests.results.failures if tests else ()
    if not failures:
        return
    yield "## Tests that fail"
    yield ""
    for case in failures[:SHOWN]:
        said = f": {escaped(case.message, _LINE_CHARACTERS)}" if case.message else ""
        where = f" ({code(str(case.place))})" if case.place else ""
        yield f"- {code(case.id)}{where}{said}"
    yield from _more(len(failures))


def _findings(title: str, findings: tuple[Finding, ...]) -> Iterator[str]:
    if not findings:
        return
    yield f"## {title}"
    yield ""
    for finding in findings[:SHOWN]:
        level = "" if finding.level is Level.ERROR else f" ({finding.level.value})"
        where = code(str(finding.place)) if finding.place else "the project"
        rule = f"{escaped(finding.tool)} {escaped(finding.rule)}"
        yield f"- {where} {rule}{level}: {escaped(finding.message, _LINE_CHARACTERS)}"
    yield from _more(len(findings))


def _criteria(report: Validation) -> Iterator[str]:
    if not report.criteria:
        return
    yield "## Acceptance criteria"
    yield ""
    yield "| criterion | verdict | why | evidence |"
    yield "| --- | --- | --- | --- |"
    for criterion in report.criteria:
        evidence = ", ".join(criterion.evidence)
        yield (
            f"| {escaped(criterion.text, _LINE_CHARACTERS)} | {_WORDS[criterion.verdict]} "
            f"| {escaped(criterion.why, _LINE_CHARACTERS)} | {evidence} |"
        )
    yield ""


def _issues(report: Validation) -> Iterator[str]:
    if not report.issues:
        return
    yield "## Follow-up issues"
    yield ""
    for issue in report.issues:
        known = "" if issue.is_new else " (it was open already)"
        yield f"- {code(issue.issue_id)} {escaped(issue.title)}{known}"
    yield ""


def _skipped(report: Validation) -> Iterator[str]:
    if not report.skipped:
        return
    yield "## What was not checked"
    yield ""
    for skipped in report.skipped:
        yield f"- {escaped(str(skipped), _LINE_CHARACTERS)}"
    yield ""


def _evidence(report: Validation) -> Iterator[str]:
    if not report.evidence:
        return
    yield "## Evidence"
    yield ""
    for seen in report.evidence:
        yield f"- {seen.id} {code(seen.source)}: {escaped(seen.statement, 600)}"
    yield ""


def _files(report: Validation) -> Iterator[str]:
    if not report.artifacts:
        return
    yield "## Files"
    yield ""
    for file in report.artifacts:
        yield f"- {code(file.name)} (version {file.version}, SHA-256 {code(file.sha256)})"
    yield ""


def _more(count: int) -> Iterator[str]:
    if count > SHOWN:
        yield f"- … and {count - SHOWN} more"
    yield ""
