"""The engine without a system: its workflow actors and timers over a database in memory.

For tests that need thousands of lives of a process. The code is the engine's own, down to the SQL;
what stands around it (mailboxes, supervisors, the writer's thread, files) is left out. Time is
trio's, so that under a clock that jumps an hour costs nothing. After every commit the database can
be kept, and another engine be started from it, as if the process had been killed right then.
"""

import random
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

import pytest
import trio

from actors.agents.messages import TaskReady, TaskWithdrawn
from actors.clock import rfc3339
from actors.workflows import timers, workflow
from actors.workflows.activities import encode_result
from actors.workflows.definition import Definitions
from actors.workflows.history import CLOSED, Status
from actors.workflows.messages import (
    CreateInstance,
    EndAttempt,
    Launch,
    Look,
    RecordHeartbeat,
    StartTask,
    StoreSegment,
    TaskEnded,
    WakeAt,
)
from actors.workflows.parts import EngineParts
from actors.workflows.store import HANDLERS
from actors.workflows.timers import Timers
from actors.workflows.workflow import WorkflowActor
from actors.writer import Command
from storage import payload
from storage.migrate import migrate
from storage.workflows import queries
from storage.workflows.records import TaskRow

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
AGENT = "hand-1"
TURNS = 5


@cache
def _empty() -> bytes:
    with closing(_open()) as connection:
        migrate(connection, resources.files("storage.workflows") / "schema")
        return connection.serialize()


def _open() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The database right after a commit.

    Args:
        at_s: when, in seconds since `EPOCH`.
        note: what the test wanted to be kept along with it.
    """

    data: bytes
    at_s: float
    note: Any

    def open(self) -> sqlite3.Connection:
        connection = _open()
        connection.deserialize(self.data)
        return connection


class _Pool:
    """Reads what the real one reads off the trio thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch(self, _: str, sql: str, parameters: Sequence[Any]) -> list[sqlite3.Row]:
        return self._connection.execute(sql, parameters).fetchall()


class _Bare:
    """What an actor is given by the kernel, in as far as these use it."""

    nursery: trio.Nursery
    up: trio.Event

    def spawn(self, async_fn: Callable[..., Awaitable[object]], *args: Any) -> None:
        self.nursery.start_soon(async_fn, *args)

    def stop(self) -> None:
        self.nursery.cancel_scope.cancel()

    async def live(self) -> None:
        async with trio.open_nursery() as self.nursery:
            await self.on_start()  # type: ignore[attr-defined]
            self.up.set()
            await trio.sleep_forever()


class _Workflow(_Bare, WorkflowActor):
    pass


class _Timers(_Bare, Timers):
    pass


