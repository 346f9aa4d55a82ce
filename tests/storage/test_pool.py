"""The pool of readers. What holds wherever its connections run comes first, once for each host."""

import gc
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import trio

from storage.database import open_writer
from storage.errors import CannotOpen, Corrupt, PoolClosed, QueryFailed, QueryTimeout
from storage.hosts import Host, InlineHost, ThreadHost
from storage.pool import ReadPool
from storage.tuning import Tuning

NewHost = Callable[[], Host]

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"


@pytest.fixture(params=[ThreadHost, InlineHost])
def host(request: pytest.FixtureRequest) -> NewHost:
    new: NewHost = request.param
    return new


@pytest.fixture
def path(tmp_path: Path) -> Path:
    assert workers_after_the_last_word() == []
    path = tmp_path / "x.db"
    conn = open_writer(path)
    conn.execute("CREATE TABLE t (a)")
    conn.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(10)])
    conn.close()
    return path


class Seen(list[tuple[str, str]]):
    def __call__(self, database: str, operation: str, seconds: float) -> None:
        assert seconds >= 0
        self.append((database, operation))


def workers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if "_connection_worker_thread" in t.name]


def workers_after_the_last_word() -> list[threading.Thread]:
    """A closed connection's thread has answered and may still be on its way out."""
    for thread in workers():
        thread.join(10)
    return workers()


@asynccontextmanager
async def opened(
    path: Path, host: NewHost = ThreadHost, connections: int = 2, **knobs: Any
) -> AsyncIterator[ReadPool]:
    pool = ReadPool(path, "x", Tuning(connections=connections, **knobs), host=host())
    async with pool.open():
        yield pool


async def test_rows_are_fetched_by_name(path: Path, host: NewHost) -> None:
    async with opened(path, host) as pool:
        rows = await pool.fetch("list", "SELECT a FROM t WHERE a < ? ORDER BY a", (3,))
        assert [row["a"] for row in rows] == [0, 1, 2]
        (row,) = await pool.fetch("one", "SELECT a FROM t WHERE a = :a", {"a": 7})
        assert row["a"] == 7


async def test_a_read_sees_what_was_committed_before_it(path: Path, host: NewHost) -> None:
    writer = open_writer(path)
    async with opened(path, host) as pool:
        writer.execute("INSERT INTO t VALUES (99)")
        assert len(await pool.fetch("list", "SELECT a FROM t WHERE a = 99")) == 1
    writer.close()


async def test_any_task_may_read_also_one_that_does_not_descend_from_the_opener(
    path: Path, host: NewHost
) -> None:
    async with trio.open_nursery() as elsewhere:
        read = trio.Event()

        async def reader(pool: ReadPool) -> None:
            assert await pool.fetch("count", "SELECT count(*) AS n FROM t")
            read.set()

        async with opened(path, host) as pool:
            elsewhere.start_soon(reader, pool)
            trio.lowlevel.spawn_system_task(reader, pool)
            await read.wait()
            await trio.testing.wait_all_tasks_blocked(0.05)


async def test_two_pools_do_not_meet(path: Path, host: NewHost) -> None:
    async with opened(path, host) as one, opened(path, host) as two, trio.open_nursery() as nursery:
        for pool in (one, two) * 5:
            nursery.start_soon(pool.fetch, "count", "SELECT count(*) FROM t")


async def test_a_query_is_interrupted_at_its_deadline(
    path: Path, host: NewHost, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path, host, connections=1) as pool:
        with pytest.raises(QueryTimeout, match=r"endless on x .* 0\.05 s"):
            await pool.fetch("endless", ENDLESS, deadline_s=0.05)
        assert await pool.fetch("count", "SELECT count(*) FROM t"), "the connection is free again"
    gc.collect()
    assert caplog.records == [], "asyncio has nothing to complain about"


async def test_an_interrupt_hits_only_its_own_query(path: Path, host: NewHost) -> None:
    async with opened(path, host) as pool, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(pool.fetch, "list", "SELECT a.a FROM t a, t b, t c")
            nursery.start_soon(timing_out, pool)


async def timing_out(pool: ReadPool) -> None:
    with pytest.raises(QueryTimeout):
        await pool.fetch("endless", ENDLESS, deadline_s=0.01)


async def test_a_cancelled_reader_frees_its_connection(path: Path, host: NewHost) -> None:
    async with opened(path, host, connections=1) as pool:
        with trio.move_on_after(0.05) as scope:
            await pool.fetch("endless", ENDLESS, deadline_s=60)
        assert scope.cancelled_caught
        assert await pool.fetch("count", "SELECT count(*) FROM t")


