"""Opening SQLite databases, and nothing else.

Every connection in the program is made here, so that each has the same pragmas, the same row type
and the same file modes. There is one writing connection per file (SQLite up to 3.51.2 can damage a
write-ahead log when two connections write or checkpoint it at once): it is opened by the writer
actor that owns the database. All others are readers, which SQLite itself keeps from writing.

`synchronous=FULL`, not the usual NORMAL: NORMAL loses acknowledged commits in a power cut, and
group commit pays for the difference. A full integrity check is not made at each open, since it
reads the whole file; a file that is no database at all is noticed by the first pragma.

Transactions are begun and ended by explicit statements (`isolation_level=None`), which means the
same on every Python we run on.
"""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from storage.durable import PRIVATE_FILE, sync, sync_way
from storage.errors import (
    CannotOpen,
    Corrupt,
    DatabaseFailure,
    UnsafePath,
    database_failure,
    plain,
)
from storage.room import reading_failure
from storage.tuning import DEFAULTS, MIB, Tuning

PRIVATE_DIRECTORY = 0o700

_COMMON_PRAGMAS = (
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=10000",  # pages: 40 MB at most
    "PRAGMA temp_store=MEMORY",
    "PRAGMA mmap_size=268435456",  # 256 MiB
)
_WRITER_PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=1000",
    f"PRAGMA journal_size_limit={16 * MIB}",  # a log that once grew is cut when it starts anew
)


def open_writer(path: Path, tuning: Tuning = DEFAULTS) -> sqlite3.Connection:
    """Opens the one writing connection of a database, and creates the file when it is missing.

    The connection may be used by one thread at a time, not only by the one that opened it.

    Raises:
        Corrupt: the file is not a database.
        UnsafePath: it is a symbolic link, a directory, a pipe or a device.
        CannotOpen: the file or its directory may not be opened, or made.
        ReadOnly: they can be read, but not written.
        DiskFull: the log's index has no room beside the file.
        DatabaseFailure: anything else SQLite objects to.
    """
    _prepare(path)
    conn = _connect(path, "rw", tuning, sqlite3.Connection)
    try:
        _use_write_ahead_log(conn, path)
        _apply(conn, _COMMON_PRAGMAS + _WRITER_PRAGMAS)
    except (sqlite3.Error, UnicodeDecodeError) as err:
        conn.close()
        raise _failure(path, err) from err
    except DatabaseFailure:
        conn.close()
        raise
    return conn


