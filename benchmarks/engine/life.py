"""One life of the engine in a process of its own: it can be killed, and its memory is its own.

    python -m benchmarks.engine.life KIND REPOSITORY COUNT LIFE

prints one JSON object once it has got where it was to get. `interrupt` and `wait` then stay there
until they are killed; the others end.
"""

import gc
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import perf_counter

import trio

from benchmarks import load
from benchmarks.engine.flows import ALL, GATE
from benchmarks.engine.starting import Starter
from benchmarks.served import Served, served
from cli.running import configure_logging

__all__ = ["KINDS"]

STARTERS = 64
WARM_UP = 100
"""Workflows that wait before memory is looked at: the first pay for what is loaded once."""

LOOK_S = 0.02

Run = Callable[[Path, int, str], Awaitable[None]]


async def _interrupt(repo: Path, count: int, life: str) -> None:
    """Start workflows, have all of them stand in the middle of their second step."""
    GATE.expected = count
    async with served(repo, ALL, life=life) as running:
        start = Starter(running, "interrupted")
        await load.call(start.and_leave, calls=count, callers=STARTERS)
        await GATE.crowded.wait()
        _say({"ready": count})
        await trio.sleep_forever()


async def _recover(repo: Path, count: int, life: str) -> None:
    """Bring all that were interrupted to their end; the time counts from the data's opening."""
    began = perf_counter()
    async with served(repo, ALL, life=life) as running:
        for workflow_id in _instances(running):
            await running.exits.expect(workflow_id).wait()
        seconds = perf_counter() - began
        assert _count(running, "status = 'completed'") == count
        _say({"seconds": seconds})


async def _wait(repo: Path, count: int, life: str) -> None:
    """Start workflows that wait for a signal, and say what each one takes while it does."""
    async with served(repo, ALL, life=life) as running:
        start = Starter(running, "waiting")
        await _park(running, start, WARM_UP)
        before = _resident_bytes()
        await _park(running, start, count)
        _say({"bytes": (_resident_bytes() - before) / count, "ids": start.ids[:1]})
        await trio.sleep_forever()


async def _park(running: Served, start: Starter, count: int) -> None:
    await load.call(start.and_leave, calls=count, callers=STARTERS)
    while True:
        if _count(running, "parked = 1") == len(start.ids):
            return
        await trio.sleep(LOOK_S)


async def _first_progress(repo: Path, count: int, life: str) -> None:
    """Bring a new workflow to its end beside those that wait, counted from the opening."""
    began = perf_counter()
    async with served(repo, ALL, life=life) as running:
        await Starter(running, "three_steps").to_its_end()
        seconds = perf_counter() - began
        assert _count(running, "parked = 1") == WARM_UP + count
        _say({"seconds": seconds})


def _instances(running: Served) -> list[str]:
    return [row[0] for row in running.stores.tempolite.inline.execute(INSTANCES)]


def _count(running: Served, where: str) -> int:
    counting = f"SELECT count(*) FROM instances WHERE {where}"  # noqa: S608 - constants
    (found,) = running.stores.tempolite.inline.execute(counting).fetchone()
    return int(found)


def _resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _say(found: Mapping[str, object]) -> None:
    print(json.dumps(found), flush=True)


INSTANCES = "SELECT workflow_id FROM instances"

KINDS: Mapping[str, Run] = {
    "interrupt": _interrupt,
    "recover": _recover,
    "wait": _wait,
    "first_progress": _first_progress,
}


if __name__ == "__main__":
    configure_logging("error")
    _, kind, place, number, name = sys.argv
    trio.run(KINDS[kind], Path(place), int(number), name)