async def test_each_query_is_observed_also_when_it_fails(path: Path, host: NewHost) -> None:
    seen = Seen()
    pool = ReadPool(path, "x", observe=seen, host=host())
    async with pool.open():
        await pool.fetch("good", "SELECT 1")
        with pytest.raises(QueryFailed, match=r"bad on x failed: no such table"):
            await pool.fetch("bad", "SELECT * FROM nowhere")
        with pytest.raises(QueryTimeout):
            await pool.fetch("slow", ENDLESS, deadline_s=0.01)
    assert seen == [("x", "good"), ("x", "bad"), ("x", "slow")]


async def test_a_write_is_refused(path: Path, host: NewHost) -> None:
    async with opened(path, host) as pool:
        with pytest.raises(QueryFailed, match="readonly"):
            await pool.fetch("write", "DELETE FROM t")


async def test_a_missing_database_is_named_before_anything_starts(
    tmp_path: Path, host: NewHost
) -> None:
    with pytest.raises(CannotOpen, match=r"none\.db"):
        async with opened(tmp_path / "none.db", host):
            pytest.fail("opened")
    assert workers() == []


async def test_a_closed_pool_says_so(path: Path, host: NewHost) -> None:
    pool = ReadPool(path, "x", host=host())
    with pytest.raises(PoolClosed):
        await pool.fetch("early", "SELECT 1")
    async with pool.open():
        pass
    with pytest.raises(PoolClosed):
        await pool.fetch("late", "SELECT 1")


async def test_connections_take_turns(path: Path, host: NewHost) -> None:
    async with opened(path, host, connections=3) as pool:
        lent = Lent(pool)
        for _ in range(6):
            await pool.fetch("one", "SELECT 1")
    assert lent.connections[:3] == lent.connections[3:]
    assert len(set(lent.connections)) == 3


class Lent:
    """Writes down which connection each query gets."""

    def __init__(self, pool: ReadPool) -> None:
        self.connections: list[object] = []
        self._connected = pool._connected
        pool._connected = self.connected  # type: ignore[method-assign]

    async def connected(self, place: Any) -> Any:
        connection = await self._connected(place)
        self.connections.append(connection)
        return connection


async def test_a_query_without_a_deadline_has_the_pools(path: Path, host: NewHost) -> None:
    async with opened(path, host, query_timeout_s=0.02) as pool:
        with pytest.raises(QueryTimeout, match=r"0\.02 s"):
            await pool.fetch("endless", ENDLESS)


async def test_an_old_connection_is_replaced(
    path: Path, host: NewHost, mock_clock: trio.testing.MockClock
) -> None:
    async with opened(path, host, connections=1, lifetime_s=60.0, idle_s=0.0) as pool:
        lent = Lent(pool)
        for _ in range(2):
            await pool.fetch("one", "SELECT 1")
            mock_clock.jump(40.0)
        await pool.fetch("one", "SELECT 1")
        assert pool.connections == 1
    first, second, third = lent.connections
    assert first is second
    assert third is not first