def open_reader(
    path: Path,
    tuning: Tuning = DEFAULTS,
    *,
    factory: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """Opens a connection that cannot write, usable by one thread at a time.

    Single rows by key are read inline on the event loop's thread (`storage.inline`); anything
    longer belongs in `storage.pool`.

    Raises: as `open_writer`; a missing file is `CannotOpen`.
    """
    _refuse_irregular(path)
    conn = _connect(path, "ro", tuning, factory)
    try:
        _apply(conn, (*_COMMON_PRAGMAS, "PRAGMA query_only=ON"))
        conn.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()  # reads the file's header
    except (sqlite3.Error, UnicodeDecodeError) as err:
        conn.close()
        raise _failure(path, err) from err
    return conn


def find_damage(
    path: Path, *, most: int = 5, opened: Callable[[Path], sqlite3.Connection] | None = None
) -> list[str]:
    """Says where a database is damaged, in SQLite's words; nothing when it is sound.

    It reads the whole file and compares each index with its table: twice the time of
    `PRAGMA quick_check`, which would let a lost index entry pass, and with it a row that no look-up
    finds.

    Args:
        path: the database.
        most: how many places to name.
        opened: how to open it; as a reader when None. After a crash the log has to be recovered
            first, which a reader may not.

    Raises:
        DatabaseFailure: it cannot be looked at, for another reason than damage.
    """
    try:
        with closing((opened or open_reader)(path)) as conn:
            try:
                rows = conn.execute(f"PRAGMA integrity_check({most:d})").fetchall()
            except sqlite3.DatabaseError:
                # The module drops the row it has when the next step fails: ask for one only.
                rows = conn.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.Error as err:
        failure = database_failure(path, err)
        if not isinstance(failure, Corrupt):
            raise failure from err
        return [failure.detail]
    except Corrupt as err:
        return [err.detail]
    found = [" ".join(str(text).split()) for (text,) in rows]
    return [] if found == ["ok"] else found


def refuse_damaged(path: Path) -> None:
    """Looks through a database that nobody has open, before something is built on it.

    Raises:
        Corrupt: it is damaged; the places are named.
        DatabaseFailure: it cannot be looked at.
    """
    if places := find_damage(path, opened=open_writer):
        raise Corrupt(path, "; ".join(places))


def located(failure: DatabaseFailure) -> DatabaseFailure:
    """Looks for the place when SQLite said no more than that a file is damaged."""
    if not isinstance(failure, Corrupt):
        return failure
    return Corrupt(failure.path, "; ".join(find_damage(failure.path)) or failure.detail)


def empty_log(conn: sqlite3.Connection, *, patience_s: float) -> bool:
    """Moves the whole write-ahead log into the database file, syncs that, and empties the log.

    Args:
        conn: the writing connection, outside of a transaction.
        patience_s: seconds to wait for readers that need the log.

    Returns:
        False when a reader still needs it; the log is then as long as it was.

    Raises:
        sqlite3.Error: something could not be read, written or synced.
    """
    (before,) = conn.execute("PRAGMA busy_timeout").fetchone()
    conn.execute(f"PRAGMA busy_timeout={int(patience_s * 1000)}").close()
    try:
        (busy, _, _) = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        conn.execute(f"PRAGMA busy_timeout={int(before)}").close()
    return not busy


def log_of(path: Path) -> Path:
    """Where a database's write-ahead log is, if it has one."""
    return path.with_name(f"{path.name}-wal")


def log_bytes(path: Path) -> int:
    """The size of a database's write-ahead log; 0 when there is none."""
    try:
        return log_of(path).stat().st_size
    except FileNotFoundError:
        return 0


def free_bytes(path: Path) -> int:
    """What we may still write on the disk of a file."""
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize


def make_private_directory(path: Path) -> None:
    """Makes a directory only its owner may enter; parents that are missing get the same mode.

    It survives a power cut: each new name is synced in the directory above it.
    """
    for missing in reversed([p for p in (path, *path.parents) if not p.exists()]):
        missing.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
        sync(missing.parent.resolve())


def _connect(
    path: Path, mode: str, tuning: Tuning, factory: type[sqlite3.Connection]
) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"  # quote: ? # and % would end the path
    try:
        conn = sqlite3.connect(
            uri,
            uri=True,
            timeout=tuning.busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=tuning.cached_statements,
            factory=factory,
        )
    except sqlite3.Error as err:
        raise database_failure(path, err) from err
    conn.row_factory = sqlite3.Row
    return conn


def _failure(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> DatabaseFailure:
    """Names the file; SQLite quotes a schema that it cannot read, and that may be no text."""
    if isinstance(error, UnicodeDecodeError):
        return Corrupt(path, error.object.decode(errors="replace"))
    return reading_failure(path, error)


def _apply(conn: sqlite3.Connection, pragmas: tuple[str, ...]) -> None:
    for pragma in pragmas:
        conn.execute(pragma).close()


def _use_write_ahead_log(conn: sqlite3.Connection, path: Path) -> None:
    (mode,) = conn.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise DatabaseFailure(path, f"this file system allows no write-ahead log (got {mode!r})")


def _prepare(path: Path) -> None:
    """Creates the file with its final mode, or tightens the mode of the one that is there.

    SQLite would create it by the umask. A file that exists is never opened here: closing any
    descriptor of it would drop the locks that this process's other connections hold on it.
    """
    try:
        make_private_directory(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, PRIVATE_FILE))
    except FileExistsError:
        _tighten(path)
    except OSError as err:
        raise CannotOpen(path, plain(err)) from err
    _sync_way(path)


def _sync_way(path: Path) -> None:
    """Before anything is written to a new file: who made it may have been killed before this."""
    try:
        if path.stat().st_size == 0:
            sync_way(path)
    except OSError as err:
        raise CannotOpen(path, plain(err)) from err


def _refuse_irregular(path: Path) -> None:
    """Before SQLite sees it, which follows a link and calls a directory an I/O error."""
    with contextlib.suppress(OSError):  # that it is not there, or closed to us, SQLite tells
        if not stat.S_ISREG(path.lstat().st_mode):
            raise UnsafePath(path, "a database must be a regular file, not a link or a device")


def _tighten(path: Path) -> None:
    _refuse_irregular(path)
    mode = path.stat().st_mode
    if stat.S_IMODE(mode) & 0o077:
        try:
            path.chmod(PRIVATE_FILE)
        except OSError as err:
            raise CannotOpen(path, plain(err)) from err
