"""The one writer of a database: many commands, one transaction, then the answers.

A thread actor owns the only writing connection. It takes everything that waits in its mailbox, runs
each command in a savepoint of its own, commits once and only then answers: an answer means that the
write is on the disk. Commands are semantic ("append these events after number 7"), not SQL; their
handlers are plain functions over the connection, given when the writer is made.

A command that fails, fails alone (`actors.batch`). What concerns the whole batch ends in one of two
ways. A full disk: the batch is taken back and refused with `StorageFull`, and the writer lives.
SQLite cannot read or write: whether the commit reached the disk is unknown, so nothing is answered;
the actor crashes, its askers learn that their commands may have run, and the supervisor starts a
new one with a fresh connection.

Every command is idempotent by its natural key, so `write` repeats it until it has an answer.
"""

import logging
import math
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import trio

from actors.batch import Batches, Handler, Observe, Poisoned, operation_name
from actors.errors import DatabaseUnavailable, Forbidden, StorageFull
from storage.database import open_writer
from storage.errors import StorageError, primary_code
from storage.migrate import migrate
from supervision import (
    ActorDeadError,
    ActorRestarting,
    Ask,
    BlockingActor,
    Delivery,
    MailboxFull,
    Refused,
    Target,
    ask,
)

__all__ = [
    "Command",
    "DatabaseWriter",
    "Handler",
    "Poison",
    "Settle",
    "operation_name",
    "persist",
    "write",
]

T = TypeVar("T")

ObserveCommit = Callable[[int, float], None]

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.5
PERSIST_PAUSE_S = 1.0

logger = logging.getLogger(__name__)


class Command(Ask[T]):
    """Base of everything a writer is asked for. Doing it twice must do what doing it once does."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle(Command[None]):
    """Answered when all that was sent to the writer before it is written, or never will be.

    For the successor of an actor that died: what that one had sent may still be on its way.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison(Command[None]):
    """Makes a writer crash in the middle of a batch. Only one built for such tests obeys."""


def _unobserved(database: str, operation: str, seconds: float) -> None:
    del database, operation, seconds


def _uncounted(rows: int, seconds: float) -> None:
    del rows, seconds


class DatabaseWriter(BlockingActor):
    """Owns and writes one database.

    Args:
        path: the database file; it is created and migrated at start.
        schema: the directory of its migrations.
        handlers: what each type of command does. A handler runs inside the transaction and must
            neither begin, commit nor roll back; what it returns is the answer.
        database: the name in metrics, logs and errors.
        observe: called with (database, command in snake case, seconds) after each command.
        observe_commit: called with (commands, seconds) after each batch.
        on_commit: called after the answers of each batch, in the writer's thread: a hint for those
            who copy from the database. It may be lost, so they must also look by themselves.
        poison: whether `Poison` is obeyed.
    """

    def __init__(
        self,
        path: Path,
        schema: Path | Traversable,
        handlers: Mapping[type, Handler],
        *,
        database: str,
        observe: Observe = _unobserved,
        observe_commit: ObserveCommit = _uncounted,
        on_commit: Callable[[], None] | None = None,
        poison: bool = False,
    ) -> None:
        super().__init__()
        self._path = path
        self._schema = schema
        self._database = database
        self._batches = Batches(
            {**handlers, Settle: _settle, Poison: _drink if poison else _decline},
            database,
            observe,
        )
        self._observe_commit = observe_commit
        self._on_commit = on_commit
        self._conn: sqlite3.Connection | None = None

    def on_start(self) -> None:
        """Opens and migrates the database.

        Raises:
            StorageError: it cannot be opened, or its schema does not fit; the message says what
                to do.
        """
        conn = open_writer(self._path)
        try:
            migrate(conn, self._schema)
        except (StorageError, sqlite3.Error):
            conn.close()
            raise
        self._conn = conn

    def on_stop(self) -> None:
        """Moves the log into the database file, as far as readers allow, and closes it."""
        if self._conn is not None:
            # A reader in the middle of a query is not waited for: the log is durable, too.
            self._conn.execute("PRAGMA busy_timeout=0")
            self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            self._conn.close()

    def on_failure(self, error: BaseException) -> None:
        """Lets go of the connection, so that the next incarnation's is the only one again."""
        del error
        if self._conn is not None:
            with suppress(sqlite3.Error):  # it may be the connection itself that broke
                self._conn.close()

    def on_deliveries(self, batch: list[Delivery]) -> None:
        if self._conn is None:
            raise RuntimeError(f"the {self._database} writer was not started")
        started = perf_counter()
        try:
            outcomes = self._batches.commit(self._conn, [delivery.message for delivery in batch])
        except sqlite3.Error as err:
            if primary_code(err) != sqlite3.SQLITE_FULL:
                raise
            outcomes = self._take_back(self._conn, batch, err)
        for delivery, outcome in zip(batch, outcomes, strict=True):
            self._answer(delivery, outcome)
        self._observe_commit(len(batch), perf_counter() - started)
        self._hint()

    def _answer(self, delivery: Delivery, outcome: object) -> None:
        if not isinstance(outcome, Exception):
            delivery.answer(outcome)
            return
        if delivery.reply_to is None:
            kind = type(delivery.message).__name__
            logger.warning("%s was told and failed in the %s writer", kind, self._database)
        delivery.refuse(outcome)

    def _take_back(
        self, conn: sqlite3.Connection, batch: list[Delivery], error: sqlite3.Error
    ) -> list[object]:
        if conn.in_transaction:  # SQLite may have rolled it back by itself
            conn.execute("ROLLBACK")
        logger.warning("%s is full: %d commands refused", self._path, len(batch))
        names = [operation_name(type(delivery.message)) for delivery in batch]
        text = f"was not written: the disk of {self._path} is full"
        return [StorageFull(f"{name} {text}", cause=error) for name in names]

    def _hint(self) -> None:
        if self._on_commit is not None:
            # Whoever it is meant for is busy, being restarted or gone, and will look by itself.
            with suppress(Refused, ActorDeadError, ActorRestarting):
                self._on_commit()


