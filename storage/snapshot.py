"""One moment of all three databases, read while others write.

No transaction spans three files, but the databases meet only through `coordination.db`: the bus
copies the engine's history and the issues' journal into it, the reconciler and the manager work
from it. So the read transactions are begun one after the other, coordination's first, and kept only
if nobody has committed to coordination meanwhile (`PRAGMA data_version`, on a connection that holds
no transaction). Then it is as it was when each of the others was taken, and the three agree as they
did at that moment. Otherwise they are begun again: it takes a fraction of a millisecond, and a busy
system commits there every few milliseconds.

In what order the files are read afterwards does not matter, nor how long it takes. While a snapshot
is held no write-ahead log can be emptied, so it grows by what is written.
"""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from storage.database import open_reader
from storage.databases import databases
from storage.errors import DatabaseBusy, ReadOnly, database_failure

_TRIES = 2000
_PAUSE_S = 0.001

Snapshot = Mapping[str, sqlite3.Connection]
"""By database name: connections that read, each inside its transaction."""


@contextmanager
def snapshot(directory: Path) -> Iterator[Snapshot]:
    """Holds one moment of the databases of a data directory, for as long as the block runs.

    Raises:
        DatabaseFailure: one is missing or cannot be read.
        DatabaseBusy: coordination.db never stood still.
        ReadOnly: nobody can write there, and so nobody can tell whether it does.
    """
    with ExitStack() as stack:
        found = {
            database.name: stack.enter_context(closing(open_reader(database.path)))
            for database in databases(directory)
        }
        watch = stack.enter_context(closing(open_reader(databases(directory)[0].path)))
        try:
            _begin_together(found, watch)
        except sqlite3.Error as err:
            raise database_failure(directory, err) from err
        if not all(connection.in_transaction for connection in found.values()):
            # Where its index of the log is read-only, SQLite calls whatever it reads a new version.
            if not os.access(directory, os.W_OK, effective_ids=True):
                raise ReadOnly(directory, "it could not be seen to stand still")
            raise DatabaseBusy(directory, "it is written to faster than it can be read")
        yield found


def _begin_together(found: Snapshot, watch: sqlite3.Connection) -> None:
    for _ in range(_TRIES):
        before = _version(watch)
        for connection in found.values():
            _begin(connection)
        if _version(watch) == before:
            return
        for connection in found.values():
            connection.execute("ROLLBACK")
        time.sleep(_PAUSE_S)


def _begin(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()  # takes the snapshot


def _version(watch: sqlite3.Connection) -> int:
    return int(watch.execute("PRAGMA data_version").fetchone()[0])
