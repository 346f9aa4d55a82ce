"""Counting the commits and fsyncs of a database without its writer's help.

SQLite counts the transactions of a write-ahead log in the header of its index, the `-shm` file: 32
bits at byte 8, in the machine's own order (sqlite.org/walformat.html). With `synchronous=FULL`
each of them is one fsync.

A checkpoint has its own: of the log before it, of the database after it, and of the log's new
header when the log begins anew. The log counts how often it began anew in its header: 32 bits at
byte 12, big-endian. Not counted are checkpoints after which it did not; there is at most one of
them for each that is counted, and one checkpoint for each thousand pages.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_OFFSET = 8
_BYTES = 4
_LOG_OFFSET = 12
_FSYNCS_OF_CHECKPOINT = 3


class Commits:
    """The commits of some databases since this was made."""

    def __init__(self, files: list[int], logs: list[int]) -> None:
        self._files = files
        self._logs = logs
        self._before = [_count(file) for file in files]
        self._checkpoints_before = sum(map(_checkpoints, logs))

    def so_far(self) -> int:
        """How many there were, over all databases; a counter that has come round is right too."""
        pairs = zip(self._files, self._before, strict=True)
        return sum((_count(file) - before) % 2 ** (8 * _BYTES) for file, before in pairs)

    def fsyncs(self) -> int:
        """How many fsyncs there were, over all databases, with `synchronous=FULL`."""
        checkpoints = sum(map(_checkpoints, self._logs)) - self._checkpoints_before
        return self.so_far() + _FSYNCS_OF_CHECKPOINT * checkpoints


@contextmanager
def counted(*databases: Path) -> Iterator[Commits]:
    """Count from here on.

    Leave this only when no connection of this process is open any more: closing a file drops the
    locks that the process holds on it, and SQLite's are held on this one.
    """
    with ExitStack() as stack:

        def opened(path: Path, kind: str) -> int:
            file = os.open(path.with_name(f"{path.name}-{kind}"), os.O_RDONLY)
            stack.callback(os.close, file)
            return file

        files = [opened(path, "shm") for path in databases]
        yield Commits(files, [opened(path, "wal") for path in databases])


def _count(file: int) -> int:
    return int.from_bytes(os.pread(file, _BYTES, _OFFSET), sys.byteorder)


def _checkpoints(log: int) -> int:
    return int.from_bytes(os.pread(log, _BYTES, _LOG_OFFSET), "big")
