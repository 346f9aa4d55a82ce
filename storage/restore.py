"""Putting a backup in the place of a data directory's databases, whole or not at all.

Everything that can refuse comes first and touches nothing: the manifest, the hashes, SQLite's check
of each file, the schema versions, whose data it is. Then the files are copied beside the databases,
brought to the present schema and checked together; what was revoked since the backup stays so. Only
then `storage.exchange` decides, and puts them in their place.

The published file is put back only where there is none: one that is there may hold what people
wrote since, and a server takes it in when it starts.
"""

import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from storage import artifacts, durable, exchange, manifest
from storage.backup import PUBLISHED
from storage.backup import place as content_place
from storage.coordination import queries as coordination
from storage.coordination import revoked
from storage.coordination.results import CONTENTS
from storage.database import open_reader, open_writer
from storage.databases import Database, databases
from storage.errors import ArtifactDamaged, BackupOfAnother, BackupUnusable, StorageError
from storage.home import DataDir
from storage.integrity import inspect
from storage.invariants import broken
from storage.issues import file
from storage.manifest import Manifest
from storage.migrate import Applied, migrate
from storage.room import naming_full
from storage.snapshot import snapshot
from storage.sweeping import has_artifacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore has done.

    Args:
        taken: the backup's manifest.
        aside: where the databases are that were there before; None when there were none.
        steps: the migrations that brought the backup to the present schema, by database.
        published: whether the published file was put back.
    """

    taken: Manifest
    aside: Path | None
    steps: tuple[tuple[str, Applied], ...]
    published: bool


def verify(backup: Path) -> Manifest:
    """Reads a backup from end to end, and changes nothing.

    Raises:
        BackupMissing: there is no such directory, or no manifest in it.
        BackupUnusable: it is not whole, was changed, or comes from a newer program.
    """
    taken = manifest.read(backup)
    for name in (database.path.name for database in databases(backup)):
        if name not in taken.files:
            raise BackupUnusable(backup, f"its manifest lists no {name}")
    for name, facts in taken.files.items():
        if Path(name).name != name and not _is_content(name, facts):
            raise BackupUnusable(backup, f"its manifest lists {name!r}, which is no file name")
        _refuse_changed(backup, name, facts)
    for database in databases(backup):
        for finding in inspect(database):
            place = " ".join(part for part in (finding.table, finding.place) if part)
            raise BackupUnusable(backup, f"{database.path.name}: {place} {finding.what}")
    _refuse_without_contents(backup, taken)
    return taken


def restore(
    data: DataDir, backup: Path, taken: Manifest, published: Path, *, force: bool = False
) -> Restored:
    """Puts a backup in the place of the databases.

    When it returns, the new set survives a power cut.

    Args:
        data: the data directory, held.
        backup: the backup's directory.
        taken: what `verify` gave for it. That comes before the lock, because whoever takes the
            lock finishes a restore that was cut off, and a mistyped backup shall not do even that.
        published: the issues' file in the work tree.
        force: take another's backup, too; it then belongs to this repository.

    Raises:
        BackupOfAnother: it is another installation's or repository's. Nothing was touched.
        BackupUnusable: it was changed since it was verified, or its databases contradict each
            other. Nothing was touched.
        StorageError: it cannot be brought to the present schema. Nothing was touched.
        DiskFull: there is no room for it. Nothing was touched.
        OSError: the data directory cannot be written. Before the decision nothing was touched,
            after it the next holder of the lock finishes.
    """
    directory, repository = data.path, str(data.repository)
    if not force:
        _refuse_another(directory, backup, taken, repository)
    with naming_full(directory):
        try:
            steps = _stage(directory, backup, taken, owner=repository if force else None)
            _put_contents(data.artifacts, backup, taken)
        except BaseException:
            exchange.discard(directory)
            raise
        aside = exchange.decide(directory)
        exchange.finish(directory)
    return Restored(
        taken=taken,
        aside=aside if aside.exists() else None,
        steps=steps,
        published=_put_back(backup, taken, published),
    )


def _is_content(name: str, facts: manifest.File) -> bool:
    """Whether a name is the place of the content that it says it is."""
    return bool(re.fullmatch(r"[0-9a-f]{64}", facts.sha256)) and name == content_place(facts.sha256)


def _refuse_without_contents(backup: Path, taken: Manifest) -> None:
    with closing(open_reader(databases(backup)[0].path)) as connection:
        if not has_artifacts(connection):
            return
        for row in connection.execute(CONTENTS):
            known = row["sha256"] in taken.lacking or content_place(row["sha256"]) in taken.files
            if not known:
                raise BackupUnusable(
                    backup, f"it has no content {row['sha256']}, which a row names"
                )


def _put_contents(root: Path, backup: Path, taken: Manifest) -> None:
    """Put the contents of artifacts beside those that are there, which stay until a sweep.

    Before the decision: one that comes to nothing leaves contents that no row names.
    """
    for name, facts in taken.files.items():
        if not _is_content(name, facts):
            continue
        try:
            artifacts.verify(root, facts.sha256, facts.bytes)
        except ArtifactDamaged:
            artifacts.copy(backup / artifacts.DIRECTORY, facts.sha256, facts.bytes, root)
    artifacts.sync_names(root)


def _refuse_changed(backup: Path, name: str, facts: manifest.File) -> None:
    path = backup / name
    if not os.path.lexists(path):
        raise BackupUnusable(backup, f"{name} is missing")
    if path.is_symlink() or not path.is_file():
        raise BackupUnusable(backup, f"{name} is no regular file")
    if path.stat().st_size != facts.bytes:
        size = path.stat().st_size
        raise BackupUnusable(backup, f"{name} has {size} bytes, the manifest says {facts.bytes}")
    if durable.sha256_of(path) != facts.sha256:
        raise BackupUnusable(backup, f"{name} was changed after it was written (its SHA-256)")


def _refuse_another(directory: Path, backup: Path, taken: Manifest, repository: str) -> None:
    """Takes the same installation's, wherever its repository was then, or this repository's."""
    home = _home(directory)
    if home and taken.home and home != taken.home:
        raise BackupOfAnother(
            backup,
            f"it is of {taken.home} (repository {taken.repository}), the databases there are of"
            f" {home}; use another --data-dir, or --force to replace them all the same",
        )
    if not home and taken.repository not in ("", repository):
        raise BackupOfAnother(
            backup,
            f"it is of the repository {taken.repository}, and this is {repository}; --repo names"
            " another place, and --force restores it here all the same",
        )


def _home(directory: Path) -> str | None:
    """Whose databases are there; databases that cannot be read are what a restore is for."""
    try:
        with closing(open_reader(databases(directory)[0].path)) as connection:
            return coordination.meta(connection, "home")
    except (StorageError, sqlite3.Error):
        return None


def _stage(
    directory: Path, backup: Path, taken: Manifest, *, owner: str | None
) -> tuple[tuple[str, Applied], ...]:
    """Copies the databases into the data directory's file system, migrates and checks them."""
    staged = exchange.stage(directory)
    steps: list[tuple[str, Applied]] = []
    for database in databases(staged):
        name = database.path.name
        if durable.copy_new(backup / name, database.path) != taken.files[name].sha256:
            raise BackupUnusable(backup, f"{name} changed while it was read")
        with closing(open_writer(database.path)) as connection:
            steps += [(database.name, step) for step in migrate(connection, database.schema)]
            if database.name == "coordination":
                revoked.carry_over(directory / name, connection)
                if owner:
                    coordination.set_meta(connection, "repository", owner)
    with snapshot(staged) as held:
        for finding in broken(held):
            what = f"{finding.database}.db: {finding.table} {finding.place}: {finding.what}"
            raise BackupUnusable(backup, f"its databases contradict each other: {what}")
    for database in databases(staged):
        _settle(database)
    durable.sync(staged)
    return tuple(steps)


def _settle(database: Database) -> None:
    """Leaves one file, without a log: SQLite removes that with the last connection that writes."""
    with closing(open_writer(database.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    durable.sync(database.path)


def _put_back(backup: Path, taken: Manifest, published: Path) -> bool:
    """Puts the published file back where there is none."""
    if PUBLISHED not in taken.files or published.exists():
        return False
    with naming_full(published):
        file.replace(published, (backup / PUBLISHED).read_bytes(), expected_sha256=None)
    return True
