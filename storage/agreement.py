"""Whether the databases of a data directory can come from one life.

Each holds what the others rely on. One that was lost, or put back from another time, would leave
them waiting for what it no longer knows, and its numbers would come again. One that has lost its
last commits (SQLite takes a damaged log for one that ends early) is noticed, too, as far as another
one has heard of them. `beads.db` may be lost: it is rebuilt from the published file or its ref.

Single rows that are missing are no other time: of a workflow that `coordination.db` has told of it
had the row once. They are left to the comparison of the stores, which reports them.

Those who only look may do so beside a server: they ask all three of one moment.

A file that is missing or empty counts as one in which nothing ever happened: a first start that was
cut off leaves some of them, and the next one goes on from there. When all three are, a first start
has to leave nothing else: logs without their databases, or an archive, say that these were lost.
Nothing is made or changed here.
"""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

from storage.archive import DIRECTORY as ARCHIVE
from storage.backup import DIRECTORY as BACKUPS
from storage.coordination import queries as coordination_queries
from storage.database import open_reader
from storage.databases import Database, databases, refuse_foreign
from storage.errors import DatabaseMissing, StoresDisagree, StoresLost, naming
from storage.exchange import ASIDE
from storage.issues.queries import last_applied
from storage.migrate import applied, refuse_misfit
from storage.snapshot import Snapshot, snapshot
from storage.workflows import queries as workflow_queries

T = TypeVar("T")

Open = Callable[[Path], sqlite3.Connection]


def is_new(directory: Path) -> bool:
    """Whether nothing was ever stored here; a start that was cut off may have begun to."""
    return _is_bare(directory) and not _left(directory)


def refuse_incomplete(directory: Path) -> None:
    """For those who need all three, and make none: refuses what a start would refuse, or make.

    One without tables is what a first start left that was cut off, and no more; or it was lost.

    Raises:
        StoresLost: all of them were lost.
        StoresDisagree: one was lost that another relies on, or is older than another.
        DatabaseMissing: a start would make it, or rebuild it.
        DatabaseBusy: coordination.db never stood still.
        StorageError: one cannot be read, or does not fit this program.
    """
    there = databases(directory)
    if all(_has_tables(database) for database in there):
        with snapshot(directory) as held:
            _refuse_disagreement(there, held)
        return
    refuse_strangers(directory)
    if absent := [database for database in there if database.is_absent]:
        raise DatabaseMissing(absent[0].path, rebuilt=absent[0].name == "beads")


def refuse_strangers(directory: Path, opened: Open = open_reader, *, but: str = "") -> None:
    """Refuses databases that cannot come from one life.

    Args:
        directory: the data directory.
        opened: how to open those that are there; whoever holds the lock may recover their logs.
        but: the name of one that is taken for absent.

    Raises:
        StoresLost: all of them were lost.
        StoresDisagree: one was lost, or is older than another.
        StorageError: one cannot be read, or does not fit this program.
    """
    there = databases(directory)
    if _is_bare(directory) and (left := _left(directory)):
        raise StoresLost(directory, left)
    with ExitStack() as stack:
        held = {
            database.name: stack.enter_context(closing(_opened(database, opened)))
            for database in there
            if not database.is_absent and database.name != but
        }
        _refuse_disagreement(there, held)


def _is_bare(directory: Path) -> bool:
    return all(database.is_absent for database in databases(directory))


def _left(directory: Path) -> list[str]:
    """What only stands beside databases: SQLite makes no log while the file itself is empty."""
    logs = [database.log for database in databases(directory)]
    kept = [directory / ARCHIVE, directory / BACKUPS, *sorted(directory.glob(f"{ASIDE}-*"))]
    return [
        *(log.name for log in logs if log.exists()),
        *(f"{place.name}/" for place in kept if place.is_dir() and any(place.iterdir())),
    ]


def _opened(database: Database, opened: Open) -> sqlite3.Connection:
    with naming(database.path):
        return opened(database.path)


def _has_tables(database: Database) -> bool:
    if database.is_absent:
        return False
    with naming(database.path), closing(open_reader(database.path)) as connection:
        return bool(applied(connection))


def _refuse_disagreement(there: tuple[Database, ...], held: Snapshot) -> None:
    coordination, tempolite, beads = there
    copied, mapped, logged = _asked(coordination, held, _coordination, (0, set[str](), 0))
    written, made = _asked(tempolite, held, _tempolite, (0, set[str]()))
    applied_here = _asked(beads, held, last_applied, 0)
    if copied > written:
        raise _disagreement(tempolite, coordination, held)
    if unmapped := made - mapped:
        told = _asked(coordination, held, lambda one: _told(one, unmapped), set[str]())
        if unmapped - told:
            raise _disagreement(coordination, tempolite, held)
    if applied_here > logged:
        raise _disagreement(coordination, beads, held)


def _disagreement(behind: Database, ahead: Database, held: Snapshot) -> StoresDisagree:
    connection, lacks = held.get(behind.name), ""
    if connection is None:
        lacks = "is empty" if behind.path.exists() else "is missing"
    elif not applied(connection):
        lacks = "has no tables"
    return StoresDisagree(behind.path, ahead.path, lacks=lacks)


def _asked(
    database: Database, held: Snapshot, question: Callable[[sqlite3.Connection], T], nothing: T
) -> T:
    """What one database answers; one that is absent or without tables knows of nothing."""
    connection = held.get(database.name)
    if connection is None:
        return nothing
    with naming(database.path):
        refuse_foreign(connection, database)
        refuse_misfit(connection, database.schema)
        return question(connection) if applied(connection) else nothing


def _coordination(connection: sqlite3.Connection) -> tuple[int, set[str], int]:
    return (
        coordination_queries.cursor(connection, "tempolite"),
        coordination_queries.workflow_ids(connection),
        coordination_queries.last_event(connection),
    )


def _told(connection: sqlite3.Connection, workflow_ids: set[str]) -> set[str]:
    """Of which of them the log tells, so that a row of each was there and got lost by itself."""
    return coordination_queries.told_of(connection, sorted(workflow_ids))


def _tempolite(connection: sqlite3.Connection) -> tuple[int, set[str]]:
    return workflow_queries.last_position(connection), workflow_queries.workflow_ids(connection)
