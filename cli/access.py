"""Who can get at the data: other users of this machine through the files, and whoever has a key."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actors.clock import rfc3339, system_clock
from storage.coordination.standing import Keys, keys_in
from storage.home import DataDir

MAKE_A_KEY: Final = "beadflow auth key create --user NAME --role admin"


def keys_of(data: DataDir) -> Keys:
    """Which keys there are at this moment.

    Raises:
        StorageError: the database cannot be opened.
    """
    return keys_in(data.coordination_db, rfc3339(system_clock()))


def open_to_others(data: DataDir) -> Iterator[str]:
    """What of the data directory others may read or own; what lies deeper is behind these.

    Raises:
        OSError: it cannot be looked at.
    """
    for path in (data.path, *sorted(data.path.iterdir())):
        if (why := _open(path)) is not None:
            yield f"{path} {why}"


def _open(path: Path) -> str | None:
    try:
        found = path.lstat()
    except FileNotFoundError:  # it has gone meanwhile, as logs of databases do
        return None
    if stat.S_ISLNK(found.st_mode):
        return "is a symbolic link"
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    if found.st_mode & 0o077:
        return f"is open to others (mode {stat.S_IMODE(found.st_mode):04o})"
    return None
