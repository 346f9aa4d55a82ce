"""What a report says of the project as a whole, beside the candidates. Pure.

The inventory's and the dependencies' facts are entered in the report's own ledger, so that they are
cited as all others are.
"""

from datetime import datetime
from typing import Final

from actors.agents.kit.followups import FollowUp
from actors.agents.kit.outcome import Finding, Level, Outcome, Skipped
from actors.agents.research.choice import declared_names
from actors.agents.research.evidence import Ledger
from actors.agents.research.messages import ProjectReport, SynthesiseRequest
from actors.agents.research.statements import counted

FINDING: Final = "finding"
CODE: Final = "code"
NOT_COMPARED: Final = "nothing was compared"

_MAX_DECLARED: Final = 10


def parts(request: SynthesiseRequest) -> tuple[tuple[Outcome, datetime], ...]:
    """The parts of the project that were looked at, and when."""
    found = (request.inventory, request.dependencies, request.vulnerabilities)
    return tuple((part, part.retrieved_at) for part in found if part is not None)


def state_project(request: SynthesiseRequest, ledger: Ledger) -> None:
    """Enters what was seen of the project, and each finding; the analysis has the languages."""
    for part, at in parts(request):
        found = {finding.message for finding in part.findings}
        for entry in part.evidence:
            if entry.statement not in found and entry.source != request.analysis.listed_by:
                ledger.enter(
                    "repository", "whole", source=entry.source, at=at, statement=entry.statement
                )
        for finding in part.findings:
            ledger.enter(
                "repository",
                FINDING,
                source=finding.tool,
                at=at,
                statement=said(finding),
            )
    for entry in request.search.evidence if request.search is not None else ():
        ledger.enter(
            "repository", CODE, source=entry.source, at=request.as_of, statement=entry.statement
        )


def said(finding: Finding) -> str:
    where = f"{finding.place}: " if finding.place is not None else ""
    return f"{finding.level} {finding.rule}: {where}{finding.message}"


def findings(request: SynthesiseRequest) -> tuple[Finding, ...]:
    """What is wrong, the worst first."""
    order = list(Level)
    found = [finding for part, _ in parts(request) for finding in part.findings]
    return tuple(sorted(found, key=lambda finding: order.index(finding.level)))


def skipped(request: SynthesiseRequest) -> tuple[Skipped, ...]:
    searched = request.search.skipped if request.search is not None else ()
    return (*(entry for part, _ in parts(request) for entry in part.skipped), *searched)


def follow_ups(report: ProjectReport) -> tuple[FollowUp, ...]:
    """An issue for each error: the same title whenever it is found again."""
    return tuple(
        FollowUp(
            title=f"{finding.rule}: {finding.message}",
            description=f"Found by {finding.tool}"
            + (f" in {finding.place}." if finding.place is not None else "."),
        )
        for finding in report.findings
        if finding.level is Level.ERROR
    )


def without_candidates(request: SynthesiseRequest) -> str:
    """What is recommended when there was nothing to compare."""
    declared = ", ".join(declared_names(request.analysis)[:_MAX_DECLARED]) or "none"
    return (
        "No library was compared: none was named, and no dependency of the project matches the "
        f"question (declared: {declared})."
    )


def standing(request: SynthesiseRequest) -> str:
    """In a sentence how the project stands; empty where it was not looked at."""
    found = findings(request)
    if not parts(request):
        return ""
    errors = sum(finding.level is Level.ERROR for finding in found)
    return f"In the project: {counted(len(found), 'finding')}, {counted(errors, 'error')}."


def questions(request: SynthesiseRequest) -> tuple[str, ...]:
    """What the findings leave open."""
    asked = []
    if not request.discovery.candidates:
        asked.append(
            "Which libraries are worth comparing? Name them, e.g. candidates=aiosqlite,apsw."
        )
    asked += [
        f"{said(finding)} What is to be done about it?"
        for finding in findings(request)
        if finding.level is Level.ERROR
    ]
    return tuple(asked)
