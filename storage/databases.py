"""The three databases of a data directory: their names, files and schemas.

For those who handle them as files, all alike: the operator's tools. What each of them means is said
by its own room.
"""

import sqlite3
import stat
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from storage.database import log_of
from storage.errors import ForeignDatabase
from storage.migrate import applied, shape
from storage.migration import load

NAMES: Final = ("coordination", "tempolite", "beads")
"""In the order in which everything that is done to all of them is done."""

_SCHEMAS: Final = {
    "coordination": resources.files("storage.coordination") / "schema",
    "tempolite": resources.files("storage.workflows") / "schema",
    "beads": resources.files("storage.issues") / "schema",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database file and the migrations that this program has for it."""

    name: str
    path: Path
    schema: Path | Traversable

    @property
    def newest(self) -> int:
        """The version that this program brings it to."""
        return load(self.schema)[-1].version

    @property
    def is_absent(self) -> bool:
        """Whether the file is missing, or was made and never written; a link is not followed."""
        try:
            found = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        return stat.S_ISREG(found.st_mode) and found.st_size == 0

    @property
    def log(self) -> Path:
        """The write-ahead log beside it; there is none while nobody has it open."""
        return log_of(self.path)

    @property
    def files(self) -> tuple[Path, ...]:
        """What SQLite keeps of it; the log first, since it means nothing without the rest."""
        index = self.path.with_name(f"{self.path.name}-shm")
        return (self.log, index, self.path)


def refuse_foreign(connection: sqlite3.Connection, database: Database) -> None:
    """Refuses what was copied into the place of a database, before its versions are believed.

    Raises:
        ForeignDatabase: it is another one of the three, or of another program.
    """
    rows, name = applied(connection), database.path.name
    if not rows and shape(connection):
        raise ForeignDatabase(
            f"{name} is a database of another program: move it away, or put ours back from a backup"
        )
    firsts = {load(schema)[0].checksum: owner for owner, schema in _SCHEMAS.items()}
    owner = firsts.get(rows[0].checksum, database.name) if rows else database.name
    if owner != database.name:
        raise ForeignDatabase(
            f"{name} is a copy of {file_name(owner)}: put the right one back from a backup"
        )


def file_name(name: str) -> str:
    return f"{name}.db"


def databases(directory: Path) -> tuple[Database, ...]:
    """The databases of a data directory, or of a backup, whether they are there or not."""
    return tuple(
        Database(name=name, path=directory / file_name(name), schema=_SCHEMAS[name])
        for name in NAMES
    )
