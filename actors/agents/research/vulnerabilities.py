"""Holds what the project uses against a directory of advisories. Nothing is asked of a network."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import trio

from actors.agents.kit.files import Skips, list_files, read_file
from actors.agents.kit.outcome import Evidence, Finding, Level, Skipped
from actors.agents.research.advisories import MAX_BYTES, Advisory, read_advisories
from actors.agents.research.dependencies import read_project
from actors.agents.research.graph import Node, graph
from actors.agents.research.installed import installed
from actors.agents.research.packages import placed
from actors.agents.research.scan import Progress
from actors.agents.research.statements import counted
from actors.agents.research.vulnerability_messages import Vulnerabilities, Vulnerability
from actors.clock import Clock, system_clock

MAX_ADVISORIES: Final = 100_000
_WHAT: Final = "known vulnerabilities"


async def find_vulnerabilities(
    *,
    root: Path,
    advisories: Path,
    progress: Progress,
    sites: Sequence[Path] = (),
    now: Clock = system_clock,
) -> Vulnerabilities:
    """Looks for advisories about what the project has locked, else about what is installed.

    Args:
        root: the work tree.
        advisories: a directory of OSV documents, one per file, at any depth.
        progress: told before each part.
        sites: directories of installed distributions, which come before the project's own.
        now: the clock that dates the answer.

    Cancellation takes effect after the file being read.
    """
    at = now()
    progress("following what is declared", 0.0)
    listing = await list_files(root)
    project = await trio.to_thread.run_sync(read_project, listing)
    roots = project.roots
    shelf = await trio.to_thread.run_sync(installed, root, sites)
    nodes = await trio.to_thread.run_sync(graph, roots, project.locked, shelf)
    progress("reading advisories", 0.3)
    book = await trio.to_thread.run_sync(_read, advisories, frozenset(nodes))
    if book is None:
        why = "there is no directory of advisories"
        install = (
            "put advisories in the OSV format into the directory advisories of the workspace, or "
            "name another in the agent's configuration"
        )
        return _answer((), len(nodes), 0, (Skipped(what=_WHAT, why=why, install=install),), at)
    entries, read, broken = book
    found = [
        _vulnerability(advisory, node).model_copy(
            update={"place": placed(name, roots, project.lines)}
        )
        for name, node in sorted(nodes.items())
        for advisory in _once(entries.get(name, ()), node)
    ]
    return _answer(found, len(nodes), read, _skipped(nodes, read, broken), at)


def _read(
    place: Path, names: frozenset[str]
) -> tuple[Mapping[str, list[Advisory]], int, int] | None:
    """The advisories about these names, how many were read, and how many could not be."""
    if not place.is_dir():
        return None
    entries: dict[str, list[Advisory]] = defaultdict(list)
    read = broken = 0
    for path in sorted(place.rglob("*.json"))[:MAX_ADVISORIES]:
        trio.from_thread.check_cancelled()
        data = read_file(place, path.relative_to(place).as_posix(), Skips(), MAX_BYTES)
        found = read_advisories(data) if data is not None else None
        if found is None:
            broken += 1
            continue
        read += 1
        for advisory in found:
            if advisory.package in names:
                entries[advisory.package].append(advisory)
    return entries, read, broken


def _once(advisories: Sequence[Advisory], node: Node) -> list[Advisory]:
    """Those about the node's version; one of several that are about the same."""
    found: list[Advisory] = []
    known: set[str] = set()
    for advisory in advisories:
        names = {advisory.id, *advisory.aliases}
        if node.version is not None and advisory.affects(node.version) and not names & known:
            found.append(advisory)
            known |= names
    return found


def _vulnerability(advisory: Advisory, node: Node) -> Vulnerability:
    return Vulnerability(
        id=advisory.id,
        aliases=advisory.aliases,
        package=node.name,
        version=node.version or "",
        summary=advisory.summary,
        fixed=advisory.fixed,
        severity=advisory.severity,
        place=None,
    )


def _skipped(nodes: Mapping[str, Node], read: int, broken: int) -> tuple[Skipped, ...]:
    found = []
    if not read:
        found.append(Skipped(what=_WHAT, why="the directory of advisories holds none"))
    if broken:
        what = f"{counted(broken, 'file')} among the advisories"
        found.append(Skipped(what=what, why="they cannot be read as OSV"))
    unknown = sum(node.version is None for node in nodes.values())
    if unknown:
        what = f"vulnerabilities of {counted(unknown, 'distribution')}"
        found.append(Skipped(what=what, why="their version is neither locked nor installed"))
    return tuple(found)


def _answer(
    found: Sequence[Vulnerability],
    checked: int,
    advisories: int,
    skipped: tuple[Skipped, ...],
    at: datetime,
) -> Vulnerabilities:
    findings = tuple(_finding(one) for one in found)
    number = "one known vulnerability" if len(found) == 1 else f"{len(found)} known vulnerabilities"
    return Vulnerabilities(
        summary=f"{number} in {counted(checked, 'distribution')}.",
        findings=findings,
        metrics={"vulnerabilities": len(found), "distributions": checked},
        evidence=tuple(
            Evidence(id=f"E{number}", source=one.rule, statement=one.message)
            for number, one in enumerate(findings, 1)
        ),
        skipped=skipped,
        retrieved_at=at,
        checked=checked,
        advisories=advisories,
        vulnerabilities=tuple(found),
    )


def _finding(one: Vulnerability) -> Finding:
    fixed = f"; fixed in {', '.join(one.fixed)}" if one.fixed else ""
    return Finding(
        tool="beadflow",
        rule=one.id,
        level=Level.ERROR,
        message=f"{one.package} {one.version}: {one.summary or 'no summary'}{fixed}.",
        place=one.place,
    )
