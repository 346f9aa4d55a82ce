"""Clones of one repository that sync their issues, in one process and without threads."""

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.issues.messages import Flush, RecordFile
from actors.issues.publishing.git_remote import GitRemote
from actors.issues.publishing.git_worker import GitWorker
from actors.issues.publishing.publisher import IssuePublisher, PublisherSettings
from actors.issues.publishing.sync import IssueSync
from actors.issues.publishing.sync_messages import Synced, SyncIssues
from actors.issues.publishing.sync_store import HANDLERS as SYNC_HANDLERS
from actors.issues.store import HANDLERS
from actors.issues.writing import claims
from actors.stores import BEADS_SCHEMA
from storage.database import open_writer
from storage.issues import jsonl, queries
from storage.issues.jsonl import Row
from storage.migrate import migrate
from supervision import Actor, ChildSpec, Refused, System, ask, supervisor
from tests.actors.issues.world import fixed_clock
from tests.storage.repositories import commit, git, make

DEADLINE_S = 60.0
NEVER_S = 1e6


_HANDLERS = {**HANDLERS, **SYNC_HANDLERS, **claims.HANDLERS}


class Writer(Actor):
    """Runs commands as the writer of beads.db does: in a transaction of their own."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        super().__init__()
        self._conn = conn

    async def on_receive(self, message: object) -> object:
        self._conn.execute("BEGIN IMMEDIATE")
        try:
            answer = _HANDLERS[type(message)](self._conn, message)
        except Refused:
            self._conn.execute("ROLLBACK")
            raise
        self._conn.execute("COMMIT")
        return answer


@dataclass
class Clone:
    """One clone with its actors."""

    place: Path
    conn: sqlite3.Connection
    system: System

    @property
    def path(self) -> Path:
        return self.place / ".beads" / "issues.jsonl"

    async def run(self, command: Any) -> Any:
        return await ask(self.system.named("beads_writer"), command, deadline_s=DEADLINE_S)

    async def flush(self) -> None:
        await ask(self.system.named("publisher"), Flush(), deadline_s=DEADLINE_S)

    async def record(self) -> None:
        """Record the file on the ref, as the publisher does at intervals."""
        await self.flush()
        await ask(self.system.named("git_worker"), RecordFile(), deadline_s=DEADLINE_S)

    async def sync(self, **more: Any) -> Synced:
        return await ask(self.system.named("sync"), SyncIssues(**more), deadline_s=DEADLINE_S)

    def rows(self) -> dict[str, Row]:
        return {name: jsonl.parse(line) for name, line in queries.lines_by_id(self.conn).items()}

    def tip(self) -> str:
        return git(self.place, "rev-parse", "refs/beadflow/issues")

    def footprint(self) -> tuple[object, ...]:
        """What of the user's must stay as it is, and that no lock is left."""
        locks = [str(path) for path in (self.place / ".git").rglob("*.lock")]
        return (
            git(self.place, "rev-parse", "HEAD"),
            git(self.place, "symbolic-ref", "HEAD"),
            git(self.place, "for-each-ref", "refs/heads", "refs/remotes", "refs/tags"),
            (self.place / ".git" / "index").read_bytes(),
            git(self.place, "status", "--porcelain"),
            [path for path in locks if not path.endswith("beadflow-issues.lock")],
            (self.place / ".git" / "beadflow-transport").exists(),
        )


def remote_and_clones(root: Path, *names: str) -> tuple[Path, list[Path]]:
    """Make a bare remote with one commit, and clones of it."""
    bare = make(root / "remote.git", bare=True)
    first = make(root / "first")
    commit(first, "code.py")
    git(first, "push", "--quiet", str(bare), "main")
    for name in names:
        git(root, "clone", "--quiet", str(bare), name)
    return bare, [root / name for name in names]


@asynccontextmanager
async def opened(place: Path, *, mode: str = "ref", seed: int = 0) -> AsyncIterator[Clone]:
    """Start a clone's actors. It flushes when it is asked to, or syncs."""
    database = place.parent / f"{place.name}.db"
    conn = open_writer(database)
    migrate(conn, BEADS_SCHEMA)
    path = place / ".beads" / "issues.jsonl"
    settings = PublisherSettings(debounce_s=NEVER_S, record=False)
    async with System.open(inline=True) as system:
        name = system.named
        writer, files, remotes = name("beads_writer"), name("git_worker"), name("git_remote")
        parts = {
            "beads_writer": lambda: Writer(conn),
            "git_worker": lambda: GitWorker(database, path, repository=place, mode=mode),
            "git_remote": lambda: GitRemote(lambda: mode, place),
            "publisher": lambda: IssuePublisher(
                writer=writer,
                files=files,
                database=database,
                path=path,
                settings=settings,
                clock=fixed_clock,
            ),
            "sync": lambda: IssueSync(
                writer=writer,
                files=files,
                remotes=remotes,
                publisher=name("publisher"),
                mode=lambda: mode,
                clock=fixed_clock,
                chance=random.Random(seed),
            ),
        }
        children = [ChildSpec(id=key, name=key, build=build) for key, build in parts.items()]
        await system.start(supervisor("root", "one_for_one", children))
        yield Clone(place, conn, system)
    conn.close()


@asynccontextmanager
async def all_opened(*places: Path) -> AsyncIterator[list[Clone]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(opened(place, seed=number))
            for number, place in enumerate(places)
        ]
