"""The graph of distributions: what the project declares, and what those bring along.

Versions come from lock files where there are some, else from what is installed; what a distribution
requires comes from its installed metadata, else from the lock file. Nothing is downloaded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio
from packaging.markers import default_environment
from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from actors.agents.kit.untrusted import plain
from actors.agents.research.facts import Manifest
from actors.agents.research.installed import Copy, Shelf
from actors.agents.research.licences import stated_licence
from actors.agents.research.locks import Locked

MAX_NODES: Final = 1_000
_NOT_SHIPPED: Final = frozenset({"dev", "build"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One requirement of a manifest."""

    requirement: Requirement
    scope: str
    path: str

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def ships(self) -> bool:
        return self.scope not in _NOT_SHIPPED


@dataclass(slots=True, kw_only=True)
class Node:
    """One distribution as far as it is known."""

    name: str
    copy: Copy | None
    locked: Locked | None
    shipped: bool = False
    extras: set[str] = field(default_factory=set)
    requires: dict[str, Requirement] = field(default_factory=dict)

    @property
    def version(self) -> str | None:
        if self.locked is not None:
            return self.locked.version
        return self.copy.version if self.copy is not None else None

    @property
    def seen_in(self) -> str:
        if self.locked is not None:
            return self.locked.path
        return self.copy.place if self.copy is not None else "nowhere"

    @property
    def metadata(self) -> RawMetadata:
        return parse_email(self.copy.metadata)[0] if self.copy is not None else {}

    @property
    def licence(self) -> str | None:
        raw = self.metadata
        stated = stated_licence(
            raw.get("license_expression"), raw.get("license"), raw.get("classifiers", [])
        )
        return plain(stated, 200) if stated else None


def declared(manifests: Iterable[Manifest]) -> tuple[Declared, ...]:
    """The Python requirements of all manifests, in their order."""
    found = []
    for manifest in manifests:
        for dependency in manifest.dependencies if manifest.ecosystem == "python" else ():
            requirement = _parsed(dependency.requirement) or _parsed(dependency.name)
            if requirement is not None:
                entry = Declared(
                    requirement=requirement, scope=dependency.scope, path=manifest.path
                )
                found.append(entry)
    return tuple(found)


def graph(roots: Sequence[Declared], locked: Iterable[Locked], shelf: Shelf) -> dict[str, Node]:
    """Follows what is declared as far as metadata goes, what is shipped first. In a thread."""
    locks = {entry.name: entry for entry in locked}
    nodes: dict[str, Node] = {}
    for ships in (True, False):
        waiting = [root.requirement for root in roots if root.ships is ships]
        while waiting:
            trio.from_thread.check_cancelled()
            waiting += _visit(waiting.pop(), nodes, locks, shelf, shipped=ships)
    return nodes


def _visit(
    requirement: Requirement,
    nodes: dict[str, Node],
    locks: Mapping[str, Locked],
    shelf: Shelf,
    *,
    shipped: bool,
) -> list[Requirement]:
    """Enters one distribution; answers what it requires that was not known of it before."""
    name = canonicalize_name(requirement.name)
    node = nodes.get(name)
    new_extras = requirement.extras - node.extras if node is not None else set()
    if node is not None and not new_extras and (node.shipped or not shipped):
        return []
    if node is None:
        if len(nodes) >= MAX_NODES:
            return []
        node = Node(name=name, copy=shelf.find(name), locked=locks.get(name))
        nodes[name] = node
    node.shipped |= shipped
    node.extras |= requirement.extras
    found = _required(node)
    node.requires |= {canonicalize_name(entry.name): entry for entry in found}
    return found


def _required(node: Node) -> list[Requirement]:
    if node.copy is None:
        named = node.locked.requires if node.locked is not None else None
        return [Requirement(name) for name in named or ()]
    lines = node.metadata.get("requires_dist", [])
    parsed = (_parsed(line) for line in lines)
    return [entry for entry in parsed if entry is not None and _applies(entry, node.extras)]


def _applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    if requirement.marker is None:
        return True
    environment = {key: str(value) for key, value in default_environment().items()}
    try:
        return any(
            requirement.marker.evaluate({**environment, "extra": extra}) for extra in (*extras, "")
        )
    except ValueError:  # a marker that compares what cannot be compared
        return True


def _parsed(line: str) -> Requirement | None:
    try:
        return Requirement(line[:1_000])
    except (InvalidRequirement, RecursionError):
        return None
