"""Issues without a server: a command that runs what answers for them in its own process.

Only the stores and the issues are started, never the engine. Who writes holds the data directory's
lock meanwhile and has the published file written before it lets go. Who only reads does without the
lock, unless somebody else's changes to the file have to be taken in first.

Imported when nobody serves and not before, because it brings the stores and the actors along.
"""

import contextlib
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from actors.clock import system_clock
from actors.issues.messages import Flush
from actors.stores import open_stores
from actors.telemetry import Meters
from actors.tree import World, issues_tree, reading_tree
from actors.workflows.definition import Definitions
from api.app import create_app
from cli import beside, printable
from cli.beside import Local
from cli.exits import ExitCode
from cli.holding import acquired
from cli.problem import Problem
from cli.running import Place, configure_logging, doors_of, place
from storage.agreement import is_new, refuse_incomplete
from storage.database import open_reader
from storage.databases import databases
from storage.errors import StoreLocked
from storage.exchange import refuse_unfinished
from storage.issues import queries
from storage.issues.file import PUBLISHED, QUARANTINE_NAME, count_kept, present_sha256
from storage.migrate import applied
from supervision import (
    ActorDeadError,
    ActorRestarting,
    AskTimeout,
    Refused,
    StartError,
    System,
    ask,
)

LOG_LEVEL: Final = "error"
FLUSH_S: Final = 90.0
TAKE_IN_S: Final = 2.0
"""How long a reader waits for the lock, to take in what others wrote into the file."""


@contextmanager
def writing(
    repo: Path | None, data_dir: Path | None, *, served: Callable[[], bool], patience_s: float
) -> Iterator[Local | None]:
    """Hold the data directory and answer for its issues until the block ends.

    The published file is up to date when it has ended. Another command that holds the lock is
    waited for, for `patience_s` seconds. Gives None when it is a server by then, which `served`
    says.

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
    with _taking_in(where) as local:
        yield local


@contextmanager
def reading(repo: Path | None, data_dir: Path | None) -> Iterator[Local | None]:
    """Answer for the issues as they are on the disk. Gives None where there are no data at all."""
    configure_logging(LOG_LEVEL)
    where = place(repo, data_dir)
    refuse_unfinished(where.data.path)
    published = present_sha256(where.repo / PUBLISHED)
    if is_new(where.data.path) and published is None:
        yield None
        return
    if not _is_current(where, published) and _held_if_free(where):
        with _taking_in(where) as local:
            yield local
        return
    refuse_incomplete(where.data.path)
    with beside.running(lambda: _system(where, writes=False)) as local:
        yield local


def _is_current(where: Place, published: str | None) -> bool:
    """Whether a reader of the database sees all there is."""
    beads = next(each for each in databases(where.data.path) if each.name == "beads")
    if not beads.path.exists():
        return False
    with closing(open_reader(beads.path)) as connection:
        steps = applied(connection)
        if not steps or steps[-1].version < beads.newest:
            return False
        return published is None or published in queries.publication(connection).known


def _held_if_free(where: Place) -> bool:
    try:
        return acquired(where.data, served=lambda: False, patience_s=TAKE_IN_S)
    except StoreLocked:
        return False


@contextmanager
def _taking_in(where: Place) -> Iterator[Local]:
    """The system, with the lock that is held; tells what it found to be no issues in the file."""
    published = where.repo / PUBLISHED
    before = count_kept(published)
    with contextlib.closing(_Releasing(where)):
        try:
            with beside.running(lambda: _system(where, writes=True)) as local:
                yield local
        finally:
            if many := count_kept(published) - before:
                _tell_of_kept(many, published.with_name(QUARANTINE_NAME))


def _tell_of_kept(many: int, side_file: Path) -> None:
    lines = "1 line" if many == 1 else f"{many} lines"
    were = "was" if many == 1 else "were"
    sys.stderr.write(
        f"{lines} of {PUBLISHED} could not be read and {were} set aside"
        f" in {printable.line(str(side_file))}\n"
    )


class _Releasing:
    """Lets go of the lock when it is closed."""

    def __init__(self, where: Place) -> None:
        self._where = where

    def close(self) -> None:
        self._where.data.release()


@asynccontextmanager
async def _system(where: Place, *, writes: bool) -> AsyncIterator[Any]:
    chance = random.SystemRandom()
    meters = Meters()
    opening = open_stores(where.data, chance=chance, observe=meters.observe_query, prepare=writes)
    async with opening as stores, System.open() as system:
        world = World(
            data=where.data,
            stores=stores,
            repo=where.repo,
            definitions=Definitions.of(()),
            agents=(),
            meters=meters,
            clock=system_clock,
            chance=chance,
            incarnation="",
            drives_all=False,
        )
        try:
            await system.start((issues_tree if writes else reading_tree)(system, world))
        except StartError as error:
            raise _not_started(error) from error
        yield create_app(replace(doors_of(system, where, stores.presence), keeps_answers=False))
        if writes:
            await _publish(system)


async def _publish(system: System) -> None:
    try:
        await ask(system.named("publisher"), Flush(), deadline_s=FLUSH_S)
    except (Refused, ActorDeadError, ActorRestarting, AskTimeout) as error:
        raise Problem(
            "What was asked is stored, but the issues' file could not be written",
            str(error),
            code="publication_failed",
            exit_code=ExitCode.FAILED,
            hint="the next command that changes an issue tries it again",
        ) from error


def _not_started(error: StartError) -> Problem:
    return Problem(
        "What answers for the issues did not start",
        str(error),
        code="start_failed",
        exit_code=ExitCode.FAILED,
    )
