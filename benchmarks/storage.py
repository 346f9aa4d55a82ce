"""The stores under load: durable commands, reads beside a busy writer, a writer beside a busy loop.

A command adds a step of 300 bytes to a run and moves the run on: two statements and three trees,
which is what most commands of the engine come to. Everything stands beside bare `sqlite3` in the
same run, with the same statements and the same pragmas: one command in a transaction, which is what
a single caller can hope for; a hundred in one, which is what group commit can; and the same reads
on a connection of the caller's own.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter

import trio

from actors.writer import Command, write
from benchmarks import load
from benchmarks.load import Timing
from benchmarks.report import Report, Samples, Scale, main
from benchmarks.writing import writer_of
from storage.database import open_reader, open_writer
from storage.migrate import migrate
from storage.pool import ReadPool
from supervision import Named

NAME = "storage"
CALLERS = (1, 10, 100, 1000)
BATCHED = 100
"""Commands in one transaction of the bare connection."""

WRITERS_BESIDE = 16
"""How many tasks write while reads are measured, and while the loop is busy."""

SLICE_S = 0.0005
"""The busy loop computes so long, then gives the other tasks their turn."""

SCHEMA = Path(__file__).with_name("steps")
RUNS = 100
TEXT = "x" * 300
ADD = "INSERT INTO steps (run, seq, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
MOVE_ON = (
    "INSERT INTO runs (id, last) VALUES (?, ?)"
    " ON CONFLICT (id) DO UPDATE SET last = excluded.last WHERE excluded.last > last"
)
ROW = "SELECT run, seq, text FROM steps WHERE position = ?"
LIST = "SELECT run, seq, text FROM steps WHERE position >= ? ORDER BY position LIMIT 100"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured.

    Args:
        writes: by each number of callers.
        raw: commands of the bare connection, one in a transaction; ten times as many in batches.
        beside: writes beside the busy loop.
        reads: of each kind.
        rows: in the database that is read.
    """

    writes: tuple[int, ...]
    raw: int
    beside: int
    reads: int
    rows: int
    rounds: int


