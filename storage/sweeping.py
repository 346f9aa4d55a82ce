"""Which contents of artifacts no row names, and taking them away; and which rows lack theirs.

Rows of the databases that a restore has put aside count, too: whoever goes back to those finds
their artifacts. A content is removed only when it is old enough: one that was just placed has no
row yet. Nothing is removed while a backup is being taken, which copies the contents after the rows.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from storage import artifacts
from storage.artifacts import INCOMING, Artifacts
from storage.coordination import results as queries
from storage.database import open_reader
from storage.databases import databases, file_name
from storage.errors import ArtifactDamaged
from storage.exchange import ASIDE
from storage.integrity import Finding
from storage.invariants import BRIDGE

GRACE_S: Final = 86_400.0
"""How old a content is that no row names before a server removes it."""


@dataclass(slots=True, kw_only=True)
class Swept:
    """What a sweep has removed, or found; contents and files that were cut off."""

    files: int = 0
    bytes: int = 0


def sweep(directory: Path, contents: Artifacts, *, before: float) -> Swept:
    """Remove every content that no row names. Blocks; it can be begun anew at any time.

    Args:
        directory: the data directory.
        contents: where the contents are.
        before: seconds since the epoch; what is younger stays.

    Raises:
        StorageError: a database cannot be read; nothing more is removed.
        OSError: a file cannot be removed.
    """
    swept = Swept()
    with artifacts.removing(contents.root) as free, _naming(directory) as is_named:
        if not free:
            return swept
        for path in _loose(contents.root, is_named):
            with contents.moving:
                if path.stat().st_mtime < before and not is_named(path.name):
                    _remove(path, swept)
        for path in _cut_off(contents.root):
            if path.stat().st_mtime < before:
                _remove(path, swept)
    return swept


def unnamed(directory: Path, root: Path) -> Swept:
    """What a sweep would find, young and old. Removes nothing."""
    found = Swept()
    with _naming(directory) as is_named:
        for path in (*_loose(root, is_named), *_cut_off(root)):
            found.files += 1
            found.bytes += path.stat().st_size
    return found


def lacking(coordination: sqlite3.Connection, root: Path) -> Iterator[Finding]:
    """Rows whose content is missing, or is not what they say. Reads all contents."""
    if not has_artifacts(coordination):
        return
    for row in coordination.execute(queries.CONTENTS):
        try:
            artifacts.verify(root, row["sha256"], row["size"])
        except ArtifactDamaged as err:
            yield Finding(
                database="coordination",
                table="artifacts",
                place=f"{row['workflow_id']}/{row['name']} version {row['version']}",
                what=f"the content {row['sha256']}: {err.detail}",
            )


def has_artifacts(coordination: sqlite3.Connection) -> bool:
    row = coordination.execute("SELECT max(version) FROM schema_migrations").fetchone()
    return row[0] is not None and row[0] >= BRIDGE


def _loose(root: Path, is_named: "_Named") -> Iterator[Path]:
    return (path for path in artifacts.stored(root) if not is_named(path.name))


def _cut_off(root: Path) -> Iterator[Path]:
    incoming = root / INCOMING
    yield from sorted(incoming.iterdir()) if incoming.is_dir() else ()
    yield from sorted(root.glob("[0-9a-f][0-9a-f]/.*.tmp"))


def _remove(path: Path, swept: Swept) -> None:
    size = path.stat().st_size
    path.unlink()
    swept.files += 1
    swept.bytes += size


class _Named:
    """Whether any row of several databases names a content."""

    def __init__(self, connections: list[sqlite3.Connection]) -> None:
        self._connections = connections

    def __call__(self, sha256: str) -> bool:
        return any(queries.is_content(each, sha256) for each in self._connections)


@contextmanager
def _naming(directory: Path) -> Iterator[_Named]:
    """The database, and those that a restore has put aside."""
    coordination = databases(directory)[0].path
    aside = sorted(directory.glob(f"{ASIDE}-*/{file_name('coordination')}"))
    with ExitStack() as stack:
        opened = [
            stack.enter_context(closing(open_reader(path)))
            for path in (coordination, *aside)
            if path.exists()
        ]
        yield _Named([each for each in opened if has_artifacts(each)])
