"""Backups: the databases of one moment, the published file, artifacts and a manifest, a directory.

It is taken beside a server that goes on writing: the databases are copied by SQLite's backup API
out of the read transactions of one `storage.snapshot`. (`VACUUM INTO` would copy less, but begins a
transaction of its own for each file, and so would give three moments.) The published file is read
after that moment and may be newer than `beads.db`: a server takes such a file in when it starts.

The directory gets its name last, when everything in it is on the disk: what is cut off leaves a
hidden directory called `.NAME.partial-…`, never something that looks like a backup. Each copy is
checked before that, and what the three owe each other, as a restore will: what it would refuse is
noticed now, while there are older backups.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from storage import artifacts, durable, manifest
from storage.coordination import queries as coordination
from storage.coordination.results import CONTENTS
from storage.database import make_private_directory
from storage.databases import Database, databases
from storage.durable import PRIVATE_FILE
from storage.errors import (
    ArtifactDamaged,
    BackupExists,
    BackupFailed,
    DatabaseFailure,
    database_failure,
)
from storage.integrity import inspect
from storage.invariants import broken
from storage.issues import queries as issues
from storage.issues.file import read as read_published
from storage.manifest import File, Manifest
from storage.migrate import applied
from storage.room import naming_full
from storage.snapshot import Snapshot, snapshot
from storage.sweeping import has_artifacts
from storage.workflows import queries as workflows

DIRECTORY: Final = "backups"
"""Where a data directory keeps those that the program takes by itself."""

PUBLISHED: Final = "issues.jsonl"
"""The published file's name in a backup."""


def take(directory: Path, published: Path, target: Path, *, program: str) -> Manifest:
    """Backs up a data directory. When it returns, the backup survives a power cut.

    Args:
        directory: the data directory; nothing in it is changed, and its lock is not needed.
        published: the issues' file in the work tree; it may be missing.
        target: the backup's directory, which must not be there yet, or be empty.
        program: this program's version, for the manifest.

    Raises:
        BackupExists: the target is taken.
        BackupFailed: a database is damaged, or they contradict each other.
        DatabaseFailure: a database is missing or cannot be read.
        DiskFull: there is no room for it; nothing is left of it.
        OSError: the target cannot be written.
    """
    if target.is_symlink():
        raise BackupExists(
            target, "it is a symbolic link, which a backup never replaces: name what it leads to"
        )
    if target.exists() and not _is_empty_directory(target):
        raise BackupExists(
            target, "it is there already, and a backup is never overwritten: name another directory"
        )
    with _naming(target), naming_full(target):
        make_private_directory(target.parent)
        partial = Path(tempfile.mkdtemp(prefix=_hidden(target), dir=target.parent))
        try:
            taken = _fill(partial, directory, published, program, target)
            durable.sync(partial)
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        durable.sync(target.parent)
    return taken


