"""The keeper: once an hour, what ended long ago leaves the databases for the archive.

It takes its time: one small batch after the other, each through the writer it belongs to, with a
pause that lets others write. It owns nothing and nobody waits for it: what it could not do now, it
does an hour later, so no failure of the disk or of a writer makes it crash. Idempotency keys that
have done their service are deleted, too, whatever is kept otherwise.
"""

import sqlite3
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import trio

from actors.clock import Clock
from actors.errors import WorkflowError
from actors.retention import ForgetKeys, Retired, Step, keys_before, retire
from actors.writer import persist
from storage.errors import StorageError
from supervision import Actor, Ask, Named, Refused

FIRST_S: Final = 60.0
"""From the start to the first look: the start has enough to do."""

PERIOD_S: Final = 3600.0
PAUSE_S: Final = 0.01

log = structlog.get_logger("beadflow.keeper")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveNow(Ask[Retired]):
    """Do now what is due, and answer how much that was."""


class Keeper(Actor):
    """See the module.

    Args:
        directory: the data directory.
        days: how long ended workflows are kept; 0 keeps them for ever.
        coordination: the writer of coordination.db.
        tempolite: the writer of tempolite.db.
    """

    def __init__(
        self, *, directory: Path, days: int, coordination: Named, tempolite: Named, clock: Clock
    ) -> None:
        super().__init__()
        self._directory = directory
        self._days = days
        self._writers: Mapping[str, Named] = {"coordination": coordination, "tempolite": tempolite}
        self._clock = clock
        self._archiving = trio.Lock()

    async def on_start(self) -> None:
        self.spawn(self._look_now_and_then)

    async def on_receive(self, message: object) -> object:
        match message:
            case ArchiveNow():
                return self.defer(self._archive())
            case _:
                return await super().on_receive(message)

    async def _look_now_and_then(self) -> None:
        await trio.sleep(FIRST_S)
        while True:
            await self._archive()
            await trio.sleep(PERIOD_S)

    async def _forget_keys(self) -> None:
        command = ForgetKeys(before=keys_before(self._clock()))
        has_more = True
        try:
            while has_more:
                has_more = await persist(self._writers["coordination"], command)
                await trio.sleep(PAUSE_S)
        except (Refused, WorkflowError) as error:
            log.warning("keys not forgotten yet", why=str(error))

    async def _archive(self) -> Retired:
        """Cancelling it, or a failure, leaves the rest for the next time."""
        retired = Retired()
        await self._forget_keys()
        if not self._days:
            return retired
        async with self._archiving:
            try:
                await self._retire(retired)
            except (Refused, WorkflowError, StorageError, OSError, sqlite3.Error) as error:
                log.warning("not archived yet", why=str(error))
        if retired.workflows or retired.events:
            log.info("archived", workflows=retired.workflows, events=retired.events)
        return retired

    async def _retire(self, retired: Retired) -> None:
        steps = retire(self._directory, now=self._clock(), days=self._days, retired=retired)
        try:
            while (step := await trio.to_thread.run_sync(_next, steps)) is not None:
                await persist(self._writers[step.database], step.command)
                await trio.sleep(PAUSE_S)
        finally:
            steps.close()


def _next(steps: Generator[Step, None, None]) -> Step | None:
    return next(steps, None)
