"""The chapters of a report on the project as a whole, as Markdown. Pure."""

from collections.abc import Iterator
from typing import Final

from actors.agents.kit.outcome import Finding
from actors.agents.kit.untrusted import code, escaped
from actors.agents.research.dependency_messages import Dependencies, Package
from actors.agents.research.inventory_messages import Inventory
from actors.agents.research.messages import ProjectReport
from actors.agents.research.project import CODE, FINDING, said

APART: Final = frozenset({FINDING, CODE})
"""Topics of evidence that have a chapter of their own."""

_ROWS: Final = 40
_LINES: Final = 10


def chapters(report: ProjectReport) -> Iterator[str]:
    """Findings first, then what there is, dependencies, and what was not done."""
    yield from _findings(report)
    if report.inventory is not None:
        yield from _inventory(report.inventory)
    if report.dependencies is not None and report.dependencies.packages:
        yield from _dependencies(report.dependencies)
    if report.search is not None and report.search.hits:
        yield from _search(report)
    yield from _skipped(report)
    if report.issues:
        yield from _issues(report)


def _findings(report: ProjectReport) -> Iterator[str]:
    if report.inventory is None and report.dependencies is None:
        return
    yield "## Findings"
    yield ""
    cited = {e.statement: e.id for e in report.evidence if e.topic == FINDING}
    for finding in report.findings[:_ROWS]:
        yield _finding(finding, cited.get(said(finding)))
    if len(report.findings) > _ROWS:
        yield f"- … and {len(report.findings) - _ROWS} more."
    if not report.findings:
        yield "None."
    yield ""


def _finding(finding: Finding, evidence: str | None) -> str:
    where = f" {code(str(finding.place))}" if finding.place is not None else ""
    cite = f" [{evidence}]" if evidence else ""
    rule = f"{finding.level.value} ({escaped(finding.tool, 40)} {escaped(finding.rule, 40)})"
    return f"- {rule}{where}: {escaped(finding.message)}{cite}"


def _inventory(inventory: Inventory) -> Iterator[str]:
    yield "## Inventory"
    yield ""
    yield escaped(inventory.summary)
    yield ""
    for entry in inventory.entry_points[:_LINES]:
        yield f"- begins: {code(entry.name)} ({entry.kind}), {code(entry.target)}"
    for hot in inventory.hotspots[:_LINES]:
        yield f"- changes often: {code(hot.path)}, {hot.commits} commits, {hot.lines} lines"
    for note in inventory.reminders[:_LINES]:
        yield f"- left for later: {code(str(note.place))} {note.word} {escaped(note.text)}"
    yield ""


def _dependencies(dependencies: Dependencies) -> Iterator[str]:
    yield "## Dependencies"
    yield ""
    yield escaped(dependencies.summary)
    yield ""
    yield "| distribution | version | declared | licence | verdict |"
    yield "| --- | --- | --- | --- | --- |"
    direct = [package for package in dependencies.packages if package.scopes]
    for package in direct[:_ROWS]:
        yield _row(package)
    if len(direct) > _ROWS:
        yield f"| … and {len(direct) - _ROWS} more | | | | |"
    yield ""


def _row(package: Package) -> str:
    cells = (
        package.name,
        package.version or "unknown",
        ", ".join(package.scopes),
        package.licence or "unknown",
        package.verdict.value,
    )
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"


def _search(report: ProjectReport) -> Iterator[str]:
    """The lines that fit best, and their evidence in the same order."""
    search = report.search
    cited = [e.id for e in report.evidence if e.topic == CODE]
    yield "## In the code"
    yield ""
    for hit, evidence in zip(search.hits[:_LINES] if search else (), cited, strict=False):
        inside = f" in {code(hit.inside)}" if hit.inside else ""
        yield f"- {code(str(hit.place))}{inside}: {code(hit.text.strip())} [{evidence}]"
    yield ""


def _issues(report: ProjectReport) -> Iterator[str]:
    yield "## Issues"
    yield ""
    for issue in report.issues:
        when = "opened" if issue.is_new else "open already"
        yield f"- {escaped(issue.issue_id)} ({when}): {escaped(issue.title)}"
    yield ""


def _skipped(report: ProjectReport) -> Iterator[str]:
    if not report.skipped:
        return
    yield "## What was skipped"
    yield ""
    for entry in report.skipped:
        yield f"- {escaped(str(entry), 600)}."
    yield ""
