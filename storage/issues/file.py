"""The published file on its disk: reading, replacing, and keeping what could not be read.

A replacement is a temporary file in the same directory, fsync, rename, fsync of the directory: at
every instant the name leads to the old file or to the new one, whole. Just before the rename the
old file is looked at once more; when it is not the one the caller saw, nothing is replaced.
Blocking; called by the Git worker's thread and by offline commands.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from storage import regular

PUBLISHED = Path(".beads", "issues.jsonl")
"""Where the file lies in a work tree."""

QUARANTINE_NAME = "issues.quarantine.jsonl"
_TEMPORARY = ".{}.beadflow-tmp"
_MODE = 0o644


Stamp = tuple[int, int, int]
"""When a file was written last, in nanoseconds, how long it is, and its inode."""


class FileChangedError(Exception):
    """Someone else wrote the file since it was read; nothing was replaced."""


def companions(path: Path) -> tuple[Path, ...]:
    """Return the published file and all that is ever made beside it."""
    return (path, path.with_name(QUARANTINE_NAME), path.with_name(_TEMPORARY.format(path.name)))


def read(path: Path) -> bytes | None:
    """Return the file's bytes, or None where there is no file.

    Raises:
        OSError: it cannot be read, or is a pipe, which nobody may wait for.
    """
    try:
        return regular.read(path)
    except FileNotFoundError:
        return None


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def present_sha256(path: Path) -> str | None:
    data = read(path)
    return None if data is None else sha256_of(data)


def stamp(path: Path) -> Stamp | None:
    """Return what tells without reading whether the file was written.

    None where there is none, or what is there is no file or cannot be looked at.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return _stamp_of(found) if stat.S_ISREG(found.st_mode) else None


def _stamp_of(found: os.stat_result) -> Stamp:
    return found.st_mtime_ns, found.st_size, found.st_ino


def replace(path: Path, data: bytes, *, expected_sha256: str | None) -> Stamp:
    """Put `data` in the place of the file whose hash the caller saw (None: there was none).

    Returns the stamp of what it wrote. When it returns, the new content survives a power cut. A
    link is followed, so that the file it leads to is replaced and the link stays.

    Raises:
        FileChangedError: the file is not the expected one.
        OSError: it cannot be written; the old file is as it was.
    """
    target = Path(os.path.realpath(path))
    signature = _signature(target)
    if present_sha256(target) != expected_sha256:
        raise FileChangedError(f"{path} was written by someone else")
    _make_directory(target.parent)
    temporary = target.with_name(_TEMPORARY.format(target.name))
    try:
        written = _write_durably(temporary, data, _mode_of(target))
        # The kernel's stamps tell a write within one tick of its clock (4 ms) only by its size;
        # the fsync above takes longer than that tick.
        if _signature(target) != signature:
            raise FileChangedError(f"{path} was written by someone else just now")
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_directory(target.parent)
    return written


def keep(path: Path, lines: Iterable[bytes]) -> int:
    """Add lines that are not there yet to a side file, durably; return how many were added."""
    there = read(path)
    present = set((there or b"").split(b"\n"))
    fresh = [line for line in dict.fromkeys(lines) if line not in present]
    if fresh:
        glue = b"\n" if there and not there.endswith(b"\n") else b""
        with path.open("ab") as side:
            side.write(glue + b"\n".join(fresh) + b"\n")
            side.flush()
            os.fsync(side.fileno())
        _sync_directory(path.parent)
    return len(fresh)


def count_kept(path: Path) -> int:
    """Return how many lines of a published file lie in the side file beside it.

    None can be counted where the side file cannot be read.
    """
    try:
        data = read(path.with_name(QUARANTINE_NAME))
    except OSError:
        return 0
    return sum(bool(line.strip()) for line in (data or b"").split(b"\n"))


def _write_durably(path: Path, data: bytes, mode: int) -> Stamp:
    # A leftover of a crash is ours and is overwritten; a link laid in its place is not followed.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
        return _stamp_of(os.fstat(file.fileno()))


def _mode_of(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return _MODE


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _make_directory(path: Path) -> None:
    """Make a directory whose way survives a power cut: each new name is synced above it."""
    missing = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        _sync_directory(made.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
