"""The three databases of a data directory, opened to be read; their writers are in the tree.

Opening brings every schema up to date and learns, or records, whose data this is. Two kinds of
readers are given out: one connection per database for look-ups by key on the trio thread, and a
pool of connections off it for everything that takes longer.
"""

import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import structlog

from actors import ids
from actors.coordination.messages import Identity
from actors.coordination.store import claim_home
from storage import aside
from storage.agreement import refuse_strangers
from storage.coordination import queries as coordination_queries
from storage.coordination.queries import set_meta
from storage.copies import refuse_copy_of
from storage.database import located, log_of, open_reader, open_writer, refuse_damaged
from storage.databases import Database, databases
from storage.errors import (
    Corrupt,
    RepositoryMismatch,
    database_failure,
    naming,
)
from storage.home import DataDir
from storage.hosts import InlineHost, ThreadHost
from storage.inline import open_inline
from storage.issues.queries import last_seq as last_journal_seq
from storage.lookups import Lookups
from storage.migrate import migrate
from storage.pool import ReadPool
from storage.presence import Presence
from storage.tuning import DEFAULTS, MIB, Tuning

Observe = Callable[[str, str, float], None]

COORDINATION_SCHEMA = resources.files("storage.coordination") / "schema"
TEMPOLITE_SCHEMA = resources.files("storage.workflows") / "schema"
BEADS_SCHEMA = resources.files("storage.issues") / "schema"

LOOKED_THROUGH_BYTES = 64 * MIB
"""SQLite looks through 100 MB in 0.15 s, indexes and all: so much costs a start 90 ms."""

