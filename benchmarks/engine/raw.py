"""Bare `sqlite3`, a hundred rows in a transaction: as fast as rows can be made durable here.

The connection is the program's own kind (write-ahead log, `synchronous=FULL`), a row is 300 bytes
behind an integer key, and nothing is looked up, checked or answered.
"""

from contextlib import closing
from pathlib import Path
from time import perf_counter

from storage.database import open_writer

__all__ = ["rows_per_s"]

BATCH = 100
TEXT = "x" * 300


def rows_per_s(directory: Path, rows: int) -> float:
    """Insert so many rows, and see that they are there."""
    path = directory / "raw.db"
    with closing(open_writer(path)) as connection:
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")
        started = perf_counter()
        for first in range(0, rows, BATCH):
            connection.execute("BEGIN IMMEDIATE")
            batch = ((number, TEXT) for number in range(first, first + BATCH))
            connection.executemany("INSERT INTO rows (id, text) VALUES (?, ?)", batch)
            connection.execute("COMMIT")
        seconds = perf_counter() - started
        (there,) = connection.execute("SELECT count(*) FROM rows").fetchone()
        assert there == rows
    return rows / seconds