async def test_an_idle_connection_is_closed_and_comes_back_when_it_is_needed(
    path: Path, host: NewHost, mock_clock: trio.testing.MockClock
) -> None:
    async with opened(path, host, connections=2, idle_s=60.0) as pool:
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(59.0)
        await trio.testing.wait_all_tasks_blocked()
        assert pool.connections == 2
        mock_clock.jump(1.0)
        await until(lambda: pool.connections == 0)
        assert await pool.fetch("one", "SELECT 1")
        assert pool.connections == 1
    assert pool.connections == 0


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks and threads go on until it holds; the clock stands still."""
    give_up = perf_counter() + 10
    while not condition():
        assert perf_counter() < give_up
        await trio.lowlevel.checkpoint()


async def test_a_connection_that_cannot_read_is_replaced(
    path: Path, host: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path, host, connections=1) as pool:
        lent = Lent(pool)
        await pool.fetch("one", "SELECT 1")

        async def broken(*_: object) -> list[sqlite3.Row]:
            await trio.lowlevel.checkpoint()
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(type(lent.connections[0]), "query", broken)
            with pytest.raises(QueryFailed, match="disk I/O error"):
                await pool.fetch("one", "SELECT 1")
        assert pool.connections == 0
        assert await pool.fetch("one", "SELECT 1")
        assert pool.connections == 1


async def test_a_database_that_went_away_fails_the_query_and_may_come_back(
    path: Path, host: NewHost
) -> None:
    async with opened(path, host, connections=1, lifetime_s=1e-9) as pool:
        aside = path.rename(path.with_suffix(".aside"))
        with pytest.raises(QueryFailed, match=r"x\.db could not be opened"):
            await pool.fetch("one", "SELECT a FROM t")
        aside.rename(path)
        assert await pool.fetch("one", "SELECT a FROM t")


async def test_damage_is_located_in_the_log_once(
    path: Path, host: NewHost, caplog: pytest.LogCaptureFixture
) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(range(256)) * 16)
    async with opened(path, host) as pool:
        for _ in range(2):
            with pytest.raises(QueryFailed, match="malformed") as failed:
                await pool.fetch("list", "SELECT a FROM t")
            assert isinstance(failed.value.__cause__, Corrupt)
            assert failed.value.__cause__.path == path
    (said,) = [r for r in caplog.records if r.name == "storage.pool"]
    assert said.levelno == logging.CRITICAL
    assert "Page 2:" in said.getMessage()


async def test_an_error_in_the_body_comes_out_as_it_is(path: Path, host: NewHost) -> None:
    with pytest.raises(LookupError):
        async with opened(path, host):
            raise LookupError


async def test_the_rows_do_not_depend_on_the_connection(path: Path, host: NewHost) -> None:
    async with opened(path, host) as pool:
        (row,) = await pool.fetch("one", "SELECT a FROM t LIMIT 1")
    assert isinstance(row, sqlite3.Row)
    assert row["a"] == 0


async def test_a_read_is_a_checkpoint(path: Path, host: NewHost) -> None:
    async with opened(path, host) as pool:
        with trio.testing.assert_checkpoints():
            await pool.fetch("one", "SELECT 1")
        with trio.CancelScope() as scope:
            scope.cancel()
            await pool.fetch("one", "SELECT 1")
        assert scope.cancelled_caught


async def test_every_read_that_is_under_way_when_the_pool_closes_comes_to_an_end(
    path: Path, host: NewHost
) -> None:
    ended: list[object] = []

    async def read(pool: ReadPool) -> None:
        try:
            ended.append(await pool.fetch("list", "SELECT a FROM t"))
        except (QueryFailed, PoolClosed) as err:
            ended.append(err)

    async with trio.open_nursery() as nursery:
        async with opened(path, host, connections=1) as pool:
            for _ in range(20):
                nursery.start_soon(read, pool)
            await trio.lowlevel.checkpoint()
        assert pool.connections == 0
    assert len(ended) == 20
    assert any(isinstance(one, PoolClosed) for one in ended)


# --- on the trio thread


async def test_inline_connections_start_no_thread(path: Path) -> None:
    before = threading.active_count()
    async with opened(path, InlineHost) as pool:
        await pool.fetch("list", "SELECT a FROM t")
        assert threading.active_count() == before


def test_an_inline_read_takes_no_time_on_a_clock_that_stands_still(path: Path) -> None:
    clock = trio.testing.MockClock(autojump_threshold=0)

    async def read() -> None:
        async with opened(path, InlineHost) as pool:
            await pool.fetch("many", "SELECT count(*) FROM t a, t b, t c, t d, t e", deadline_s=1)
            assert trio.current_time() == 0.0

    trio.run(read, clock=clock)


# --- in threads


async def test_many_readers_share_few_connections(path: Path) -> None:
    async with opened(path) as pool:
        assert pool.connections == 2
        assert len(workers()) == 2
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(pool.fetch, "list", "SELECT a FROM t")
    assert pool.connections == 0
    assert workers_after_the_last_word() == []


async def test_waiting_for_a_connection_counts_towards_the_deadline(path: Path) -> None:
    async with opened(path, connections=1) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(timing_out_after, pool, 0.3)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(QueryTimeout):
            await pool.fetch("count", "SELECT 1", deadline_s=0.02)


async def timing_out_after(pool: ReadPool, deadline_s: float) -> None:
    with pytest.raises(QueryTimeout):
        await pool.fetch("endless", ENDLESS, deadline_s=deadline_s)


async def test_closing_interrupts_what_runs_and_refuses_what_waits(path: Path) -> None:
    outcomes: list[type[Exception]] = []

    async def read(pool: ReadPool) -> None:
        try:
            await pool.fetch("endless", ENDLESS, deadline_s=60)
        except (QueryFailed, PoolClosed) as err:
            outcomes.append(type(err))

    async with trio.open_nursery() as nursery, opened(path, connections=1) as pool:
        nursery.start_soon(read, pool)
        nursery.start_soon(read, pool)
        await trio.testing.wait_all_tasks_blocked(0.05)
    assert sorted(outcomes, key=str) == [PoolClosed, QueryFailed]


async def test_a_cancelled_opener_leaves_no_thread(path: Path) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        async with opened(path):
            await trio.sleep_forever()
    assert workers_after_the_last_word() == []
