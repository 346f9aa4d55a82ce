"""Many commands in one transaction, of which a bad one fails alone.

What happens to a command that fails is decided here:

- its handler refuses, or violates a constraint: the command is taken back, and the refusal is its
  outcome. It counts only after the commit, since it may rest on what other commands have written;
- its handler raises anything else: the command is taken back, its outcome is a `DatabaseError`, and
  the reason is logged; its neighbours do not notice;
- its handler has cost the whole transaction, and says so with `StartOver`: the batch runs again,
  with what it names in the command's place;
- SQLite reports that the disk is full or cannot be read or written: that is nobody's own fault, so
  it is raised for the whole batch.

Taking back needs a savepoint around each command, which is two statements more than most commands
have themselves, and each statement lets go of the interpreter's lock. So a batch is first run
without: most failures are refusals that come before anything was written (SQLite counts the rows
it changes, and takes a failing statement back by itself). When a command fails that has written
something, the transaction is rolled back and the batch runs again, each command in a savepoint.
Handlers are functions of the database and the command, and change rows only, so it makes no
difference how often they ran before.

A transaction is bounded: by the bytes its commands carry and by the time its handlers have taken.
The first command always gets in, the rest of the batch goes into the next transaction.

No actor is needed to run it: the writer gives it a connection.
"""

import logging
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import chain
from operator import attrgetter
from time import perf_counter
from typing import Any, Final

from actors.errors import Conflict, DatabaseError
from storage.errors import primary_code
from supervision import Refused, UnexpectedMessage

Handler = Callable[[sqlite3.Connection, Any], object]
GroupHandler = Callable[[sqlite3.Connection, Sequence[Any]], Sequence[object]]
"""Runs several commands of one type at once; it answers `LEFT` for those that it leaves alone."""
_workflow_of = attrgetter("workflow_id")


@dataclass(frozen=True, slots=True)
class Group:
    """How several commands of one type are run at once.

    Args:
        run: what does it.
        about: what a command is about: its rows belong to that alone. No two commands about the
            same are in one group.
    """

    run: GroupHandler
    about: Callable[[Any], object] = _workflow_of


Observe = Callable[[str, str, float, int], None]
Clock = Callable[[], float]

# After these the state of the transaction, or of the file, is not what the handler thinks it is.
_NOT_THE_COMMANDS_FAULT = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY}
    | {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}
    | {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT}
)

logger = logging.getLogger(__name__)


class Poisoned(Exception):  # noqa: N818 - the reason a poisoned writer gives for its end
    """The writer was told to crash."""


class Left:
    """What a group handler answers for a command that has to be run by itself."""


LEFT: Final = Left()

GROUP = 128
"""Commands of one group at most: about 2 ms."""


class StartOver(Exception):  # noqa: N818 - a request
    """Raised by a handler: SQLite has taken the transaction back, with all that was written in it.

    Args:
        command: the one that cannot be run.
        instead: what is run in its place, and answers its asker.
    """

    def __init__(self, command: object, instead: object) -> None:
        super().__init__("the transaction was taken back")
        self.command = command
        self.instead = instead


class _WroteAndFailed(Exception):  # noqa: N818 - it never leaves this module
    """A command has to be taken back, and there is no savepoint to go back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where a transaction ends although more commands wait.

    Args:
        bytes: of the texts in its commands; longer ones would make everybody wait for one commit,
            and a full disk refuse more than it must.
        seconds: that its handlers have taken, so that the first in a batch is not answered long
            after it was done; infinity where no time may decide.
    """

    bytes: int = 4 * 1024 * 1024
    seconds: float = 0.005


