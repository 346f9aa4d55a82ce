"""A reader of an actor's own, whose every error names its file.

SQLite's messages ("database disk image is malformed") do not say of which database. A pool names it
in what it raises; an actor that reads inline crashes with the error as it comes, and an operator
has to learn from it which file to restore.
"""

import sqlite3
from pathlib import Path
from typing import Any, cast

from storage.database import open_reader
from storage.errors import DatabaseFailure, database_failure
from storage.tuning import DEFAULTS, Tuning


class _Cursor(sqlite3.Cursor):
    """A query may fail where it begins, and wherever another row is asked for."""

    def execute(self, *args: Any) -> "_Cursor":
        try:
            super().execute(*args)
        except sqlite3.Error as err:
            raise self._named(err) from err
        return self

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except sqlite3.Error as err:
            raise self._named(err) from err

    def fetchmany(self, *args: Any, **options: Any) -> list[Any]:
        try:
            return super().fetchmany(*args, **options)
        except sqlite3.Error as err:
            raise self._named(err) from err

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.Error as err:
            raise self._named(err) from err

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.Error as err:
            raise self._named(err) from err

    def _named(self, error: sqlite3.Error) -> DatabaseFailure:
        reader = cast("_Reader", self.connection)
        return database_failure(reader.path or "", error)


class _Reader(sqlite3.Connection):
    path: Path | None = None  # until it is open: who opens it deals with SQLite's own errors

    def execute(self, *args: Any) -> sqlite3.Cursor:
        return self.cursor().execute(*args)

    def cursor(self, *_: Any) -> sqlite3.Cursor:  # type: ignore[override]
        return super().cursor(sqlite3.Cursor if self.path is None else _Cursor)


def open_inline(path: Path, tuning: Tuning = DEFAULTS) -> sqlite3.Connection:
    """Opens a connection that cannot write, for an actor's own look-ups.

    On the event loop's thread those are single rows by key.

    What it raises of any query, and of any row of one, is a `DatabaseFailure`.

    Raises: as `open_reader`.
    """
    reader = cast("_Reader", open_reader(path, tuning, factory=_Reader))
    reader.path = path
    return reader
