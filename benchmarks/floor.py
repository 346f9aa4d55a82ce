"""The floor under every durable figure: bare SQLite, one row in one transaction, on this disk.

It is measured beside what is compared with it, because a disk is not as fast at every moment. The
connection is the program's own kind: write-ahead log, `synchronous=FULL`.
"""

from contextlib import closing
from pathlib import Path
from time import perf_counter

from storage.database import open_writer
from storage.migrate import migrate

SCHEMA = Path(__file__).with_name("schema")
INSERT = "INSERT INTO notes (id, text) VALUES (?, ?)"
TEXT = "x" * 100


def commits_per_s(directory: Path, commits: int) -> float:
    """Commit one row at a time; `directory` holds no such database yet, or one made here."""
    path = directory / "floor.db"
    with closing(open_writer(path)) as connection:
        migrate(connection, SCHEMA)
        (rows,) = connection.execute("SELECT count(*) FROM notes").fetchone()
        started = perf_counter()
        for number in range(rows, rows + commits):
            connection.execute(INSERT, (number, TEXT))  # its own transaction
        seconds = perf_counter() - started
        (now,) = connection.execute("SELECT count(*) FROM notes").fetchone()
        assert now == rows + commits
    return commits / seconds
