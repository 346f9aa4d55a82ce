"""Where the connections of a read pool run: in threads of their own, or on the trio thread.

`ThreadHost` is for service: one aiosqlite connection per thread, so that a long query keeps nobody
waiting. aiosqlite speaks asyncio, so it runs an asyncio loop inside trio, in a system task and not
under whoever opened the pool: any trio task may then read (a server's request tasks descend from
elsewhere), and errors of the opener's body are not wrapped in groups.

`InlineHost` is its twin for simulations: the same queries on the trio thread, so that nothing but
the program decides what happens in which order. While it reads, the whole loop waits.

Used by `storage.pool`, which lends the connections and keeps the deadlines.
"""

import asyncio
import sqlite3
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiosqlite
import trio
import trio_asyncio  # type: ignore[import-untyped]

from storage.database import located, open_reader
from storage.errors import DatabaseFailure
from storage.tuning import Tuning

Parameters = Sequence[object] | Mapping[str, object]

_T = TypeVar("_T")
_INTERRUPT_AGAIN_S = 0.01
_LOOK_AFTER_STEPS = 10_000  # of SQLite's machine: a fraction of a millisecond


class Connection(Protocol):
    """One read-only connection; it runs one query at a time."""

    async def query(self, sql: str, params: Parameters) -> list[sqlite3.Row]:
        """Runs a query and gives all its rows; a checkpoint.

        Cancelled, it interrupts the query, and raises once the connection is free again.

        Raises:
            sqlite3.Error: SQLite refused the statement, could not read, or was interrupted.
        """

    async def close(self) -> None:
        """Interrupts what runs and closes it."""


class Host(Protocol):
    """Serves one pool, from `start` to `stop`."""

    async def start(self) -> None:
        """Makes ready to connect."""

    async def connect(self, path: Path, tuning: Tuning) -> Connection:
        """Opens one more connection to a database file.

        Raises:
            DatabaseFailure: it cannot be opened or read.
        """

    async def locate(self, failure: DatabaseFailure) -> DatabaseFailure:
        """Looks for the place of a damage; see `storage.database.located`."""

    async def stop(self) -> None:
        """Ends what `start` began; every connection is closed by then."""


class ThreadHost:
    """Connections in threads of their own; see the module."""

    def __init__(self) -> None:
        self._loop: Any = None  # trio_asyncio has no types
        self._ready = trio.Event()
        self._stop = trio.Event()
        self._done = trio.Event()

    async def start(self) -> None:
        trio.lowlevel.spawn_system_task(self._serve)
        await self._ready.wait()

    async def connect(self, path: Path, tuning: Tuning) -> Connection:
        return _ThreadConnection(self, await self.run(_connect(path, tuning)))

    async def locate(self, failure: DatabaseFailure) -> DatabaseFailure:
        return await trio.to_thread.run_sync(located, failure)

    async def stop(self) -> None:
        self._stop.set()
        await self._done.wait()

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Runs an asyncio coroutine to its end, also when the caller is cancelled."""
        result: _T = await self._loop.run_aio_coroutine(work)
        return result

    async def _serve(self) -> None:
        async with trio_asyncio.open_loop() as self._loop:
            self._ready.set()
            await self._stop.wait()
        self._done.set()


class _ThreadConnection:
    def __init__(self, host: ThreadHost, connection: aiosqlite.Connection) -> None:
        self._host = host
        self._connection = connection

    async def query(self, sql: str, params: Parameters) -> list[sqlite3.Row]:
        return await self._host.run(_query(self._connection, sql, params))

    async def close(self) -> None:
        await self._host.run(_interrupt_and_close(self._connection))


async def _connect(path: Path, tuning: Tuning) -> aiosqlite.Connection:
    return await aiosqlite.Connection(lambda: open_reader(path, tuning), iter_chunk_size=64)


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


class InlineHost:
    """Connections on the trio thread; see the module."""

    async def start(self) -> None:
        await trio.lowlevel.checkpoint()

    async def connect(self, path: Path, tuning: Tuning) -> Connection:
        await trio.lowlevel.checkpoint()
        return _InlineConnection(open_reader(path, tuning))

    async def locate(self, failure: DatabaseFailure) -> DatabaseFailure:
        await trio.lowlevel.checkpoint()
        return located(failure)

    async def stop(self) -> None:
        await trio.lowlevel.checkpoint()


class _InlineConnection:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def query(self, sql: str, params: Parameters) -> list[sqlite3.Row]:
        """Nobody else runs meanwhile, so of all that cancels only deadlines can interrupt it."""
        await trio.lowlevel.checkpoint()
        deadline = trio.current_effective_deadline()

        def is_late() -> bool:
            return trio.current_time() >= deadline

        self._connection.set_progress_handler(is_late, _LOOK_AFTER_STEPS)
        try:
            return self._connection.execute(sql, params).fetchall()
        except sqlite3.OperationalError:
            await trio.lowlevel.checkpoint()  # it was the deadline that interrupted it
            raise

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()
        self._connection.close()
