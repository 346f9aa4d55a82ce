"""Events to a thousand WebSocket clients on real sockets, in a process of their own.

A flood is logged as fast as the log takes it, and ends when the last client has the last event;
then events come one by one, and how late each is at each client is looked at. What the clients
count is checked by them: nobody misses an event, and nobody gets one twice.

Run as `python -m benchmarks.fanout`; `benchmarks.http` calls `measure` with a server of its own.
"""

import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from actors.bus import CatchUp, log_line, tell_bus
from api.app import create_app
from api.exposure import Exposure
from api.server import HttpDoor, listen
from benchmarks.report import Report, Scale, main, rounded
from benchmarks.served import Served, served
from cli.running import Place, doors_of
from supervision import ChildSpec, Named, System, ask, supervisor

NAME: Final = "fanout"
PIECE: Final = 100
"""Events told to the bus at once. It drops notes beyond 10,000 that wait."""

SETTLE_S: Final = 0.05
"""Between two events of the steady part: 20 a second are 20,000 messages to a thousand clients."""

DEADLINE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is sent.

    Args:
        clients: WebSockets.
        flood: events that come at once.
        steady: events that come one by one.
    """

    clients: int
    flood: int
    steady: int


SIZES: Final = {
    Scale.FULL: Size(clients=1000, flood=2000, steady=100),
    Scale.QUICK: Size(clients=1000, flood=500, steady=20),
    Scale.SMOKE: Size(clients=20, flood=50, steady=3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fanout:
    """What was found.

    Args:
        messages_per_s: events times clients, from the first being told to the last being received.
        frames_per_s: the same, of frames, each of which holds several.
        p50_s: how late an event is at a client, when they come one by one; and so `p99_s`.
    """

    messages_per_s: float
    frames_per_s: float
    p50_s: float
    p99_s: float


async def measure(address: tuple[str, int], bus: Named, size: Size) -> Fanout:
    """Measure a server of this process.

    Args:
        address: where its door listens.
        bus: its event bus; nobody else may log lines meanwhile.
        size: how much is sent, to how many.
    """
    counts = [str(size.flood), str(size.steady)]
    command = [sys.executable, "-m", "benchmarks.listeners", *map(str, address)]
    with trio.fail_after(DEADLINE_S):
        process = await trio.lowlevel.open_process(
            [*command, str(size.clients), *counts], stdout=subprocess.PIPE
        )
        try:
            async with aclosing(_lines(process)) as said:
                return await _measure(said, bus, size)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def _measure(said: AsyncIterator[str], bus: Named, size: Size) -> Fanout:
    await anext(said)  # all are connected
    began = time.monotonic()
    for start in range(0, size.flood, PIECE):
        for _ in range(start, min(start + PIECE, size.flood)):
            _tell(bus)
        await ask(bus, CatchUp(), deadline_s=DEADLINE_S)
    flood: dict[str, Any] = json.loads(await anext(said))
    for _ in range(size.steady):
        _tell(bus)
        await trio.sleep(SETTLE_S)
    steady: dict[str, Any] = json.loads(await anext(said))
    took_s = flood["ended"] - began
    return Fanout(
        messages_per_s=size.flood * size.clients / took_s,
        frames_per_s=flood["frames"] / took_s,
        p50_s=steady["p50_s"],
        p99_s=steady["p99_s"],
    )


def _tell(bus: Named) -> None:
    """Log a line that says when."""
    stamp = f"{time.monotonic():.6f}"
    line = partial(log_line, workflow_id="benchmark", source="benchmark", level="info")
    tell_bus(bus, line(message=stamp, at="2026-01-01T00:00:00.000000Z"))


async def _lines(process: trio.Process) -> AsyncGenerator[str, None]:
    assert process.stdout is not None
    rest = b""
    async for part in process.stdout:
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line.decode()
    raise RuntimeError("the clients have ended: standard error says why")


@asynccontextmanager
async def door(there: Served, repo: Path) -> AsyncIterator[tuple[str, int]]:
    """A door in front of a system, until the block ends; gives its address."""
    place = Place(data=there.world.data, repo=repo)
    doors = doors_of(there.system, place, there.world.stores.presence, there.world.breakers)
    build = partial(create_app, doors, exposure=Exposure(rates=None, connections=8192))
    with closing(listen("127.0.0.1", 0)) as listening:
        spec = ChildSpec(
            id="http",
            name="http",
            build=lambda: HttpDoor(build=build, listening=listening),
            shutdown_s=8.0,
        )
        async with System.open() as front:
            await front.start(supervisor("root", "one_for_one", [spec]))
            yield _address(listening)


def _address(listening: socket.socket) -> tuple[str, int]:
    host, port = listening.getsockname()[:2]
    return str(host), int(port)


async def alone(repo: Path, size: Size) -> Fanout:
    """Measure a system that does nothing else."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        async with served(repo, []) as there, door(there, repo) as address:
            return await measure(address, there.named("event_bus"), size)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))


def run(scale: Scale, directory: Path) -> Report:
    size = SIZES[scale]
    found = trio.run(alone, directory / "repo", size)
    settings = {"scale": scale, "rounds": 1, **asdict(size)}
    return Report(name=NAME, settings=settings, figures=figures(size, found), ratios={})


def figures(size: Size, found: Fanout) -> dict[str, float]:
    """What was found, under the keys of reports."""
    ws = f"ws_{size.clients}"
    return {
        f"{ws}_messages_per_s": rounded(found.messages_per_s),
        f"{ws}_frames_per_s": rounded(found.frames_per_s),
        f"{ws}_late_p50_ms": rounded(found.p50_s * 1000),
        f"{ws}_late_p99_ms": rounded(found.p99_s * 1000),
    }


if __name__ == "__main__":
    main(NAME, run)
