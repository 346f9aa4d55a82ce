"""The contents of artifacts: files named by their SHA-256, each content once.

A content is written to a file of another name, synced, renamed to its hash, and its directory
synced, before any row names it. So a crash leaves a file that no row names, and never a row whose
file is missing; `storage.sweeping` removes such files once they are old enough. A content that is
there already is replaced by the same again: that mends a damaged one, and makes it new to a sweep
that is under way.

Nothing here knows of names, versions or workflows: those are rows of coordination.db.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from storage import durable
from storage.database import free_bytes, make_private_directory
from storage.durable import PRIVATE_FILE
from storage.errors import ArtifactDamaged, DiskFull, plain
from storage.regular import open_regular
from storage.room import naming_full

DIRECTORY: Final = "artifacts"
INCOMING: Final = "incoming"
"""Where contents lie until they are whole: in the same file system, so that a rename moves them."""

CHUNK_BYTES: Final = 1 << 20

SPARE_BYTES: Final = 32 << 20
"""What a content leaves free on its disk: the databases need room, too."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A content that is durable under its hash."""

    sha256: str
    size: int


class Artifacts:
    """The directory of contents. Any thread may use it; all of it blocks.

    Args:
        root: `artifacts/` in the data directory, which is there.
        spare_bytes: what is left free on the disk.
    """

    def __init__(self, root: Path, *, spare_bytes: int = SPARE_BYTES) -> None:
        self.root = root
        self.moving = threading.Lock()
        """Held by who gives a content its name, and by who takes one away."""
        self._spare_bytes = spare_bytes
        self._known: set[str] = set()

    def path(self, sha256: str) -> Path:
        return path_of(self.root, sha256)

    def begin(self, size: int | None = None) -> "Incoming":
        """Begin a content; it has no name until it is placed.

        Args:
            size: how many bytes it will have, where that is known.

        Raises:
            DiskFull: there is no room for it.
            OSError: the directory cannot be written.
        """
        self.refuse_full(size or 0)
        with naming_full(self.root):
            make_private_directory(self.root / INCOMING)
            descriptor, name = tempfile.mkstemp(dir=self.root / INCOMING)
        return Incoming(self, descriptor, Path(name))

    def refuse_full(self, size: int) -> None:
        """Raises `DiskFull` when the disk has no room for so many bytes and what is spared."""
        if free_bytes(self.root) < size + self._spare_bytes:
            raise DiskFull(self.root, f"less than {self._spare_bytes} bytes would be left free")

    def place(self, whole: Path, sha256: str) -> None:
        """Give a synced file its name, durably."""
        target = self.path(sha256)
        with self.moving, naming_full(self.root):
            make_private_directory(target.parent)
            if target.parent.name not in self._known:
                durable.sync(self.root)  # whoever made it may have died before this
            whole.replace(target)
            durable.sync(target.parent)
            self._known.add(target.parent.name)

    def open(self, sha256: str, size: int) -> "Content":
        """Open a content, once it was read from end to end and is what its name says.

        Raises:
            ArtifactDamaged: it is missing, shorter or longer, holds something else, or cannot be
                read.
        """
        return opened(self.root, sha256, size)


