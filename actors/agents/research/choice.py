"""The candidates when nobody named any: the project's own dependencies that match the question.

A dependency matches when a word of the question is in its name or, where the project's environment
has it installed, in its summary. There is no search of an index: candidates are given by name.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio
from packaging.metadata import parse_email

from actors.agents.research.facts import Analysis
from actors.agents.research.installed import installed
from actors.agents.research.messages import MAX_CANDIDATES, candidate_name
from actors.agents.research.words import found, question_words, words_of

_MAX_LOOKED_UP: Final = 200


async def choose_candidates(
    question: str, analysis: Analysis, root: Path | None, sites: Sequence[Path] = ()
) -> tuple[str, ...]:
    """Names of declared dependencies that have to do with the question; empty when none has."""
    shelf = await trio.to_thread.run_sync(installed, root, sites)

    def summary(name: str) -> str:
        copy = shelf.find(name)
        return parse_email(copy.metadata)[0].get("summary", "") if copy else ""

    names = declared_names(analysis)
    return await trio.to_thread.run_sync(matching, question, names, summary)


def declared_names(analysis: Analysis) -> tuple[str, ...]:
    """The Python distributions the project declares, for run time first."""
    declared = [
        (dependency.scope != "runtime", candidate_name(dependency.name))
        for manifest in analysis.manifests
        if manifest.ecosystem == "python"
        for dependency in manifest.dependencies
        if dependency.scope != "build"
    ]
    return tuple(dict.fromkeys(name for _, name in sorted(declared)))


def matching(
    question: str, names: tuple[str, ...], summary: Callable[[str], str]
) -> tuple[str, ...]:
    """Those of `names` that share a word with the question, the ones that share most first."""
    words = question_words(question)
    shared = {
        name: sum(found(word, texts) for word in words)
        for name in names[:_MAX_LOOKED_UP]
        for texts in [words_of(f"{name} {summary(name)}")]
    }
    chosen = sorted((name for name in shared if shared[name]), key=lambda name: -shared[name])
    return tuple(chosen[:MAX_CANDIDATES])
