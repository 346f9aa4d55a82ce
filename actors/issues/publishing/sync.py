"""Meeting other clones: fetch, merge, take in, publish, record, push; again when we came too late.

What a remote has is merged with what is in the database at that moment, of what both once had, and
enters the database like any other change; only then is the file written and the merge recorded,
with both clones in its past, and pushed from where the remote was seen. Cut off anywhere, the next
one finds what is done already and does the rest: merging again what was merged changes nothing.

One at a time. The remote's side is untouched until the push, which it takes whole or not at all.
"""

import random
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
import trio

from actors.clock import Clock, system_clock
from actors.errors import Conflict
from actors.issues.messages import Flush, PublicationFailed
from actors.issues.publishing.adoption import ask_files
from actors.issues.publishing.sync_messages import (
    AdoptMerge,
    CommitFile,
    Contended,
    Fetched,
    FetchIssues,
    IssuePast,
    MergeCommit,
    Merged,
    NoteRemote,
    PushIssues,
    ReadPast,
    RecordMerge,
    RemoteUnavailable,
    Synced,
    SyncIssues,
    SyncRefused,
    Unrelated,
)
from actors.retrying import Retries
from actors.writer import write
from storage.gitrunner import Interrupt
from storage.issues import instants
from supervision import Actor, ActorDeadError, ActorRestarting, Ask, AskTimeout, Named, ask

T = TypeVar("T")
PUSHES: Final = Retries(attempts=10, initial_s=0.1, maximum_s=5.0)
"""How often a push may come too late; the pauses between them add up to half a minute at most."""
REMOTE_DEADLINE_S: Final = 150.0
"""For one transport, which ends itself at its own deadline before."""
FLUSH_DEADLINE_S: Final = 120.0

log = structlog.get_logger("beadflow.issues")


