"""Damage that SQLite does not meet by itself."""

import sqlite3
from contextlib import closing
from pathlib import Path


def lose_index_entries(path: Path, index: str, change: str) -> None:
    """Makes a change to a table that one of its indexes does not hear of.

    The pages stay whole: only a comparison of index and table finds it.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        sql = "DELETE FROM sqlite_schema WHERE name = ? RETURNING *"
        row = connection.execute(sql, (index,)).fetchone()
        connection.commit()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", row)
        connection.commit()
