"""What can go wrong with a store, as types.

Everything this package raises on purpose is a `StorageError`; a `sqlite3.Error` or an `OSError` is
turned into one at the place that knows the path and what was attempted. The package knows nothing
of HTTP or of actors: the writer actor and the doors translate these further. Each message says
what was attempted, on which file, and what can be done about it, because most of them are read by
a person at a terminal.
"""
# ruff: noqa: N818 - the names are the words of the field (StoreLocked, DiskFull), not FooError

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNOPENED = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})


class StorageError(Exception):
    """Stands for every failure this package reports on purpose."""


class DatabaseFailure(StorageError):
    """A database file could not be opened, read or written."""

    what = "could not be used"

    def __init__(self, path: Path | str, detail: str) -> None:
        super().__init__(f"{path} {self.what}: {detail}")
        self.path = Path(path)
        self.detail = detail


class Corrupt(DatabaseFailure):
    what = "is damaged, or no SQLite database (restore it from a backup, or move it away)"


class Inaccessible(DatabaseFailure):
    """It could not be reached, which says nothing of whether it is whole."""


class DiskFull(Inaccessible):
    what = "could not be used because its disk is full (free some space and try again)"


class DatabaseBusy(Inaccessible):
    what = "is held by another connection for too long (try again when that one has ended)"


class CannotOpen(Inaccessible):
    what = "could not be opened (check that it exists and who may read and write it)"


class ReadOnly(Inaccessible):
    what = (
        "cannot be used where nothing can be written, since SQLite keeps its log beside it"
        " (make the file and its directory writable, or copy the directory elsewhere and name the"
        " copy with --data-dir)"
    )


class FileLost(DatabaseFailure):
    """What is written to it now, nobody will find; what was written before may be lost, too."""

    what = (
        "was deleted, moved or replaced while it was in use (move it back, or stop the server and"
        " restore a backup)"
    )


class ArtifactDamaged(StorageError):
    """The content of an artifact is missing, or is not what its row says."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(
            f"the content {path} cannot be used: {detail} (store it again, or restore a backup)"
        )
        self.path = path
        self.detail = detail


def database_failure(path: Path | str, error: sqlite3.Error) -> DatabaseFailure:
    """Names what SQLite's error means for the file at `path`."""
    match primary_code(error):
        case code if code in _CORRUPT:
            return Corrupt(path, str(error))
        case sqlite3.SQLITE_FULL:
            return DiskFull(path, str(error))
        case code if code in _BUSY:
            return DatabaseBusy(path, str(error))
        case sqlite3.SQLITE_READONLY:
            return ReadOnly(path, str(error))
        case code if code in _UNOPENED:
            return CannotOpen(path, str(error))
    return DatabaseFailure(path, str(error))


def plain(error: Exception) -> str:
    """Says what went wrong; of an `OSError` without its number and path, which is named already."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def primary_code(error: sqlite3.Error) -> int:
    """Gives SQLite's primary result code; the extended part (which call failed) is masked off."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Names the file in whatever its content makes of a start: an operator has to find it.

    A damaged page may hold anything: text that is none, or a null where none can be.
    """
    try:
        yield
    except sqlite3.Error as err:
        raise database_failure(path, err) from err
    except SchemaError as err:
        raise type(err)(f"{path}: {err}") from err
    except (TypeError, ValueError) as err:
        raise Corrupt(path, f"{type(err).__name__}: {err}") from err


class SchemaError(StorageError):
    """A database's schema and the program's migrations do not fit together."""


class ForeignDatabase(SchemaError):
    """A database lies where another one belongs; nothing may be applied to it."""


class BackupFailed(StorageError):
    """A backup was not taken; nothing is left of it."""

    def __init__(self, target: Path, detail: str) -> None:
        super().__init__(f"no backup was made in {target}: {detail}")
        self.target = target


class BackupExists(BackupFailed):
    """Something is where the backup was to be made."""


class BackupUnusable(StorageError):
    """A backup is not whole, or does not fit; nothing was touched."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path} cannot be restored: {detail}")
        self.path = path
        self.detail = detail


class BackupMissing(BackupUnusable):
    """There is no directory of that name, or what is in it is no backup."""


class BackupOfAnother(BackupUnusable):
    """A backup is whole, but of another installation or repository; nothing was touched."""


