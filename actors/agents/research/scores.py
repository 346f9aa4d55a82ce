"""The criteria: each turns facts about a candidate into a score from 0 to 1 and a reason. Pure.

A score of None means that the fact is unknown. It is then left out of the mean and lowers the
confidence: not knowing is not the same as being bad. The scales are stated beside each criterion;
they are conventions, and the weights are the caller's.
"""

from collections.abc import Callable
from typing import Final

from actors.agents.research.evidence import Ledger
from actors.agents.research.facts import Candidate
from actors.agents.research.licences import KIND, permissiveness
from actors.agents.research.messages import Cell, Criterion
from actors.agents.research.metadata import needed_on
from actors.agents.research.pythons import KNOWN, accepted, at_least, newest_for, span
from actors.agents.research.scene import RETIRED, Scene
from actors.agents.research.statements import counted, day

Judgement = tuple[float | None, str, tuple[str, ...]]  # score, reason, topics of the evidence

_FRESH_DAYS: Final = 180
_STALE_DAYS: Final = 1_095
_CADENCE: Final = (0.0, 0.3, 0.5, 0.6, 0.8, 0.8)  # by releases in 24 months; six or more: 1.0
_STATUS: Final = {1: 0.0, 2: 0.1, 3: 0.3, 4: 0.6, 5: 1.0, 6: 1.0, 7: 0.0}
_STATUS_NAMES: Final = {
    1: "planning", 2: "pre-alpha", 3: "alpha", 4: "beta", 5: "stable", 6: "mature", 7: "inactive",
}  # fmt: skip
_GROWN_YEARS: Final = 5.0
_PLATFORMS: Final = 3  # linux, macos, windows
_BUILT_FROM_SOURCE: Final = 0.2
_NEW_DEPENDENCY: Final = 0.1  # what each one that the project does not have yet costs
_ONLY_DESCRIBED: Final = 0.6  # a word of the question that only the long description has
_DEFAULT_PYTHON: Final = "3.12"  # for markers, when the project names no Python


def judge(candidate: Candidate, criterion: Criterion, scene: Scene, ledger: Ledger) -> Cell:
    """One cell of the matrix; whatever its reason claims is cited."""
    score, reason, topics = _JUDGES[criterion](candidate, scene)
    return Cell(
        candidate=candidate.name,
        criterion=criterion,
        score=None if score is None else round(min(1.0, max(0.0, score)), 3),
        reason=reason,
        evidence=(
            *ledger.cite(candidate.name, *topics),
            *ledger.cite("repository", *topics),
        ),
    )


def _relevance(candidate: Candidate, scene: Scene) -> Judgement:
    """The share of the question's words that the metadata has."""
    if not scene.words:
        return None, "the question has no word to look for", ()
    if candidate.metadata is None:
        return None, "no metadata", ()
    where = candidate.metadata.question_words
    found = [word for word in scene.words if word in where]
    points = sum(_ONLY_DESCRIBED if where[w] == "description" else 1.0 for w in found)
    missing = [word for word in scene.words if word not in where]
    parts = [f"{word} in its {where[word]}" for word in found]
    parts += [f"nothing on {', '.join(missing)}"] if missing else []
    return points / len(scene.words), "; ".join(parts), ("words",)


def _maintenance(candidate: Candidate, scene: Scene) -> Judgement:
    """1 up to half a year after the last release, then falling to 0 at three years."""
    releases = candidate.releases
    if releases is not None and releases.status in RETIRED:
        return 0.0, f"{releases.status}", ("status",)
    if releases is None or releases.released_at is None:
        return None, "the date of its last release is unknown", ()
    days = max(0, (scene.as_of - releases.released_at).days)
    score = 1 - (days - _FRESH_DAYS) / (_STALE_DAYS - _FRESH_DAYS)
    ago = counted(days, "day") + " ago"
    return score, f"last release {day(releases.released_at)}, {ago}", ("releases",)


def _cadence(candidate: Candidate, _: Scene) -> Judgement:
    """By the number of releases in 24 months: 1 gives 0.3, 3 give 0.6, six or more give 1."""
    if candidate.releases is None or candidate.releases.in_24_months is None:
        return None, "the dates of its releases are unknown", ()
    number = candidate.releases.in_24_months
    score = _CADENCE[number] if number < len(_CADENCE) else 1.0
    return score, f"{counted(number, 'release')} in 24 months", ("releases",)


