"""The data directory: where the stores are, and who may write them.

By default it is `beadflow/` in the repository's common directory, where Git never tracks it,
`git clean` never reaches it and all work trees share it; without Git it is `.beadflow/`. One
process at a time writes the stores: it holds `lock`, and names itself and its address in it.

What stays with the repository wherever the data directory is (`issues.jsonl` and our ref) is
guarded by a second lock in the common directory. It is taken by every holder that has a
repository, also when both locks lie in the same place: a process with the default directory and
one with its own would otherwise not see each other.

Directories are 0700 and files 0600: they hold what agents saw.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from storage import exchange
from storage.database import make_private_directory
from storage.errors import CannotOpen, StorageError, UnsafePath, plain
from storage.gitdir import GitDir, find_git_dir
from storage.lock import HeldFile, Holder
from storage.room import naming_full

NAME = "beadflow"
WITHOUT_GIT = ".beadflow"
ISSUES_LOCK = "beadflow-issues.lock"

_SOCKET_PATH_BYTES = 100  # the kernel's limit is 108 on Linux and 104 elsewhere


class DataDir:
    """One data directory, and this process's hold on it. As a context manager it is held."""

    def __init__(self, path: Path, git: GitDir | None) -> None:
        self.path = path
        self.git = git
        self.coordination_db = path / "coordination.db"
        self.tempolite_db = path / "tempolite.db"
        self.beads_db = path / "beads.db"
        self.artifacts = path / "artifacts"
        self.workspace = path / "workspace"
        self.socket = _socket(path)
        self.lock = path / "lock"
        self._lock = HeldFile(self.lock)
        self._issues_lock = HeldFile(git.common_dir / ISSUES_LOCK) if git else None

    @classmethod
    def resolve(cls, repo: Path | None = None, data_dir: Path | None = None) -> "DataDir":
        """Finds the data directory for a place; touches nothing.

        Args:
            repo: a directory in the repository, or any directory; the current one when None.
            data_dir: the directory to use instead of the default.

        Raises:
            UnsafePath: the repository belongs to another user.
        """
        start = (repo or Path.cwd()).resolve()
        git = find_git_dir(start)
        if data_dir is not None:
            return cls(data_dir.expanduser().resolve(), git)
        return cls(git.common_dir / NAME if git else _without_git(start), git)

    @property
    def repository(self) -> Path:
        """Gives what the stores belong to: the common directory, or the directory without Git."""
        return self.git.common_dir if self.git else self.path.parent

    @property
    def held(self) -> bool:
        return self._lock.held

    def acquire(self) -> None:
        """Makes the directories and takes the locks, until `release` or the process's death.

        Whoever has them finishes a restore that was cut off, before anybody looks at the databases.

        Raises:
            StoreLocked: another process holds the store or the repository's issues.
            UnsafePath: the directory is not ours alone.
            DiskFull: there is no room for the locks, or to finish a restore.
            CannotOpen: a directory is not there and cannot be made.
            OSError: a restore that was cut off cannot be finished.
        """
        with naming_full(self.path):
            self._acquire()

    def _acquire(self) -> None:
        for directory in (self.path, self.artifacts, self.socket.parent):
            try:
                make_private_directory(directory)
            except OSError as err:
                raise CannotOpen(directory, plain(err)) from err
            _refuse_unless_private(directory)
        try:
            self._lock.acquire()
            if self._issues_lock:
                self._issues_lock.acquire()
            exchange.finish(self.path)
        except (StorageError, OSError):
            self.release()
            raise

    def release(self) -> None:
        """Lets the locks go; does nothing when they are not held."""
        if self._issues_lock:
            self._issues_lock.release()
        self._lock.release()

    def announce(self, url: str | None, *, socket: str | None = None) -> None:
        """Tells other processes where this one, which holds the store, can be reached.

        Args:
            url: over TCP.
            socket: path of the Unix socket, which may lie elsewhere for another process.
        """
        self._lock.announce(url, socket)
        if self._issues_lock:
            self._issues_lock.announce(url, socket)

    def read_holder(self) -> Holder | None:
        """Gives who holds the store at this moment, in this process or another; None if nobody.

        What a dead process left in the file is not shown.
        """
        return self._lock.holder()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _without_git(start: Path) -> Path:
    """Gives the nearest directory of ours going up, or where a new one would be."""
    for place in (start, *start.parents):
        candidate = place / WITHOUT_GIT
        if candidate.is_dir() and candidate.lstat().st_uid == os.geteuid():
            return candidate
    return start / WITHOUT_GIT


def _socket(path: Path) -> Path:
    """Gives the socket's path: in the data directory unless that is too deep for a socket."""
    inside = path / "beadflow.sock"
    if len(os.fsencode(inside)) <= _SOCKET_PATH_BYTES:
        return inside
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"{NAME}-{os.geteuid()}" / f"{name}.sock"


def _refuse_unless_private(directory: Path) -> None:
    """Refuses a directory that another user owns; closes ours to others where it is open."""
    found = directory.lstat()
    if directory.is_symlink() or found.st_uid != os.geteuid():
        raise UnsafePath(directory, "it is a symbolic link, or belongs to another user")
    if found.st_mode & 0o077:
        directory.chmod(0o700)
