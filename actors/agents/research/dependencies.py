"""Analyses the dependencies: the graph, what is unused or missing, conflicts, licences.

Manifests, lock files and installed metadata are read, deptry is run; nothing is looked up outside
this machine, and nothing of the project is imported or run.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import trio
from packaging.utils import canonicalize_name

from actors.agents.kit.files import Listing, Skips, list_files, read_file
from actors.agents.kit.outcome import Evidence, Finding, Level, Skipped
from actors.agents.kit.untrusted import plain
from actors.agents.research.conflicts import conflicts
from actors.agents.research.dependency_messages import (
    Dependencies,
    DependenciesRequest,
    Package,
)
from actors.agents.research.deptry import Known, run_deptry
from actors.agents.research.facts import Manifest
from actors.agents.research.graph import Declared, declared, graph
from actors.agents.research.installed import installed
from actors.agents.research.licences import stated_licence
from actors.agents.research.locks import Locked, is_lock, read_lock
from actors.agents.research.manifests import MAX_MANIFESTS, read_manifest, reader_for
from actors.agents.research.packages import NOT_INSTALLED, packages_of, refused
from actors.agents.research.scan import Progress
from actors.agents.research.statements import counted
from actors.clock import Clock, system_clock

_LOCK_CAP_BYTES: Final = 16 << 20
_MAX_NAMED: Final = 10
_MAX_FINDINGS: Final = 200
_MAX_STATED: Final = 50


@dataclass(slots=True, kw_only=True)
class Project:
    """What the files say."""

    manifests: list[Manifest] = field(default_factory=list)
    locked: list[Locked] = field(default_factory=list)
    lines: dict[tuple[str, str], int] = field(default_factory=dict)
    name: str = ""
    own_licence: str | None = None

    @property
    def roots(self) -> tuple[Declared, ...]:
        """What is declared; an extra that names others of the project's own adds nothing."""
        return tuple(entry for entry in declared(self.manifests) if entry.name != self.name)


async def analyse_dependencies(
    request: DependenciesRequest,
    *,
    root: Path,
    progress: Progress,
    sites: Sequence[Path] = (),
    now: Clock = system_clock,
) -> Dependencies:
    """Analyses the project at `root`.

    Args:
        request: the policy on licences.
        root: the work tree; nothing outside it and the environments is read.
        progress: told before each part.
        sites: directories of installed distributions, which come before the project's own.
        now: the clock that dates the answer.

    Cancellation takes effect after the file being read, and ends deptry.
    """
    at = now()
    progress("reading manifests", 0.0)
    listing = await list_files(root)
    project = await trio.to_thread.run_sync(read_project, listing)
    roots = project.roots
    progress("following what they require", 0.2)
    shelf = await trio.to_thread.run_sync(installed, root, sites)
    nodes = await trio.to_thread.run_sync(graph, roots, project.locked, shelf)
    providers = await trio.to_thread.run_sync(shelf.provided)
    progress("looking for unused and missing ones", 0.5)
    scopes = {entry.name: entry.scope for entry in reversed(roots)}
    known = Known(nodes=nodes, scopes=scopes, providers=providers, lines=project.lines)
    usage = await run_deptry(root, known)
    progress("judging licences", 0.9)
    packages, missing = packages_of(roots, nodes, request.policy, project.own_licence)
    undone = (usage,) if isinstance(usage, Skipped) else ()
    found = (
        *(() if isinstance(usage, Skipped) else usage),
        *_on_their_lines(conflicts(roots, nodes), roots, project.lines),
        *refused(packages, roots, project.lines),
    )
    further = len(found) - _MAX_FINDINGS
    more = (Skipped(what=f"{further} findings", why="there are too many"),) if further > 0 else ()
    skipped = (*undone, *missing, *more, *_skipped(project, packages))
    return _answer(project, packages, found[:_MAX_FINDINGS], skipped, at)


def read_project(listing: Listing) -> Project:
    """What manifests and lock files say. Blocking; cancelled between two files."""
    project, skips = Project(), Skips()
    for path in listing.paths:
        trio.from_thread.check_cancelled()
        if is_lock(path):
            data = read_file(listing.root, path, skips, _LOCK_CAP_BYTES)
            project.locked += read_lock(path, data) if data is not None else []
        if reader_for(path) is not None and len(project.manifests) < MAX_MANIFESTS:
            data = read_file(listing.root, path, skips)
            manifest = read_manifest(path, data) if data is not None else None
            if data is not None and manifest is not None:
                project.manifests.append(manifest)
                project.lines |= _lines(manifest, data)
                if path == "pyproject.toml":
                    project.name, project.own_licence = _own(data)
    return project


