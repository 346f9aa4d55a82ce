"""Files that are there, whole, once a function has returned: fsync of file and directory."""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

PRIVATE_FILE = 0o600

_CHUNK_BYTES = 1 << 20


def write_new(path: Path, data: bytes) -> None:
    """Makes a private file, or replaces one of ours that a crash has left, durably but its name.

    The caller syncs the directory, once for all that it has put there.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, PRIVATE_FILE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Puts a file in its place in one step: at every instant it is the old one or the new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    write_new(temporary, data)
    temporary.replace(path)
    sync(path.parent)


def replace_secret(path: Path, data: bytes) -> None:
    """Does what `replace` does by way of a file that nobody could have put there before."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def copy_new(source: Path, target: Path) -> str:
    """Copies a file as `write_new` makes one; gives the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with source.open("rb") as read, os.fdopen(os.open(target, flags, PRIVATE_FILE), "wb") as write:
        while chunk := read.read(_CHUNK_BYTES):
            digest.update(chunk)
            write.write(chunk)
        write.flush()
        os.fsync(write.fileno())
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Makes what a file holds, or which names a directory has, survive a power cut.

    Raises:
        OSError: it could not be synced; the error names the path.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as err:
        raise OSError(err.errno, err.strerror, str(path)) from err
    finally:
        os.close(descriptor)


def sync_way(path: Path) -> None:
    """Makes the way to a new file survive a power cut: its name, and its directories' names.

    All of them, not only those that this process has made: an earlier one may have been killed
    between making a directory and syncing it. One that may not be read is not one that we made.

    Raises: as `sync`.
    """
    for directory in path.resolve().parents:
        with contextlib.suppress(PermissionError):
            sync(directory)
