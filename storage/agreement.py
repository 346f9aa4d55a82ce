"""Whether the databases of a data directory can come from one life.

Each holds what the others rely on. One that was lost, or put back from another time, would leave
them waiting for what it no longer knows, and its numbers would come again. One that has lost its
last commits (SQLite takes a damaged log for one that ends early) is noticed, too, as far as another
one has heard of them. `beads.db` may be lost: it is rebuilt from the published file.

A file that is missing or empty counts as one in which nothing ever happened: a first start that was
cut off leaves some of them, and the next one goes on from there. Nothing is made or changed here.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from storage.coordination import queries as coordination_queries
from storage.database import open_reader
from storage.databases import Database, databases
from storage.errors import DatabaseMissing, StoresDisagree, naming
from storage.issues.queries import last_applied
from storage.migrate import applied, refuse_misfit
from storage.workflows import queries as workflow_queries

T = TypeVar("T")

Open = Callable[[Path], sqlite3.Connection]


def refuse_incomplete(directory: Path) -> None:
    """For those who need all three, and make none: refuses when one is missing or empty.

    One without tables is what a first start left that was cut off, and no more; or it was lost.

    Raises:
        StoresDisagree: one was lost that another relies on.
        DatabaseMissing: a start would make it, or rebuild it.
        StorageError: another one cannot be read.
    """
    there = databases(directory)
    if not all(_has_tables(database) for database in there):
        refuse_strangers(directory)
    if absent := [database for database in there if database.is_absent]:
        raise DatabaseMissing(absent[0].path, rebuilt=absent[0].name == "beads")


def refuse_strangers(directory: Path, opened: Open = open_reader) -> None:
    """Refuses databases that cannot come from one life.

    Args:
        directory: the data directory.
        opened: how to open those that are there; whoever holds the lock may recover their logs.

    Raises:
        StoresDisagree: one was lost, or is older than another.
        StorageError: one cannot be read, or does not fit this program.
    """
    coordination, tempolite, beads = databases(directory)
    copied, mapped, logged = _asked(coordination, opened, _coordination, (0, set[str](), 0))
    written, made = _asked(tempolite, opened, _tempolite, (0, set[str]()))
    applied_here = _asked(beads, opened, last_applied, 0)
    if copied > written:
        raise StoresDisagree(tempolite.path, coordination.path)
    if made - mapped:
        raise StoresDisagree(coordination.path, tempolite.path)
    if applied_here > logged:
        raise StoresDisagree(coordination.path, beads.path)


def _has_tables(database: Database) -> bool:
    if database.is_absent:
        return False
    with naming(database.path), closing(open_reader(database.path)) as connection:
        return bool(applied(connection))


def _asked(
    database: Database, opened: Open, question: Callable[[sqlite3.Connection], T], nothing: T
) -> T:
    if database.is_absent:
        return nothing
    with naming(database.path), closing(opened(database.path)) as connection:
        refuse_misfit(connection, database.schema)
        return question(connection) if applied(connection) else nothing


def _coordination(connection: sqlite3.Connection) -> tuple[int, set[str], int]:
    return (
        coordination_queries.cursor(connection, "tempolite"),
        coordination_queries.workflow_ids(connection),
        coordination_queries.last_event(connection),
    )


def _tempolite(connection: sqlite3.Connection) -> tuple[int, set[str]]:
    return workflow_queries.last_position(connection), workflow_queries.workflow_ids(connection)
