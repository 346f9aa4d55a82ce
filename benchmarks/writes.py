"""Durable writes per second through a database writer, beside bare SQLite.

Each caller waits for its own commit before it writes again. The writer commits what has gathered at
once, so many callers pass what the disk does one commit at a time.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import trio

from actors.writer import Command, write
from benchmarks import floor, load
from benchmarks.report import Report, Samples, Scale, main
from benchmarks.writing import writer_of
from storage.database import open_reader

NAME = "writes"
CALLERS = (1, 10, 100, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured: writes by each number of callers, rounds, commits of the floor."""

    writes: tuple[int, ...]
    rounds: int
    floor_commits: int


SIZES: Mapping[Scale, Size] = {
    Scale.FULL: Size(writes=(2000, 10_000, 20_000, 20_000), rounds=5, floor_commits=5000),
    Scale.QUICK: Size(writes=(500, 2000, 5000, 10_000), rounds=1, floor_commits=500),
    Scale.SMOKE: Size(writes=(5, 20, 100, 1000), rounds=1, floor_commits=50),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteNote(Command[None]):
    """Insert one row. The same twice is one."""

    id: int
    text: str


def write_note(connection: sqlite3.Connection, command: WriteNote) -> None:
    connection.execute(f"{floor.INSERT} ON CONFLICT DO NOTHING", (command.id, command.text))


def run(scale: Scale, directory: Path) -> Report:
    size = SIZES[scale]
    samples = Samples()
    for number in range(size.rounds):
        _round(size, directory, number, samples)
    figures = samples.medians()
    return Report(
        name=NAME,
        settings={"scale": scale, "callers": CALLERS, **asdict(size)},
        figures=figures,
        ratios={
            f"callers_{callers}_writes_to_floor": round(
                figures[f"callers_{callers}_writes_per_s"] / figures["floor_commits_per_s"], 3
            )
            for callers in CALLERS
        },
    )


def _round(size: Size, directory: Path, number: int, samples: Samples) -> None:
    for callers, writes in zip(CALLERS, size.writes, strict=True):
        samples.add("floor_commits_per_s", floor.commits_per_s(directory, size.floor_commits))
        path = directory / f"writes-{number}-{callers}.db"
        trio.run(_measure, path, callers, writes, samples)


async def _measure(path: Path, callers: int, writes: int, samples: Samples) -> None:
    async with writer_of(path, floor.SCHEMA, {WriteNote: write_note}) as writer:
        timing = await load.call(
            lambda number: write(writer, WriteNote(id=number, text=floor.TEXT)),
            calls=writes,
            callers=callers,
        )
    _verify(path, writes)
    prefix = f"callers_{callers}"
    samples.add(f"{prefix}_writes_per_s", timing.per_s)
    samples.add(f"{prefix}_p50_s", timing.percentile_s(50))
    samples.add(f"{prefix}_p99_s", timing.percentile_s(99))


def _verify(path: Path, writes: int) -> None:
    with closing(open_reader(path)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM notes").fetchone()
        assert rows == writes


if __name__ == "__main__":
    main(NAME, run)
