"""Whether there are API keys, asked of a database that may be older than they are, or not there."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from storage.coordination import auth
from storage.database import open_reader

HAS_KEYS: Final = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'api_keys'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Which API keys a data directory has.

    Args:
        made: there is one, if only one that was revoked: on TCP everybody has to show one.
        opens: one of them can be used at this moment.
    """

    made: bool
    opens: bool


def keys_in(database: Path, now: str) -> Keys:
    """Look which keys there are; no database, or one from before there were keys, has none.

    Raises:
        StorageError: the database cannot be opened.
    """
    if not database.exists():
        return Keys(made=False, opens=False)
    with closing(open_reader(database)) as connection:
        return _keys(connection, now)


def _keys(connection: sqlite3.Connection, now: str) -> Keys:
    if connection.execute(HAS_KEYS).fetchone() is None:
        return Keys(made=False, opens=False)
    made = connection.execute(auth.ANY_KEY).fetchone()[0]
    opens = connection.execute(auth.OPENS, (now,)).fetchone()
    return Keys(made=bool(made), opens=opens is not None)
