"""One life of the engine in a process of its own: it can be killed, and its memory is its own.

    python -m benchmarks.engine.life KIND REPOSITORY COUNT LIFE

prints one JSON object once it has got where it was to get. `interrupt` and `wait` then stay there
until they are killed; the others end.
"""

import gc
import json
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import trio

from actors.clock import rfc3339, system_clock
from actors.hints import hint
from actors.workflows import messages as all_messages
from actors.workflows import workflow
from actors.writer import write
from benchmarks import load
from benchmarks.engine.flows import ALL, GATE
from benchmarks.engine.starting import Starter
from benchmarks.served import Served, served
from cli.running import configure_logging
from storage import payload

__all__ = ["KINDS"]

STARTERS = 64
WARM_UP = 100
"""Workflows that wait before memory is looked at: the first pay for what is loaded once."""

LOOK_S = 0.02

PARK_AFTER_S = 0.5
"""When a workflow that waits becomes its row: what it then takes does not depend on it."""

messages: Any = all_messages

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
    workflow.PARK_AFTER_S = PARK_AFTER_S
    async with served(repo, ALL, life=life) as running:
        start = Starter(running, "waiting")
        await _park(running, start, WARM_UP)
        before = _private_bytes()
        await _park(running, start, count)
        _say({"bytes": _private_bytes() - before})
        await trio.sleep_forever()


async def _park(running: Served, start: Starter, count: int) -> None:
    await load.call(start.and_leave, calls=count, callers=STARTERS)
    while True:
        if _count(running, "parked = 1") == len(start.ids):
            return
        await trio.sleep(LOOK_S)


async def _first_progress(repo: Path, count: int, life: str) -> None:
    """Bring one to its end that waits, if there is one, and a new one: counted from the opening."""
    began = perf_counter()
    async with served(repo, ALL, life=life) as running:
        for workflow_id in _instances(running)[:1]:
            await _signal(running, workflow_id)
        await Starter(running, "three_steps").to_its_end()
        seconds = perf_counter() - began
        assert _count(running, "parked = 1") == max(0, count - 1)
        _say({"seconds": seconds, "bytes": _private_bytes()})


async def _signal(running: Served, workflow_id: str) -> None:
    """Send one what it waits for, and wait until it has ended."""
    signal = messages.AddSignal(
        workflow_id=workflow_id,
        message_id="go",
        name="go",
        value=payload.encode(None),
        at=rfc3339(system_clock()),
    )
    for woken in await write(running.named("tempolite_writer"), signal):
        hint(running.named("dispatcher"), messages.Launch(workflow_id=woken))
    await running.exits.expect(workflow_id).wait()


def _instances(running: Served) -> list[str]:
    return [row[0] for row in running.stores.tempolite.inline.execute(INSTANCES)]


def _count(running: Served, where: str) -> int:
    counting = f"SELECT count(*) FROM instances WHERE {where}"  # noqa: S608 - constants
    (found,) = running.stores.tempolite.inline.execute(counting).fetchone()
    return int(found)


def _private_bytes() -> int:
    """Resident memory without the pages of files, of which the system may take back any."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (kib,) = re.findall(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kib) * 1024


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
