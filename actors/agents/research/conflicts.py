"""Requirements that cannot all hold: declared against declared, and against what is there. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from actors.agents.kit.outcome import Finding, Level, Place
from actors.agents.research.graph import Declared, Node
from actors.agents.research.installed import OWN_ENVIRONMENT

_TOOL: Final = "beadflow"
_HIGHEST: Final = "99999"


def conflicts(roots: Sequence[Declared], nodes: Mapping[str, Node]) -> list[Finding]:
    """What contradicts what, in the order of the names."""
    return [
        *_declared_twice(roots),
        *_not_as_declared(roots, nodes),
        *_between(nodes),
    ]


def _declared_twice(roots: Sequence[Declared]) -> Iterator[Finding]:
    """Requirements of the same distribution that no version meets."""
    by_name: dict[str, list[Declared]] = defaultdict(list)
    for root in roots:
        if root.requirement.specifier and root.requirement.marker is None:
            by_name[root.name].append(root)
    for name, entries in sorted(by_name.items()):
        if len(entries) > 1 and not can_be_met(entry.requirement.specifier for entry in entries):
            said = " and ".join(
                f"{entry.requirement.specifier} ({entry.path}, {entry.scope})" for entry in entries
            )
            yield Finding(
                tool=_TOOL,
                rule="conflict",
                level=Level.ERROR,
                message=f"No version of {name} meets {said}.",
                place=Place(path=entries[-1].path),
            )


def _not_as_declared(roots: Sequence[Declared], nodes: Mapping[str, Node]) -> Iterator[Finding]:
    """Versions in the lock file or the project's environment that the manifest does not allow."""
    for root in roots:
        node = nodes.get(root.name)
        if node is None or node.version is None or node.seen_in == OWN_ENVIRONMENT:
            continue
        if not _meets(node.version, root.requirement.specifier):
            yield Finding(
                tool=_TOOL,
                rule="version",
                level=Level.WARNING,
                message=(
                    f"{node.name} {node.version} ({node.seen_in}) is not what {root.path} asks "
                    f"for: {root.requirement.specifier}."
                ),
                place=Place(path=root.path),
            )


def _between(nodes: Mapping[str, Node]) -> Iterator[Finding]:
    """One distribution that requires another in a version that is not there."""
    for name, node in sorted(nodes.items()):
        if node.seen_in == OWN_ENVIRONMENT:
            continue
        for required, requirement in sorted(node.requires.items()):
            other = nodes.get(required)
            if other is None or other.version is None or other.seen_in == OWN_ENVIRONMENT:
                continue
            if not _meets(other.version, requirement.specifier):
                yield Finding(
                    tool=_TOOL,
                    rule="conflict",
                    level=Level.ERROR,
                    message=(
                        f"{name} {node.version} requires {required}{requirement.specifier}, but "
                        f"{other.version} is in {other.seen_in}."
                    ),
                )


def _meets(version: str, specifier: SpecifierSet) -> bool:
    try:
        return specifier.contains(version, prereleases=True)
    except (InvalidVersion, InvalidSpecifier):
        return True


def can_be_met(specifiers: Iterable[SpecifierSet]) -> bool:
    """Whether some version meets them all.

    What they allow together are ranges that begin and end at versions that they name: it is enough
    to try those, and one version just above and just below each.
    """
    together = SpecifierSet()
    for specifier in specifiers:
        together &= specifier
    tried = ["0", _HIGHEST]
    for one in together:
        try:
            tried += _around(Version(one.version.removesuffix(".*")))
        except InvalidVersion:
            return True  # "===anything": nothing can be said of it
    return any(together.contains(version, prereleases=True) for version in tried)


def _around(version: Version) -> Iterator[str]:
    epoch = f"{version.epoch}!" if version.epoch else ""
    release = list(version.release)
    yield str(version)
    yield epoch + ".".join(map(str, [*release, 0, 0, 1]))  # above, and like what it begins with
    yield epoch + ".".join(map(str, [*release[:-1], release[-1] + 1]))
    while release and release[-1] == 0:
        release.pop()
    if release:
        release[-1] -= 1
        yield epoch + ".".join(map(str, [*release, int(_HIGHEST)]))
