"""Whether a data directory came along with a copy of its repository.

`coordination.db` records the repository it belongs to. One that was moved takes its data along, and
goes on. One that was copied leaves the original behind, with the same workflows: both would run
them. So the copy is refused by whoever would run or change anything; reading it is allowed.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from storage.coordination import queries
from storage.database import open_reader
from storage.databases import databases
from storage.errors import RepositoryCopied, StorageError, naming
from storage.home import DataDir
from storage.migrate import applied


def refuse_copy(data: DataDir) -> None:
    """Looks at what the data itself records; a database without any belongs to nobody yet.

    Raises:
        RepositoryCopied: the recorded repository still has this data, or some that cannot be read.
        StorageError: coordination.db cannot be read.
    """
    if databases(data.path)[0].is_absent:
        return
    with naming(data.coordination_db), closing(open_reader(data.coordination_db)) as connection:
        if not applied(connection):
            return
        home, recorded = (queries.meta(connection, key) for key in ("home", "repository"))
    if home and recorded and recorded != str(data.repository):
        refuse_copy_of(data, Path(recorded), home)


def refuse_copy_of(data: DataDir, recorded: Path, home: str) -> None:
    """The same, for who knows what is recorded: the repository, and the installation's name."""
    if not data.path.is_relative_to(data.repository):
        return
    original = recorded / data.path.relative_to(data.repository)
    path = original / data.coordination_db.name
    if path.exists() and not path.samefile(data.coordination_db) and _may_be_of(path, home):
        raise RepositoryCopied(data.path, original)


def _may_be_of(path: Path, home: str) -> bool:
    try:
        with closing(open_reader(path)) as connection:
            return queries.meta(connection, "home") == home
    except (StorageError, sqlite3.Error):
        return True
