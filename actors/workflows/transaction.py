"""Exactly once: a function of the workflow's that writes to the engine's database itself.

It runs on the writer's thread, inside the transaction that records its result, so that both are
there or neither. It may make and use tables of its own and read the engine's; writing the engine's
tables, ending the transaction, triggers, foreign keys and attaching files are refused by name, and
so is taking long: everybody else's writes wait meanwhile. Whose a table is, `storage.ownership`
says.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from actors.workflows.activities import encode_failure, encode_result, failure_of
from actors.workflows.definition import ActivityFailure
from actors.workflows.history import Kind
from storage.ownership import is_engines

LIMIT_S = 2.0
"""How long one function may take."""

_PROGRESS_STEPS = 20_000
"""Instructions of SQLite's machine between two looks at the time, a few milliseconds."""

_WRITES = {
    sqlite3.SQLITE_INSERT: "writing",
    sqlite3.SQLITE_UPDATE: "writing",
    sqlite3.SQLITE_DELETE: "writing",
    sqlite3.SQLITE_DROP_TABLE: "dropping",
    sqlite3.SQLITE_CREATE_TABLE: "making",
}
"""Actions on a table that the authorizer names first."""

_SCHEMA = frozenset(
    {
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_TRIGGER,
        sqlite3.SQLITE_ALTER_TABLE,
    }
)
"""Actions on the schema of a table that the authorizer names second."""

_NEVER = {
    sqlite3.SQLITE_TRANSACTION: "ending or beginning a transaction",
    sqlite3.SQLITE_SAVEPOINT: "a savepoint",
    sqlite3.SQLITE_ATTACH: "ATTACH",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_PRAGMA: "a PRAGMA",
    # What it stores would change how the engine's own queries are run.
    sqlite3.SQLITE_ANALYZE: "ANALYZE",
    # It would run whenever its table is written, also where its body may not.
    sqlite3.SQLITE_CREATE_TRIGGER: "a trigger",
    # It keeps its rows in tables of its module's, which whoever reads the file would need.
    sqlite3.SQLITE_CREATE_VTABLE: "a virtual table",
    # A table of this connection's own would stand before the engine's of the same name.
    sqlite3.SQLITE_CREATE_TEMP_INDEX: "a temporary index",
    sqlite3.SQLITE_CREATE_TEMP_TABLE: "a temporary table",
    sqlite3.SQLITE_CREATE_TEMP_TRIGGER: "a trigger",
    sqlite3.SQLITE_CREATE_TEMP_VIEW: "a temporary view",
}

_OBJECTS = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
_REFERRING = """
    SELECT DISTINCT m.name FROM sqlite_schema m, pragma_foreign_key_list(m.name)
    WHERE m.type = 'table'"""


class _Guard:
    """The authorizer of one function. It remembers what it refused, for SQLite does not say."""

    def __init__(self) -> None:
        self.refused = ""

    def __call__(
        self,
        action: int,
        first: str | None,
        second: str | None,
        database: str | None,
        inner: str | None,
    ) -> int:
        del database, inner
        what = _forbidden(action, first or "", second or "")
        if what is None:
            return sqlite3.SQLITE_OK
        self.refused = what
        return sqlite3.SQLITE_DENY


def _forbidden(action: int, first: str, second: str) -> str | None:
    if action in _NEVER:
        return _NEVER[action]
    if action in _WRITES and is_engines(first):
        return f"{_WRITES[action]} {first}, a name of the engine's,"
    if action in _SCHEMA and is_engines(second):
        return f"changing {second}, a name of the engine's,"
    if action == sqlite3.SQLITE_FUNCTION and second.lower() == "load_extension":
        return "load_extension"
    return None


class TakenBack(Exception):  # noqa: N818 - a state
    """SQLite has taken back the whole transaction, and what others had written in it.

    It does so when it is interrupted while it writes, and where a statement says ROLLBACK.

    Args:
        failure: what has to be recorded of the function.
    """

    def __init__(self, failure: ActivityFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Transaction:
    """What a function under `ctx.tx` is given as its first argument."""

    def __init__(self, connection: sqlite3.Connection, guard: _Guard) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._guard = guard

    def execute(
        self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Run one statement, and answer its rows.

        Raises:
            sqlite3.Error: the statement failed, or is not allowed here; then it says what is not.
            RuntimeError: the transaction is over, or a statement has rolled it back.
        """
        connection = self._open()
        with self._saying():
            return [tuple(row) for row in connection.execute(sql, parameters).fetchall()]

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> int:
        """Run one statement for each set of parameters; answers how many rows it changed."""
        connection = self._open()
        with self._saying():
            return connection.executemany(sql, parameters).rowcount

    def close(self) -> None:
        self._connection = None

    @contextmanager
    def _saying(self) -> Iterator[None]:
        """Says what is forbidden where SQLite only says that something is."""
        self._guard.refused = ""
        try:
            yield
        except sqlite3.Error as error:
            if not self._guard.refused:
                raise
            raise _refusal(self._guard.refused) from error

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
    before = set(connection.execute(_OBJECTS).fetchall())
    guard = _Guard()
    scope = Transaction(connection, guard)
    try:
        with _guarded(connection, guard):
            result = function(scope, value)
        if connection.in_transaction:
            _refuse_made(connection, before)
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
def _guarded(connection: sqlite3.Connection, guard: _Guard) -> Iterator[None]:
    until = monotonic() + LIMIT_S
    connection.set_authorizer(guard)
    connection.set_progress_handler(lambda: int(monotonic() > until), _PROGRESS_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
        connection.set_authorizer(None)


def _refuse_made(connection: sqlite3.Connection, before: set[Any]) -> None:
    """Refuses what the authorizer is not told of: new names, and what tables refer to.

    A name of the engine's would stand in the way of a migration. A foreign key would keep the
    engine from deleting rows, or fail the whole commit when it is deferred.
    """
    made = {name for _, name, _ in set(connection.execute(_OBJECTS).fetchall()) - before}
    if not made:
        return
    for name in sorted(made):
        if is_engines(name):
            raise _refusal(f"making {name}, a name of the engine's,")
    for (name,) in connection.execute(_REFERRING).fetchall():
        if name in made:
            raise _refusal(f"a foreign key (of {name})")


def _refusal(what: str) -> sqlite3.Error:
    return sqlite3.DatabaseError(f"{what} is not allowed in ctx.tx")


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
