import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import actors.writer
from actors.errors import (
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    Forbidden,
    NotFound,
    StorageFull,
)
from actors.writer import Command, DatabaseWriter, Poison, operation_name, persist, write
from storage.database import open_reader, open_writer
from storage.errors import SchemaError
from storage.migrate import migrate
from supervision import (
    ActorDeadError,
    ActorRestarted,
    Backoff,
    ChildSpec,
    Delivery,
    MailboxFull,
    Named,
    Reply,
    StartError,
    System,
    UnexpectedMessage,
    ask,
    supervisor,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddThing(Command[int]):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAndRefuse(Command[int]):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAndFail(Command[int]):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert(Command[None]):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill(Command[None]):
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPages(Command[None]):
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Command[None]):
    """Keeps the writer busy, so that what is sent meanwhile makes one batch."""

    until: threading.Event
    begun: threading.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Command[None]):
    pass


def add(conn: sqlite3.Connection, command: AddThing | AddAndRefuse | AddAndFail) -> int:
    conn.execute("INSERT OR IGNORE INTO things (name) VALUES (?)", (command.name,))
    (count,) = conn.execute("SELECT count(*) FROM things").fetchone()
    return int(count)


def add_and_refuse(conn: sqlite3.Connection, command: AddAndRefuse) -> int:
    add(conn, command)
    raise NotFound(f"no {command.name}")


def add_and_fail(conn: sqlite3.Connection, command: AddAndFail) -> int:
    add(conn, command)
    raise KeyError(command.name)


def insert(conn: sqlite3.Connection, command: Insert) -> None:
    conn.execute("INSERT INTO things (name) VALUES (?)", (command.name,))


def fill(conn: sqlite3.Connection, command: Fill) -> None:
    conn.execute("INSERT INTO things (name) VALUES (hex(zeroblob(?)))", (command.size_bytes,))


def limit_pages(conn: sqlite3.Connection, command: LimitPages) -> None:
    conn.execute(f"PRAGMA max_page_count={command.pages:d}").fetchone()


def wait(conn: sqlite3.Connection, command: Wait) -> None:
    command.begun.set()
    command.until.wait(10)


HANDLERS: dict[type, Callable[[sqlite3.Connection, Any], object]] = {
    AddThing: add,
    AddAndRefuse: add_and_refuse,
    AddAndFail: add_and_fail,
    Insert: insert,
    Fill: fill,
    LimitPages: limit_pages,
    Wait: wait,
}


@dataclass
class Running:
    system: System
    name: Named
    path: Path
    events: list[object]

    def names(self) -> list[str]:
        conn = open_reader(self.path)
        rows = conn.execute("SELECT name FROM things ORDER BY name").fetchall()
        conn.close()
        return [row["name"] for row in rows]

    @property
    def restarts(self) -> int:
        return sum(isinstance(event, ActorRestarted) for event in self.events)

    @property
    def before(self) -> list[int]:
        """The batches that come before those of `in_one_batch`."""
        return [] if self.system.inline else [1]

    @asynccontextmanager
    async def kept_busy(self) -> AsyncIterator[None]:
        """Keeps a writer's thread in a batch of its own until the body ends."""
        command = Wait(until=threading.Event(), begun=threading.Event())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, self.name, command)
            await trio.to_thread.run_sync(command.begun.wait)
            try:
                yield
            finally:
                command.until.set()

    async def in_one_batch(self, *commands: Command[Any]) -> list[object]:
        """Sends commands before the writer takes any; gives the answer or the error of each."""
        async with nullcontext() if self.system.inline else self.kept_busy():
            assert self.name.ref is not None
            replies = [self.name.ref.ask(command, block=False) for command in commands]
        return [await outcome(reply) for reply in replies]


async def outcome(reply: Reply[Any]) -> object:
    try:
        return await reply
    except Exception as err:  # noqa: BLE001 - the test looks at it
        return err


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    (tmp_path / "schema").mkdir()
    up = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
    (tmp_path / "schema" / "0001_things.up.sql").write_text(up)
    return tmp_path / "schema"


