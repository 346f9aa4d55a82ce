"""Turns the facts about a candidate into evidence: one sentence per fact, with its source. Pure."""

from datetime import datetime

from actors.agents.research.evidence import Ledger
from actors.agents.research.facts import (
    Artefacts,
    Candidate,
    Contents,
    Gap,
    Installed,
    Metadata,
    Releases,
)
from actors.agents.research.installed import Copy
from actors.agents.research.lookup import Finding
from actors.agents.research.metadata import read_metadata


def day(at: datetime | None) -> str:
    return at.date().isoformat() if at else "an unknown day"


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def describe(
    name: str,
    finding: Finding,
    copy: Copy | None,
    ledger: Ledger,
    *,
    question: str,
    at: datetime,
) -> tuple[Candidate, list[Gap]]:
    """The candidate's facts, each entered in the ledger, and what is missing."""
    candidate = Candidate(
        name=name,
        found=finding.found,
        releases=finding.releases,
        artefacts=finding.artefacts,
        metadata=finding.metadata,
        contents=finding.contents,
        installed=Installed(version=copy.version, place=copy.place) if copy else None,
    )
    metadata_source, contents_source = finding.metadata_source, finding.contents_source
    gaps = [Gap(subject=name, what=what, why=why) for what, why in finding.gaps]
    if copy is not None:
        local = f"installed metadata ({copy.place})"
        if candidate.metadata is None:
            metadata = read_metadata(copy.metadata, copy.version, question, name)
            candidate = candidate.model_copy(update={"metadata": metadata})
            metadata_source = local
        if candidate.contents is None:
            candidate = candidate.model_copy(update={"contents": copy.contents})
            contents_source = local
        ledger.enter(
            name,
            "installed",
            source=local,
            at=at,
            statement=f"{name} {copy.version} is installed in {copy.place}.",
        )
    if finding.found == "absent":
        asked = " and ".join(finding.asked)
        ledger.enter(
            name, "absent", source=asked, at=at, statement=f"{asked} has no project named {name}."
        )
    if candidate.releases is not None:
        _state_releases(name, candidate.releases, finding, at, ledger)
    if candidate.artefacts is not None and candidate.releases is not None:
        statement = _artefacts(candidate.releases.version, candidate.artefacts)
        ledger.enter(name, "artefacts", source=finding.source, at=at, statement=statement)
    if candidate.metadata is not None:
        for topic, statement in _metadata(name, candidate.metadata):
            ledger.enter(name, topic, source=metadata_source, at=at, statement=statement)
    if candidate.contents is not None:
        statement = _contents(name, candidate.contents)
        ledger.enter(name, "contents", source=contents_source, at=at, statement=statement)
    return candidate, gaps


def _state_releases(
    name: str, releases: Releases, finding: Finding, at: datetime, ledger: Ledger
) -> None:
    def enter(topic: str, statement: str) -> None:
        ledger.enter(name, topic, source=finding.source, at=at, statement=statement)

    kind = "latest stable release" if releases.stable else "latest release, a pre-release"
    dated = f" ({day(releases.released_at)})" if releases.released_at else ""
    parts = [f"{name} {releases.version} is the {kind}{dated}", counted(releases.count, "version")]
    if releases.first_at:
        parts[-1] += f" since {day(releases.first_at)}"
    if releases.in_24_months is not None:
        parts.append(f"{releases.in_24_months} of them in the last 24 months")
    parts.append(f"{releases.yanked} yanked")
    enter("releases", "; ".join(parts) + ".")
    stated = releases.requires_python
    enter(
        "python",
        f"{name} {releases.version} requires Python {stated}."
        if stated
        else f"{name} {releases.version} states no required Python version.",
    )
    if releases.newer_prerelease:
        enter("prerelease", f"{name} {releases.newer_prerelease} is out as a pre-release.")
    if releases.status and releases.status != "active":
        reason = f": {releases.status_reason}" if releases.status_reason else ""
        enter("status", f"The index marks {name} as {releases.status}{reason}.")
    if finding.indexes > 1:
        enter(
            "sources",
            f"{name} is on {finding.indexes} of the configured indexes; their files are taken "
            "together, as an installer takes them.",
        )


def _artefacts(version: str, artefacts: Artefacts) -> str:
    if artefacts.universal:
        wheels = "a wheel for every platform (py3-none-any)"
    elif artefacts.wheels:
        pythons = f" for Python {', '.join(artefacts.pythons)}" if artefacts.pythons else ""
        stable = f", stable ABI from {artefacts.stable_abi_from}" * bool(artefacts.stable_abi_from)
        platforms = ", ".join(artefacts.platforms) or "other platforms"
        wheels = f"{counted(artefacts.wheels, 'wheel')}{pythons}{stable} on {platforms}"
    else:
        wheels = "no wheel"
    sdist = "a source distribution" if artefacts.sdist else "no source distribution"
    return f"{version} offers {wheels} and {sdist}."


def _metadata(name: str, metadata: Metadata) -> list[tuple[str, str]]:
    subject = f"{name} {metadata.version}"
    statements = []
    if metadata.summary:
        statements.append(
            ("summary", f"{subject} describes itself as “{metadata.summary.rstrip('.')}”.")
        )
    if metadata.licence:
        statements.append(("licence", f"{subject} states the licence {metadata.licence}."))
    listed = "; ".join(metadata.dependencies) or "nothing"
    statements.append(("dependencies", f"{subject} requires {listed}."))
    if metadata.extras:
        statements.append(("extras", f"{subject} offers the extras {', '.join(metadata.extras)}."))
    classifiers = []
    if metadata.development_status is not None:
        classifiers.append(f"development status {metadata.development_status} of 7")
    if metadata.typed:
        classifiers.append("typed")
    if metadata.pythons:
        classifiers.append(f"Python {', '.join(metadata.pythons)}")
    said = "; ".join(classifiers) or "neither a development status, nor typing, nor Pythons"
    statements.append(("classifiers", f"{subject} claims by classifier: {said}."))
    words = ", ".join(f"{word} ({field})" for word, field in metadata.question_words.items())
    statements.append(
        ("words", f"Words of the question in {subject}'s metadata: {words or 'none'}.")
    )
    signals = "; ".join(metadata.async_signals) or "nothing"
    statements.append(("async", f"On async code {subject}'s metadata says: {signals}."))
    return statements


def _contents(name: str, contents: Contents) -> str:
    names = ", ".join(contents.import_names) or "no module"
    typed = "with a py.typed marker" if contents.typed else "without a py.typed marker"
    size = (
        f"; {contents.installed_bytes / 1_000_000:.1f} MB installed"
        if contents.installed_bytes
        else ""
    )
    return f"{name} installs {names}, {typed}{size}."
