"""Writes a report as Markdown. Pure.

All that came from an index or a repository is escaped here, at the last moment, so that the model
holds it as plain text. Every line that claims something ends with the ids of its evidence.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from actors.agents.kit.untrusted import code, escaped
from actors.agents.research.facts import Candidate, Gap
from actors.agents.research.messages import LABELS, Cell, Claim, ProjectReport
from actors.agents.research.project_page import APART, chapters
from actors.agents.research.statements import counted, day

_WIDE: Final = 6  # with more candidates the matrix is turned round
_QUESTION_CHARACTERS: Final = 2_000
_LINE_CHARACTERS: Final = 900


def render(report: ProjectReport) -> str:
    """The whole document; it ends with a newline."""
    lines = [
        *_head(report),
        *_ranking(report),
        *_matrix(report),
        *_claims("How the candidates relate", report.relations),
        *_sensitivity(report),
        *_candidates(report),
        *_repository(report),
        *chapters(report),
        *_questions(report),
        *_gaps(report.gaps),
        *_evidence(report),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _head(report: ProjectReport) -> Iterator[str]:
    yield f"# {escaped(report.question, _QUESTION_CHARACTERS)}"
    yield ""
    number = counted(len(report.candidates), "candidate")
    yield (f"As of {day(report.as_of)} · {number} · confidence {report.confidence:.2f}")
    yield ""
    first = [ranked.candidate for ranked in report.ranking[:1]]
    cited = [cell for cell in report.matrix if cell.candidate in first]
    evidence = list(dict.fromkeys(e for cell in cited for e in cell.evidence))
    yield f"**{escaped(report.recommendation, _LINE_CHARACTERS)}**{cites(evidence)}"
    yield ""
    for claim in report.reasons:
        yield f"- {escaped(claim.text, _LINE_CHARACTERS)}{cites(claim.evidence)}"
    if report.reasons:
        yield ""
    if report.prose is not None:  # escaped already, as it comes
        yield f"In the words of a language model, of these facts:\n\n{report.prose}"
        yield ""
    yield f"Confidence: {escaped(report.confidence_reason, _LINE_CHARACTERS)}."
    yield ""


def _ranking(report: ProjectReport) -> Iterator[str]:
    if not report.ranking:
        return
    found = {candidate.name: candidate for candidate in report.discovery}
    yield "## Ranking"
    yield ""
    yield "| # | candidate | version | released | score | facts known | obstacles |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for ranked in report.ranking:
        version, released = _version(found[ranked.candidate])
        score = _score(ranked.score)
        obstacles = escaped("; ".join(ranked.blockers)) or "none"
        yield (
            f"| {ranked.rank} | {escaped(ranked.candidate)} | {version} | {released} | {score} "
            f"| {ranked.known:.0%} | {obstacles} |"
        )
    yield ""


def _version(candidate: Candidate) -> tuple[str, str]:
    if candidate.releases is not None:
        released = candidate.releases.released_at
        return escaped(candidate.releases.version), day(released) if released else "unknown"
    if candidate.installed is not None:
        return f"{escaped(candidate.installed.version)} (installed)", "unknown"
    return "unknown", "unknown"


def _matrix(report: ProjectReport) -> Iterator[str]:
    if not report.ranking:
        return
    criteria = list(report.weights)
    names = [ranked.candidate for ranked in report.ranking]
    scores = {(cell.candidate, cell.criterion): _score(cell.score) for cell in report.matrix}
    yield "## Comparison"
    yield ""
    yield "Scores run from 0 to 1; a question mark is a fact that is not known and does not count."
    yield ""
    if len(names) <= _WIDE:
        yield _row(["criterion", "weight", *names])
        yield _row(["---"] * (len(names) + 2))
        for criterion in criteria:
            weight = f"{report.weights[criterion]:g}"
            yield _row([LABELS[criterion], weight, *(scores[name, criterion] for name in names)])
    else:
        yield _row(["candidate", *(f"{LABELS[c]} ({report.weights[c]:g})" for c in criteria)])
        yield _row(["---"] * (len(criteria) + 1))
        for name in names:
            yield _row([name, *(scores[name, criterion] for criterion in criteria)])
    yield ""


def _claims(title: str, claims: Iterable[Claim]) -> Iterator[str]:
    lines = [f"- {escaped(c.text, _LINE_CHARACTERS)}{cites(c.evidence)}" for c in claims]
    if lines:
        yield f"## {title}"
        yield ""
        yield from lines
        yield ""


def _sensitivity(report: ProjectReport) -> Iterator[str]:
    if len(report.candidates) <= 1:
        return
    if report.sensitivity:
        yield from _claims("What the order hangs on", report.sensitivity)
        return
    yield "## What the order hangs on"
    yield ""
    yield "No single criterion: the first place stays the same whichever one is left out."
    yield ""


def _candidates(report: ProjectReport) -> Iterator[str]:
    found = {candidate.name: candidate for candidate in report.discovery}
    for ranked in report.ranking:
        candidate = found[ranked.candidate]
        yield f"## {escaped(candidate.name)}"
        yield ""
        summary = candidate.metadata.summary if candidate.metadata else None
        if summary:
            about = [e for e in report.evidence if e.subject == candidate.name]
            told = [e.id for e in about if e.topic == "summary"]
            yield f"“{escaped(summary)}”{cites(told)}"
            yield ""
        for cell in report.matrix:
            if cell.candidate == candidate.name:
                yield _reason(cell)
        for evidence in report.evidence:
            if evidence.subject == candidate.name and evidence.topic in _REMARKS:
                yield f"- {escaped(evidence.statement, _LINE_CHARACTERS)}{cites([evidence.id])}"
        yield ""


_REMARKS: Final = frozenset({"absent", "prerelease", "installed", "sources"})


def _reason(cell: Cell) -> str:
    reason = escaped(cell.reason, _LINE_CHARACTERS)
    return f"- {LABELS[cell.criterion]} {_score(cell.score)}: {reason}{cites(cell.evidence)}"


def _repository(report: ProjectReport) -> Iterator[str]:
    yield "## The project"
    yield ""
    shown = [e for e in report.evidence if e.subject == "repository" and e.topic not in APART]
    for evidence in shown:
        yield f"- {escaped(evidence.statement, _LINE_CHARACTERS)}{cites([evidence.id])}"
    for evidence in report.evidence:
        if evidence.topic == "use":
            yield f"- {escaped(evidence.statement, _LINE_CHARACTERS)}{cites([evidence.id])}"
    skipped = ", ".join(f"{n} {reason}" for reason, n in report.repository.skipped.items())
    if skipped:
        yield f"- Files not read: {escaped(skipped)}."
    yield ""


def _questions(report: ProjectReport) -> Iterator[str]:
    if not report.open_questions:
        return
    yield "## Open questions"
    yield ""
    for number, question in enumerate(report.open_questions, start=1):
        yield f"{number}. {escaped(question, _LINE_CHARACTERS)}"
    yield ""


def _gaps(gaps: Sequence[Gap]) -> Iterator[str]:
    if not gaps:
        return
    subjects: dict[tuple[str, str], list[str]] = defaultdict(list)
    for gap in gaps:
        subjects[gap.what, gap.why].append(gap.subject)
    yield "## What could not be looked up"
    yield ""
    for (what, why), names in subjects.items():
        about = escaped(", ".join(names), _LINE_CHARACTERS)
        yield f"- For {about}: {escaped(what)}. {escaped(_sentence(why), _LINE_CHARACTERS)}"
    yield ""


def _evidence(report: ProjectReport) -> Iterator[str]:
    """The evidence by source, because many facts come from one file."""
    sources: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in report.evidence:
        at = entry.retrieved_at.strftime("%Y-%m-%d %H:%M UTC")
        line = f"- [{entry.id}] {escaped(entry.statement, _LINE_CHARACTERS)}"
        sources[entry.source, at].append(line)
    yield "## Evidence"
    yield ""
    for (source, at), lines in sources.items():
        yield f"{code(source, 500)}, read {at}:"
        yield ""
        yield from lines
        yield ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…")) else ".")


def cites(ids: Iterable[str]) -> str:
    """The citation that closes a line, or nothing where there is no evidence."""
    listed = ", ".join(sorted(ids, key=lambda id_: int(id_[1:])))
    return f" [{listed}]" if listed else ""


def _score(score: float | None) -> str:
    return "?" if score is None else f"{score:.2f}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