class Engine:
    """One life of a process.

    Args:
        workflows: the functions it knows.
        image: what the life before left; an empty database without.
        keep: called after every commit, for the note of an image; no images are kept without.
        lift: does the tasks of agents.
    """

    def __init__(
        self,
        workflows: Sequence[object],
        *,
        image: Image | None = None,
        keep: Callable[[], Any] | None = None,
        lift: Callable[[TaskRow], Any] | None = None,
    ) -> None:
        begin = Image(data=_empty(), at_s=0.0, note=None) if image is None else image
        self.connection = begin.open()
        self.images: list[Image] = []
        self._keep = keep
        self._lift = lift
        self._begun_s = trio.current_time() - begin.at_s
        self._live: dict[str, tuple[_Workflow, trio.Event]] = {}
        self._lifting = False
        self._writing = trio.Lock()
        self._changed = trio.lowlevel.ParkingLot()
        every: Any = self  # writer, dispatcher, timers, coordinator and bus in one
        self._parts = EngineParts(
            definitions=Definitions.of(workflows),
            writer=every,
            coordinator=every,
            dispatcher=every,
            timers=every,
            bus=every,
            reader=self.connection,
            pool=_Pool(self.connection),  # type: ignore[arg-type]
            clock=self.now,
        )
        self._timers = _Timers(
            writer=every, dispatcher=every, reader=self.connection, clock=self.now
        )
        self._timers.up = trio.Event()
        self._nursery: trio.Nursery

    @property
    def now_s(self) -> float:
        return trio.current_time() - self._begun_s

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.now_s)

    async def run(self, main: Callable[["Engine"], Awaitable[None]]) -> None:
        """Live until `main` returns, then end as kill -9 ends a process."""
        with closing(self.connection), _in_place_of_the_kernel():
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._timers.live)
                for row in queries.live_instances(self.connection):
                    self._hear(Launch(workflow_id=row.workflow_id))
                await main(self)
                self._nursery.cancel_scope.cancel()

    async def start(self, workflow_id: str, name: str, variables: Any) -> None:
        await self.commit(
            CreateInstance(
                workflow_id=workflow_id,
                issue_id=f"i-{workflow_id}",
                name=name,
                version=self._parts.definitions.get(name).version,
                variables=payload.encode(variables),
                agent_type=None,
                agent_id=None,
                queued=False,
                at=rfc3339(self.now()),
            )
        )
        self._hear(Launch(workflow_id=workflow_id))

    async def send(self, command: Command[tuple[str, ...]]) -> None:
        """Make a request, and tell those whom it reaches."""
        for workflow_id in await self.commit(command):
            self._hear(Launch(workflow_id=workflow_id))

    async def commit(self, command: Any) -> Any:
        """Write, after whoever came before; it takes no time, but some turns of the loop."""
        async with self._writing:
            for _ in range(random.randint(1, TURNS)):
                await trio.lowlevel.checkpoint()
            return self._commit(command)

    def _commit(self, command: Any) -> Any:
        before = self.connection.total_changes
        with _transaction(self.connection):
            answer = HANDLERS[type(command)](self.connection, command)
        if self._keep is not None and self.connection.total_changes != before:
            image = Image(data=self.connection.serialize(), at_s=self.now_s, note=self._keep())
            self.images.append(image)
        self._changed.unpark_all()
        return answer

    async def closed(self) -> None:
        """Wait until no workflow is left that will do anything."""
        final = {*CLOSED, Status.STALLED, Status.DEAD_LETTER}
        sql = "SELECT status FROM instances"
        while any(row[0] not in final for row in self.connection.execute(sql)):
            await self._changed.park()

    def tell(self, message: object) -> None:
        """Take what is meant for the dispatcher, the timers, the coordinator or the writer."""
        self._nursery.start_soon(self._hear_later, message)

    def _hear(self, message: object) -> None:
        self._nursery.start_soon(self._hear_later, message)

    async def _hear_later(self, message: object) -> None:
        match message:
            case Launch(workflow_id=workflow_id):
                await self._launch(workflow_id)
                await self._lift_all()
            case WakeAt():
                await self._timers.up.wait()
                await self._timers.on_receive(message)
            case TaskReady() | TaskWithdrawn():
                await self._lift_all()
            case RecordHeartbeat() | StoreSegment():
                await self.commit(message)
            case _:
                raise TypeError(message)

    async def _launch(self, workflow_id: str) -> None:
        while (found := self._live.get(workflow_id)) is not None:
            actor, gone = found
            await actor.up.wait()
            if await actor.on_receive(Look()):
                return
            await gone.wait()
        if queries.status(self.connection, workflow_id) in (Status.RUNNING, Status.STALLED):
            actor, gone = _Workflow(workflow_id=workflow_id, parts=self._parts), trio.Event()
            actor.up = trio.Event()
            self._live[workflow_id] = actor, gone
            self._nursery.start_soon(self._run, workflow_id)

    async def _run(self, workflow_id: str) -> None:
        actor, gone = self._live[workflow_id]
        try:
            await actor.live()
        finally:
            actor.up.set()
            del self._live[workflow_id]
            gone.set()

    async def _lift_all(self) -> None:
        """Be the agents: do every task there is, one after the other."""
        if self._lifting:
            return
        self._lifting = True
        try:
            while (row := self._next_task()) is not None:
                await self._lift_one(row)
        finally:
            self._lifting = False

    def _next_task(self) -> TaskRow | None:
        for row in queries.open_tasks(self.connection):
            if queries.status(self.connection, row.workflow_id) == Status.RUNNING:
                return row
        return None

    async def _lift_one(self, row: TaskRow) -> None:
        assert self._lift is not None
        where = {"workflow_id": row.workflow_id, "op": row.op}
        started = await self.commit(
            StartTask(**where, agent_id=AGENT, fence=row.fence, at=rfc3339(self.now()))
        )
        if started is None:
            return
        outcome = encode_result(self._lift(started), "a task's result", attempts=1)
        await self.commit(
            EndAttempt(
                **where,
                fence=started.fence,
                state="done",
                outcome=outcome,
                at=rfc3339(self.now()),
            )
        )
        if row.workflow_id in self._live:
            await self._live[row.workflow_id][0].on_receive(TaskEnded(**where))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


async def _persist(engine: Engine, command: Any) -> Any:
    return await engine.commit(command)


def _hint(engine: Engine, message: object) -> None:
    engine.tell(message)


@contextmanager
def _in_place_of_the_kernel() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (workflow, timers):
            patch.setattr(module, "persist", _persist)
            patch.setattr(module, "hint", _hint)
        yield
