"""Analyses the repository: what it is written in, what it declares, what it imports and where.

Files are read and parsed in a worker thread, one after the other, and cancellation is looked for
between two of them. Only facts come out; whether a candidate is in use is for `usage.py`.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from actors.agents.kit.files import Listing, Skips, list_files, read_file
from actors.agents.kit.untrusted import plain
from actors.agents.research.evidence import Ledger
from actors.agents.research.facts import Activity, Analysis, Evidence, Gap, Manifest
from actors.agents.research.history import read_activity
from actors.agents.research.imports import ImportTable, imported_modules
from actors.agents.research.languages import (
    count_lines,
    is_binary,
    is_program,
    language_of,
    languages,
)
from actors.agents.research.manifests import MAX_MANIFESTS, read_manifest, reader_for
from actors.agents.research.messages import AnalyseRequest
from actors.agents.research.practices import practices
from actors.agents.research.scan import SCAN_S, Progress, scan
from actors.agents.research.statements import counted, day
from actors.clock import Clock, system_clock


@dataclass(slots=True)
class _Seen:
    """What has been read so far; a scan that is cut short keeps it."""

    skips: Skips = field(default_factory=Skips)
    files: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    manifests: list[Manifest] = field(default_factory=list)
    imports: ImportTable = field(default_factory=ImportTable)


async def analyse(
    request: AnalyseRequest,
    *,
    root: Path,
    progress: Progress,
    now: Clock = system_clock,
    scan_s: float = SCAN_S,
) -> Analysis:
    """Reads the repository at `root`.

    Args:
        request: With `as_of`, activity is counted up to then, otherwise up to now.
        root: The work tree; nothing outside it is read.
        progress: Told every 500 files, with the fraction done.
        now: The clock that dates the evidence.
        scan_s: Seconds for reading files; what is not read by then is a gap.

    Cancellation takes effect after the file being read.
    """
    at = now()
    progress("listing files", 0.0)
    listing = await list_files(root)
    seen = _Seen()
    read = await scan(listing, lambda path: _read_one(root, path, seen), progress, scan_s)
    activity, gap = await read_activity(root, request.as_of or at)
    gaps = _gaps(listing, seen, read)
    if gap is not None:
        gaps.append(gap)
    analysis = Analysis(
        retrieved_at=at,
        candidates=request.candidates,
        listed_by=listing.by,
        files=len(listing.paths),
        skipped=dict(sorted(seen.skips.counts.items())),
        languages=languages(seen.files, seen.lines),
        manifests=tuple(seen.manifests),
        requires_python=_requires_python(seen.manifests)[1],
        imports=seen.imports.imports(listing.paths),
        practices=practices(listing.paths),
        activity=activity,
        evidence=(),
        gaps=tuple(gaps),
    )
    return analysis.model_copy(update={"evidence": _evidence(analysis)})


def _read_one(root: Path, path: str, seen: _Seen) -> None:
    language = language_of(path)
    is_manifest = reader_for(path) is not None and len(seen.manifests) < MAX_MANIFESTS
    if language is None and not is_manifest:
        return
    data = read_file(root, path, seen.skips)
    if data is None or is_binary(data):
        return
    if is_manifest and (manifest := read_manifest(path, data)) is not None:
        seen.manifests.append(manifest)
    if language is not None:
        seen.files[language] += 1
        seen.lines[language] += count_lines(data)
    if language == "Python" and path.endswith(".py"):
        seen.imports.add(path, imported_modules(data, path, seen.skips))


def _requires_python(manifests: list[Manifest]) -> tuple[str, str | None]:
    """The path and the text of the requirement that stands nearest to the root."""
    stated = [m for m in manifests if m.requires_python]
    nearest = min(stated, key=lambda m: (m.path.count("/"), m.path), default=None)
    return (nearest.path, nearest.requires_python) if nearest else ("", None)


def _gaps(listing: Listing, seen: _Seen, read: int) -> list[Gap]:
    def gap(what: str, why: str) -> Gap:
        return Gap(subject="repository", what=what, why=plain(why))

    gaps = []
    if listing.why_walked is not None:
        gaps.append(gap("tracked files", f"all files were walked instead ({listing.why_walked})"))
    if listing.left_out:
        gaps.append(gap("files", f"{listing.left_out:,} beyond the cap were not looked at"))
    unread = len(listing.paths) - read
    if unread:
        gaps.append(gap("files", f"{unread:,} were not read before the deadline"))
    for name in sorted(seen.files):
        if is_program(name) and name != "Python":
            why = f"{counted(seen.files[name], 'file')}: imports are only read from Python"
            gaps.append(gap(f"imports in {name}", why))
    if any(path == "setup.py" or path.endswith("/setup.py") for path in listing.paths):
        gaps.append(gap("setup.py", "it is a program and was not run"))
    gaps += [
        gap(manifest.path, manifest.problem) for manifest in seen.manifests if manifest.problem
    ]
    return gaps


def _evidence(analysis: Analysis) -> tuple[Evidence, ...]:
    ledger = Ledger()

    def enter(topic: str, source: str, statement: str) -> None:
        ledger.enter(
            "repository", topic, source=source, at=analysis.retrieved_at, statement=statement
        )

    listed = ", ".join(
        f"{language.name} ({counted(language.files, 'file')}, {counted(language.lines, 'line')})"
        for language in analysis.languages[:8]
    )
    enter(
        "languages",
        analysis.listed_by,
        f"{counted(analysis.files, 'file')}; {listed or 'no language recognised'}.",
    )
    for manifest in analysis.manifests:
        if manifest.problem is None:
            enter(f"manifest {manifest.path}", manifest.path, _declared(manifest))
    path, requires = _requires_python(list(analysis.manifests))
    if requires:
        enter("python", path, f"The project requires Python {requires}.")
    outside = [i for i in analysis.imports if i.kind == "third-party"]
    if outside:
        named = ", ".join(f"{i.module} ({i.files})" for i in outside[:20])
        enter("imports", "Python sources", f"Imported from outside, by number of files: {named}.")
    enter("practices", "file names", _practices(analysis))
    if analysis.activity is not None:
        enter("activity", "git log", _activity(analysis.activity))
    return ledger.entries


def _declared(manifest: Manifest) -> str:
    scopes = Counter(dependency.scope for dependency in manifest.dependencies)
    counts = ", ".join(f"{number} {scope}" for scope, number in sorted(scopes.items()))
    return f"{manifest.path} declares {counts or 'no'} dependencies."


def _practices(analysis: Analysis) -> str:
    seen = analysis.practices
    ci = ", ".join(seen.ci) or "no CI configuration"
    tests = counted(seen.test_files, "test file")
    return f"{tests}; {counted(seen.documentation_files, 'documentation file')}; {ci}."


def _activity(activity: Activity) -> str:
    at_least = "" if activity.complete else "at least "
    return (
        f"Last commit {day(activity.last_commit_at)}; {at_least}"
        f"{counted(activity.commits_90_days, 'commit')} in 90 days and {at_least}"
        f"{activity.commits_365_days:,} in a year by "
        f"{counted(activity.authors_365_days, 'author')}."
    )
