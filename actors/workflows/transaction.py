"""Exactly once: a function of the workflow's that writes to the engine's database itself.

It runs on the writer's thread, inside the transaction that records its result, so that both are
there or neither. It may make and use tables of its own and read the engine's; writing the engine's
tables, ending the transaction and attaching files are refused, and so is taking long: everybody
else's writes wait meanwhile.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from actors.workflows.activities import encode_failure, encode_result, failure_of
from actors.workflows.definition import ActivityFailure
from actors.workflows.history import Kind

LIMIT_S = 2.0
"""How long one function may take."""

_PROGRESS_STEPS = 20_000
"""Instructions of SQLite's machine between two looks at the time, a few milliseconds."""

OWN_TABLES = frozenset(
    {"meta", "instances", "history", "tasks", "inbox", "heartbeats", "segments"}
    | {"schema_migrations", "sqlite_sequence"}
)

_WRITES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_SCHEMA = {
    sqlite3.SQLITE_CREATE_INDEX: 1,
    sqlite3.SQLITE_DROP_INDEX: 1,
    sqlite3.SQLITE_CREATE_TRIGGER: 1,
    sqlite3.SQLITE_DROP_TRIGGER: 1,
    sqlite3.SQLITE_DROP_TABLE: 0,
    sqlite3.SQLITE_CREATE_TABLE: 0,
    sqlite3.SQLITE_ALTER_TABLE: 1,
}
"""Actions on the schema, with the argument of the authorizer that names the table."""

_NEVER = frozenset(
    {
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
        sqlite3.SQLITE_ATTACH,
        sqlite3.SQLITE_DETACH,
        sqlite3.SQLITE_PRAGMA,
        sqlite3.SQLITE_ANALYZE,  # what it stores would change how the engine's own queries are run
        # A table of this connection's own would stand before the engine's of the same name.
        sqlite3.SQLITE_CREATE_TEMP_INDEX,
        sqlite3.SQLITE_CREATE_TEMP_TABLE,
        sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
        sqlite3.SQLITE_CREATE_TEMP_VIEW,
    }
)


class TakenBack(Exception):  # noqa: N818 - a state
    """SQLite has taken back the whole transaction, and what others had written in it.

    It does so when it is interrupted while it writes, and where a statement or a trigger says
    ROLLBACK.

    Args:
        failure: what has to be recorded of the function.
    """

    def __init__(self, failure: ActivityFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Transaction:
    """What a function under `ctx.tx` is given as its first argument."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection

    def execute(
        self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Run one statement, and answer its rows.

        Raises:
            sqlite3.Error: the statement failed, or is not allowed here ("not authorized").
            RuntimeError: the transaction is over, or a statement has rolled it back.
        """
        return [tuple(row) for row in self._open().execute(sql, parameters).fetchall()]

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> int:
        """Run one statement for each set of parameters; answers how many rows it changed."""
        return self._open().executemany(sql, parameters).rowcount

    def close(self) -> None:
        self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("this transaction is over: use it only within its function")
        if not self._connection.in_transaction:
            raise RuntimeError("this transaction was rolled back: nothing more can be written")
        return self._connection


def transact(
    connection: sqlite3.Connection, function: Callable[[Any, Any], Any], value: Any, name: str
) -> tuple[Kind, str]:
    """Run a function; answers the kind and the payload of the event that records it.

    What it raises is its failure, and what it had written until then is taken back. An error of the
    database itself (a full disk, a file that cannot be read) is nobody's failure and is raised.

    Raises:
        TakenBack: there is no transaction any more. Nothing can be recorded in it.
    """
    connection.execute("SAVEPOINT transaction_step")
    scope = Transaction(connection)
    try:
        with _guarded(connection):
            result = function(scope, value)
        text = encode_result(result, f"the result of transaction {name!r}", attempts=1)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of a library's must not end the writer either
        if isinstance(error, sqlite3.Error) and _is_ours(error):
            raise
        failure = _failure(error, name)
        if not connection.in_transaction:
            raise TakenBack(failure) from error
        connection.execute("ROLLBACK TO transaction_step")
        kind, text = Kind.TRANSACTION_FAILED, encode_failure(failure)
    else:
        if not connection.in_transaction:
            what = f"transaction {name!r} was rolled back by one of its own statements"
            raise TakenBack(ActivityFailure("transaction_rolled_back", what))
        kind = Kind.TRANSACTION_COMPLETED
    finally:
        scope.close()
    connection.execute("RELEASE transaction_step")
    return kind, text


@contextmanager
def _guarded(connection: sqlite3.Connection) -> Iterator[None]:
    until = monotonic() + LIMIT_S
    connection.set_authorizer(_authorize)
    connection.set_progress_handler(lambda: int(monotonic() > until), _PROGRESS_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
        connection.set_authorizer(None)


def _authorize(
    action: int, first: str | None, second: str | None, database: str | None, inner: str | None
) -> int:
    del database, inner
    if action in _NEVER:
        return sqlite3.SQLITE_DENY
    if action in _WRITES and _is_engines(first):
        return sqlite3.SQLITE_DENY
    if action in _SCHEMA and _is_engines((first, second)[_SCHEMA[action]]):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _is_engines(table: str | None) -> bool:
    return table is not None and table.lower() in OWN_TABLES


def _is_ours(error: sqlite3.Error) -> bool:
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return primary in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )


def _failure(error: BaseException, name: str) -> ActivityFailure:
    if isinstance(error, sqlite3.OperationalError) and "interrupted" in str(error):
        text = f"transaction {name!r} took longer than {LIMIT_S:g} s"
        return ActivityFailure("transaction_timeout", text)
    return failure_of(error)
