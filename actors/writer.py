"""The one writer of a database: many commands, one transaction, then the answers.

A thread actor owns the only writing connection. It takes everything that waits in its mailbox, runs
it in one transaction (`actors.batch`: bounded by number, bytes and time; a bad command fails
alone), commits once and only then answers: an answer means that the write is on the disk. Commands
are semantic ("append these events after number 7"), not SQL; their handlers are plain functions
over the connection, given when the writer is made. When the disk is slower than its callers, its
mailbox fills up and they wait in line, each until its own deadline.

What concerns the whole batch ends in one of four ways:

- **The disk is full.** The batch is taken back and refused with `StorageFull`. Reads go on, and the
  next batch is simply tried, so writing resumes by itself. A log that is longer than what is left
  of the disk is emptied, since it could else fill the disk for good.
- **Something could not be read or written.** Whether the commit reached the disk is unknown. The
  writer lets go of its connection and opens another; then it runs the batch again. Every command is
  idempotent by its natural key, so running it again *is* looking it up: it finds what it wrote, or
  writes it, and its answer is true either way. When that fails too, the askers are told that the
  outcome is unknown (`DatabaseUnavailable`), and the next batch tries to open the database again.
  An actor that crashed instead would use up its restarts on a fault that no restart mends.
- **A file is lost**: deleted, moved or replaced, its own or another of the stores. Once a second,
  while there are commits, that is looked at before the batch, which is then refused with
  `StoreLost`, and so is every later one until the files are back (`storage.presence`).
- **The database is damaged.** Nothing is written any more. Every command is refused with
  `StoreDamaged`, which names the file and the place, until the process is started on a sound one.

`write` repeats a command until it has a definite answer.
"""

import logging
import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from time import perf_counter
from typing import ClassVar, TypeVar

import trio

from actors.batch import (
    Batches,
    Bounds,
    Group,
    Handler,
    Observe,
    Poisoned,
    operation_name,
)
from actors.errors import (
    DatabaseError,
    DatabaseUnavailable,
    Forbidden,
    StorageFull,
    StoreDamaged,
    StoreLost,
)
from storage.database import empty_log, free_bytes, located, log_bytes, open_writer
from storage.errors import (
    Corrupt,
    DatabaseBusy,
    DatabaseFailure,
    DiskFull,
    FileLost,
    StorageError,
    database_failure,
)
from storage.migrate import migrate
from storage.presence import Presence
from storage.tuning import DEFAULTS, Tuning
from supervision import (
    ActorDeadError,
    ActorRestarting,
    Ask,
    AskTimeout,
    BlockingActor,
    Delivery,
    MailboxFull,
    Refused,
    Target,
    ask,
)

__all__ = [
    "Bounds",
    "Command",
    "DatabaseWriter",
    "Group",
    "Handler",
    "Poison",
    "Settle",
    "operation_name",
    "persist",
    "write",
]

T = TypeVar("T")

ObserveCommit = Callable[[int, float], None]
ObserveLog = Callable[[int, bool], None]

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.5
PERSIST_PAUSE_S = 1.0

LOG_LOOK_S = 1.0
"""How often the size of the write-ahead log is looked at, while there are commits."""

FILES_LOOK_S = 1.0
"""How long a commit may rely on a look at the files: so much may be lost with them. A look takes
20 µs, but lets go of the interpreter's lock for each file."""

LOG_PATIENCE_S = 0.1
"""How long commits may wait for the readers that keep an overlong log from being emptied."""

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


class Witness:
    """Told of what a writer does, in its thread, before any asker. This one is deaf."""

    def opened(self, connection: sqlite3.Connection) -> None:
        """The writer has a connection, and begins nothing with it before this returns."""

    def committing(self, connection: sqlite3.Connection) -> None:
        """A transaction is about to be committed. What is raised is the transaction's failure."""

    def settled(self) -> None:
        """A transaction has ended, in whichever way; nobody was answered yet."""


def _unobserved(database: str, operation: str, seconds: float, number: int) -> None:
    del database, operation, seconds, number


def _uncounted(rows: int, seconds: float) -> None:
    del rows, seconds


def _unwatched(size_bytes: int, held: bool) -> None:
    del size_bytes, held


def _timeless() -> float:
    return 0.0


