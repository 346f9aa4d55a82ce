"""What a person is told of a feature: before it is built, and when it has come to an end. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from actors.agents.documentation.messages import DocumentationReport
from actors.agents.feature.messages import Feature, FeatureRequest, Stage
from actors.agents.kit.outcome import Outcome
from actors.agents.kit.untrusted import code, escaped, plain
from actors.agents.poc.messages import Packaged
from actors.agents.research.messages import ProjectReport, Report
from actors.agents.validation.messages import Validation, Verdict
from actors.workflows.gates import Decision

SHOWN: Final = 20
"""Names of files that a proposal lists."""

SHOWN_CHARACTERS: Final = 20_000
"""Of a patch, or of what somebody is asked to do."""

OWN: Final = "a branch of its own"


@dataclass(slots=True)
class Course:
    """What the stages have come to; None of those that were not reached."""

    found: ProjectReport | Report | None = None
    tried: Packaged | None = None
    judged: Validation | None = None
    written: DocumentationReport | None = None
    decisions: list[Decision] = field(default_factory=list)

    @property
    def stage(self) -> Stage:
        if self.written is not None:
            return Stage.DOCUMENTATION
        if self.judged is not None:
            return Stage.VALIDATION
        return Stage.RESEARCH if self.tried is None else Stage.POC

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What has findings and files, in order."""
        parts = (self.tried, self.judged, self.written)
        return tuple(part for part in parts if part is not None)

    @property
    def commit(self) -> str:
        """The tip of the branch."""
        if self.written is not None and self.written.update and self.written.update.commit:
            return self.written.update.commit
        return "" if self.tried is None else self.tried.commit


def proposal(request: FeatureRequest, found: ProjectReport | Report) -> str:
    """What a person reads before anything is built: what is to be done, and what is known."""
    lines = "\n".join(f"- {line}" for line in _wanted(request))
    return f"## What is to be done\n\n{lines}\n\n{_seen(request)}\n\n{found.markdown}"


def _seen(request: FeatureRequest) -> str:
    """Which files the report is about: research reads the user's own, at whatever they are."""
    return (
        "The report below is on the work tree of the repository as it was when research read it, "
        f"with changes that are not committed. The change is made from {_start(request)}."
    )


def _start(request: FeatureRequest) -> str:
    if request.branch is None:
        return code(request.ref)
    return f"{code(request.branch)}, or where there is none from {code(request.ref)}"


def _wanted(request: FeatureRequest) -> Iterator[str]:
    if request.patch:
        yield "a patch is applied:" + _block(request.patch)
    if request.files:
        names = sorted(request.files)
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield f"files are written: {', '.join(code(name) for name in names[:SHOWN])}{more}"
    if request.template is not None:
        yield f"the template {code(request.template.name)} is filled in"
    who = code(request.preset) if request.preset else "the command agent"
    if request.prompt:
        yield f"{who} is asked:" + _block(request.prompt)
    if request.command:
        yield f"this is run: {code(' '.join(request.command))}"
    yield f"from {code(request.ref)}, on {code(request.branch) if request.branch else OWN}"


def _block(text: str) -> str:
    """A text as it is, inside a list: indented, so that nothing in it ends the block."""
    lines = text[:SHOWN_CHARACTERS].replace("\0", "").splitlines()
    more = ["…"] if len(text) > SHOWN_CHARACTERS else []
    return "\n\n" + "\n".join(f"      {line}" for line in (*lines, *more)) + "\n"


def report(request: FeatureRequest, course: Course) -> Feature:
    """What it came to, and how far it got."""
    tried, judged, written = course.tried, course.judged, course.written
    lines = list(_lines(course))
    return Feature(
        summary=_summary(course, lines[-1]),
        findings=tuple(one for part in course.outcomes for one in part.findings),
        artifacts=tuple(one for part in course.outcomes for one in part.artifacts),
        skipped=tuple(one for part in course.outcomes for one in part.skipped),
        done=written is not None,
        stage=course.stage,
        decisions=tuple(course.decisions),
        branch="" if tried is None else tried.branch,
        base="" if tried is None else tried.base,
        commit=course.commit,
        verdict=None if judged is None else judged.verdict,
        documented=None if written is None else written.passed,
        markdown=_markdown(request, course, lines),
    )


def _verdict(course: Course) -> str:
    if course.written is not None:
        return "Done"
    if course.decisions and not course.decisions[-1].approved:
        return "Not wanted"
    return "Not done"


def _summary(course: Course, last: str) -> str:
    if course.tried is None or course.judged is None or course.written is None:
        return f"{_verdict(course)}: {last}"
    how = "has passed validation"
    if course.judged.verdict is not Verdict.PASS:
        how = f"was accepted by {plain(course.decisions[-1].by, 200) or 'somebody'}"
    more = "" if course.written.passed else ", about which there is more to mend"
    branch = plain(course.tried.branch, 250)
    return f"Done: {branch} {how}, and its documents tell of it{more}."


def _lines(course: Course) -> Iterator[str]:
    """A sentence on each stage that was reached, and on each word of a person, in order."""
    yield from _told("Research", course.found)
    yield from map(_of, course.decisions[:1])
    yield from _told("Proof of concept", course.tried)
    yield from _told("Validation", course.judged)
    yield from map(_of, course.decisions[1:])
    yield from _told("Documentation", course.written)


def _told(stage: str, came_to: Outcome | ProjectReport | Report | None) -> Iterator[str]:
    if came_to is not None:
        yield f"{stage}: {escaped(came_to.summary, 400)}"


def _of(decision: Decision) -> str:
    by = f" by {escaped(decision.by, 200)}" if decision.by else ""
    why = f": {escaped(decision.why, 1_000)}" if decision.why else ""
    return f"{'Approved' if decision.approved else 'Rejected'}{by}{why}"


def _markdown(request: FeatureRequest, course: Course, lines: list[str]) -> str:
    parts = [f"# {escaped(request.title)}", f"{_verdict(course)}."]
    parts.append("\n".join(f"- {line}" for line in lines))
    if course.tried is not None:
        parts.append(f"The change is on {code(course.tried.branch)}, at {code(course.commit)}.")
    if course.tried is not None and course.tried.diffstat.strip():
        parts.append(f"```\n{course.tried.diffstat.strip().replace('```', '')}\n```")
    return "\n\n".join(parts) + "\n"