SIZES: Mapping[Scale, Size] = {
    Scale.FULL: Size(
        writes=(2000, 10_000, 20_000, 20_000),
        raw=1000,
        beside=5000,
        reads=3000,
        rows=20_000,
        rounds=5,
    ),
    Scale.QUICK: Size(
        writes=(1000, 2000, 10_000, 10_000),
        raw=1000,
        beside=2000,
        reads=500,
        rows=5000,
        rounds=1,
    ),
    Scale.SMOKE: Size(writes=(5, 20, 100, 1000), raw=20, beside=50, reads=10, rows=200, rounds=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AddStep(Command[None]):
    """Add a step to a run, and move the run on. The same twice is one."""

    run: int
    seq: int
    text: str


def add_step(connection: sqlite3.Connection, command: AddStep) -> None:
    connection.execute(ADD, (command.run, command.seq, command.text))
    connection.execute(MOVE_ON, (command.run, command.seq))


def step(number: int) -> AddStep:
    """The command of this number."""
    return AddStep(run=number % RUNS, seq=number // RUNS, text=TEXT)


def run(scale: Scale, directory: Path) -> Report:
    size = SIZES[scale]
    samples = Samples()
    for number in range(size.rounds):
        place = directory / f"round-{number}"
        place.mkdir()
        _writes(size, place, samples)
        trio.run(_reads, size, place / "reads.db", samples)
        trio.run(_beside_busy_loop, size, place / "busy.db", samples)
    figures = samples.medians()
    return Report(
        name=NAME,
        settings={"scale": scale, "callers": CALLERS, **asdict(size)},
        figures=figures,
        ratios=_ratios(figures),
    )


def _ratios(figures: Mapping[str, float]) -> dict[str, float]:
    batched, raw_p50_s = figures["raw_batched_per_s"], figures["raw_p50_s"]
    found = {f"writes_{n}_vs_raw_batched": figures[f"writes_{n}_per_s"] / batched for n in CALLERS}
    found |= {
        "write_1_p50_vs_raw": figures["write_1_p50_s"] / raw_p50_s,
        "read_row_p99_vs_inline": figures["read_row_p99_s"] / figures["inline_row_p99_s"],
        "read_list_p99_vs_inline": figures["read_list_p99_s"] / figures["inline_list_p99_s"],
    }
    return {key: round(value, 3) for key, value in found.items()}


# --- durable commands


def _writes(size: Size, place: Path, samples: Samples) -> None:
    for callers, writes in zip(CALLERS, size.writes, strict=True):
        _raw(size.raw, place / f"raw-{callers}.db", samples)
        path = place / f"writes-{callers}.db"
        timing = trio.run(partial(_write_steps, path, calls=writes, callers=callers))
        samples.add(f"writes_{callers}_per_s", timing.per_s)
        _latency(samples, f"write_{callers}", timing)


async def _write_steps(path: Path, *, calls: int, callers: int) -> Timing:
    async with writer_of(path, SCHEMA, {AddStep: add_step}) as writer:
        timing = await load.call(
            lambda number: write(writer, step(number)), calls=calls, callers=callers
        )
    _verify(path, calls)
    return timing


def _raw(commands: int, path: Path, samples: Samples) -> None:
    each_s: list[float] = []
    with _bare(path) as connection:
        started = perf_counter()
        for number in range(commands):
            began = perf_counter()
            _transaction(connection, range(number, number + 1))
            each_s.append(perf_counter() - began)
        raw = Timing(seconds=perf_counter() - started, each_s=tuple(each_s))
        many = range(commands, commands * 11)
        started = perf_counter()
        for first in many[::BATCHED]:
            _transaction(connection, range(first, min(first + BATCHED, many.stop)))
        batched_s = perf_counter() - started
    _verify(path, many.stop)
    samples.add("raw_per_s", raw.per_s)
    _latency(samples, "raw", raw)
    samples.add("raw_batched_per_s", len(many) / batched_s)


@contextmanager
def _bare(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(path)) as connection:
        migrate(connection, SCHEMA)
        yield connection


def _transaction(connection: sqlite3.Connection, numbers: range) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for number in numbers:
        connection.execute(ADD, (number % RUNS, number // RUNS, TEXT))
        connection.execute(MOVE_ON, (number % RUNS, number // RUNS))
    connection.execute("COMMIT")


def _verify(path: Path, steps: int) -> None:
    with closing(open_reader(path)) as connection:
        (found,) = connection.execute("SELECT count(*) FROM steps").fetchone()
        assert found == steps


def _latency(samples: Samples, key: str, timing: Timing) -> None:
    for percent in (50, 99):
        samples.add(f"{key}_p{percent}_s", timing.percentile_s(percent))


# --- reads beside a busy writer


async def _reads(size: Size, path: Path, samples: Samples) -> None:
    async with (
        writer_of(path, SCHEMA, {AddStep: add_step}) as writer,
        ReadPool(path, "benchmark").open() as pool,
        trio.open_nursery() as nursery,
    ):
        await load.call(lambda number: write(writer, step(number)), calls=size.rows, callers=200)
        for number in range(WRITERS_BESIDE):
            nursery.start_soon(_write_on, writer, size.rows + number)
        with closing(open_reader(path)) as inline:
            for way, read in _ways(pool, inline).items():
                for kind, sql in (("row", ROW), ("list", LIST)):
                    one = partial(_read, read, sql, size.rows - BATCHED)
                    timing = await load.call(one, calls=size.reads, callers=1)
                    _latency(samples, f"{way}_{kind}", timing)
        nursery.cancel_scope.cancel()


Read = Callable[[str, tuple[int]], Awaitable[list[sqlite3.Row]]]


def _ways(pool: ReadPool, inline: sqlite3.Connection) -> dict[str, Read]:
    async def pooled(sql: str, parameters: tuple[int]) -> list[sqlite3.Row]:
        return await pool.fetch("read", sql, parameters)

    async def inlined(sql: str, parameters: tuple[int]) -> list[sqlite3.Row]:
        rows = inline.execute(sql, parameters).fetchall()
        await trio.lowlevel.checkpoint()  # the writers' tasks want to run, too
        return rows

    return {"read": pooled, "inline": inlined}


async def _read(read: Read, sql: str, positions: int, number: int) -> None:
    rows = await read(sql, (number * 7919 % positions + 1,))
    assert rows


async def _write_on(writer: Named, first: int) -> None:
    for number in count(first, WRITERS_BESIDE):
        await write(writer, step(number))


# --- a writer beside a loop that computes all the time


async def _beside_busy_loop(size: Size, path: Path, samples: Samples) -> None:
    writing = writer_of(path, SCHEMA, {AddStep: add_step})
    async with writing as writer, trio.open_nursery() as nursery:
        nursery.start_soon(_compute)
        timing = await load.call(
            lambda number: write(writer, step(number)),
            calls=size.beside,
            callers=WRITERS_BESIDE,
        )
        nursery.cancel_scope.cancel()
    _verify(path, size.beside)
    samples.add("writes_beside_busy_loop_per_s", timing.per_s)
    _latency(samples, "write_beside_busy_loop", timing)


async def _compute() -> None:
    while True:
        until = perf_counter() + SLICE_S
        while perf_counter() < until:
            pass
        await trio.lowlevel.checkpoint()


if __name__ == "__main__":
    main(NAME, run)
