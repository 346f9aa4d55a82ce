"""A disk that breaks when it is told to, as SQLite reports it to the writers."""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import actors.writer
from storage.database import open_writer
from storage.tuning import Tuning


@dataclass
class Disk:
    """Lets statements of the writer's connections fail, from the moment they are broken on.

    Each of `broken` is the beginning of a statement and SQLite's result code. With `after`, the
    statement is carried out first. `healed` forgets all but leaves the connections as they are.
    """

    monkeypatch: pytest.MonkeyPatch
    opened: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    times: int = 1
    after: bool = False

    def __post_init__(self) -> None:
        self.monkeypatch.setattr(actors.writer, "open_writer", self.open)

    def open(self, path: Path, tuning: Tuning) -> object:
        self.opened += 1
        self.fail_if_broken("open")
        return Faulty(open_writer(path, tuning), self)

    def break_(self, statement: str, code: int, *, times: int = 1, after: bool = False) -> None:
        self.broken[statement] = code
        self.times, self.after = times, after

    def fail_if_broken(self, sql: str) -> None:
        for statement, code in self.broken.items():
            if sql.startswith(statement) and self.times:
                self.times -= 1
                error = sqlite3.OperationalError("injected")
                error.sqlite_errorcode = code
                raise error


class Faulty:
    """A connection on a disk that may break."""

    def __init__(self, conn: sqlite3.Connection, disk: Disk) -> None:
        self._conn = conn
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)

    def execute(self, sql: str, *params: Any) -> sqlite3.Cursor:
        if not self._disk.after:
            self._disk.fail_if_broken(sql)
        cursor = self._conn.execute(sql, *params)
        if self._disk.after:
            self._disk.fail_if_broken(sql)
        return cursor
