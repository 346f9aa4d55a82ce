"""How far the candidates are in use in the project already. Pure.

A distribution and the modules it installs need not have the same name. Which modules they are is
read from the installed copy or from a wheel; only where neither was seen is it guessed from the
name, and then it is said so.
"""

from collections.abc import Iterable
from typing import Final

from actors.agents.research.evidence import Ledger
from actors.agents.research.facts import Analysis, Candidate, Import
from actors.agents.research.messages import Use
from actors.agents.research.statements import counted

# Packages that many distributions install by mistake beside their own.
_STRAY: Final = frozenset({"tests", "test", "docs", "doc", "examples", "scripts", "benchmarks"})
_MAX_PLACES: Final = 5


def use_of(candidate: Candidate, analysis: Analysis) -> Use:
    """Looks the candidate up among what the project declares and imports."""
    declared = [
        (manifest.path, dependency.scope)
        for manifest in analysis.manifests
        if manifest.ecosystem == "python"
        for dependency in manifest.dependencies
        if dependency.name == candidate.name
    ]
    names, source = import_names(candidate)
    imported = [i for i in analysis.imports if i.module in names and i.kind == "third-party"]
    return Use(
        candidate=candidate.name,
        declared=tuple(f"{path} ({scope})" for path, scope in declared),
        runtime=any(scope == "runtime" for _, scope in declared),
        import_names=names,
        names_from=source,
        imported_files=sum(i.files for i in imported),
        places=tuple(place for i in imported for place in i.places)[:_MAX_PLACES],
    )


def import_names(candidate: Candidate) -> tuple[tuple[str, ...], str]:
    """The modules an install of the candidate brings, and where that is known from."""
    seen = candidate.contents
    if seen is not None:
        named = tuple(name for name in seen.import_names if name not in _STRAY)
        if named:
            return named, seen.seen_in
    plain = candidate.name.replace("-", "_")
    short = plain.removeprefix("python_")
    return tuple(dict.fromkeys((plain, short))), "a guess from the name"


def state_use(use: Use, analysis: Analysis, ledger: Ledger) -> None:
    """Enters the use of a candidate as evidence."""
    declared = f"declared in {', '.join(use.declared)}" if use.declared else "not declared"
    names = f"{', '.join(use.import_names)}, known from {use.names_from}"
    if use.imported_files:
        files = counted(use.imported_files, "file")
        imported = f"imported in {files}, such as {', '.join(use.places)}"
    else:
        imported = "not imported"
    ledger.enter(
        use.candidate,
        "use",
        source="the repository's manifests and sources",
        at=analysis.retrieved_at,
        statement=(
            f"In the project {use.candidate} is {declared} and {imported} (import names: {names})."
        ),
    )


def standard_alternatives(analysis: Analysis, words: Iterable[str]) -> tuple[Import, ...]:
    """Modules of the standard library the project imports whose names match the question."""
    wanted = tuple(words)
    return tuple(
        i
        for i in analysis.imports
        if i.kind == "standard library" and any(i.module.rstrip("0123456789") == w for w in wanted)
    )
