"""How candidates hang together: one that requires another is a layer on it, not a rival. Pure."""

from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from actors.agents.research.evidence import Ledger
from actors.agents.research.facts import Candidate
from actors.agents.research.messages import Claim


def relations(candidates: Sequence[Candidate], ledger: Ledger) -> tuple[Claim, ...]:
    """What the metadata says about one candidate needing another, entered as evidence too."""
    claims = []
    names = {candidate.name for candidate in candidates}
    for candidate in candidates:
        for other in sorted(names - {candidate.name}):
            claim = _relation(candidate, other, ledger)
            if claim is not None:
                claims.append(claim)
    return tuple(claims)


def _relation(candidate: Candidate, other: str, ledger: Ledger) -> Claim | None:
    metadata = candidate.metadata
    stated = ledger.first(candidate.name, "dependencies")
    if metadata is None or stated is None:
        return None
    extras = [extra for extra, lines in metadata.extras.items() if other in _names(lines)]
    if other in _names(metadata.dependencies):
        statement = f"{candidate.name} {metadata.version} requires {other}."
        text = f"{candidate.name} requires {other}: choosing it brings both."
    elif extras:
        named = ", ".join(extras[:3])
        statement = f"{candidate.name} {metadata.version} requires {other} with the extra {named}."
        text = (
            f"{candidate.name}[{extras[0]}] requires {other}: they can be layers, not only rivals."
        )
    else:
        return None
    topic = f"relation {other}"
    ledger.enter(
        candidate.name, topic, source=stated.source, at=stated.retrieved_at, statement=statement
    )
    return Claim(text=text, evidence=ledger.cite(candidate.name, topic))


def _names(lines: Sequence[str]) -> frozenset[str]:
    return frozenset(canonicalize_name(Requirement(line).name) for line in lines)
