"""Reads that take longer than the event loop may be kept: lists, reports, history, exports.

A few read-only connections, lent to one query at a time in turn. More than two gain nothing for
short queries, because the interpreter runs one at a time. Single rows by key are many times cheaper
on a connection of one's own, from `storage.database.open_reader`.

Where the connections run is a `Host`'s business (`storage.hosts`): each in a thread of its own, or
all of them on the trio thread, which is what a simulation needs. No cursor ever crosses a thread: a
query returns all its rows, at once or not at all.
"""

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Self

import trio

from storage.database import open_reader
from storage.errors import (
    Corrupt,
    DatabaseFailure,
    PoolClosed,
    QueryFailed,
    QueryTimeout,
    database_failure,
    primary_code,
)
from storage.hosts import Connection, Host, Parameters, ThreadHost
from storage.lookups import Lookups
from storage.tuning import DEFAULTS, Tuning

Observe = Callable[[str, str, float], None]


# After these the next query gets a connection of its own: the fault may lie in this one.
_UNREADABLE = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}
    | {sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL}
)

logger = logging.getLogger(__name__)


def _unobserved(database: str, operation: str, seconds: float) -> None:
    del database, operation, seconds


@dataclass(slots=True, eq=False)
class _Place:
    """Where a connection is, or will be when it is needed next.

    Attributes:
        opened: when the connection was made, by trio's clock.
        used: when it was last given back.
    """

    connection: Connection | None = None
    opened: float = 0.0
    used: float = 0.0


