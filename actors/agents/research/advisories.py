"""Reads advisories in the OSV format, and says whether a version is affected. Pure.

https://ossf.github.io/osv-schema: `affected[].versions` lists versions, and `ranges[].events` say
from which one on and up to which. A document that cannot be read is counted and affects nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from actors.agents.kit.untrusted import plain

MAX_BYTES: Final = 1 << 20
_ECOSYSTEM: Final = "pypi"
_FIRST: Final = "0"
_SHOWN: Final = 20
_PROBLEMS: Final = (ValueError, TypeError, AttributeError, KeyError, RecursionError)

Events = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """What one advisory says of one distribution."""

    id: str
    aliases: tuple[str, ...]
    package: str
    summary: str
    severity: str
    versions: frozenset[str]
    ranges: tuple[Events, ...]

    @property
    def fixed(self) -> tuple[str, ...]:
        found = [at for events in self.ranges for kind, at in events if kind == "fixed"]
        return tuple(dict.fromkeys(found))

    def affects(self, version: str) -> bool:
        """Whether it is about this version."""
        wanted = _parsed(version)
        if version in self.versions or wanted is None:
            return version in self.versions
        if any(_parsed(listed) == wanted for listed in self.versions):
            return True
        return any(_is_within(wanted, events) for events in self.ranges)


def _parsed(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:  # of times before PEP 440
        return None


def _is_within(version: Version, events: Events) -> bool:
    """Whether the last event at or before the version says that it is affected."""
    affected = False
    for kind, at in sorted(events, key=lambda event: Version(event[1])):
        edge = Version(at)
        if kind == "introduced" and version >= edge:
            affected = True
        elif (kind == "fixed" and version >= edge) or (kind == "last_affected" and version > edge):
            affected = False
    return affected


def read_advisories(data: bytes) -> list[Advisory] | None:
    """The advisory in a file, one entry per distribution; None where it cannot be read."""
    try:
        document = json.loads(data)
        if document.get("withdrawn"):
            return []
        return list(_entries(document))
    except _PROBLEMS:
        return None


def _entries(document: Mapping[str, Any]) -> Iterator[Advisory]:
    for affected in document.get("affected", []):
        package = affected["package"]
        if str(package["ecosystem"]).partition(":")[0].lower() != _ECOSYSTEM:
            continue
        yield Advisory(
            id=plain(str(document["id"]), 100),
            aliases=tuple(plain(str(a), 100) for a in document.get("aliases", [])[:_SHOWN]),
            package=canonicalize_name(str(package["name"])),
            summary=plain(str(document.get("summary") or document.get("details", "")), 300),
            severity=_severity(document, affected),
            versions=frozenset(map(str, affected.get("versions", []))),
            ranges=tuple(
                tuple(_events(found))
                for found in affected.get("ranges", [])
                if found.get("type") in {"ECOSYSTEM", "SEMVER"}
            ),
        )


def _events(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for event in found["events"]:
        for kind, at in event.items():
            if kind in {"introduced", "fixed", "last_affected"}:
                yield kind, _FIRST if str(at) == _FIRST else str(Version(str(at)))


def _severity(document: Mapping[str, Any], affected: Mapping[str, Any]) -> str:
    stated = [*affected.get("severity", []), *document.get("severity", [])]
    own = document.get("database_specific", {}).get("severity", "")
    return plain(str(stated[0]["score"]) if stated else str(own), 100)