class DatabaseWriter(BlockingActor):
    """Owns and writes one database.

    Args:
        path: the database file; it is created and migrated at start.
        schema: the directory of its migrations.
        handlers: what each type of command does. A handler runs inside the transaction and must
            neither begin, commit nor roll back; what it returns is the answer.
        database: the name in metrics, logs and errors.
        observe: called with (database, command in snake case, seconds, number) for commands that
            were committed, see `Batches`.
        observe_commit: called with (commands, seconds) after each transaction.
        observe_log: called with (bytes of the write-ahead log, whether readers have just kept it
            from being emptied), once a second while there are commits.
        on_commit: called after the answers of each transaction, in the writer's thread: a hint for
            those who copy from the database. It may be lost, so they must also look by themselves.
        bounds: of one transaction.
        tuning: of the connection, and how long the log may become.
        presence: the files without which nothing may be written.
        groups: see `Batches`.
        poison: whether `Poison` is obeyed.
        witness: told of connections and of the ends of transactions.
    """

    mailbox_bound: ClassVar[int] = 1024  # two batches: who is behind them can still withdraw
    overflow = "wait"

    def __init__(
        self,
        path: Path,
        schema: Path | Traversable,
        handlers: Mapping[type, Handler],
        *,
        database: str,
        observe: Observe = _unobserved,
        observe_commit: ObserveCommit = _uncounted,
        observe_log: ObserveLog = _unwatched,
        on_commit: Callable[[], None] | None = None,
        bounds: Bounds | None = None,
        tuning: Tuning = DEFAULTS,
        presence: Presence | None = None,
        groups: Mapping[type, Group] | None = None,
        poison: bool = False,
        witness: Witness | None = None,
    ) -> None:
        super().__init__()
        self._witness = witness or Witness()
        self._groups = groups
        self._path = path
        self._schema = schema
        own: dict[type, Handler] = {Settle: _settle, Poison: _drink if poison else _decline}
        self._handlers = {**handlers, **own}
        self._database = database
        self._observe = observe
        self._observe_commit = observe_commit
        self._observe_log = observe_log
        self._on_commit = on_commit
        self._bounds = bounds or Bounds()
        self._tuning = tuning
        self._presence = presence or Presence()
        self._lost: FileLost | None = None
        self._looked_for_files = -math.inf
        self._conn: sqlite3.Connection | None = None
        self._damage: DatabaseFailure | None = None
        self._now: Callable[[], float] = perf_counter
        self._looked = -math.inf
        self._too_long = False

    def on_start(self) -> None:
        """Opens and migrates the database; one that is lost it waits for, and makes no new one.

        Raises:
            StorageError: it cannot be opened, or its schema does not fit; the message says what
                to do.
        """
        if self.system.inline:
            self._now = _timeless  # a simulation must not depend on how fast this machine is
        self._batches = Batches(
            self._handlers,
            self._database,
            self._observe,
            self._bounds,
            self._now,
            self._groups,
            self._witness.committing,
        )
        if self._find_lost() is not None:
            return
        conn = open_writer(self._path, self._tuning)
        try:
            migrate(conn, self._schema)
        except sqlite3.Error as err:
            conn.close()
            raise located(database_failure(self._path, err)) from err
        except StorageError:
            conn.close()
            raise
        self._witness.opened(conn)
        self._conn = conn

    def on_stop(self) -> None:
        """Moves the log into the database file, as far as readers allow, and closes it."""
        if self._conn is None:
            return
        self._presence.look()  # who has written nothing since the loss learns of it now
        try:
            # A reader in the middle of a query is not waited for: the log is durable, too.
            empty_log(self._conn, patience_s=0.0)
        except sqlite3.Error as err:
            logger.warning("%s keeps its log: %s", self._path, err)
        self._close()

    def on_failure(self, error: BaseException) -> None:
        """Lets go of the connection, so that the next incarnation's is the only one again."""
        del error
        self._close()

    def on_deliveries(self, batch: list[Delivery]) -> None:
        while batch:
            batch = batch[self._transaction(batch) :]
        self._look_after_log()

    def _transaction(self, batch: list[Delivery]) -> int:
        """Commits and answers as many as one transaction may hold; says how many those were."""
        started = perf_counter()
        outcomes = self._outcomes([delivery.message for delivery in batch])
        self._witness.settled()
        with self.burst():
            for delivery, outcome in zip(batch, outcomes, strict=False):
                self._answer(delivery, outcome)
        self._observe_commit(len(outcomes), perf_counter() - started)
        self._hint()
        return len(outcomes)

    def _outcomes(self, commands: Sequence[object]) -> list[object]:
        """Gives what each asker is told, of the first commands or of all."""
        if self._damage is not None:
            return self._refusals(commands, self._damage, in_doubt=False)
        if (lost := self._find_lost()) is not None:
            return self._refusals(commands, lost, in_doubt=False)
        failure, in_doubt = None, False
        for _ in range(2):
            try:
                return self._batches.commit(self._connection(), commands)
            except sqlite3.Error as err:
                failure = database_failure(self._path, err)
            except DatabaseFailure as err:
                failure = err
            if isinstance(failure, DiskFull):
                if self._taken_back():
                    break
            else:
                in_doubt = True
            self._close()
            if isinstance(failure, Corrupt):
                failure = self._damage = located(failure)
                logger.critical("nothing is written to it any more: %s", failure)
                break
            logger.warning("the outcome of %d commands is unknown: %s", len(commands), failure)
        return self._refusals(commands, failure, in_doubt=in_doubt)

    def _find_lost(self) -> FileLost | None:
        """Gives a file that is lost: as seen within the last second, or now while one is."""
        now = self._now()
        if self._lost is not None or now - self._looked_for_files >= FILES_LOOK_S:
            self._looked_for_files = now
            self._lost = self._presence.look()
        return self._lost

    def _connection(self) -> sqlite3.Connection:
        """The connection; a new one when the last one is not to be trusted.

        After a sync that failed, the system may count what it could not write as written. What the
        log shows is therefore written once more, into the database file, and synced there, before
        anybody is told that it is there.

        Raises:
            DatabaseFailure, sqlite3.Error: there is no telling yet what the disk holds.
        """
        if self._conn is None:
            self._lost = self._presence.look()
            if self._lost is not None:
                raise self._lost  # opening it would make an empty one in its place
            conn = open_writer(self._path, self._tuning)
            try:
                if not empty_log(conn, patience_s=self._tuning.busy_timeout_s):
                    raise DatabaseBusy(self._path, "a reader needs the log that has to be saved")
            except (sqlite3.Error, DatabaseFailure):
                conn.close()
                raise
            logger.warning("%s was opened anew", self._path)
            self._witness.opened(conn)
            self._conn = conn
        return self._conn

    def _taken_back(self) -> bool:
        """Undoes what a full disk has cut short; False when even that fails."""
        try:
            if self._conn is not None and self._conn.in_transaction:
                self._conn.execute("ROLLBACK")  # SQLite may have done it by itself
        except sqlite3.Error:
            return False
        return self._conn is not None

    def _close(self) -> None:
        if self._conn is not None:
            with suppress(sqlite3.Error):  # it may be the connection itself that broke
                self._conn.close()
            self._conn = None

    def _refusals(
        self, commands: Sequence[object], why: DatabaseFailure | None, *, in_doubt: bool
    ) -> list[object]:
        if isinstance(why, DiskFull):
            logger.warning("%s is full: %d commands refused", self._path, len(commands))
        names = (operation_name(type(command)) for command in commands)
        return [_refusal(name, why, in_doubt=in_doubt) for name in names]

    def _answer(self, delivery: Delivery, outcome: object) -> None:
        if not isinstance(outcome, Exception):
            delivery.answer(outcome)
            return
        if delivery.reply_to is None:
            kind = type(delivery.message).__name__
            logger.warning("%s was told and failed in the %s writer", kind, self._database)
        delivery.refuse(outcome)

    def _hint(self) -> None:
        if self._on_commit is not None:
            # Whoever it is meant for is busy, being restarted or gone, and will look by itself.
            with suppress(Refused, ActorDeadError, ActorRestarting):
                self._on_commit()

    # --- the write-ahead log

    def _look_after_log(self) -> None:
        """Empties a log that has become too long, or says that a reader does not let it.

        SQLite copies the log into the database file after each thousand pages, but begins it anew
        only at a moment when nobody reads from it. Until then it takes many times the room of what
        is new in it, and emptying it takes room, too: the file grows first. So a log that is longer
        than what is left of the disk is emptied at once.
        """
        size = log_bytes(self._path)
        if size and size > free_bytes(self._path):
            self._emptied()
        now = self._now()
        if now - self._looked < LOG_LOOK_S:
            return
        self._looked = now
        limit = self._tuning.wal_limit_bytes
        size = log_bytes(self._path)
        held = bool(limit) and size > limit and not self._emptied()
        if held and not self._too_long:
            logger.warning(
                "the log of %s has %d bytes, and readers keep it from being emptied:"
                " look for a long query, a backup, or another process",
                self._path,
                size,
            )
        elif self._too_long and not held:
            logger.info("the log of %s could be emptied", self._path)
        self._too_long = held
        self._observe_log(log_bytes(self._path), held)

    def _emptied(self) -> bool:
        if self._conn is None:
            return False
        try:
            return empty_log(self._conn, patience_s=LOG_PATIENCE_S)
        except sqlite3.Error as err:
            logger.warning("the log of %s could not be emptied: %s", self._path, err)
            return False


