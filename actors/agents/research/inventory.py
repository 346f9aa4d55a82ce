"""Takes stock of a repository: languages, where programs begin, what changes, what waits.

Files are read as `analyse.py` reads them, in a worker thread. What cannot be known here (no Git, no
time) is skipped and said.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

from actors.agents.kit.files import Listing, Skips, list_files, read_file
from actors.agents.kit.outcome import Evidence, Skipped
from actors.agents.kit.untrusted import plain
from actors.agents.research.churn import Churn, read_churn
from actors.agents.research.entries import MAX_ENTRIES, entry_points, is_entry_file
from actors.agents.research.inventory_messages import (
    EntryPoint,
    Hotspot,
    Inventory,
    InventoryRequest,
    Reminder,
)
from actors.agents.research.languages import (
    count_lines,
    is_binary,
    is_program,
    language_of,
    languages,
)
from actors.agents.research.manifests import reader_for
from actors.agents.research.practices import practices
from actors.agents.research.reminders import reminders
from actors.agents.research.scan import SCAN_S, Progress, scan
from actors.agents.research.statements import counted
from actors.clock import Clock, system_clock

LOCKS: Final = frozenset(
    {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "requirements.lock"}
    | {"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "Cargo.lock", "go.sum"}
)
_MAX_LISTED: Final = 100
_MAX_REMINDERS: Final = 10_000


@dataclass(slots=True)
class _Stock:
    """What has been read so far; a scan that is cut short keeps it."""

    read: int = 0
    skips: Skips = field(default_factory=Skips)
    files: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    length: dict[str, int] = field(default_factory=dict)
    entries: list[EntryPoint] = field(default_factory=list)
    reminders: list[Reminder] = field(default_factory=list)


async def take_inventory(
    request: InventoryRequest,
    *,
    root: Path,
    progress: Progress,
    now: Clock = system_clock,
    scan_s: float = SCAN_S,
) -> Inventory:
    """Reads the repository at `root`.

    Args:
        request: how much is listed, and how far back.
        root: the work tree; nothing outside it is read.
        progress: told how far it is.
        now: the clock from which days are counted back.
        scan_s: seconds for reading files; what is not read by then is said to be skipped.

    Cancellation takes effect after the file being read.
    """
    at = now()
    progress("listing files", 0.0)
    listing = await list_files(root)
    stock = _Stock()
    stock.read = await scan(listing, lambda path: _read_one(root, path, stock), progress, scan_s)
    progress("reading the history", None)
    churn = await read_churn(root, at, request.days)
    return _inventory(request, listing, stock, churn, at)


def _read_one(root: Path, path: str, stock: _Stock) -> None:
    language = language_of(path)
    if language is None and not is_entry_file(path):
        return
    data = read_file(root, path, stock.skips)
    if data is None or is_binary(data):
        return
    if is_entry_file(path):
        stock.entries += entry_points(path, data)
    if language is None:
        return
    stock.length[path] = count_lines(data)
    stock.files[language] += 1
    stock.lines[language] += stock.length[path]
    if is_program(language) and len(stock.reminders) < _MAX_REMINDERS:
        stock.reminders += reminders(path, data)


def _inventory(
    request: InventoryRequest,
    listing: Listing,
    stock: _Stock,
    churn: Churn | Skipped,
    at: datetime,
) -> Inventory:
    spoken = languages(stock.files, stock.lines)
    hot = _hotspots(churn, stock.length) if isinstance(churn, Churn) else ()
    main = spoken[0].name if spoken else "no language that is known"
    summary = (
        f"{counted(len(listing.paths), 'file')}, most of them {main}; "
        f"{counted(len(stock.entries), 'entry point')}, "
        f"{counted(len(stock.reminders), 'reminder')} in comments."
    )
    made = Inventory(
        summary=plain(summary),
        metrics={
            "files": len(listing.paths),
            "lines": sum(stock.lines.values()),
            "reminders": len(stock.reminders),
            "commits": churn.total if isinstance(churn, Churn) else 0,
            "not_read": sum(stock.skips.counts.values()),
        },
        skipped=_skipped(listing, stock, churn),
        retrieved_at=at,
        languages=spoken,
        manifests=_listed(path for path in listing.paths if reader_for(path)),
        locks=_listed(path for path in listing.paths if PurePosixPath(path).name in LOCKS),
        entry_points=tuple(stock.entries[:MAX_ENTRIES]),
        practices=practices(listing.paths),
        hotspots=hot[: request.shown],
        reminders=tuple(stock.reminders[: request.shown]),
    )
    return made.model_copy(update={"evidence": _evidence(made, listing, request.days)})


def _listed(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(plain(path) for path in islice(paths, _MAX_LISTED))


def _hotspots(churn: Churn, length: dict[str, int]) -> tuple[Hotspot, ...]:
    """Files that still are there, by commits times lines, so that what costs most comes first."""
    found = [
        Hotspot(
            path=plain(path),
            commits=churn.commits[path],
            added=churn.added[path],
            deleted=churn.deleted[path],
            lines=length[path],
        )
        for path in churn.commits
        if path in length and is_program(language_of(path) or "")
    ]
    return tuple(sorted(found, key=lambda hot: (-hot.commits * hot.lines, hot.path)))


def _skipped(listing: Listing, stock: _Stock, churn: Churn | Skipped) -> tuple[Skipped, ...]:
    found = [] if isinstance(churn, Churn) else [churn]
    if listing.why_walked is not None:
        why = f"all files were walked instead ({listing.why_walked})"
        found.append(Skipped(what="the list of tracked files", why=plain(why)))
    unread = len(listing.paths) - stock.read + listing.left_out
    if unread:
        found.append(Skipped(what=counted(unread, "file"), why="there are too many of them"))
    return tuple(found)


def _evidence(made: Inventory, listing: Listing, days: int) -> tuple[Evidence, ...]:
    spoken = ", ".join(
        f"{language.name} ({counted(language.files, 'file')}, {counted(language.lines, 'line')})"
        for language in made.languages[:8]
    )
    begins = ", ".join(f"{entry.name} ({entry.kind})" for entry in made.entry_points[:10])
    hot = ", ".join(f"{h.path} ({counted(h.commits, 'commit')})" for h in made.hotspots[:5])
    notes = ", ".join(f"{note.place} {note.word}" for note in made.reminders[:5])
    said = [
        (listing.by, f"The repository is written in {spoken or 'no language that is known'}."),
        ("manifests and file names", f"Programs begin at {begins}." if begins else ""),
        ("git log", f"Changed most in {days} days, for its length: {hot}." if hot else ""),
        ("comments", f"Left for later: {notes}." if notes else ""),
    ]
    kept = [(source, statement) for source, statement in said if statement]
    return tuple(
        Evidence(id=f"E{number}", source=source, statement=plain(statement, 600))
        for number, (source, statement) in enumerate(kept, 1)
    )