def _python(candidate: Candidate, scene: Scene) -> Judgement:
    """The share of the project's Pythons that the latest version accepts."""
    wanted = scene.pythons
    if not wanted:
        return None, "the project states no Python requirement that could be compared", ()
    if candidate.releases is None:
        return None, "its required Python is unknown", ()
    stated = candidate.releases.requires_python
    pythons = accepted(stated)
    topics: tuple[str, ...] = ("python",)
    if pythons is None:
        claimed = candidate.metadata.pythons if candidate.metadata else ()
        if not claimed:
            return None, "it states no required Python", topics
        pythons, stated = claimed, f"claims {', '.join(claimed)} by classifier"
        topics = ("python", "classifiers")
    missing = tuple(python for python in wanted if python not in pythons)
    if not missing:
        return 1.0, f"{stated} covers the project's {scene.analysis.requires_python}", topics
    reason = f"{stated} leaves out the project's {', '.join(missing)}"
    older = newest_for(missing[0], candidate.releases.python_bounds)
    if older is not None and older != candidate.releases.version:
        reason += f" (newest for {missing[0]}: {older})"
    return 1 - len(missing) / len(wanted), reason, topics


def _wheels(candidate: Candidate, scene: Scene) -> Judgement:
    """1 for a wheel that fits everywhere, else the share of platforms times that of Pythons."""
    offered = candidate.artefacts
    if offered is None:
        return None, "what it offers is unknown", ()
    if offered.universal:
        return 1.0, "one wheel for all platforms", ("artefacts",)
    if not offered.wheels:
        score = _BUILT_FROM_SOURCE if offered.sdist else 0.0
        return score, "no wheel: built on every machine", ("artefacts",)
    wanted = scene.pythons or offered.pythons or KNOWN[-1:]
    covered = set(offered.pythons) & set(wanted)
    if offered.stable_abi_from:
        covered |= set(at_least(offered.stable_abi_from, wanted))
    missing = [python for python in wanted if python not in covered]
    reason = f"wheels on {', '.join(offered.platforms) or 'other platforms'}"
    reason += f", none for Python {', '.join(missing)}" if missing else f" for {span(wanted)}"
    score = len(offered.platforms) / _PLATFORMS * len(covered) / len(wanted)
    return score, reason, ("artefacts",)


def _licence(candidate: Candidate, _: Scene) -> Judgement:
    """1 permissive, 0.6 weak copyleft, 0.2 strong copyleft."""
    if candidate.metadata is None or candidate.metadata.licence is None:
        return None, "no licence is stated", ("licence",)
    stated = candidate.metadata.licence
    grade = permissiveness(stated)
    if grade is None:
        return None, f"{stated}: not a licence that is known here", ("licence",)
    return grade, f"{stated} ({KIND[grade]})", ("licence",)


def _dependencies(candidate: Candidate, scene: Scene) -> Judgement:
    """1 minus 0.1 for each direct dependency that the project does not declare yet."""
    if candidate.metadata is None:
        return None, "its dependencies are unknown", ()
    python = scene.pythons[0] if scene.pythons else _DEFAULT_PYTHON
    needed = [n for n in needed_on(candidate.metadata.dependencies, python) if n != candidate.name]
    declared = {
        dependency.name
        for manifest in scene.analysis.manifests
        if manifest.ecosystem == "python"
        for dependency in manifest.dependencies
        if dependency.scope == "runtime"
    }
    new = [name for name in needed if name not in declared]
    if not needed:
        reason = "requires nothing"
    else:
        adds = f"adds {', '.join(new)}" if new else "adds none"
        reason = f"requires {counted(len(needed), 'distribution')}, {adds} to the project's own"
    topics: tuple[str, ...] = ("dependencies",)
    if candidate.contents is not None and candidate.contents.installed_bytes:
        reason += f"; {candidate.contents.installed_bytes / 1_000_000:.1f} MB installed"
        topics = ("dependencies", "contents")
    return 1 - _NEW_DEPENDENCY * len(new), reason, topics


