"""Exchanging the databases of a data directory for a staged set: no crash leaves two halves.

A restore puts the new files into `restoring/`. Writing `restore.json` decides: before it, the old
databases stand and `restoring/` is rubbish; after it, whoever takes the lock next finishes, by the
same steps as the restore itself. Per database: the old file and its log move into
`replaced-<time>/`, then the new one moves out of `restoring/`. A database that is no longer in
`restoring/` is done, so that being cut off anywhere and begun again comes to the same.

Nothing is deleted: what was replaced stays in its directory until somebody removes it. The data
directory's lock is held by the caller; `DataDir.acquire` calls `finish` itself.
"""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from storage import durable, regular
from storage.database import make_private_directory
from storage.databases import Database, databases
from storage.errors import BackupUnusable, RestoreUnfinished

STAGED: Final = "restoring"
DECISION: Final = "restore.json"
ASIDE: Final = "replaced"


def stage(directory: Path) -> Path:
    """Makes the directory for the new files, empty."""
    staged = directory / STAGED
    _remove(staged)
    make_private_directory(staged)
    return staged


def discard(directory: Path) -> None:
    """Gives the room of a staging back that came to nothing; the next holder does what is left."""
    shutil.rmtree(directory / STAGED, ignore_errors=True)


def decide(directory: Path) -> Path:
    """Decides for the staged files, durably; gives the directory that the old ones will have."""
    aside = _free_name(directory)
    durable.replace(directory / DECISION, json.dumps({"aside": aside.name}).encode())
    return aside


def finish(directory: Path) -> bool:
    """Finishes a restore that was decided, or removes what one left that was not.

    Answers whether there was one to finish. The data directory's lock is held.

    Raises:
        BackupUnusable: the decision cannot be read.
        OSError: a file cannot be moved; it can be tried again.
    """
    decision, staged = directory / DECISION, directory / STAGED
    if not decision.exists():
        _remove(staged)
        return False
    aside = _read_decision(directory)
    for database in databases(directory):
        _exchange(database, staged / database.path.name, aside)
    decision.unlink()
    durable.sync(directory)
    _remove(staged)
    return True


def is_unfinished(directory: Path) -> bool:
    """Says whether a restore is under way, or was cut off after its decision."""
    return (directory / DECISION).exists()


def refuse_unfinished(directory: Path) -> None:
    """For those who read without the lock: the databases may be of two sets.

    Raises:
        RestoreUnfinished: a restore is under way, or was cut off.
    """
    if is_unfinished(directory):
        raise RestoreUnfinished(directory)


def _free_name(directory: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (f"{ASIDE}-{stamp}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
    return directory / next(name for name in names if not (directory / name).exists())


def _read_decision(directory: Path) -> Path:
    try:
        name = json.loads(regular.read(directory / DECISION))["aside"]
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        raise BackupUnusable(directory, f"its {DECISION} cannot be read ({err})") from err
    if not isinstance(name, str) or not name.startswith(ASIDE) or Path(name).name != name:
        raise BackupUnusable(directory, f"its {DECISION} names {name!r}")
    return directory / name


def _exchange(database: Database, staged: Path, aside: Path) -> None:
    """Moves one database aside and the new one into its place; does nothing when that is done."""
    if not staged.exists():
        return
    for old in database.files:
        if os.path.lexists(old):
            make_private_directory(aside)
            old.rename(aside / old.name)
            durable.sync(aside)
    durable.sync(database.path.parent)
    staged.rename(database.path)
    durable.sync(database.path.parent)


def _remove(staged: Path) -> None:
    if staged.exists():
        shutil.rmtree(staged)
