"""The archive: rows that left the databases, one JSON line each, in a file a month.

Lines are only ever added. `append` returns when they are on the disk, and only then may the rows be
deleted: a row is in the archive at least once, and twice when a process died between the two, or
when a backup from before was restored. Whoever reads it takes the last line of each key. A line
that a crash has torn is ended by the next append and stands alone.
"""

import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from storage import durable
from storage.database import make_private_directory
from storage.durable import PRIVATE_FILE

DIRECTORY: Final = "archive"
FORMAT: Final = 1

_MONTH = re.compile(r"\d{4}-\d\d(?=-)")
_FLUSH_BYTES = 1 << 20


def line(database: str, table: str, row: sqlite3.Row) -> bytes:
    """One row as its line: all columns by name, as they were stored."""
    fields = {"format": FORMAT, "database": database, "table": table, "row": dict(row)}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def append(directory: Path, at: str, lines: Iterable[bytes]) -> Path:
    """Adds lines to the file of a month, durably; gives the file.

    Args:
        directory: the data directory.
        at: any moment of the month, RFC 3339.
        lines: each ended; they may be many, and are not held in memory together.

    Raises:
        OSError: they could not be written; the file is as long as it was.
    """
    found = _MONTH.match(at)
    path = directory / DIRECTORY / f"{found[0] if found else 'undated'}.jsonl"
    make_private_directory(path.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, PRIVATE_FILE)
    try:
        size = os.fstat(descriptor).st_size
        try:
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                _write(descriptor, b"\n")
            for chunk in _chunks(lines):
                _write(descriptor, chunk)
            os.fsync(descriptor)
        except BaseException:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    durable.sync(path.parent)
    return path


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of one file, as far as they are whole."""
    with path.open("rb") as file:
        for text in file:
            try:
                found = json.loads(text)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for text in lines:
        waiting.append(text)
        size += len(text)
        if size >= _FLUSH_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
