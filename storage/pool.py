"""Reads that take longer than the event loop may be kept: lists, reports, history, exports.

A few read-only connections, lent to one query at a time in turn. More than two gain nothing for
short queries, because the interpreter runs one at a time. Single rows by key are many times cheaper
on a connection of one's own, from `storage.database.open_reader`.

Where the connections run is a `Host`'s business (`storage.hosts`): each in a thread of its own, or
all of them on the trio thread, which is what a simulation needs. No cursor ever crosses a thread: a
query returns all its rows, at once or not at all.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Self

import trio

from storage.database import open_reader
from storage.errors import PoolClosed, QueryFailed, QueryTimeout
from storage.hosts import Connection, Host, Parameters, ThreadHost

Observe = Callable[[str, str, float], None]


def _unobserved(database: str, operation: str, seconds: float) -> None:
    del database, operation, seconds


class ReadPool:
    """A pool of read-only connections to one database file, which must exist when it is opened.

    Args:
        path: the database file.
        database: its name in metrics and errors.
        connections: how many queries may run at once (1 or more).
        observe: called with (database, operation, seconds) after each query, failed ones too.
        host: where the connections run; threads of their own when None.
    """

    def __init__(
        self,
        path: Path,
        database: str,
        connections: int = 2,
        observe: Observe = _unobserved,
        host: Host | None = None,
    ) -> None:
        self.connections = 0  # open ones, for the gauge
        self._path = path
        self._database = database
        self._wanted = connections
        self._observe = observe
        self._host = host or ThreadHost()
        self._all: list[Connection] = []
        self._lend, self._borrow = trio.open_memory_channel[Connection](connections)

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
        deadline_s: float = 5.0,
    ) -> list[sqlite3.Row]:
        """Runs one query and gives all its rows.

        The deadline counts from the call and includes waiting for a connection. At the deadline
        and on cancellation the query is interrupted inside SQLite, and its connection is lent out
        again only when it has ended.

        Raises:
            QueryTimeout: the deadline has passed.
            QueryFailed: SQLite refused the statement or could not read.
            PoolClosed: the pool is not open.
        """
        with trio.move_on_after(deadline_s):
            connection = await self._take()
            started = perf_counter()
            try:
                return await connection.query(sql, params)
            except sqlite3.Error as err:
                raise QueryFailed(self._database, operation, str(err)) from err
            finally:
                self._give_back(connection)
                self._observe(self._database, operation, perf_counter() - started)
        raise QueryTimeout(self._database, operation, deadline_s)

    async def _start(self) -> None:
        await self._host.start()
        for _ in range(self._wanted):
            connection = await self._host.connect(self._path)
            self._all.append(connection)
            self._lend.send_nowait(connection)
            self.connections += 1

    async def _close(self) -> None:
        self._borrow.close()  # whoever waits for a connection gets PoolClosed
        while self._all:
            await self._all.pop().close()
            self.connections -= 1
        await self._host.stop()

    async def _take(self) -> Connection:
        try:
            if not self.connections:
                raise PoolClosed(self._database)
            return await self._borrow.receive()
        except trio.ClosedResourceError:
            raise PoolClosed(self._database) from None

    def _give_back(self, connection: Connection) -> None:
        try:
            self._lend.send_nowait(connection)
        except trio.BrokenResourceError:
            return  # the pool was closed meanwhile, and the connection with it
