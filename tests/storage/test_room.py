"""A full disk is called that, in whichever words it comes."""

import errno
import sqlite3
from pathlib import Path

import pytest

from storage.errors import (
    DatabaseFailure,
    DiskFull,
    SchemaError,
    StorageError,
    database_failure,
)
from storage.room import naming_full, reading_failure

PLACE = Path("/mnt/backup")


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


def caused(error: StorageError, cause: BaseException) -> StorageError:
    error.__cause__ = cause
    return error


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    sqlite_error(sqlite3.SQLITE_FULL),
    sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE),
    caused(SchemaError("step 2 failed"), sqlite_error(sqlite3.SQLITE_FULL)),
]
OTHERS = [
    OSError(errno.EIO, "Input/output error"),
    sqlite_error(sqlite3.SQLITE_IOERR_WRITE),
    caused(SchemaError("step 2 failed"), sqlite_error(sqlite3.SQLITE_CONSTRAINT)),
    SchemaError("a newer one"),
]


@pytest.mark.parametrize("error", FULL, ids=str)
def test_an_error_that_means_a_full_disk_says_so_and_names_the_place(error: Exception) -> None:
    with pytest.raises(DiskFull, match=r"/mnt/backup .* its disk is full"), naming_full(PLACE):
        raise error


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_another_error_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, naming_full(PLACE):
        raise error
    assert caught.value is error


def test_the_database_that_found_no_room_is_named_rather_than_the_place() -> None:
    inner = sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE)
    with pytest.raises(DiskFull, match=r"/data/beads\.db"), naming_full(PLACE):
        raise database_failure("/data/beads.db", inner) from inner


def test_only_where_nothing_is_in_doubt_a_log_without_room_means_a_full_disk() -> None:
    error = sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE)
    assert type(reading_failure(PLACE, error)) is DiskFull
    assert type(database_failure(PLACE, error)) is DatabaseFailure