class RestoreUnfinished(StorageError):
    """The databases are being exchanged, or were when a process died."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"a restore into {directory} is under way or was cut off: the next command that holds"
            " the data directory finishes it, such as `beadflow up` or `beadflow db migrate`"
        )
        self.directory = directory


class PoolClosed(StorageError):
    def __init__(self, database: str) -> None:
        super().__init__(f"the read pool of {database} is not open")
        self.database = database


class QueryFailed(StorageError):
    def __init__(self, database: str, operation: str, detail: str) -> None:
        super().__init__(f"the query {operation} on {database} failed: {detail}")
        self.database = database
        self.operation = operation


class QueryTimeout(StorageError):
    """A read took longer than its deadline and was interrupted; nothing was changed."""

    def __init__(self, database: str, operation: str, deadline_s: float) -> None:
        super().__init__(
            f"the query {operation} on {database} was interrupted after {deadline_s:g} s"
            " (ask for less at once, or try again when the server is less busy)"
        )
        self.database = database
        self.operation = operation
        self.deadline_s = deadline_s


class PayloadError(StorageError):
    """A value cannot be stored, or a stored text is not one of ours."""

    def __init__(self, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail}")
        self.where = where
        self.detail = detail


class StoreLocked(StorageError):
    """Another process holds the store. The facts are None when it has not written them yet."""

    def __init__(
        self,
        path: Path,
        *,
        pid: int | None = None,
        host: str | None = None,
        since: str | None = None,
        url: str | None = None,
    ) -> None:
        who = f"process {pid} on {host} since {since}" if pid is not None else "another process"
        at = f", which serves {url}" if url else ""
        super().__init__(f"{path} is held by {who}{at}; talk to that one, or stop it first")
        self.path = path
        self.pid = pid
        self.host = host
        self.since = since
        self.url = url


class LockUnusable(StorageError):
    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(
            f"the lock {path} cannot be used: {detail} (check who may read and write it, and that"
            " its file system has locks)"
        )
        self.path = path


class RepositoryMismatch(StorageError):
    """The store belongs to another repository than the one it is used from."""

    def __init__(self, recorded: Path | str, actual: Path | str) -> None:
        super().__init__(
            f"this data directory belongs to the repository {recorded}, not to {actual}"
            " (use another --data-dir, or none)"
        )
        self.recorded = Path(recorded)
        self.actual = Path(actual)


class RepositoryCopied(StorageError):
    """The store came with a copy of a repository, and the original still has its own."""

    def __init__(self, copy: Path, original: Path) -> None:
        super().__init__(
            f"{copy} is a copy of {original}, which is still there, and both would run the same"
            " workflows: move the copy away to begin anew (the issues stay in their file), or move"
            " the original away to go on with the copy"
        )
        self.copy = copy
        self.original = original


class StoresDisagree(StorageError):
    """One database lacks what another relies on: it was lost, or put back from another time."""

    def __init__(self, behind: Path, ahead: Path, *, lacks: str = "") -> None:
        """`lacks` says how `behind` was lost ("is missing"); without it, it is older."""
        how = f"{lacks}, and {ahead} relies on it" if lacks else f"is older than {ahead}"
        super().__init__(
            f"{behind} {how}: put both back from the same backup"
            " (`beadflow db restore`), or move the whole data directory away to begin anew"
            " (the issues stay in their file)"
        )
        self.behind = behind
        self.ahead = ahead


class StoresLost(StorageError):
    """No database is there, but what can only have been made beside one."""

    def __init__(self, directory: Path, left: Iterable[str]) -> None:
        super().__init__(
            f"the databases in {directory} were lost (what is left: {', '.join(left)}): put a"
            " backup in their place (`beadflow db restore`), or move the whole data directory away"
            " to begin anew (the issues stay in their file)"
        )
        self.directory = directory


class DatabaseMissing(StorageError):
    """A database is missing or empty, and nothing is lost that cannot be made again."""

    def __init__(self, path: Path, *, rebuilt: bool) -> None:
        from_where = "the issues' file or, where that is missing, from refs/beadflow/issues"
        way = f"rebuilds it from {from_where}" if rebuilt else "makes it"
        super().__init__(f"{path} is missing or empty: `beadflow up` {way}")
        self.path = path


class UnsafePath(StorageError):
    """A file of ours is a symbolic link, or lies outside the directory it must be in."""

    def __init__(self, path: Path | str, detail: str) -> None:
        super().__init__(f"refusing to use {path}: {detail}")
        self.path = Path(path)


class GitError(StorageError):
    """A Git command failed, or was refused before it ran."""

    def __init__(self, operation: str, detail: str) -> None:
        super().__init__(f"git {operation} failed: {detail}")
        self.operation = operation
        self.detail = detail


class GitTimeout(GitError):
    """A Git command was killed at its deadline; what it wrote until then may be there."""

    def __init__(self, operation: str, deadline_s: float) -> None:
        super().__init__(operation, f"killed after {deadline_s:g} s")
        self.deadline_s = deadline_s


class RefMoved(GitError):
    """Someone else moved the ref between our reading it and our writing it, twice in a row."""

    def __init__(self, ref: str, expected: str | None, detail: str) -> None:
        super().__init__(
            f"update-ref {ref}", f"it is no longer at {expected or 'nothing'}: {detail}"
        )
        self.ref = ref
        self.expected = expected


class RemoteFailed(GitError):
    """A remote could not be fetched from or pushed to.

    `reason` is "unreachable", "denied" (it does not let us in), "rejected" (it does not take what
    is pushed), "protocol" (a URL that is not used) or "unknown" (there is no such remote).
    """

    def __init__(self, operation: str, detail: str, *, reason: str) -> None:
        super().__init__(operation, detail)
        self.reason = reason


class PushRejected(GitError):
    """The remote's ref is no longer where it was seen: somebody else pushed."""

    def __init__(self, detail: str) -> None:
        super().__init__("push", detail)


class BranchBusy(GitError):
    """Nothing can be committed on the branch now; nothing was changed."""

    def __init__(self, detail: str) -> None:
        super().__init__("commit", detail)