def _hidden(target: Path) -> str:
    return f".{target.name}.partial-"


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Names the backup that was asked for in what goes wrong in its hidden directory."""
    try:
        yield
    except DatabaseFailure as err:
        named = _under(target, err.path)
        if named == err.path:
            raise
        raise type(err)(named, err.detail) from err
    except OSError as err:
        if isinstance(err.filename, str):
            err.filename = str(_under(target, Path(err.filename)))
        raise


def _under(target: Path, path: Path) -> Path:
    """A path in the hidden directory, as it would be in the backup; any other as it is."""
    for place in (path, *path.parents):
        if place.parent == target.parent and place.name.startswith(_hidden(target)):
            return target / path.relative_to(place)
    return path


def _fill(partial: Path, directory: Path, published: Path, program: str, target: Path) -> Manifest:
    """Fill it. The contents of artifacts stay where they are until they are copied, too."""
    with artifacts.kept(directory / artifacts.DIRECTORY):
        return _fill_kept(partial, directory, published, program, target)


def _fill_kept(
    partial: Path, directory: Path, published: Path, program: str, target: Path
) -> Manifest:
    copies = databases(partial)
    with snapshot(directory) as held:
        _refuse_without_tables(target, held)
        taken_at = datetime.now(UTC).isoformat(timespec="seconds")
        positions = _positions(held)
        home = coordination.meta(held["coordination"], "home") or ""
        repository = coordination.meta(held["coordination"], "repository") or ""
        file = read_published(published)
        contents = _contents(held["coordination"])
        for copy in copies:
            _copy(held[copy.name], copy.path)
    files = {copy.path.name: _checked(copy, target) for copy in copies}
    _refuse_contradictions(partial, target)
    if file is not None:
        durable.write_new(partial / PUBLISHED, file)
        files[PUBLISHED] = File(sha256=durable.sha256_of(partial / PUBLISHED), bytes=len(file))
    lacking = _copy_contents(contents, directory, partial)
    files |= {
        place(sha256): File(sha256=sha256, bytes=size)
        for sha256, size in contents.items()
        if sha256 not in lacking
    }
    taken = Manifest(
        taken_at=taken_at,
        program=program,
        home=home,
        repository=repository,
        positions=positions,
        files=files,
        lacking=lacking,
    )
    manifest.write(partial, taken)
    return taken


def _refuse_without_tables(target: Path, held: Snapshot) -> None:
    for name, connection in held.items():
        if not applied(connection):
            raise BackupFailed(target, f"{name}.db has no tables: `beadflow db migrate` makes them")


def _refuse_contradictions(partial: Path, target: Path) -> None:
    with snapshot(partial) as copied:
        for finding in broken(copied):
            what = f"{finding.database}.db: {finding.table} {finding.place}: {finding.what}"
            raise BackupFailed(
                target,
                f"its databases would contradict each other ({what}), and no restore would take"
                " it; `beadflow db check` says more",
            )


def _positions(held: Snapshot) -> dict[str, int]:
    return {
        "events": coordination.last_event(held["coordination"]),
        "history": workflows.last_position(held["tempolite"]),
        "history_copied": coordination.cursor(held["coordination"], "tempolite"),
        "journal": issues.last_seq(held["beads"]),
        "journal_copied": coordination.cursor(held["coordination"], "beads"),
    }


def _copy(held: sqlite3.Connection, target: Path) -> None:
    """Copies the state that a read transaction sees into one file, without a log beside it."""
    target.touch(PRIVATE_FILE)
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            held.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as err:
        raise database_failure(target, err) from err
    durable.sync(target)


def place(sha256: str) -> str:
    """A content's name in a manifest: where it lies in a backup, and in a data directory."""
    return artifacts.path_of(Path(artifacts.DIRECTORY), sha256).as_posix()


def _contents(held: sqlite3.Connection) -> dict[str, int]:
    """The contents that rows name, with their sizes."""
    if not has_artifacts(held):
        return {}
    return {row["sha256"]: row["size"] for row in held.execute(CONTENTS)}


def _copy_contents(contents: Mapping[str, int], directory: Path, partial: Path) -> list[str]:
    """Copy them; answers those that cannot be: the rest is worth a backup without them."""
    lacking = []
    target = partial / artifacts.DIRECTORY
    for sha256, size in contents.items():
        try:
            artifacts.copy(directory / artifacts.DIRECTORY, sha256, size, target)
        except ArtifactDamaged:
            lacking.append(sha256)
    if target.exists():
        artifacts.sync_names(target)
    return lacking


def _checked(copy: Database, target: Path) -> File:
    found = inspect(copy)
    if found:
        first = " ".join(part for part in (found[0].table, found[0].place) if part)
        raise BackupFailed(
            target,
            f"{copy.path.name} is damaged ({first + ': ' if first else ''}{found[0].what});"
            " `beadflow db check` says more",
        )
    with closing(sqlite3.connect(copy.path)) as connection:
        version = max((row.version for row in applied(connection)), default=0)
    return File(
        sha256=durable.sha256_of(copy.path),
        bytes=copy.path.stat().st_size,
        schema_version=version,
    )


def _is_empty_directory(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
