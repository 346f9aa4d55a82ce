"""A small world for the issues: a real database and a real file, with no thread in it.

The Git worker runs inline, and the writer's real code inside a task actor, so that tests may use a
clock that jumps: it would jump past every deadline while a thread is at work.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from actors.hints import hint
from actors.issues import store
from actors.issues.issue import new_issue
from actors.issues.messages import CreateIssue, JournalAdvanced
from actors.issues.publishing.git_worker import GitWorker
from actors.issues.publishing.publisher import IssuePublisher, PublisherSettings
from actors.issues.writing import claims
from actors.stores import BEADS_SCHEMA as SCHEMA
from storage.database import open_writer
from storage.issues import jsonl, queries
from storage.issues.jsonl import Row
from storage.migrate import migrate
from supervision import Actor, ChildSpec, Refused, System, supervisor

HANDLERS = {**store.HANDLERS, **claims.HANDLERS}
AT = "2026-01-01T00:00:00Z"
LATER = "2026-01-02T00:00:00Z"


def fixed_clock() -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC)


def make(issue_id: str = "x-1", **more: Any) -> Row:
    usual = {"title": "T", "created_at": AT, "created_by": "me"}
    return new_issue(**{"issue_id": issue_id, **usual, **more})


@dataclass
class World:
    """One data directory and one repository directory.

    `asked` lists what the Git worker was asked; `before` sees what it and the writer are asked, and
    may raise a refusal in their place.
    """

    root: Path
    repository: Path | None = None
    mode: str = "ref"
    place: Path | None = None
    asked: list[str] = field(default_factory=list)
    before: Callable[[object], None] = lambda _message: None
    conn: sqlite3.Connection = field(init=False)
    files: GitWorker = field(init=False)

    def __post_init__(self) -> None:
        self.conn = open_writer(self.database)
        migrate(self.conn, SCHEMA)
        self.files = self.worker(self.path)
        self.files.on_start()

    def worker(self, path: Path) -> GitWorker:
        """Make a Git worker that waits for nobody."""
        repository, mode = self.repository, self.mode
        return GitWorker(self.database, path, repository=repository, mode=mode, rest_s=0)

    @property
    def database(self) -> Path:
        return self.root / "data" / "beads.db"

    @property
    def path(self) -> Path:
        return self.place or (self.repository or self.root) / ".beads" / "issues.jsonl"

    def move_to(self, path: Path) -> Path:
        """Go on in another work tree, on the same database; return where the file was."""
        before, self.place = self.path, path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.files.on_stop()
        self.files = self.worker(path)
        self.files.on_start()
        return before

    def close(self) -> None:
        self.files.on_stop()
        self.conn.close()

    def run(self, command: object) -> Any:
        """Run a command as the writer does: in a transaction, taken back when it is refused."""
        self.conn.execute("BEGIN IMMEDIATE")
        try:
            answer = HANDLERS[type(command)](self.conn, command)
        except Refused:
            self.conn.execute("ROLLBACK")
            raise
        self.conn.execute("COMMIT")
        return answer

    def create(self, issue_id: str = "x-1", **more: Any) -> None:
        self.run(CreateIssue(row=make(issue_id, **more)))

    def ask_files(self, message: object) -> Any:
        self.see(message)
        return self.files.on_receive(message)

    def see(self, message: object) -> None:
        self.asked.append(type(message).__name__)
        self.before(message)

    def holds(self, issue_id: str = "x-1") -> bool:
        return queries.get_line(self.conn, issue_id) is not None

    def row(self, issue_id: str = "x-1") -> Row:
        return jsonl.parse(queries.get_line(self.conn, issue_id) or "")

    def published(self) -> dict[str, Row]:
        rows = map(jsonl.parse, self.path.read_bytes().splitlines())
        return {row["id"]: row for row in rows}

    def write_outside(self, *rows: Row) -> None:
        """Write the file as another program would."""
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_bytes(b"".join(jsonl.encode(row) + b"\n" for row in rows))

    @asynccontextmanager
    async def running(self, settings: PublisherSettings) -> AsyncIterator[System]:
        async with System.open(inline=True) as system:
            publisher = system.named("publisher")
            parts = {
                "beads_writer": lambda: InlineWriter(
                    self, lambda: hint(publisher, JournalAdvanced())
                ),
                "git_worker": lambda: WatchedFiles(self),
                "publisher": lambda: IssuePublisher(
                    writer=system.named("beads_writer"),
                    files=system.named("git_worker"),
                    database=self.database,
                    path=self.path,
                    settings=settings,
                    clock=fixed_clock,
                ),
            }
            children = [ChildSpec(id=name, name=name, build=build) for name, build in parts.items()]
            await system.start(supervisor("root", "one_for_one", children))
            yield system


class InlineWriter(Actor):
    def __init__(self, world: World, on_commit: Callable[[], None]) -> None:
        super().__init__()
        self._world = world
        self._on_commit = on_commit

    async def on_receive(self, message: object) -> object:
        try:
            self._world.before(message)
            return self._world.run(message)
        finally:
            self._on_commit()


class WatchedFiles(GitWorker):
    def __init__(self, world: World) -> None:
        super().__init__(world.database, world.path, repository=world.repository)
        self._world = world

    def on_receive(self, message: object) -> object:
        self._world.see(message)
        return super().on_receive(message)


@contextmanager
def open_world(root: Path, repository: Path | None = None, *, mode: str = "ref") -> Iterator[World]:
    world = World(root, repository, mode)
    try:
        yield world
    finally:
        world.close()
