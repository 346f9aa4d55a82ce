"""API keys without a server: what keeps them runs in the command's own process.

With the data directory's lock held, so that nobody else knows of other keys meanwhile.
"""

import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from actors.clock import system_clock
from actors.stores import open_stores
from actors.telemetry import Meters
from actors.tree import World, auth_tree
from actors.workflows.definition import Definitions
from api.app import create_app
from cli import beside
from cli.beside import Local
from cli.holding import acquired
from cli.running import Place, configure_logging, doors_of, not_started, place
from supervision import StartError, System

LOG_LEVEL: Final = "error"


@contextmanager
def keeping(
    repo: Path | None, data_dir: Path | None, *, served: Callable[[], bool], patience_s: float
) -> Iterator[Local | None]:
    """Hold the data directory and answer for its keys until the block ends.

    Another command that holds the lock is waited for, for `patience_s` seconds. Gives None when it
    is a server by then, which `served` says.

    Raises:
        StoreLocked: another process holds it for longer.
        Problem: the system did not start.
        StorageError: a database cannot be opened.
    """
    configure_logging(LOG_LEVEL)
    where = place(repo, data_dir)
    if not acquired(where.data, served=served, patience_s=patience_s):
        yield None
        return
    with contextlib.ExitStack() as stack:
        stack.callback(where.data.release)
        yield stack.enter_context(beside.running(lambda: _system(where)))


@asynccontextmanager
async def _system(where: Place) -> AsyncIterator[Any]:
    chance = random.SystemRandom()
    opening = open_stores(where.data, chance=chance, observe=Meters().observe_query)
    async with opening as stores, System.open() as system:
        world = World(
            data=where.data,
            stores=stores,
            repo=where.repo,
            definitions=Definitions.of(()),
            agents=(),
            meters=Meters(),
            clock=system_clock,
            chance=chance,
            incarnation="",
            drives_all=False,
        )
        try:
            await system.start(auth_tree(system, world))
        except StartError as error:
            raise not_started("What answers for the keys did not start", error) from error
        doors = doors_of(system, where, stores.presence, epoch=world.epoch)
        yield create_app(replace(doors, keeps_answers=False))
