"""Reads that take longer than the event loop may be kept: lists, reports, history, exports.

A few read-only aiosqlite connections, each with its own thread, lent to one query at a time in
turn. More than two gain nothing for short queries, because the interpreter runs one at a time.
Single rows by key are many times cheaper inline on `storage.database.open_reader`.

aiosqlite speaks asyncio, so the pool runs an asyncio loop inside trio. It runs in a system task and
not under whoever opened the pool, so that any trio task may read (a server's request tasks descend
from elsewhere) and errors of the opener's body are not wrapped in groups. No cursor ever crosses a
thread: a query returns all its rows, at once or not at all.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Self, TypeVar

import aiosqlite
import trio
import trio_asyncio  # type: ignore[import-untyped]

from storage.database import open_reader
from storage.errors import PoolClosed, QueryFailed, QueryTimeout

Parameters = Sequence[object] | Mapping[str, object]
Observe = Callable[[str, str, float], None]

_T = TypeVar("_T")
_INTERRUPT_AGAIN_S = 0.01


def _unobserved(database: str, operation: str, seconds: float) -> None:
    del database, operation, seconds


class ReadPool:
    """A pool of read-only connections to one database file, which must exist when it is opened.

    Args:
        path: the database file.
        database: its name in metrics and errors.
        connections: how many queries may run at once (1 or more).
        observe: called with (database, operation, seconds) after each query, failed ones too.
    """

    def __init__(
        self,
        path: Path,
        database: str,
        connections: int = 2,
        observe: Observe = _unobserved,
    ) -> None:
        self.connections = 0  # open ones, for the gauge
        self._path = path
        self._database = database
        self._wanted = connections
        self._observe = observe
        self._host = _AsyncioHost()
        self._all: list[aiosqlite.Connection] = []
        self._lend, self._borrow = trio.open_memory_channel[aiosqlite.Connection](connections)

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
                return await self._host.run(_query(connection, sql, params))
            except sqlite3.Error as err:
                raise QueryFailed(self._database, operation, str(err)) from err
            finally:
                self._give_back(connection)
                self._observe(self._database, operation, perf_counter() - started)
        raise QueryTimeout(self._database, operation, deadline_s)

    async def _start(self) -> None:
        await self._host.start()
        for _ in range(self._wanted):
            connection = await self._host.run(_connect(self._path))
            self._all.append(connection)
            self._lend.send_nowait(connection)
            self.connections += 1

    async def _close(self) -> None:
        self._borrow.close()  # whoever waits for a connection gets PoolClosed
        while self._all:
            await self._host.run(_interrupt_and_close(self._all.pop()))
            self.connections -= 1
        await self._host.stop()

    async def _take(self) -> aiosqlite.Connection:
        try:
            if not self.connections:
                raise PoolClosed(self._database)
            return await self._borrow.receive()
        except trio.ClosedResourceError:
            raise PoolClosed(self._database) from None

    def _give_back(self, connection: aiosqlite.Connection) -> None:
        try:
            self._lend.send_nowait(connection)
        except trio.BrokenResourceError:
            return  # the pool was closed meanwhile, and the connection with it


class _AsyncioHost:
    """An asyncio loop for as long as it is needed, in a trio system task of its own."""

    def __init__(self) -> None:
        self._loop: Any = None  # trio_asyncio has no types
        self._ready = trio.Event()
        self._stop = trio.Event()
        self._done = trio.Event()

    async def start(self) -> None:
        trio.lowlevel.spawn_system_task(self._serve)
        await self._ready.wait()

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Runs an asyncio coroutine to its end, also when the caller is cancelled."""
        result: _T = await self._loop.run_aio_coroutine(work)
        return result

    async def stop(self) -> None:
        self._stop.set()
        await self._done.wait()

    async def _serve(self) -> None:
        async with trio_asyncio.open_loop() as self._loop:
            self._ready.set()
            await self._stop.wait()
        self._done.set()


async def _connect(path: Path) -> aiosqlite.Connection:
    return await aiosqlite.Connection(lambda: open_reader(path), iter_chunk_size=64)


async def _query(
    connection: aiosqlite.Connection, sql: str, params: Parameters
) -> list[sqlite3.Row]:
    """Runs a query; when cancelled, interrupts it and waits until its thread is done with it.

    The interrupt is repeated because one that comes before the statement starts has no effect.
    """
    work = asyncio.ensure_future(connection.execute_fetchall(sql, params))
    try:
        return list(await asyncio.shield(work))
    except asyncio.CancelledError:
        while not work.done():
            await connection.interrupt()
            await asyncio.wait([work], timeout=_INTERRUPT_AGAIN_S)
        work.exception()  # asyncio complains about one that nobody has looked at
        raise


async def _interrupt_and_close(connection: aiosqlite.Connection) -> None:
    await connection.interrupt()
    await connection.close()
