"""A damaged beads.db, put aside so that it is rebuilt; and what was in it and nowhere else.

Of the three databases this is the only one that can be rebuilt: the published file has the issues,
too. What only the database had is lost with it: claims, wisps, and the changes that no flush had
brought into the file. So the damaged file is never deleted. It stays beside the new one as
`beads.db.damaged-<n>`, its log with it, and says as well as it can what that was, for the log of
the start and for `beadflow db status`.
"""

import itertools
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from storage import durable
from storage.database import open_reader
from storage.databases import Database
from storage.errors import StorageError

SUFFIX: Final = ".damaged-"

_CLAIMS: Final = "SELECT issue_id FROM leases ORDER BY issue_id"
_WISPS: Final = "SELECT id FROM issues WHERE local = 1 ORDER BY id"
_CHANGES: Final = """
SELECT DISTINCT issue_id FROM journal
WHERE seq > (SELECT flushed_seq FROM publication) ORDER BY issue_id
"""

Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What a database that was put aside held and the published file does not.

    Ids of issues; None where the damage does not let it be read.

    Args:
        path: the file.
        claims: issues that somebody held.
        wisps: issues that were never published.
        changes: issues with changes that were in no file yet.
    """

    path: Path
    claims: Ids | None
    wisps: Ids | None
    changes: Ids | None


def can_rebuild(published: Path) -> bool:
    """Whether the issues are in the published file, too: an empty one says nothing of them.

    The ref is not asked. Where the file is missing as well, it is for the operator to decide what
    to go on with: a database that is moved away is rebuilt from there.
    """
    try:
        return published.stat().st_size > 0
    except OSError:
        return False


def put_aside(database: Database) -> Path:
    """Move a database and its log out of the way; return its new path.

    Cut off in between, what is left is damaged still, or older, and the next start sees to it.
    """
    directory, name = database.path.parent, database.path.name
    there = {path.name for path in directory.iterdir()}
    names = (f"{name}{SUFFIX}{number}" for number in itertools.count(1))
    aside = next(free for free in names if free not in there)
    for file in database.files:
        if file.exists():
            file.rename(directory / file.name.replace(name, aside, 1))
    durable.sync(directory)
    return directory / aside


def put_aside_before(database: Database) -> list[Path]:
    """Every one that was put aside, and not yet removed, the oldest first."""
    start = f"{database.path.name}{SUFFIX}"
    found = {path.name.removeprefix(start): path for path in database.path.parent.glob(f"{start}*")}
    return [found[number] for number in sorted(filter(str.isdecimal, found), key=int)]


def remains_of(path: Path) -> Remains:
    """What can still be read of a database that was put aside. Raises nothing for its damage."""
    claims, wisps, changes = (_ids(path, sql) for sql in (_CLAIMS, _WISPS, _CHANGES))
    return Remains(path=path, claims=claims, wisps=wisps, changes=_without(changes, wisps))


def _without(changes: Ids | None, wisps: Iterable[str] | None) -> Ids | None:
    """A wisp's changes were for no file."""
    local = frozenset(wisps or ())
    return None if changes is None else tuple(i for i in changes if i not in local)


def _ids(path: Path, sql: str) -> Ids | None:
    try:
        with closing(open_reader(path)) as connection:
            return tuple(str(row[0]) for row in connection.execute(sql))
    except (StorageError, sqlite3.Error, UnicodeDecodeError):
        return None