Opening = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture(params=["thread", "inline"])
def running(request: pytest.FixtureRequest, schema: Path) -> Opening:
    """Runs a writer in its thread, and on a task: what holds for one holds for its twin."""
    return partial(a_writer_runs, schema, inline=request.param == "inline")


@asynccontextmanager
async def a_writer_runs(schema: Path, *, inline: bool, **options: Any) -> AsyncIterator[Running]:
    path = schema.parent / "things.db"
    events: list[object] = []

    def build() -> DatabaseWriter:
        return DatabaseWriter(path, schema, HANDLERS, database="things", **options)

    async with System.open(on_event=events.append, inline=inline) as system:
        backoff = Backoff(initial_s=0.01, jitter=0.0)
        children = [ChildSpec(id="writer", build=build, name="things_writer")]
        await system.start(supervisor("root", "one_for_one", children, backoff=backoff))
        yield Running(system, system.named("things_writer"), path, events)


async def test_an_answer_means_that_it_is_written(running: Opening) -> None:
    async with running() as writer:
        assert await write(writer.name, AddThing(name="a")) == 1
        assert writer.names() == ["a"]


async def test_what_waits_is_committed_at_once_and_in_order(running: Opening) -> None:
    commits: list[int] = []
    async with running(observe_commit=lambda rows, _: commits.append(rows)) as writer:
        names = [f"n{index:02}" for index in range(20)]
        answers = await writer.in_one_batch(*(AddThing(name=name) for name in names))
        assert answers == list(range(1, 21))
        assert writer.names() == names
    assert commits == [*writer.before, 20]


async def test_a_batch_has_a_bound(running: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DatabaseWriter, "batch_bound", 4)
    commits: list[int] = []
    async with running(observe_commit=lambda rows, _: commits.append(rows)) as writer:
        await writer.in_one_batch(*(AddThing(name=str(index)) for index in range(10)))
    assert commits == [*writer.before, 4, 4, 2]


async def test_a_refused_command_leaves_nothing_and_its_neighbours_stay(running: Opening) -> None:
    async with running() as writer:
        first, refused, last = await writer.in_one_batch(
            AddThing(name="a"), AddAndRefuse(name="b"), AddThing(name="c")
        )
        assert (first, last) == (1, 2)
        assert isinstance(refused, NotFound)
        assert writer.names() == ["a", "c"]
        assert writer.restarts == 0


async def test_a_violated_constraint_is_a_conflict_of_its_asker_alone(running: Opening) -> None:
    async with running() as writer:
        await write(writer.name, Insert(name="a"))
        conflict, other = await writer.in_one_batch(Insert(name="a"), Insert(name="b"))
        assert isinstance(conflict, Conflict)
        assert other is None
        assert writer.names() == ["a", "b"]