def _refusal(
    operation: str, why: DatabaseFailure | None, *, in_doubt: bool
) -> DatabaseError | StorageFull:
    unknown = f"whether {operation} was written is not known: {why}"
    match why:
        case DiskFull() if not in_doubt:
            text = f"{operation} was not written: the disk of {why.path} is full"
            return StorageFull(text, cause=why)
        case FileLost() if not in_doubt:
            text = f"{operation} was refused: {why}"
            return StoreLost(text, operation=operation, cause=why)
        case Corrupt():
            text = unknown if in_doubt else f"{operation} was refused: {why}"
            return StoreDamaged(text, operation=operation, cause=why)
    return DatabaseUnavailable(unknown, operation=operation, cause=why)


async def write(writer: Target, command: Command[T], *, deadline_s: float = 30.0) -> T:
    """Sends a command to a writer and gives its answer, across the writer's restarts.

    When it returns, the write is durable. Cancelling it, or its deadline, does not undo the
    command: it may have been written, unless it still waited in line for room.

    Args:
        writer: the writer's name, so that a restarted one is found.
        command: the command; it is repeated when a writer died with it, or could not tell what
            became of it.
        deadline_s: seconds to try for.

    Raises:
        Refused: what the handler refused with; `StoreDamaged`. `StorageFull`, `MailboxFull`,
            `StoreLost`: nothing was written; while an attempt whose outcome is unknown may have
            been, these are waited out.
        DatabaseError: the command failed for a reason that is ours.
        DatabaseUnavailable: no definite answer in time; it may have been written.
    """
    until = trio.current_time() + deadline_s
    left_s = deadline_s
    pause_s = FIRST_PAUSE_S
    in_doubt = False
    while True:
        # The kernel's deadline, not a cancel scope: a scope for each write costs as much as the
        # rest of the way there and back.
        try:
            return await ask(writer, command, deadline_s=left_s)
        except ActorRestarting as err:
            lost: Exception = err
        except (MailboxFull, StorageFull, StoreLost) as err:
            if not in_doubt:
                raise
            lost = err
        except (ActorDeadError, AskTimeout, DatabaseUnavailable) as err:
            lost, in_doubt = err, True
        left_s = until - trio.current_time() - pause_s
        if left_s <= 0:
            operation = operation_name(type(command))
            text = f"{operation}: {writer.label} gave no answer within {deadline_s:g} s"
            raise DatabaseUnavailable(text, operation=operation) from lost
        await trio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def persist(writer: Target, command: Command[T]) -> T:
    """Sends a command that has to be written sooner or later, and gives its answer.

    For who has nobody to refuse to: a full disk, a full mailbox, a lost file or a writer that is
    away are waited out, for as long as the caller lives. Everything else is raised as by `write`.
    """
    while True:
        try:
            return await write(writer, command)
        except (StorageFull, MailboxFull, DatabaseUnavailable) as err:
            level = logging.DEBUG if isinstance(err, StoreLost) else logging.WARNING
            logger.log(level, "%s waits: %s", operation_name(type(command)), err)
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
