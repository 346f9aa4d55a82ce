"""The publisher: keeps `.beads/issues.jsonl` what the database says, and records it in Git.

A flush reads the rows and the last change in one transaction, takes in what others wrote into the
file meanwhile, commits its intent, replaces the file, and commits that it did. Cut off anywhere,
the next one finds in the file's hash how far it got (`adoption.py`).

The file is looked at once a second, too. One that somebody else wrote is taken in by a flush, as
soon as it rests: while it is still growing, half of it would be read, and the rest replaced.

Changes are gathered for a moment before a flush, longer when the last one was expensive. Nothing
that was acknowledged depends on a flush, and no flush on Git: recordings come at intervals, at the
end of a workflow and at stop, and one that fails waits for the next interval.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import trio

from actors.clock import Clock, system_clock
from actors.issues.messages import (
    Composed,
    ComposeFile,
    Flush,
    Flushed,
    InstallFile,
    JournalAdvanced,
    MarkFlushed,
    MarkFlushIntent,
    PublicationFailed,
    Recorded,
    RecordFile,
    RecordNow,
)
from actors.issues.publishing.adoption import ask_files, take_in
from actors.writer import write
from storage.inline import open_inline
from storage.issues import file, queries
from storage.issues.file import Stamp
from supervision import Actor, Named, Refused

ATTEMPTS: Final = 5
"""How often a flush starts anew because somebody wrote the file under its hands."""
COST_FACTOR: Final = 3.0
"""Pause per second of the last flush: a quarter of the time at most goes into flushing. A flush of
up to 0.25 s is still over within a second of its change."""

LOOK_S: Final = 1.0
"""Between two looks at the file: its stamp alone, one call of the system."""

log = structlog.get_logger("beadflow.issues")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherSettings:
    """When to write.

    Args:
        debounce_s: how long changes are gathered before a flush; 0 flushes at once.
        min_commit_interval_s: least time between two recordings that nobody asked for.
        retry_s: pause after a flush that failed.
        record: whether the file is recorded on its ref (`git.mode = "ref"`).
    """

    debounce_s: float = 0.25
    min_commit_interval_s: float = 30.0
    retry_s: float = 5.0
    record: bool = True


def pause_before(settings: PublisherSettings, last_cost_s: float) -> float:
    """Return how long to gather changes, in seconds."""
    return max(settings.debounce_s, COST_FACTOR * last_cost_s)


class IssuePublisher(Actor):
    """Takes `JournalAdvanced`; answers `Flush` and `RecordNow`.

    Args:
        writer: the writer of beads.db.
        files: the Git worker.
        database: beads.db.
        path: the published file.
    """

    def __init__(
        self,
        *,
        writer: Named,
        files: Named,
        database: Path,
        path: Path,
        settings: PublisherSettings | None = None,
        clock: Clock = system_clock,
    ) -> None:
        super().__init__()
        self._writer = writer
        self._files = files
        self._database = database
        self._path = path
        self._seen: Stamp | None = None
        self._settings = settings or PublisherSettings()
        self._clock = clock
        self._pause_s = self._settings.debounce_s
        self._wanted = trio.Event()
        self._unrecorded = trio.Event()
        self._next_recording_s = 0.0  # on trio's clock, which starts no earlier
        self._flushing = trio.Lock()
        self._recording = trio.Lock()
        self._conn: sqlite3.Connection

    async def on_start(self) -> None:
        self._conn = open_inline(self._database)
        self.spawn(self._keep_published)
        self.spawn(self._keep_looking)
        if self._settings.record:
            self._unrecorded.set()  # what the ref holds is not known yet
            self.spawn(self._keep_recorded)

    async def on_stop(self) -> None:
        try:
            await self._flush()
            self._unrecorded.set()  # a flush that the stop has cut off may have put the file there
            await self._record()
        except Refused as err:
            log.error("last flush failed", reason=str(err))  # noqa: TRY400 - the next start makes it
        self._conn.close()

    async def on_failure(self, error: BaseException) -> None:
        del error
        if hasattr(self, "_conn"):
            self._conn.close()

    async def on_receive(self, message: object) -> object:
        match message:
            case JournalAdvanced():
                self._look()
                return None
            case Flush():
                return self.defer(self._flush())
            case RecordNow():
                return self.defer(self._flush_and_record())
            case _:
                return await super().on_receive(message)

    def _look(self) -> None:
        """Wake the flush for changes it has not written; its own marks are commits too."""
        if not self._wanted.is_set() and self._is_behind():
            self._wanted.set()

    def _is_behind(self) -> bool:
        return queries.last_seq(self._conn) > queries.publication(self._conn).flushed_seq

    async def _keep_published(self) -> None:
        await self._flush_or_wait()  # the file may be missing, or older than the database
        while True:
            await self._wanted.wait()
            await trio.sleep(self._pause_s)
            if self._is_behind():
                await self._flush_or_wait()
            self._wanted = trio.Event()
            self._look()

    async def _keep_looking(self) -> None:
        """Flush when others have written the file. One that is not there waits for a change."""
        before = self._seen
        while True:
            await trio.sleep(LOOK_S)
            found = file.stamp(self._path)
            if found is not None and found == before and found != self._seen:
                await self._flush_or_wait()
            before = found

    async def _flush_or_wait(self) -> None:
        try:
            await self._flush()
        except Refused as err:
            log.warning("flush failed", reason=str(err), retry_s=self._settings.retry_s)
            await trio.sleep(self._settings.retry_s)

    async def _flush(self) -> Flushed:
        async with self._flushing:
            started_s = trio.current_time()
            for _ in range(ATTEMPTS):
                flushed = await self._try_flush()
                if flushed is not None:
                    self._pause_s = pause_before(self._settings, trio.current_time() - started_s)
                    return flushed
        raise PublicationFailed("the file is written by others faster than it can be read")

    async def _try_flush(self) -> Flushed | None:
        """Make one attempt; None when somebody else's write came in between."""
        seen = file.stamp(self._path)  # before it is read: what comes after is looked at again
        composed = await ask_files(self._files, ComposeFile())
        done = Flushed(seq=composed.seq, sha256=composed.sha256)
        if not _is_there(composed):
            if await take_in(composed, writer=self._writer, files=self._files, clock=self._clock):
                return None
            await write(self._writer, MarkFlushIntent(seq=done.seq, sha256=done.sha256))
            install = InstallFile(data=composed.data, expected_sha256=composed.present_sha256)
            seen = await ask_files(self._files, install)
            if seen is None:
                return None
            self._unrecorded.set()
        is_known = composed.flushed_sha256 == done.sha256 and composed.is_placed
        if not is_known or self._is_behind():
            mark = MarkFlushed(seq=done.seq, sha256=done.sha256, place=composed.place)
            await write(self._writer, mark)
        self._seen = seen
        return done

    async def _keep_recorded(self) -> None:
        while True:
            await self._unrecorded.wait()
            await trio.sleep_until(self._next_recording_s)
            try:
                await self._record()
            except Refused as err:
                log.warning("recording failed", reason=str(err))

    async def _flush_and_record(self) -> Recorded:
        await self._flush()
        return await self._record()

    async def _record(self) -> Recorded:
        """Record what was flushed since the last recording, if anything was."""
        async with self._recording:
            if not (self._settings.record and self._unrecorded.is_set()):
                return Recorded(commit=None)
            self._next_recording_s = trio.current_time() + self._settings.min_commit_interval_s
            self._unrecorded = trio.Event()
            try:
                return await ask_files(self._files, RecordFile())
            except BaseException:
                self._unrecorded.set()
                raise


def _is_there(composed: Composed) -> bool:
    """Return whether the file is what it should be; none is needed for no issues."""
    if composed.present_sha256 is None:
        return not composed.data
    return composed.present_sha256 == composed.sha256