def _maturity(candidate: Candidate, scene: Scene) -> Judgement:
    """The mean of the claimed development status and the age, which is full at five years."""
    scores, parts, topics = [], [], []
    status = candidate.metadata.development_status if candidate.metadata else None
    if status is not None:
        scores.append(_STATUS[status])
        parts.append(f"claims to be {_STATUS_NAMES[status]}")
        topics.append("classifiers")
    first = candidate.releases.first_at if candidate.releases else None
    if first is not None:
        years = (scene.as_of - first).days / 365.25
        scores.append(min(1.0, years / _GROWN_YEARS))
        parts.append(f"first release {years:.1f} years ago")
        topics.append("releases")
    if candidate.releases is not None and not candidate.releases.stable:
        scores.append(0.0)
        parts.append("pre-releases only")
        topics.append("releases")
    if not scores:
        return None, "neither a status nor an age is known", ()
    return sum(scores) / len(scores), ", ".join(parts), tuple(topics)


def _typed(candidate: Candidate, _: Scene) -> Judgement:
    """1 with a py.typed marker or the classifier, 0 where a look inside found neither."""
    if candidate.contents is not None and candidate.contents.typed:
        return 1.0, "py.typed is inside", ("contents",)
    if candidate.metadata is not None and candidate.metadata.typed:
        return 1.0, "claims to be typed", ("classifiers",)
    if candidate.contents is not None:
        return 0.0, "no py.typed inside", ("contents",)
    return None, "nobody looked inside, and it claims nothing", ()


def _async_fit(candidate: Candidate, scene: Scene) -> Judgement:
    """1 when built for the event loop in question, less for weaker signs, 0.1 for silence."""
    if candidate.metadata is None:
        return None, "no metadata", ()
    signals = candidate.metadata.async_signals
    runtime = scene.runtime
    loops = {"trio": ("trio", "anyio"), "asyncio": ("asyncio", "anyio", "async")}[runtime]
    built = [s for s in signals if not s.startswith("description") and _names(s, loops)]
    topics = ("async", "imports") if runtime == "trio" else ("async",)
    if built:
        return 1.0, f"{built[0]}", topics
    told = [s for s in signals if _names(s, loops)]
    if told:
        return 0.6, f"{told[0]} and nothing stronger", topics
    if runtime == "trio" and any(_names(s, ("asyncio",)) for s in signals):
        return 0.3, "made for asyncio: from trio it needs a bridge such as trio-asyncio", topics
    if signals:
        return 0.3, f"{signals[0]}, nothing on {runtime}", topics
    return 0.1, f"its metadata says nothing on async or {runtime}", topics


def _names(signal: str, loops: tuple[str, ...]) -> bool:
    return any(signal.lower().endswith(loop) for loop in loops)


def _in_use(candidate: Candidate, scene: Scene) -> Judgement:
    """1 declared for run time and imported, 0.8 one of the two, 0.5 for development only."""
    use = scene.uses[candidate.name]
    files = f"imported in {counted(use.imported_files, 'file')}"
    match use.runtime, bool(use.imported_files), bool(use.declared):
        case True, True, _:
            return 1.0, f"declared and {files}", ("use",)
        case True, False, _:
            return 0.8, "declared, but not imported", ("use",)
        case False, True, False:
            return 0.8, f"{files}, but not declared", ("use",)
        case False, _, True:
            return 0.5, f"declared outside run time ({', '.join(use.declared)})", ("use",)
        case _:
            return 0.0, "not in use", ("use",)


_JUDGES: Final[dict[Criterion, Callable[[Candidate, Scene], Judgement]]] = {
    Criterion.RELEVANCE: _relevance,
    Criterion.MAINTENANCE: _maintenance,
    Criterion.CADENCE: _cadence,
    Criterion.PYTHON: _python,
    Criterion.WHEELS: _wheels,
    Criterion.LICENCE: _licence,
    Criterion.DEPENDENCIES: _dependencies,
    Criterion.MATURITY: _maturity,
    Criterion.TYPED: _typed,
    Criterion.ASYNC_FIT: _async_fit,
    Criterion.IN_USE: _in_use,
}
