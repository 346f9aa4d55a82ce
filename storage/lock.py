"""A lock file that says who holds it.

The lock is `flock`: the kernel lets go when the process ends, however it ends, and a forked child
that runs another program does not inherit it. What the file says therefore means something only
while the lock is held; what a dead holder wrote is never shown. The file itself is not removed,
because two processes could then hold two files of the same name.

Whoever only asks takes a shared lock for an instant, so taking the exclusive one is tried a few
times before it counts as held.
"""

import fcntl
import json
import os
import socket
import time
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from storage.errors import LockUnusable, StorageError, StoreLocked, plain
from storage.regular import open_regular

_RECORD_BYTES = 1024  # one padded write, so that a reader sees the old record or the new one
_TRIES = 10
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What a holder says of itself; all None in the instant before it has said anything."""

    pid: int | None = None
    host: str | None = None
    started_at: str | None = None
    url: str | None = None
    socket: str | None = None


_NAMES = tuple(field.name for field in fields(Holder))


class HeldFile:
    """An exclusive lock on one file, with its holder's record inside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._holder = Holder()

    @property
    def held(self) -> bool:
        """Says whether this object holds the lock."""
        return self._fd is not None

    def acquire(self) -> None:
        """Takes the lock and writes who we are; does nothing when this object has it already.

        Raises:
            StoreLocked: another process (or another object in this one) holds it.
            LockUnusable: the file cannot be made or locked here.
        """
        if self._fd is not None:
            return
        fd = self._open(os.O_RDWR | os.O_CREAT)
        try:
            if not self._wins(fd):
                raise self._refusal()
        except StorageError:
            os.close(fd)
            raise
        self._fd = fd
        self._write(
            Holder(
                pid=os.getpid(),
                host=socket.gethostname(),
                started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
        )

    def announce(self, url: str | None, unix: str | None = None) -> None:
        """Writes where this holder can be reached; only while the lock is held."""
        self._write(replace(self._holder, url=url, socket=unix))

    def release(self) -> None:
        """Lets the lock go; does nothing when it is not held."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def holder(self) -> Holder | None:
        """Gives who holds the lock at this moment, in this process or another; None if nobody."""
        try:
            fd = self._open(os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            if self._flock(fd, fcntl.LOCK_SH):
                return None
            return _parse(os.pread(fd, _RECORD_BYTES, 0))
        finally:
            os.close(fd)

    def _open(self, flags: int) -> int:
        try:
            return open_regular(self.path, flags | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise
        except OSError as err:
            raise LockUnusable(self.path, plain(err)) from err

    def _wins(self, fd: int) -> bool:
        for _ in range(_TRIES - 1):
            if self._flock(fd, fcntl.LOCK_EX):
                return True
            time.sleep(_PAUSE_S)
        return self._flock(fd, fcntl.LOCK_EX)

    def _flock(self, fd: int, kind: int) -> bool:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as err:  # a network file system without locks, say
            raise LockUnusable(self.path, plain(err)) from err
        return True

    def _write(self, holder: Holder) -> None:
        if self._fd is None:
            raise LockUnusable(self.path, "it is not held")
        record = json.dumps(asdict(holder)).encode()
        os.pwrite(self._fd, record.ljust(_RECORD_BYTES), 0)
        self._holder = holder

    def _refusal(self) -> StoreLocked:
        holder = self.holder() or Holder()
        return StoreLocked(
            self.path,
            pid=holder.pid,
            host=holder.host,
            since=holder.started_at,
            url=holder.url,
        )


def _parse(record: bytes) -> Holder:
    """Reads a record; a torn or foreign one says nothing."""
    try:
        found = json.loads(record)
        return Holder(**{name: found.get(name) for name in _NAMES})
    except (ValueError, AttributeError):
        return Holder()
