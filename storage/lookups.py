"""Look-ups on the event loop's own thread, asked for as of a pool.

For single rows by key, and lists of a few: they take some ten microseconds. The way to a pool's
thread and back takes as long as dozens of them, since each step of it needs the interpreter's lock,
for which writers compete. What may take longer belongs into a pool.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Protocol

from storage.errors import DatabaseFailure, QueryFailed, database_failure
from storage.hosts import Parameters


class Reads(Protocol):
    """Whatever answers a query with all its rows: a pool, or these look-ups."""

    async def fetch(
        self, operation: str, sql: str, params: Parameters = ()
    ) -> list[sqlite3.Row]: ...


class Lookups:
    """See the module.

    Args:
        reader: a read-only connection of the event loop's thread.
        path: its file.
        database: its name in metrics and errors.
        observe: called with (database, operation, seconds) after each query, failed ones too.
    """

    def __init__(
        self,
        reader: sqlite3.Connection,
        path: Path,
        database: str,
        observe: Callable[[str, str, float], None],
    ) -> None:
        self._reader = reader
        self._path = path
        self._database = database
        self._observe = observe

    async def fetch(self, operation: str, sql: str, params: Parameters = ()) -> list[sqlite3.Row]:
        """Runs one query and gives all its rows. It blocks, and cannot be cancelled.

        Raises:
            QueryFailed: SQLite refused the statement or could not read, a damaged file included.
        """
        started = perf_counter()
        try:
            return self._reader.execute(sql, params).fetchall()
        except DatabaseFailure as err:
            raise QueryFailed(self._database, operation, str(err)) from err
        except sqlite3.Error as err:
            failure = database_failure(self._path, err)
            raise QueryFailed(self._database, operation, str(err)) from failure
        finally:
            self._observe(self._database, operation, perf_counter() - started)