class IssueSync(Actor):
    """Answers `SyncIssues` and `ReadPast`.

    Args:
        writer: the writer of beads.db.
        files: the Git worker.
        remotes: who talks to remotes.
        publisher: who writes the file.
        mode: says "ref", "branch" or "off".
        interrupt: ends the transport that is under way when this actor is stopped.
    """

    def __init__(
        self,
        *,
        writer: Named,
        files: Named,
        remotes: Named,
        publisher: Named,
        mode: Callable[[], str],
        clock: Clock = system_clock,
        chance: random.Random,
        interrupt: Interrupt | None = None,
    ) -> None:
        super().__init__()
        self._writer = writer
        self._files = files
        self._remotes = remotes
        self._publisher = publisher
        self._mode = mode
        self._clock = clock
        self._chance = chance
        self._interrupt = interrupt or Interrupt()
        self._syncing = trio.Lock()

    async def on_start(self) -> None:
        self._interrupt.begin()

    async def on_stop(self) -> None:
        self._interrupt.end()

    async def on_receive(self, message: object) -> object:
        match message:
            case SyncIssues():
                return self.defer(self._sync(message))
            case ReadPast():
                return self.defer(self._read_past(message))
            case _:
                return await super().on_receive(message)

    async def _read_past(self, message: ReadPast) -> IssuePast:
        return await self._ask_remote(message)

    async def _sync(self, message: SyncIssues) -> Synced:
        mode = self._mode()
        if mode == "off":
            raise SyncRefused("git_mode is off: the issues are not kept in Git here")
        async with self._syncing:
            if mode == "branch":
                return await self._commit(message)
            return await self._meet(message)

    async def _commit(self, message: SyncIssues) -> Synced:
        if message.remote is not None:
            raise SyncRefused(
                "git_mode is branch: the issues travel with the branch, by your own push and pull"
            )
        await self._flush()
        made = await ask_files(self._files, CommitFile(dry_run=message.dry_run))
        return Synced(
            mode="branch",
            remote=None,
            dry_run=message.dry_run,
            incoming=(),
            outgoing=made.outgoing,
            incoming_count=0,
            outgoing_count=made.outgoing_count,
            commit=made.commit,
            pushed=False,
            attempts=0,
            quarantined=0,
            renamed=(),
        )

    async def _meet(self, message: SyncIssues) -> Synced:
        await self._flush()
        arrived: list[Merged] = []
        for attempt in range(1, PUSHES.attempts + 1):
            fetched = await self._ask_remote(FetchIssues(remote=message.remote))
            if message.dry_run:
                merged = await self._merge(fetched, message)
                return _told(fetched, [merged], merged, attempt, dry_run=True)
            merged = await self._take_in(fetched, message)
            arrived.append(merged)
            commit = await self._record(fetched, merged)
            if commit is None or commit == fetched.commit or await self._push(fetched, commit):
                if commit is not None:
                    note = NoteRemote(remote=fetched.remote, commit=commit)
                    await ask_files(self._files, note)
                pushed = commit is not None and commit != fetched.commit
                told = _told(fetched, arrived, merged, attempt, commit=commit, pushed=pushed)
                log.info(
                    "issues synced",
                    remote=told.remote,
                    incoming=told.incoming_count,
                    outgoing=told.outgoing_count,
                    attempts=attempt,
                )
                return told
            await trio.sleep(PUSHES.jittered_s(attempt, self._chance))
        raise Contended(
            f"somebody else pushed to {fetched.remote} each of {PUSHES.attempts} times;"
            " what came is here, sync again to push what is not there"
        )

    async def _merge(self, fetched: Fetched, message: SyncIssues) -> Merged:
        merged = await ask_files(self._files, MergeCommit(theirs=fetched.commit))
        # A clone that meets the remote for the first time may have begun before it did.
        if fetched.met and not merged.related and not message.allow_unrelated:
            raise Unrelated(
                f"the issues on {fetched.remote} have no past in common with the ones here, though"
                " they had when they were last seen: the remote's were begun anew, or belong to"
                " another project; --allow-unrelated merges them nevertheless"
            )
        return merged

    async def _take_in(self, fetched: Fetched, message: SyncIssues) -> Merged:
        """Merge, and bring the database and the file up to it."""
        while True:
            merged = await self._merge(fetched, message)
            if not merged.rows:
                return merged
            at = instants.from_datetime(self._clock())
            try:
                adopt = AdoptMerge(rows=merged.rows, at=at, moved=merged.moved, seq=merged.seq)
                await write(self._writer, adopt)
            except Conflict as err:
                log.info("merged anew", why=str(err))
                continue
            await self._flush()
            return merged

    async def _record(self, fetched: Fetched, merged: Merged) -> str | None:
        """Record where there is anything to record: no issues make no commit."""
        if fetched.commit is None and not merged.outgoing_count:
            return None
        return await ask_files(self._files, RecordMerge(theirs=fetched.commit))

    async def _push(self, fetched: Fetched, commit: str) -> bool:
        push = PushIssues(remote=fetched.remote, commit=commit, expected=fetched.commit)
        return await self._ask_remote(push)

    async def _flush(self) -> None:
        try:
            await ask(self._publisher, Flush(), deadline_s=FLUSH_DEADLINE_S)
        except (ActorDeadError, ActorRestarting, AskTimeout) as err:
            raise PublicationFailed(f"the publisher did not answer: {err}") from err

    async def _ask_remote(self, message: Ask[T]) -> T:
        try:
            return await ask(self._remotes, message, deadline_s=REMOTE_DEADLINE_S)
        except (ActorDeadError, ActorRestarting, AskTimeout) as err:
            raise RemoteUnavailable(f"no answer from the remote in time: {err}") from err


def _told(
    fetched: Fetched,
    arrived: list[Merged],
    last: Merged,
    attempts: int,
    *,
    dry_run: bool = False,
    commit: str | None = None,
    pushed: bool = False,
) -> Synced:
    """Sum up: what came in any attempt has come, what went is what the last one pushed."""
    incoming = {change.issue_id: change for merged in arrived for change in merged.incoming}
    return Synced(
        mode="ref",
        remote=fetched.remote,
        dry_run=dry_run,
        incoming=tuple(incoming.values()),
        outgoing=last.outgoing,
        incoming_count=max(len(incoming), *(merged.incoming_count for merged in arrived)),
        outgoing_count=last.outgoing_count,
        commit=commit,
        pushed=pushed,
        attempts=attempts,
        quarantined=last.quarantined,
        renamed=tuple(dict.fromkeys(pair for merged in arrived for pair in merged.renamed)),
    )