class ReadPool:
    """A pool of read-only connections to one database file, which must exist when it is opened.

    Args:
        path: the database file.
        database: its name in metrics and errors.
        tuning: how many connections, how long they live, and how long a query may take.
        observe: called with (database, operation, seconds) after each query, failed ones too.
        host: where the connections run; threads of their own when None.
    """

    def __init__(
        self,
        path: Path,
        database: str,
        tuning: Tuning = DEFAULTS,
        observe: Observe = _unobserved,
        host: Host | None = None,
    ) -> None:
        self.connections = 0  # open ones, for the gauge
        self.tuning = tuning
        self._path = path
        self._database = database
        self._observe = observe
        self._host = host or ThreadHost()
        self._all: list[_Place] = []
        self._lend, self._borrow = trio.open_memory_channel[_Place](tuning.connections)
        self._idle = trio.CancelScope()
        self._changing = trio.Lock()
        self._is_closing = False
        self._is_damaged = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Holds the connections open. Queries still running at the end are interrupted.

        A pool is opened once. Closing is not cut short by cancellation; it takes as long as
        SQLite takes to notice an interrupt.

        Raises:
            DatabaseFailure: the file is missing, not readable or no database.
        """
        open_reader(self._path).close()  # says what is wrong before any thread is started
        try:
            with trio.CancelScope(shield=True):
                await self._start()
            yield self
        finally:
            with trio.CancelScope(shield=True):
                await self._close()

    async def fetch(
        self,
        operation: str,
        sql: str,
        params: Parameters = (),
        *,
        deadline_s: float | None = None,
    ) -> list[sqlite3.Row]:
        """Runs one query and gives all its rows.

        The deadline counts from the call and includes waiting for a connection. At the deadline
        and on cancellation the query is interrupted inside SQLite, and its connection is lent out
        again only when it has ended.

        Args:
            operation: the query's name in metrics and errors.
            sql: the query.
            params: its parameters.
            deadline_s: seconds; None takes the pool's.

        Raises:
            QueryTimeout: the deadline has passed.
            QueryFailed: SQLite refused the statement or could not read, a damaged file included;
                then the place is in the log.
            PoolClosed: the pool is not open.
        """
        limit_s = self.tuning.query_timeout_s if deadline_s is None else deadline_s
        with trio.move_on_after(limit_s):
            place = await self._take()
            started = perf_counter()
            try:
                return await (await self._connected(place)).query(sql, params)
            except (sqlite3.Error, DatabaseFailure) as err:
                failure = _failure(self._path, err)
                await self._distrust(place, err, failure)
                raise QueryFailed(self._database, operation, str(err)) from failure
            except ValueError as err:  # aiosqlite: the connection was closed before the query began
                if not self._is_closing:
                    raise
                raise PoolClosed(self._database) from err
            finally:
                self._give_back(place)
                self._observe(self._database, operation, perf_counter() - started)
        raise QueryTimeout(self._database, operation, limit_s)

    def beside(self, reader: sqlite3.Connection) -> Lookups:
        """Look-ups on a connection of the event loop's thread, under the names of this pool."""
        return Lookups(reader, self._path, self._database, self._observe)

    # --- from start to end

    async def _start(self) -> None:
        await self._host.start()
        for _ in range(self.tuning.connections):
            place = _Place()
            self._all.append(place)
            await self._connect(place)
            self._lend.send_nowait(place)
        if self.tuning.idle_s:
            trio.lowlevel.spawn_system_task(self._close_idle)

    async def _close(self) -> None:
        self._is_closing = True
        self._idle.cancel()
        self._borrow.close()  # whoever waits for a connection gets PoolClosed
        while self._all:
            await self._disconnect(self._all.pop())
        await self._host.stop()

    # --- lending

    async def _take(self) -> _Place:
        """The place that was given back longest ago: each has its turn."""
        try:
            if not self._all:
                raise PoolClosed(self._database)
            return await self._borrow.receive()
        except trio.ClosedResourceError:
            raise PoolClosed(self._database) from None

    def _give_back(self, place: _Place) -> None:
        place.used = trio.current_time()
        try:
            self._lend.send_nowait(place)
        except trio.BrokenResourceError:
            return  # the pool was closed meanwhile, and the connection with it

    # --- the life of a connection

    async def _connected(self, place: _Place) -> Connection:
        """The place's connection, made anew when it is too old or not there."""
        lifetime_s = self.tuning.lifetime_s
        if lifetime_s and trio.current_time() - place.opened > lifetime_s:
            await self._disconnect(place)
        return place.connection or await self._connect(place)

    async def _connect(self, place: _Place) -> Connection:
        # One at a time, and closing the pool waits for it: half-made it could not be closed.
        async with self._changing:
            if self._is_closing:
                raise PoolClosed(self._database)
            with trio.CancelScope(shield=True):
                connection = await self._host.connect(self._path, self.tuning)
            place.connection = connection
            place.opened = place.used = trio.current_time()
            self.connections += 1
            return connection

    async def _disconnect(self, place: _Place) -> None:
        with trio.CancelScope(shield=True):
            async with self._changing:
                connection, place.connection = place.connection, None
                if connection is not None:
                    self.connections -= 1
                    await connection.close()

    async def _distrust(
        self, place: _Place, error: sqlite3.Error | DatabaseFailure, failure: DatabaseFailure
    ) -> None:
        """Lets go of a connection that could not read; says once where a file is damaged."""
        if isinstance(error, sqlite3.Error) and primary_code(error) not in _UNREADABLE:
            return
        await self._disconnect(place)
        if isinstance(failure, Corrupt) and not self._is_damaged:
            self._is_damaged = True
            logger.critical("%s", await self._host.locate(failure))

    async def _close_idle(self) -> None:
        """Closes what nobody has used for so long."""
        with self._idle:
            while True:
                await trio.sleep(self.tuning.idle_s)
                for _ in range(len(self._all)):
                    try:
                        place = self._borrow.receive_nowait()
                    except (trio.WouldBlock, trio.ClosedResourceError):
                        break
                    used = place.used
                    if trio.current_time() - used >= self.tuning.idle_s:
                        await self._disconnect(place)
                    self._give_back(place)
                    place.used = used


def _failure(path: Path, error: sqlite3.Error | DatabaseFailure) -> DatabaseFailure:
    """What an error means for the file; SQLite's own stays its cause."""
    if isinstance(error, DatabaseFailure):
        return error
    failure = database_failure(path, error)
    failure.__cause__ = error
    return failure