log = structlog.get_logger("beadflow.stores")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """One database's read-only connections: `inline` on the trio thread, `pool` off it.

    `lookups` is the first, asked for as the second is.
    """

    path: Path
    schema: Traversable
    inline: sqlite3.Connection
    pool: ReadPool
    lookups: Lookups
    tuning: Tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The databases of one data directory, whose they are, and whether their files are there."""

    identity: Identity
    presence: Presence
    coordination: Readers
    tempolite: Readers
    beads: Readers


@asynccontextmanager
async def open_stores(
    data: DataDir,
    *,
    chance: random.Random,
    observe: Observe,
    prepare: bool = True,
    published: Path | None = None,
    inline: bool = False,
    tuning: Tuning = DEFAULTS,
) -> AsyncIterator[Stores]:
    """Open the databases of a data directory.

    Args:
        data: the directory; its lock is held by the caller when `prepare` is set.
        chance: names a new installation.
        observe: told (database, operation, seconds) after each query of a pool.
        prepare: migrate and claim first; False opens what is there, without writing.
        published: the issues' file; a damaged beads.db is put aside where it can be rebuilt from
            that, and None refuses it like the others.
        inline: let the pools read on the trio thread too, which is what a simulation needs.
        tuning: of every connection, the writers' too.

    Raises:
        Corrupt: a database is damaged and cannot be rebuilt; the place is named. Large ones are not
            looked through here.
        RepositoryMismatch: the data belongs to another repository.
        RepositoryCopied: the data is a copy of another repository's, which is still there.
        StoresDisagree: a database was lost, or put back from another time than the others.
        StorageError: a database cannot be opened or migrated; it says which and why.
    """
    places = {
        "coordination": (data.coordination_db, COORDINATION_SCHEMA),
        "tempolite": (data.tempolite_db, TEMPOLITE_SCHEMA),
        "beads": (data.beads_db, BEADS_SCHEMA),
    }
    if prepare:
        _look_through(data, published)
        refuse_strangers(data.path, open_writer)  # before any is made: a refusal leaves no new one
        for path, schema in places.values():
            with naming(path):
                _migrate(path, schema)
        _begin_journal_anew(data)
    identity = _identity(data, chance, prepare=prepare)
    new_host = InlineHost if inline else ThreadHost
    async with AsyncExitStack() as stack:
        readers = {
            name: await _open_readers(
                stack, path, schema, ReadPool(path, name, tuning, observe, new_host())
            )
            for name, (path, schema) in places.items()
        }
        logs = [log_of(path) for path, _ in places.values()]
        presence = Presence([data.lock, *(path for path, _ in places.values()), *logs])
        yield Stores(identity=identity, presence=presence, **readers)


def _look_through(data: DataDir, published: Path | None) -> None:
    """Refuse damaged databases, but put beads.db aside where it can be rebuilt.

    It is touched only when the others are whole, of one life, and of this repository.

    Raises:
        Corrupt: one is damaged; the place is named.
        RepositoryMismatch, RepositoryCopied, StoresDisagree: as `open_stores`.
    """
    coordination, tempolite, beads = databases(data.path)
    for database in (coordination, tempolite):
        _refuse_small_and_damaged(database.path)
    try:
        _refuse_small_and_damaged(beads.path)
    except Corrupt as damage:
        if published is None or coordination.is_absent or not aside.can_rebuild(published):
            raise
        refuse_strangers(data.path, open_writer, but=beads.name)
        _refuse_others_data(data)
        _put_aside(beads, damage)


def _refuse_others_data(data: DataDir) -> None:
    with _reading(data.coordination_db) as connection:
        recorded = coordination_queries.meta(connection, "repository")
        home = coordination_queries.meta(connection, "home") or ""
    if recorded and recorded != str(data.repository):
        _refuse_another(data, Path(recorded))
        refuse_copy_of(data, Path(recorded), home)


def _put_aside(beads: Database, damage: Corrupt) -> None:
    remains = aside.remains_of(aside.put_aside(beads))
    log.error(
        "the issues' database is damaged and rebuilt from their file",
        damage=damage.detail,
        kept=str(remains.path),
        lost_claims=_told(remains.claims),
        lost_wisps=_told(remains.wisps),
        lost_changes=_told(remains.changes),
    )


def _told(ids: aside.Ids | None) -> str:
    return "cannot be read" if ids is None else " ".join(ids) or "none"


def _refuse_small_and_damaged(path: Path) -> None:
    """Look through a database that is small enough for it to cost a start next to nothing.

    Damage in a larger one is found by the offline check, or by whoever comes across it.

    Raises:
        Corrupt: it is damaged; the place is named.
    """
    if path.exists() and 0 < path.stat().st_size <= LOOKED_THROUGH_BYTES:
        refuse_damaged(path)


def _migrate(path: Path, schema: Traversable) -> None:
    with _writing(path) as connection:
        try:
            migrate(connection, schema)
        except sqlite3.Error as err:
            raise located(database_failure(path, err)) from err


def _begin_journal_anew(data: DataDir) -> None:
    """Let the bus read from the beginning of a journal that was lost, or is an older one."""
    with _reading(data.beads_db) as beads:
        last = last_journal_seq(beads)
    with naming(data.coordination_db), _writing(data.coordination_db) as coordination:
        known = coordination_queries.cursor(coordination, "beads")
        if known > last:
            log.warning(
                "the issues' database was lost or is an older one; their file is taken in",
                changes_known=known,
                changes_there=last,
                lost="claims, wisps and changes that were in no file",
            )
            coordination_queries.set_cursor(coordination, "beads", last)


async def _open_readers(
    stack: AsyncExitStack, path: Path, schema: Traversable, pool: ReadPool
) -> Readers:
    inline = stack.enter_context(closing(open_inline(path, pool.tuning)))
    await stack.enter_async_context(pool.open())
    return Readers(
        path=path,
        schema=schema,
        inline=inline,
        pool=pool,
        lookups=pool.beside(inline),
        tuning=pool.tuning,
    )


def _identity(data: DataDir, chance: random.Random, *, prepare: bool) -> Identity:
    repository = str(data.repository)
    path = data.coordination_db
    opened = _writing(path) if prepare else closing(open_reader(path))
    with naming(path), opened as connection:
        identity = claim_home(connection, home=ids.home_id(chance), repository=repository)
        if identity.repository != repository:
            recorded = Path(identity.repository)
            _refuse_another(data, recorded)
            if prepare:
                refuse_copy_of(data, recorded, identity.home)
                set_meta(connection, "repository", repository)
    return replace(identity, repository=repository)


def _refuse_another(data: DataDir, recorded: Path) -> None:
    """A repository that was moved took its data along, or left it at the place it had.

    Raises:
        RepositoryMismatch: the recorded repository is still there, and another one.
    """
    inside = data.path.is_relative_to(data.repository)
    if not inside and recorded.exists():
        raise RepositoryMismatch(recorded, data.repository)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with naming(path), closing(open_reader(path)) as connection:
        yield connection


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(path)) as connection:
        yield connection
