"""Many commands in one transaction, each in a savepoint of its own.

What happens to a command that fails is decided here:

- its handler refuses, or violates a constraint: the command is taken back, and the refusal is its
  outcome. It counts only after the commit, since it may rest on what other commands have written;
- its handler raises anything else: the command is taken back, its outcome is a `DatabaseError`, and
  the reason is logged; its neighbours do not notice;
- SQLite reports that the disk is full or cannot be read or written: that is nobody's own fault, so
  it is raised for the whole batch.

No actor is needed to run it: the writer gives it a connection.
"""

import logging
import re
import sqlite3
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from actors.errors import Conflict, DatabaseError
from storage.errors import primary_code
from supervision import Refused, UnexpectedMessage

Handler = Callable[[sqlite3.Connection, Any], object]
Observe = Callable[[str, str, float], None]

# After these the state of the transaction, or of the file, is not what the handler thinks it is.
_NOT_THE_COMMANDS_FAULT = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY}
    | {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}
    | {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT}
)

logger = logging.getLogger(__name__)


class Poisoned(Exception):  # noqa: N818 - the reason a poisoned writer gives for its end
    """The writer was told to crash."""


class Batches:
    """Runs batches with the handlers of one database.

    Args:
        handlers: what each type of command does; see `actors.writer`.
        database: its name in logs, metrics and errors.
        observe: called with (database, command in snake case, seconds) after each command.
    """

    def __init__(self, handlers: Mapping[type, Handler], database: str, observe: Observe) -> None:
        self._handlers = {kind: (operation_name(kind), run) for kind, run in handlers.items()}
        self._database = database
        self._observe = observe

    def commit(self, conn: sqlite3.Connection, commands: list[object]) -> list[object]:
        """Runs the commands in order and commits; gives the answer, or the error, of each.

        Raises:
            sqlite3.Error: of the batch as a whole. Unless it says that the disk is full, the
                transaction may or may not have been committed.
        """
        conn.execute("BEGIN IMMEDIATE")
        outcomes = [self._apply(conn, command) for command in commands]
        conn.execute("COMMIT")
        return outcomes

    def _apply(self, conn: sqlite3.Connection, command: object) -> object:
        """Runs one command in its savepoint; gives its answer, or the error for its asker."""
        known = self._handlers.get(type(command))
        if known is None:
            kind = type(command).__name__
            return UnexpectedMessage(f"the {self._database} writer has no handler for {kind}")
        operation, handler = known
        started = perf_counter()
        conn.execute("SAVEPOINT command")
        try:
            answer = handler(conn, command)
        except Exception as err:  # noqa: BLE001 - this is the loop that runs handlers
            answer = self._verdict(operation, err)
            conn.execute("ROLLBACK TO command")
        finally:
            self._observe(self._database, operation, perf_counter() - started)
        conn.execute("RELEASE command")
        return answer

    def _verdict(self, operation: str, error: Exception) -> Exception:
        """Says what the asker of a failed command is told; raises what concerns the whole batch."""
        match error:
            case Poisoned():
                raise error
            case Refused():
                return error
            case sqlite3.IntegrityError():
                return Conflict(f"{operation}: {error}", cause=error)
            case sqlite3.Error() if primary_code(error) in _NOT_THE_COMMANDS_FAULT:
                raise error
        logger.error("%s failed in the %s writer", operation, self._database, exc_info=error)
        text = f"{operation} failed in the {self._database} database: {type(error).__name__}"
        return DatabaseError(text, operation=operation, cause=error)


def operation_name(command: type) -> str:
    """Gives a command's name in metrics and errors: `AppendHistory` is `append_history`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", command.__name__).lower()
