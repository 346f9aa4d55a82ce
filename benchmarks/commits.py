"""Counting the commits of a database without its writer's help.

SQLite counts the transactions of a write-ahead log in the header of its index, the `-shm` file: 32
bits at byte 8, in the machine's own order (sqlite.org/walformat.html). With `synchronous=FULL`
each of them is one fsync; checkpoints have their own and are not counted.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_OFFSET = 8
_BYTES = 4


class Commits:
    """The commits of some databases since this was made."""

    def __init__(self, files: list[int]) -> None:
        self._files = files
        self._before = [_count(file) for file in files]

    def so_far(self) -> int:
        """How many there were, over all databases; a counter that has come round is right too."""
        pairs = zip(self._files, self._before, strict=True)
        return sum((_count(file) - before) % 2 ** (8 * _BYTES) for file, before in pairs)


@contextmanager
def counted(*databases: Path) -> Iterator[Commits]:
    """Count from here on.

    Leave this only when no connection of this process is open any more: closing a file drops the
    locks that the process holds on it, and SQLite's are held on this one.
    """
    with ExitStack() as stack:
        files = []
        for path in databases:
            file = os.open(path.with_name(f"{path.name}-shm"), os.O_RDONLY)
            stack.callback(os.close, file)
            files.append(file)
        yield Commits(files)


def _count(file: int) -> int:
    return int.from_bytes(os.pread(file, _BYTES, _OFFSET), sys.byteorder)
