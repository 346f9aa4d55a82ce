"""Whether there are API keys, asked of a database that may be older than they are."""

import sqlite3
from typing import Final

from storage.coordination import auth

HAS_KEYS: Final = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'api_keys'"


def keys_made(connection: sqlite3.Connection) -> bool:
    """Whether there ever was one; one that was revoked counts."""
    return _is_new_enough(connection) and bool(connection.execute(auth.ANY_KEY).fetchone()[0])


def keys_open(connection: sqlite3.Connection, now: str) -> bool:
    """Whether one of them opens something at this moment."""
    return (
        _is_new_enough(connection) and connection.execute(auth.OPENS, (now,)).fetchone() is not None
    )


def _is_new_enough(connection: sqlite3.Connection) -> bool:
    return connection.execute(HAS_KEYS).fetchone() is not None
