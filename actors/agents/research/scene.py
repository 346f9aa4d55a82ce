"""What candidates are judged against: the question, the project, and what rules one out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from actors.agents.research.facts import Analysis, Candidate
from actors.agents.research.messages import Criterion, Use
from actors.agents.research.pythons import accepted
from actors.agents.research.words import question_words

RETIRED: Final = frozenset({"archived", "deprecated", "quarantined"})
_ASYNC_WORDS: Final = frozenset({"async", "asyncio", "asynchronou", "trio", "anyio"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The question and the project, with what follows from them."""

    question: str
    names: tuple[str, ...]
    analysis: Analysis
    uses: dict[str, Use]
    as_of: datetime

    @property
    def words(self) -> tuple[str, ...]:
        words = question_words(self.question, without=self.names)
        return tuple(word for word in words if word not in _ASYNC_WORDS)

    @property
    def wants_async(self) -> bool:
        return not _ASYNC_WORDS.isdisjoint(question_words(self.question))

    @property
    def runtime(self) -> str:
        """The event loop that counts: the question's, else the one the project imports more."""
        asked = question_words(self.question)
        for name in ("trio", "asyncio"):
            if name in asked:
                return name
        files = {i.module: i.files for i in self.analysis.imports}
        return "trio" if files.get("trio", 0) > files.get("asyncio", 0) else "asyncio"

    @property
    def pythons(self) -> tuple[str, ...] | None:
        return accepted(self.analysis.requires_python)


def criteria_for(scene: Scene, weights: Mapping[Criterion, float]) -> tuple[Criterion, ...]:
    """Those that count: with a weight, and async fit only where the question is about async."""
    return tuple(
        criterion
        for criterion in Criterion
        if weights[criterion] > 0 and (criterion is not Criterion.ASYNC_FIT or scene.wants_async)
    )


def blockers(candidate: Candidate, scene: Scene) -> tuple[str, ...]:
    """What keeps a candidate from being recommended whatever it scores."""
    found = []
    releases = candidate.releases
    if candidate.found == "absent" and candidate.installed is None:
        found.append("not on the configured index")
    if releases is not None:
        if releases.status in RETIRED:
            found.append(f"{releases.status} by its maintainers or the index")
        if releases.yanked == releases.count:
            found.append("every version is yanked")
        pythons, wanted = accepted(releases.requires_python), scene.pythons
        if pythons is not None and wanted and not set(pythons) & set(wanted):
            found.append(f"{releases.version} runs on none of the project's Pythons")
    return tuple(found)