class Incoming:
    """A content on its way in. Either `place` or `discard` ends it."""

    def __init__(self, artifacts: Artifacts, descriptor: int, path: Path) -> None:
        self._artifacts = artifacts
        self._path = path
        self._descriptor = descriptor
        self._digest = hashlib.sha256()
        self._looked_at = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add to it.

        Raises:
            DiskFull: there is no room for it.
            OSError: it could not be written.
        """
        if self.size - self._looked_at >= CHUNK_BYTES:
            self._artifacts.refuse_full(len(data))
            self._looked_at = self.size
        with naming_full(self._artifacts.root):
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        self._digest.update(data)
        self.size += len(data)

    def place(self) -> Placed:
        """Make it durable under its hash. On any error nothing is left of it but the name it had.

        Raises: as `write`.
        """
        sha256 = self._digest.hexdigest()
        with naming_full(self._artifacts.root):
            os.fsync(self._descriptor)
        self._close()
        self._artifacts.place(self._path, sha256)
        return Placed(sha256=sha256, size=self.size)

    def discard(self) -> None:
        """Give its room back. Does nothing for one that was placed."""
        self._close()
        self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class Content:
    """A content that was verified, open to be read. Close it, or use it as a context manager."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """Up to so many bytes from there; nothing only at its end."""
        return os.pread(self._file.fileno(), size, offset)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def path_of(root: Path, sha256: str) -> Path:
    """Where a content lies.

    Raises:
        ArtifactDamaged: that is no SHA-256, whatever row it stood in.
    """
    if _SHA256.fullmatch(sha256) is None:
        raise ArtifactDamaged(root, f"a row names the content {sha256[:80]!r}, which is no SHA-256")
    return root / sha256[:2] / sha256


def opened(root: Path, sha256: str, size: int) -> Content:
    """Open a content in any directory of them. Raises as `Artifacts.open`."""
    path = path_of(root, sha256)
    try:
        descriptor = open_regular(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError as err:
        raise ArtifactDamaged(path, "it is missing") from err
    except OSError as err:
        raise ArtifactDamaged(path, f"it cannot be opened: {plain(err)}") from err
    content = Content(descriptor, size)
    try:
        _refuse_changed(path, descriptor, sha256, size)
    except OSError as err:
        content.close()
        raise ArtifactDamaged(path, f"it cannot be read: {plain(err)}") from err
    except ArtifactDamaged:
        content.close()
        raise
    return content


def verify(root: Path, sha256: str, size: int) -> None:
    """Read a content from end to end. Raises as `opened`."""
    opened(root, sha256, size).close()


def stored(root: Path) -> Iterator[Path]:
    """Every file that has the name of a content, in order."""
    for directory in sorted(root.glob("[0-9a-f][0-9a-f]")):
        for path in sorted(directory.iterdir()):
            if _SHA256.fullmatch(path.name) and path.name.startswith(directory.name):
                yield path


def copy(source: Path, sha256: str, size: int, target: Path) -> None:
    """Copy a content into another directory of contents, durably but the names.

    Whoever copies many syncs the directories once (`sync_names`).

    Raises:
        ArtifactDamaged: it is not what its name says.
        OSError: the copy cannot be written.
    """
    there = path_of(target, sha256)
    make_private_directory(there.parent)
    temporary = there.with_name(f".{sha256}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        opened(source, sha256, size) as content,
        os.fdopen(os.open(temporary, flags, PRIVATE_FILE), "wb") as write,
    ):
        offset = 0
        while chunk := content.read(offset, CHUNK_BYTES):
            write.write(chunk)
            offset += len(chunk)
        write.flush()
        os.fsync(write.fileno())
    temporary.replace(there)


def sync_names(root: Path) -> None:
    """Make all names in a directory of contents survive a power cut."""
    for directory in (*root.glob("[0-9a-f][0-9a-f]"), root):
        durable.sync(directory)


@contextlib.contextmanager
def kept(root: Path) -> Iterator[None]:
    """Keep every content where it is, in whichever process, while the block runs.

    A sweep that is under way is waited for. A directory that is not there has nothing to keep.
    """
    with _flocked(root, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def removing(root: Path) -> Iterator[bool]:
    """The other side of `kept`: gives False, and waits for nobody, while contents are kept."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(_flocked(root, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


@contextlib.contextmanager
def _flocked(root: Path, how: int) -> Iterator[None]:
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that is being forked has it open as well
        os.close(descriptor)


def _refuse_changed(path: Path, descriptor: int, sha256: str, size: int) -> None:
    there = os.fstat(descriptor).st_size
    if there != size:
        raise ArtifactDamaged(path, f"it has {there} bytes, its row says {size}")
    digest = hashlib.sha256()
    offset = 0
    while chunk := os.pread(descriptor, CHUNK_BYTES, offset):
        digest.update(chunk)
        offset += len(chunk)
    if digest.hexdigest() != sha256:
        raise ArtifactDamaged(path, "what it holds has another SHA-256 than its name says")