async def write(writer: Target, command: Command[T], *, deadline_s: float = 30.0) -> T:
    """Sends a command to a writer and gives its answer, across the writer's restarts.

    When it returns, the write is durable. Cancelling it, or its deadline, does not undo the
    command: it may have been written.

    Args:
        writer: the writer's name, so that a restarted one is found.
        command: the command; it is repeated when a writer died with it.
        deadline_s: seconds to try for.

    Raises:
        Refused: what the handler refused with. `StorageFull`, `MailboxFull`: nothing was written;
            while an attempt whose answer was lost may have been, these are waited out.
        DatabaseError: the command failed for a reason that is ours.
        DatabaseUnavailable: no writer answered in time; it may have been written.
    """
    pause_s = FIRST_PAUSE_S
    lost: Exception | None = None
    in_doubt = False
    with trio.move_on_after(deadline_s):
        while True:
            try:
                return await ask(writer, command, deadline_s=math.inf)  # the deadline is ours
            except (ActorRestarting, ActorDeadError) as err:
                lost, in_doubt = err, in_doubt or isinstance(err, ActorDeadError)
            except (MailboxFull, StorageFull) as err:
                if not in_doubt:
                    raise
                lost = err
            await trio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    operation = operation_name(type(command))
    text = f"{operation}: {writer.label} gave no answer within {deadline_s:g} s"
    raise DatabaseUnavailable(text, operation=operation) from lost


async def persist(writer: Target, command: Command[T]) -> T:
    """Sends a command that has to be written sooner or later, and gives its answer.

    For who has nobody to refuse to: a full disk, a full mailbox or a writer that is away are waited
    out, for as long as the caller lives. Everything else is raised as by `write`.
    """
    while True:
        try:
            return await write(writer, command)
        except (StorageFull, MailboxFull, DatabaseUnavailable) as err:
            logger.warning("%s waits: %s", operation_name(type(command)), err)
            await trio.sleep(PERSIST_PAUSE_S)


def _settle(conn: sqlite3.Connection, command: Settle) -> None:
    """Nothing is left to do: a writer takes commands in the order in which they came."""
    del conn, command


def _drink(conn: sqlite3.Connection, command: Poison) -> None:
    del conn, command
    raise Poisoned("this writer was poisoned")


def _decline(conn: sqlite3.Connection, command: Poison) -> None:
    del conn, command
    raise Forbidden("this writer takes no poison")
