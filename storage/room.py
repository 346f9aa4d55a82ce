"""Saying that a disk is full, in whichever words the system or SQLite has put it.

For commands that handle databases as files: what they had begun is left undone, so that nothing is
in doubt. A writer in the middle of a commit has to look closer, and does not come here.
"""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from storage.errors import DatabaseFailure, DiskFull, StorageError, database_failure, primary_code

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def naming_full(place: Path) -> Iterator[None]:
    """Turns every error that means a full disk into one that says so.

    Args:
        place: what is named as being on that disk, where the error names no database.

    Raises:
        DiskFull: there was no room for what was done inside. Any other error passes through.
    """
    try:
        yield
    except DiskFull:
        raise
    except (StorageError, sqlite3.Error, OSError) as err:
        if not is_full(err) and not is_full(err.__cause__):
            raise
        full = err.path if isinstance(err, DatabaseFailure) else place
        raise DiskFull(full, str(err.__cause__ or err)) from err


def reading_failure(path: Path, error: sqlite3.Error) -> DatabaseFailure:
    """As `database_failure`, where nothing was written that could be in doubt."""
    return DiskFull(path, str(error)) if is_full(error) else database_failure(path, error)


def is_full(error: BaseException | None) -> bool:
    """Says whether an error means that there is no room.

    To SQLite the index of a log, which lies beside the database, is memory: that it cannot grow
    on a full disk is an I/O error.
    """
    match error:
        case OSError():
            return error.errno in _NO_ROOM
        case sqlite3.Error():
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            return (
                primary_code(error) == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE
            )
    return False