async def test_a_failing_handler_fails_its_command_alone(
    running: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as writer:
        failed, added = await writer.in_one_batch(AddAndFail(name="secret"), AddThing(name="b"))
        assert isinstance(failed, DatabaseError)
        assert failed.operation == "add_and_fail"
        assert isinstance(failed.cause, KeyError)
        assert added == 1
        assert writer.names() == ["b"]
        assert writer.restarts == 0
    assert [r.levelno for r in caplog.records if r.name == "actors.batch"] == [logging.ERROR]


async def test_a_command_without_a_handler_is_refused(running: Opening) -> None:
    async with running() as writer:
        with pytest.raises(UnexpectedMessage, match=r"things writer .* Unknown"):
            await write(writer.name, Unknown())
        assert writer.restarts == 0


async def test_a_told_command_is_written_and_its_refusal_crashes_nobody(running: Opening) -> None:
    async with running() as writer:
        writer.name.tell(AddThing(name="a"))
        writer.name.tell(AddAndRefuse(name="b"))
        assert await write(writer.name, AddThing(name="c")) == 2
        assert writer.restarts == 0


async def test_poison_is_refused_by_a_writer_in_service(running: Opening) -> None:
    async with running() as writer:
        with pytest.raises(Forbidden):
            await write(writer.name, Poison())
        assert writer.restarts == 0


async def test_a_crash_takes_back_its_batch_and_the_next_writer_goes_on(running: Opening) -> None:
    async with running(poison=True) as writer:
        added, poisoned = await writer.in_one_batch(AddThing(name="a"), Poison())
        assert isinstance(added, ActorDeadError)
        assert isinstance(poisoned, ActorDeadError)
        assert await write(writer.name, AddThing(name="b")) == 1
        assert writer.names() == ["b"]
        assert writer.restarts == 1


@pytest.mark.parametrize("running", ["thread"], indirect=True)
async def test_write_repeats_a_command_that_a_crash_took_along(running: Opening) -> None:
    async with running(poison=True) as writer:
        counts: list[int] = []

        async def add() -> None:
            counts.append(await write(writer.name, AddThing(name="a")))

        async with trio.open_nursery() as nursery, writer.kept_busy():
            nursery.start_soon(add)
            await trio.testing.wait_all_tasks_blocked()
            writer.name.tell(Poison())
        assert counts == [1]
        assert writer.names() == ["a"]
        assert writer.restarts == 1


async def test_a_repetition_that_is_refused_for_want_of_room_says_nothing_of_the_first_attempt(
    running: Opening, schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, outcomes = DatabaseWriter._answer, []

    def answer_badly(self: DatabaseWriter, delivery: Delivery, outcome: object) -> None:
        outcomes.append(outcome)
        if len(outcomes) == 1:
            raise OSError("died before it could answer")
        if len(outcomes) == 2:
            delivery.refuse(StorageFull("the disk is full"))
        else:
            answer(self, delivery, outcome)

    monkeypatch.setattr(DatabaseWriter, "_answer", answer_badly)
    async with running() as writer:
        assert await write(writer.name, AddThing(name="a")) == 1
    assert outcomes == [1, 1, 1]


class Faulty:
    """A connection whose next COMMIT fails, before or after it has been made."""

    def __init__(self, conn: sqlite3.Connection, code: int, *, after: bool) -> None:
        self._conn = conn
        self._code = code
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)

    def execute(self, sql: str, *params: Any) -> sqlite3.Cursor:
        if sql != "COMMIT":
            return self._conn.execute(sql, *params)
        if self._after:
            self._conn.execute(sql)
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = self._code
        raise error


def fail_first_commit(
    monkeypatch: pytest.MonkeyPatch, code: int, *, after: bool = False
) -> list[object]:
    """Lets the first writer's connection be faulty, its successors' sound."""
    made: list[object] = []

    def open_faulty(path: Path) -> object:
        conn = open_writer(path)
        if not made:
            migrate(conn, path.parent / "schema")
        made.append(Faulty(conn, code, after=after) if not made else conn)
        return made[-1]

    monkeypatch.setattr(actors.writer, "open_writer", open_faulty)
    return made


@pytest.mark.parametrize("after", [False, True])
async def test_a_commit_that_fails_is_unknown_until_it_is_repeated(
    running: Opening, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    made = fail_first_commit(monkeypatch, sqlite3.SQLITE_IOERR_FSYNC, after=after)
    async with running() as writer:
        with pytest.raises(ActorDeadError):
            await ask(writer.name, AddThing(name="a"))
        assert await write(writer.name, AddThing(name="a")) == 1
        assert writer.names() == ["a"]
        assert writer.restarts == 1
    assert len(made) == 2


async def test_a_full_disk_refuses_the_batch_and_the_writer_lives(running: Opening) -> None:
    async with running() as writer:
        await write(writer.name, AddThing(name="a"))
        await write(writer.name, LimitPages(pages=20))
        added, full = await writer.in_one_batch(AddThing(name="b"), Fill(size_bytes=200_000))
        assert isinstance(added, StorageFull)
        assert isinstance(full, StorageFull)
        assert writer.names() == ["a"]
        await write(writer.name, LimitPages(pages=100_000))
        assert await write(writer.name, AddThing(name="b")) == 2
        assert writer.restarts == 0


async def test_a_disk_that_is_full_at_commit_is_the_same(
    running: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_first_commit(monkeypatch, sqlite3.SQLITE_FULL)
    async with running() as writer:
        with pytest.raises(StorageFull, match="add_thing was not written"):
            await write(writer.name, AddThing(name="a"))
        assert writer.names() == []
        assert writer.restarts == 0


async def test_those_who_copy_are_woken_after_the_answers(running: Opening) -> None:
    happened: list[str] = []
    async with running(on_commit=lambda: happened.append("hint")) as writer:
        await write(writer.name, AddThing(name="a"))
        await write(writer.name, AddThing(name="b"))
    assert happened == ["hint", "hint"]


async def test_a_hint_that_cannot_be_delivered_harms_nobody(running: Opening) -> None:
    def hint() -> None:
        raise MailboxFull("the bus is busy")

    async with running(on_commit=hint) as writer:
        await write(writer.name, AddThing(name="a"))
        await write(writer.name, AddThing(name="b"))
        assert writer.restarts == 0


async def test_each_command_is_observed_also_when_it_fails(running: Opening) -> None:
    seen: list[tuple[str, str]] = []

    def observe(database: str, operation: str, seconds: float) -> None:
        assert seconds >= 0
        seen.append((database, operation))

    async with running(observe=observe) as writer:
        await write(writer.name, AddThing(name="a"))
        with pytest.raises(NotFound):
            await write(writer.name, AddAndRefuse(name="b"))
    assert seen == [("things", "add_thing"), ("things", "add_and_refuse")]


async def test_a_stopped_writer_leaves_one_file_and_no_log(running: Opening) -> None:
    async with running() as writer:
        await write(writer.name, AddThing(name="a"))
        path = writer.path
    assert [p.name for p in path.parent.glob("things.db*")] == ["things.db"]


async def test_stopping_does_not_wait_for_a_reader(running: Opening) -> None:
    async with running() as writer:
        await write(writer.name, AddThing(name="a"))
        reader = open_reader(writer.path)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM things").fetchall()
        await write(writer.name, AddThing(name="b"))
        started = trio.current_time()
    assert trio.current_time() - started < 4
    reader.close()


async def test_a_schema_that_does_not_fit_stops_the_start(running: Opening, schema: Path) -> None:
    (schema / "0002_bad.up.sql").write_text("NONSENSE;")
    with pytest.raises(StartError) as raised:
        async with running():
            pytest.fail("started")
    assert isinstance(raised.value.cause, SchemaError)


async def test_write_gives_up_at_its_deadline_and_names_what_it_tried(running: Opening) -> None:
    async with running() as writer:
        nobody = writer.system.named("nobody")
        with pytest.raises(DatabaseUnavailable, match=r"add_thing: nobody .* 0\.05 s") as raised:
            await write(nobody, AddThing(name="a"), deadline_s=0.05)
        assert isinstance(raised.value.cause, ActorDeadError)


@pytest.mark.parametrize("running", ["thread"], indirect=True)
async def test_write_gives_up_on_a_writer_that_hangs(running: Opening) -> None:
    async with running() as writer, writer.kept_busy():
        with pytest.raises(DatabaseUnavailable):
            await write(writer.name, AddThing(name="a"), deadline_s=0.05)


async def test_persist_waits_until_there_is_room(
    running: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors.writer, "PERSIST_PAUSE_S", 0.001)
    async with running() as writer:
        await write(writer.name, LimitPages(pages=20))
        with pytest.raises(StorageFull):
            await write(writer.name, Fill(size_bytes=200_000))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(persist, writer.name, Fill(size_bytes=200_000))
            await persist(writer.name, LimitPages(pages=100_000))
        assert len(writer.names()) == 1


async def test_persist_passes_on_what_waiting_does_not_mend(running: Opening) -> None:
    async with running() as writer:
        with pytest.raises(NotFound):
            await persist(writer.name, AddAndRefuse(name="a"))


def test_the_name_of_an_operation_is_in_snake_case() -> None:
    assert operation_name(AddAndRefuse) == "add_and_refuse"