def _lines(manifest: Manifest, data: bytes) -> dict[tuple[str, str], int]:
    """On which line each dependency is declared, as far as one can tell from the text."""
    lines = data.decode("utf-8", "replace").splitlines()
    found: dict[tuple[str, str], int] = {}
    for dependency in manifest.dependencies:
        written = dependency.requirement or dependency.name
        for wanted in (written, written.split(" ")[0], dependency.name):
            number = next((n for n, line in enumerate(lines, 1) if wanted in line), None)
            if number is not None:
                found[manifest.path, canonicalize_name(dependency.name)] = number
                break
    return found


def _own(data: bytes) -> tuple[str, str | None]:
    """The project's own name and licence."""
    try:
        project: Any = tomllib.loads(data.decode("utf-8-sig")).get("project", {})
        stated = project.get("license")
        expression = stated if isinstance(stated, str) else None
        text = stated.get("text") if isinstance(stated, dict) else None
        classifiers = [str(line) for line in project.get("classifiers", [])]
        licence = stated_licence(expression, text, classifiers)
        name = canonicalize_name(str(project.get("name", "")))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return "", None
    return name, plain(licence, 200) if licence else None


def _on_their_lines(
    findings: Iterable[Finding], roots: Sequence[Declared], lines: Mapping[tuple[str, str], int]
) -> list[Finding]:
    names = {root.name for root in roots}
    found = []
    for finding in findings:
        name = next((word for word in finding.message.split() if word in names), "")
        place = finding.place
        line = lines.get((place.path, name)) if place is not None else None
        if place is not None and line is not None:
            place = place.model_copy(update={"line": line})
        found.append(finding.model_copy(update={"place": place}))
    return found


def _skipped(project: Project, packages: Sequence[Package]) -> list[Skipped]:
    found = []
    unseen = [p.name for p in packages if p.shipped and p.reason == NOT_INSTALLED]
    if unseen:
        named = ", ".join(unseen[:_MAX_NAMED]) + (", …" if len(unseen) > _MAX_NAMED else "")
        found.append(
            Skipped(
                what=f"the licences of {named}",
                why="nothing is downloaded, and they are not installed here",
                install="install the project in a virtual environment of its own",
            )
        )
    others = sorted({m.ecosystem for m in project.manifests if m.ecosystem != "python"})
    if others:
        why = "only those of Python are analysed"
        found.append(Skipped(what=f"dependencies of {', '.join(others)}", why=why))
    broken = [manifest for manifest in project.manifests if manifest.problem]
    found += [Skipped(what=manifest.path, why=manifest.problem or "") for manifest in broken]
    return found


def _answer(
    project: Project,
    packages: tuple[Package, ...],
    findings: tuple[Finding, ...],
    skipped: tuple[Skipped, ...],
    at: datetime,
) -> Dependencies:
    direct = sum(bool(package.scopes) for package in packages)
    errors = sum(finding.level is Level.ERROR for finding in findings)
    summary = (
        f"{direct} declared and {len(packages) - direct} brought along; "
        f"{counted(len(findings), 'finding')}, {counted(errors, 'error')} among them."
    )
    locks = tuple(dict.fromkeys(entry.path for entry in project.locked))
    return Dependencies(
        summary=summary,
        findings=findings,
        skipped=skipped,
        metrics={
            "declared": direct,
            "packages": len(packages),
            "shipped": sum(package.shipped for package in packages),
            "errors": errors,
        },
        evidence=_evidence(project, packages, locks, findings),
        retrieved_at=at,
        own_licence=project.own_licence,
        packages=packages,
        locks=locks,
        places=tuple(dict.fromkeys(p.seen_in for p in packages if p.version)),
    )


def _evidence(
    project: Project,
    packages: Sequence[Package],
    locks: Sequence[str],
    findings: Sequence[Finding],
) -> tuple[Evidence, ...]:
    shipped = [package for package in packages if package.shipped]
    licences = sorted({package.licence for package in shipped if package.licence})
    sources = ", ".join((*(m.path for m in project.manifests), *locks)) or "file names"
    own = f"the project itself is {project.own_licence or 'of no stated licence'}"
    said = [
        (
            sources,
            f"Distributions declared or brought along: {len(packages)}; shipped: {len(shipped)}.",
        ),
        (
            "installed metadata",
            f"Licences of what is shipped: {', '.join(licences) or 'none is known'}; {own}.",
        ),
        *((finding.tool, finding.message) for finding in findings[:_MAX_STATED]),
    ]
    return tuple(
        Evidence(id=f"E{number}", source=plain(source), statement=plain(statement, 600))
        for number, (source, statement) in enumerate(said, 1)
    )
