"""Draws the conclusion: matrix, ranking, recommendation, and what remains open.

Pure and deterministic: the same facts give the same report, to the letter. Nothing here looks
anything up, and every claim cites the evidence it rests on.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from actors.agents.kit.untrusted import plain
from actors.agents.research.evidence import Ledger
from actors.agents.research.facts import PACKAGE_INDEX, Candidate, Gap
from actors.agents.research.messages import (
    DEFAULT_WEIGHTS,
    LABELS,
    Cell,
    Claim,
    Criterion,
    ProjectReport,
    Ranked,
    SynthesiseRequest,
)
from actors.agents.research.project import (
    NOT_COMPARED,
    findings,
    questions,
    skipped,
    standing,
    state_project,
    without_candidates,
)
from actors.agents.research.ranking import changes, confidence, is_tie, rank
from actors.agents.research.relations import relations
from actors.agents.research.report import render
from actors.agents.research.scene import Scene, blockers, criteria_for
from actors.agents.research.scores import judge
from actors.agents.research.statements import counted
from actors.agents.research.usage import standard_alternatives, state_use, use_of

_SUMMARY_CHARACTERS: Final = 400
_WEAK: Final = 0.5
_TELLING: Final = 0.2  # a weighted difference below it is not worth a sentence
_ALWAYS_UNKNOWN: Final = (
    ("known vulnerabilities", "no advisory source is configured"),
    ("behaviour, speed and how well its API fits", "no code of a candidate was run"),
)


_WITHOUT_INDEX = "Not everything could be asked of the package index, which limits what follows."


def synthesise(request: SynthesiseRequest) -> ProjectReport:
    """Makes the report from what discovery and analysis found."""
    analysis, candidates = request.analysis, request.discovery.candidates
    names = tuple(candidate.name for candidate in candidates)
    ledger = Ledger((*request.discovery.evidence, *analysis.evidence))
    uses = tuple(use_of(candidate, analysis) for candidate in candidates)
    for use in uses:
        state_use(use, analysis, ledger)
    scene = Scene(
        question=request.question,
        names=names,
        analysis=analysis,
        uses={use.candidate: use for use in uses},
        as_of=request.as_of,
    )
    _state_standard_library(scene, ledger)
    state_project(request, ledger)
    related = (*relations(candidates, ledger), *_standard_library(scene, ledger))
    weights = {**DEFAULT_WEIGHTS, **request.weights}
    criteria = criteria_for(scene, weights)
    cells = tuple(judge(c, criterion, scene, ledger) for c in candidates for criterion in criteria)
    blocked = {candidate.name: blockers(candidate, scene) for candidate in candidates}
    ranking = rank(cells, weights, blocked, names)
    hinges = changes(cells, weights, blocked, names) if names else ()
    trust, why = confidence(ranking, len(hinges), len(criteria)) if names else (0.0, NOT_COMPARED)
    recommendation = (
        _recommendation(ranking, candidates, scene) if names else without_candidates(request)
    )
    if any(gap.what == PACKAGE_INDEX for gap in request.discovery.gaps):
        recommendation = f"{_WITHOUT_INDEX} {recommendation}"
    report = ProjectReport(
        question=request.question,
        as_of=request.as_of,
        candidates=names,
        recommendation=recommendation,
        reasons=_reasons(ranking, cells, weights) if names else (),
        summary=_summary(recommendation, trust, standing(request)),
        confidence=trust,
        confidence_reason=why,
        ranking=ranking,
        matrix=cells,
        weights={criterion: weights[criterion] for criterion in criteria},
        relations=related,
        sensitivity=tuple(
            Claim(
                text=(
                    f"Without {LABELS[change.without]}, {change.winner} would be first "
                    f"({change.score:.2f})."
                ),
                evidence=_cited(cells, (ranking[0].candidate, change.winner), change.without),
            )
            for change in hinges
        ),
        open_questions=(
            *(_open_questions(ranking, cells, scene) if names else ()),
            *questions(request),
        ),
        uses=uses,
        discovery=candidates,
        repository=analysis.model_copy(update={"evidence": (), "gaps": ()}),
        evidence=ledger.entries,
        gaps=(*request.discovery.gaps, *analysis.gaps, *(_unknown(request) if names else ())),
        markdown="",
        inventory=request.inventory and request.inventory.model_copy(update={"evidence": ()}),
        dependencies=(
            request.dependencies and request.dependencies.model_copy(update={"evidence": ()})
        ),
        vulnerabilities=(
            request.vulnerabilities and request.vulnerabilities.model_copy(update={"evidence": ()})
        ),
        search=request.search and request.search.model_copy(update={"evidence": ()}),
        findings=findings(request),
        skipped=skipped(request),
        artifacts=(),
        issues=(),
        prose=None,
    )
    return report.model_copy(update={"markdown": render(report)})


def _unknown(request: SynthesiseRequest) -> tuple[Gap, ...]:
    said = dict(_ALWAYS_UNKNOWN)
    if request.vulnerabilities is not None and request.vulnerabilities.advisories:
        said["known vulnerabilities"] = "only what the project uses is held against advisories"
    return tuple(Gap(subject="every candidate", what=what, why=why) for what, why in said.items())


def _summary(recommendation: str, trust: float, project: str) -> str:
    """What is recommended, cut where there is no room, and always how the project stands."""
    rest = f" Confidence {trust:.2f}." + (f" {project}" if project else "")
    return plain(recommendation, _SUMMARY_CHARACTERS - len(rest)) + rest


def _recommendation(
    ranking: Sequence[Ranked], candidates: Sequence[Candidate], scene: Scene
) -> str:
    first = ranking[0]
    title = _title(first.candidate, candidates)
    if first.score is None:
        return "Nothing can be recommended: nothing is known about any candidate."
    if first.blockers:
        obstacles = "; ".join(first.blockers)
        return f"None can be recommended as it is: {title} comes first, but {obstacles}."
    use = scene.uses[first.candidate]
    verb = "Keep" if use.runtime or use.imported_files else "Use"
    if len(ranking) == 1:
        return f"{verb} {title}: it scores {first.score:.2f}; there was nothing to compare it with."
    second = ranking[1]
    if second.score is None or second.blockers:
        return f"{verb} {title}: it scores {first.score:.2f} and the others have obstacles."
    other = _title(second.candidate, candidates)
    if is_tie(first, second):
        return (
            f"{title} and {other} come out equal ({first.score:.2f} and {second.score:.2f}): these "
            "facts do not decide between them, the open questions do."
        )
    return (
        f"{verb} {title}: it scores {first.score:.2f}, {other} comes next with {second.score:.2f}."
    )


def _title(name: str, candidates: Sequence[Candidate]) -> str:
    found = next(candidate for candidate in candidates if candidate.name == name)
    return f"{name} {found.releases.version}" if found.releases else name


def _reasons(
    ranking: Sequence[Ranked], cells: Sequence[Cell], weights: Mapping[Criterion, float]
) -> tuple[Claim, ...]:
    """Where the first and the second differ by enough to matter, the largest difference first."""
    first = ranking[0].candidate
    table = {(cell.candidate, cell.criterion): cell for cell in cells}
    if len(ranking) == 1:
        own = [cell for cell in cells if cell.score is not None]
        weakest = sorted(own, key=lambda cell: (cell.score or 0.0) * weights[cell.criterion])[:3]
        return tuple(_claim(f"Weakest on {LABELS[c.criterion]}: {c.reason}.", c) for c in weakest)
    second = ranking[1].candidate
    found: list[tuple[float, Claim]] = []
    for criterion in dict.fromkeys(cell.criterion for cell in cells):
        ours, theirs = table[first, criterion], table[second, criterion]
        if ours.score is None or theirs.score is None:
            continue
        gain = (ours.score - theirs.score) * weights[criterion]
        if abs(gain) >= _TELLING:
            ahead, behind = (ours, theirs) if gain > 0 else (theirs, ours)
            text = (
                f"{ahead.candidate} is ahead on {LABELS[criterion]}: {ahead.reason}; "
                f"{behind.candidate}: {behind.reason}."
            )
            found.append((gain, _claim(text, ours, theirs)))
    found.sort(key=lambda pair: -abs(pair[0]))
    return tuple(claim for _, claim in found)


def _claim(text: str, *cells: Cell) -> Claim:
    return Claim(text=text, evidence=tuple(dict.fromkeys(e for c in cells for e in c.evidence)))


def _cited(cells: Sequence[Cell], names: Sequence[str], criterion: Criterion) -> tuple[str, ...]:
    wanted = (c for c in cells if c.criterion is criterion and c.candidate in names)
    return tuple(dict.fromkeys(e for cell in wanted for e in cell.evidence))


def _state_standard_library(scene: Scene, ledger: Ledger) -> None:
    for found in standard_alternatives(scene.analysis, scene.words):
        ledger.enter(
            "repository",
            "standard library",
            source="the repository's sources",
            at=scene.analysis.retrieved_at,
            statement=(
                f"The project imports {found.module} of the standard library in "
                f"{counted(found.files, 'file')}, such as {', '.join(found.places)}."
            ),
        )


def _standard_library(scene: Scene, ledger: Ledger) -> tuple[Claim, ...]:
    evidence = ledger.cite("repository", "standard library")
    return tuple(
        Claim(
            text=(
                f"The standard library's {found.module} is in use in "
                f"{counted(found.files, 'file')} already and adds no dependency; it was not "
                "among the candidates."
            ),
            evidence=evidence,
        )
        for found in standard_alternatives(scene.analysis, scene.words)
    )


def _open_questions(
    ranking: Sequence[Ranked], cells: Sequence[Cell], scene: Scene
) -> tuple[str, ...]:
    questions = []
    first = ranking[0].candidate
    for cell in cells:
        if cell.candidate == first and cell.score is not None and cell.score < _WEAK:
            label = LABELS[cell.criterion]
            if cell.criterion is Criterion.IN_USE:
                continue
            questions.append(f"{first} is weak on {label} ({cell.reason}): is that acceptable?")
    for name, use in scene.uses.items():
        if name != first and use.imported_files:
            files = counted(use.imported_files, "file")
            questions.append(
                f"{name} is imported in {files} ({', '.join(use.places)}): is it to be replaced "
                f"by {first}, or do both stay?"
            )
    for ranked in ranking:
        unknown = [
            LABELS[cell.criterion]
            for cell in cells
            if cell.candidate == ranked.candidate and cell.score is None
        ]
        if unknown:
            questions.append(f"For {ranked.candidate} unknown: {', '.join(unknown)}.")
    if len(ranking) > 1:
        questions.append(
            f"Would a proof of concept with {first} and {ranking[1].candidate} on the project's "
            "own workload confirm the order? Nothing was run here."
        )
    return tuple(questions)
