"""One database with its schema, and its handlers run as its writer runs them."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from actors.writer import Command
from storage.database import open_writer
from storage.migrate import migrate
from supervision import Refused


@dataclass(frozen=True)
class Database:
    conn: sqlite3.Connection
    handlers: Mapping[type, Callable[[sqlite3.Connection, Any], object]]

    def run(self, command: Command[Any]) -> Any:
        """Run a command in a transaction of its own, taken back when it is refused."""
        self.conn.execute("BEGIN IMMEDIATE")
        try:
            answer = self.handlers[type(command)](self.conn, command)
        except Refused:
            self.conn.execute("ROLLBACK")
            raise
        self.conn.execute("COMMIT")
        return answer

    def twice(self, command: Command[Any]) -> list[Any]:
        """Run a command twice, as a writer does that died before it could answer.

        Everything that is stored must be the same after both.
        """
        first = self.run(command)
        stored = self.dump()
        second = self.run(command)
        assert self.dump() == stored
        return [first, second]

    def dump(self) -> list[str]:
        return list(self.conn.iterdump())

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.conn.execute(sql, params)]


@contextmanager
def open_database(path: Path, room: str, handlers: Mapping[type, Any]) -> Iterator[Database]:
    """Open a new database of one room, e.g. "storage.workflows"."""
    with closing(open_writer(path)) as conn:
        migrate(conn, resources.files(room) / "schema")
        yield Database(conn, handlers)