class Batches:
    """Runs batches with the handlers of one database.

    Args:
        handlers: what each type of command does; see `actors.writer`.
        database: its name in logs, metrics and errors.
        observe: called with (database, command in snake case, seconds, number) after the commit:
            so many of these commands took so long, each.
        bounds: of one transaction.
        now: the clock that handlers are timed with.
        groups: for types of which many may come at once: what does the same for several of them.
        before_commit: called when all is written.
    """

    def __init__(  # noqa: PLR0917
        self,
        handlers: Mapping[type, Handler],
        database: str,
        observe: Observe,
        bounds: Bounds,
        now: Clock = perf_counter,
        groups: Mapping[type, Group] | None = None,
        before_commit: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> None:
        self._groups = groups or {}
        self._before_commit = before_commit
        self._handlers = {kind: (operation_name(kind), run) for kind, run in handlers.items()}
        self._database = database
        self._observe = observe
        self._bounds = bounds
        self._now = now

    def commit(self, conn: sqlite3.Connection, commands: Sequence[object]) -> list[object]:
        """Runs the first commands, in order and as many as the bounds allow, and commits.

        Returns:
            Of each of them the answer, or the error for its asker; at least one.

        Raises:
            sqlite3.Error: of the batch as a whole. Unless it says that the disk is full, the
                transaction may or may not have been committed.
        """
        savepoints = False
        while True:
            conn.execute("BEGIN IMMEDIATE")
            try:
                outcomes, times = self._run(conn, commands, savepoints=savepoints)
            except _WroteAndFailed:
                conn.execute("ROLLBACK")
                savepoints = True
            except StartOver as lost:
                commands = [lost.instead if c is lost.command else c for c in commands]
            else:
                break
        self._before_commit(conn)
        conn.execute("COMMIT")
        for operation, seconds, number in times:
            self._observe(self._database, operation, seconds, number)
        return outcomes

    def _run(
        self, conn: sqlite3.Connection, commands: Sequence[object], *, savepoints: bool
    ) -> tuple[list[object], list[tuple[str, float, int]]]:
        outcomes: list[object] = []
        times: list[tuple[str, float, int]] = []
        room = self._bounds.bytes
        began = last = self._now()
        while len(outcomes) < len(commands):
            if outcomes and last - began > self._bounds.seconds:
                break
            taken, weight = self._next(commands, len(outcomes), room, alone=savepoints)
            room -= weight
            if outcomes and room < 0:
                break
            done = self._run_group(conn, taken) if len(taken) > 1 else [LEFT]
            for command, outcome in zip(taken, done, strict=True):
                answer = outcome
                if outcome is LEFT:
                    answer = self._run_alone(conn, command, savepoints=savepoints)
                outcomes.append(answer)
            before, last = last, self._now()
            share = (last - before) / len(taken)
            times += [
                (self._handlers[kind][0], share, number)
                for kind, number in Counter(map(type, taken)).items()
                if kind in self._handlers
            ]
        return outcomes, times

    def _next(
        self, commands: Sequence[object], first: int, room: int, *, alone: bool
    ) -> tuple[list[Any], int]:
        """The command in this place, with those that may be run at once with it; their weight.

        All but the first fit into the room.
        """
        group: list[Any] = [commands[first]]
        weight = weigh(commands[first])
        if alone or type(commands[first]) not in self._groups:
            return group, weight
        seen = {self._groups[type(group[0])].about(group[0])}
        for command in commands[first + 1 : first + GROUP]:
            kind = self._groups.get(type(command))
            if kind is None:
                break
            about = kind.about(command)
            more = weigh(command)
            if about in seen or weight + more > room:
                break
            seen.add(about)
            group.append(command)
            weight += more
        return group, weight

    def _run_group(self, conn: sqlite3.Connection, group: Sequence[Any]) -> list[object]:
        """Runs commands type by type; of each the answer, or `LEFT`."""
        answers: dict[int, object] = {}
        try:
            for kind in dict.fromkeys(map(type, group)):
                alike = [command for command in group if type(command) is kind]
                found = self._groups[kind].run(conn, alike)
                answers.update(zip(map(id, alike), found, strict=True))
        except Exception as err:  # one by one, each finds out whether it was the one
            _raise_what_is_nobodys_fault(err)
            raise _WroteAndFailed from err
        return [answers[id(command)] for command in group]

    def _run_alone(self, conn: sqlite3.Connection, command: object, *, savepoints: bool) -> object:
        known = self._handlers.get(type(command))
        if known is None:
            kind = type(command).__name__
            return UnexpectedMessage(f"the {self._database} writer has no handler for {kind}")
        run = self._in_savepoint if savepoints else self._run_bare
        return run(conn, *known, command)

    def _run_bare(
        self, conn: sqlite3.Connection, operation: str, handler: Handler, command: object
    ) -> object:
        """Runs one command; gives its answer, or its error when it has written nothing."""
        changes = conn.total_changes
        try:
            return handler(conn, command)
        except Exception as err:  # this is the loop that runs handlers
            _raise_what_is_nobodys_fault(err)
            if conn.total_changes != changes:
                raise _WroteAndFailed from err
            return self._verdict(operation, err)

    def _in_savepoint(
        self, conn: sqlite3.Connection, operation: str, handler: Handler, command: object
    ) -> object:
        """Runs one command in its savepoint; gives its answer, or the error for its asker."""
        conn.execute("SAVEPOINT command")
        try:
            answer = handler(conn, command)
        except Exception as err:  # noqa: BLE001 - this is the loop that runs handlers
            _raise_what_is_nobodys_fault(err)
            answer = self._verdict(operation, err)
            conn.execute("ROLLBACK TO command")
        conn.execute("RELEASE command")
        return answer

    def _verdict(self, operation: str, error: Exception) -> Exception:
        """Says what the asker of a failed command is told."""
        match error:
            case Refused():
                return error
            case sqlite3.IntegrityError():
                return Conflict(f"{operation}: {error}", cause=error)
        logger.error("%s failed in the %s writer", operation, self._database, exc_info=error)
        text = f"{operation} failed in the {self._database} database: {type(error).__name__}"
        return DatabaseError(text, operation=operation, cause=error)


def _raise_what_is_nobodys_fault(error: Exception) -> None:
    match error:
        case Poisoned() | StartOver():
            raise error
        case sqlite3.Error() if primary_code(error) in _NOT_THE_COMMANDS_FAULT:
            raise error


def operation_name(command: type) -> str:
    """Gives a command's name in metrics and errors: `AppendHistory` is `append_history`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", command.__name__).lower()


def weigh(value: object) -> int:
    """Estimates how many bytes a command carries: the texts in it, and a little for all else."""
    kind = type(value)
    parts = _PARTS.get(kind)
    if parts is None:
        parts = _PARTS[kind] = _parts_of(kind)
    size = _FLAT
    for part in parts(value):
        kind = type(part)
        if kind is str or kind is bytes:
            size += len(part)  # type: ignore[arg-type]
        elif part and kind not in _SMALL:  # most of a command's parts are empty
            size += weigh(part)
    return size


_FLAT = 64
_SMALL = frozenset({int, float, bool, type(None)})


def _nothing(value: object) -> Iterable[object]:
    del value
    return ()


def _parts_of(kind: type) -> Callable[[Any], Iterable[object]]:
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else []
    if len(names) > 1:
        parts: Callable[[Any], Iterable[object]] = attrgetter(*names)
        return parts
    if names:
        return lambda value: (getattr(value, names[0]),)
    if issubclass(kind, list | tuple | set | frozenset):
        return iter
    if issubclass(kind, Mapping):
        return lambda value: chain(value.keys(), value.values())
    return _nothing


_PARTS: dict[type, Callable[[Any], Iterable[object]]] = {}
"""How to take a value of each type apart; found out once for each."""
