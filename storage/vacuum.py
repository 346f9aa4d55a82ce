"""Giving the space back that deleted rows have left in a database file.

SQLite copies the whole database and then writes it back in one transaction: a process killed in
between leaves the old file. It takes as much room again as the file has, twice, and nobody else may
have the database open to write.

A damaged database is left alone: the rewriting would leave out what cannot be read, or build its
indexes anew from a table that lacks rows, and so hide that anything is missing.
"""

import sqlite3
from contextlib import closing

from storage.database import open_writer, refuse_damaged
from storage.databases import Database
from storage.errors import database_failure


def vacuum(database: Database) -> tuple[int, int]:
    """Rewrites one database; gives its size before and after, in bytes.

    Raises:
        Corrupt: it is damaged; the places are named, and it is as it was.
        DatabaseFailure: it cannot be read or written, or the disk is full; it is as it was.
    """
    refuse_damaged(database.path)
    with closing(open_writer(database.path)) as connection:
        try:
            before = _bytes(connection)
            connection.execute("PRAGMA temp_store=FILE")  # the copy is as large as the database
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            return before, _bytes(connection)
        except sqlite3.Error as err:
            raise database_failure(database.path, err) from err


def _bytes(connection: sqlite3.Connection) -> int:
    """Counts pages, since a part of them may still be in the log."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    return int(pages * connection.execute("PRAGMA page_size").fetchone()[0])
