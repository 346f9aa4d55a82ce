"""What is known of each distribution, and the verdict on its licence. Pure."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from actors.agents.kit.outcome import Finding, Level, Place, Skipped
from actors.agents.kit.untrusted import plain
from actors.agents.research.dependency_messages import LicencePolicy, Package, Verdict
from actors.agents.research.graph import Declared, Node
from actors.agents.research.policy import judge_licence, unknown_names

NOT_INSTALLED: Final = "it is not installed"


def packages_of(
    roots: Sequence[Declared],
    nodes: Mapping[str, Node],
    policy: LicencePolicy,
    own: str | None,
) -> tuple[tuple[Package, ...], tuple[Skipped, ...]]:
    """Each distribution with its verdict, and what of the policy could not be applied."""
    missing: tuple[Skipped, ...] = ()
    with contextlib.suppress(ImportError):  # said below
        missing = tuple(
            Skipped(
                what=f"{plain(name)} of the policy",
                why="it is no SPDX identifier",
                install="see https://spdx.org/licenses",
            )
            for name in unknown_names(policy)
        )
    packages = []
    for name, node in sorted(nodes.items()):
        licence = node.licence
        verdict, reason = Verdict.NOT_SHIPPED, "only those who work on the project install it"
        if node.shipped:
            try:
                verdict, reason = judge_licence(licence, policy, own)
            except ImportError:
                verdict, reason = Verdict.UNKNOWN, "the list could not be applied"
                missing = (
                    Skipped(
                        what="the list of licences",
                        why="license-expression is not installed",
                        install="install beadflow[research]",
                    ),
                )
        packages.append(
            Package(
                name=name,
                version=node.version,
                scopes=tuple(dict.fromkeys(r.scope for r in roots if r.name == name)),
                shipped=node.shipped,
                requires=tuple(sorted(node.requires)),
                licence=licence,
                verdict=verdict,
                reason=plain(reason) if node.copy or not node.shipped else NOT_INSTALLED,
                seen_in=plain(node.seen_in),
            )
        )
    return tuple(packages), missing


def refused(
    packages: Iterable[Package], roots: Sequence[Declared], lines: Mapping[tuple[str, str], int]
) -> list[Finding]:
    """Licences that the policy denies, or that nobody can judge."""
    found = []
    for package in packages:
        is_odd = package.verdict is Verdict.UNKNOWN and package.version and package.licence
        if package.verdict is not Verdict.DENIED and not is_odd:
            continue
        level = Level.NOTE
        if package.verdict is Verdict.DENIED:
            is_chosen = bool(package.scopes) and "runtime" not in package.scopes
            level = Level.WARNING if is_chosen else Level.ERROR  # nobody has to take an extra
        found.append(
            Finding(
                tool="beadflow",
                rule="licence",
                level=level,
                message=f"{package.name} {package.version}: {package.reason}.",
                place=placed(package.name, roots, lines),
            )
        )
    return found


def placed(
    name: str, roots: Sequence[Declared], lines: Mapping[tuple[str, str], int]
) -> Place | None:
    """Where a distribution is declared; None for one that others bring along."""
    path = next((root.path for root in roots if root.name == name), None)
    return Place(path=path, line=lines.get((path, name))) if path is not None else None
