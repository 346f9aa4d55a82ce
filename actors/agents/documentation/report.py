"""Puts together what the steps of the workflow came to, as one report in Markdown."""

from collections.abc import Iterator
from typing import Final

from actors.agents.documentation.messages import (
    ApiChanges,
    Coverage,
    DocumentationReport,
    ReportRequest,
    Updated,
)
from actors.agents.documentation.surface import NO_PACKAGE
from actors.agents.kit.outcome import Finding, Level, StoredFile
from actors.agents.kit.prose import prose
from actors.agents.kit.untrusted import escaped
from actors.agents.protocol import Task

MAX_SHOWN: Final = 200
MAX_TOLD: Final = 50
_INSTRUCTION: Final = (
    "Say what state this project's documentation is in, what should be mended first, and what users"
    " of its API have to know about the changes."
)


async def report(task: Task, request: ReportRequest) -> DocumentationReport:
    """Judge the outcomes and store the report."""
    words = await _words(task, request)
    text = markdown(request, words)
    stored = await task.artifact("documentation/report.md", text.encode(), "text/markdown")
    parts = request.parts
    changes = request.changes
    return DocumentationReport(
        summary=_summary(request),
        passed=passed(request),
        commit=request.generated.commit,
        coverage_percent=request.coverage.percent,
        breaking=changes.breaking if changes else (),
        added=changes.added if changes else (),
        update=request.update,
        words=words,
        findings=tuple(finding for part in parts for finding in part.findings),
        artifacts=(
            *(file for part in parts for file in part.artifacts),
            StoredFile(**stored),
        ),
        metrics={name: value for part in parts for name, value in part.metrics.items()},
        skipped=tuple(dict.fromkeys(skipped for part in parts for skipped in part.skipped)),
        markdown=text,
    )


def passed(request: ReportRequest) -> bool:
    """Whether enough is described, and nothing in the documents is broken."""
    broken = any(finding.level is Level.ERROR for finding in request.review.findings)
    return request.coverage.passed and not broken


def markdown(request: ReportRequest, words: str) -> str:
    """The report; `words` come before what was found."""
    return "\n".join(_lines(request, words)) + "\n"


async def _words(task: Task, request: ReportRequest) -> str:
    """What a model says about the facts; "" without one."""
    facts = {
        "summary": _summary(request),
        "coverage": request.coverage.summary,
        "findings": [finding for part in request.parts for finding in part.findings][:MAX_TOLD],
        "changes_of_the_api": request.changes.changelog if request.changes else "",
    }
    return await prose(task, _INSTRUCTION, facts) or ""


def _summary(request: ReportRequest) -> str:
    verdict = "is in order" if passed(request) else "needs work"
    said = f"The documentation {verdict}: {_described(request.coverage)}"
    broken = sum(finding.level is Level.ERROR for finding in request.review.findings)
    said += f", {broken} broken links or blocks"
    if request.changes is not None:
        said += f", {len(request.changes.breaking)} breaking changes"
    if request.update is not None and request.update.commit:
        said += f"; changes are on the branch {request.update.branch}"
    return said + "."


def _described(coverage: Coverage) -> str:
    if coverage.total:
        return f"{coverage.percent:.1f} % described"
    is_unread = set(coverage.skipped) - {NO_PACKAGE}
    return "no code was read" if is_unread else "there is nothing to describe"


def _lines(request: ReportRequest, words: str) -> Iterator[str]:
    yield from ("# Documentation", "", _summary(request), "")
    if words:
        yield from (words, "")
    yield from (f"Commit `{request.generated.commit}`.", "")
    yield from ("## API reference", "", request.generated.summary, "")
    yield from ("## Coverage", "", request.coverage.summary, "")
    yield from _findings(request.coverage.findings)
    yield from ("## Review", "", request.review.summary, "")
    yield from _findings(request.review.findings)
    if request.changes is not None:
        yield from _changes(request.changes)
    if request.update is not None:
        yield from _update(request.update)
    skipped = dict.fromkeys(str(s) for part in request.parts for s in part.skipped)
    if skipped:
        yield from ("## Skipped", "", *(f"- {escaped(text, 500)}" for text in skipped), "")


def _findings(findings: tuple[Finding, ...]) -> Iterator[str]:
    for finding in findings[:MAX_SHOWN]:
        place = f" ({escaped(str(finding.place))})" if finding.place else ""
        yield f"- {finding.level}: {escaped(finding.message, 500)}{place}"
    if len(findings) > MAX_SHOWN:
        yield f"- and {len(findings) - MAX_SHOWN} more"
    if findings:
        yield ""


def _changes(changes: ApiChanges) -> Iterator[str]:
    yield from ("## Changes of the API", "", f"Since `{changes.base}`: {changes.summary}", "")
    if changes.changelog:
        yield from (changes.changelog, "")


def _update(update: Updated) -> Iterator[str]:
    yield from ("## Update", "", update.summary, "")
    if update.commit:
        yield from (f"Commit `{update.commit}` on `{update.branch}`:", "")
        yield from ("```text", update.diffstat, "```", "")
