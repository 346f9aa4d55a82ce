import logging
import math
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, nullcontext
from dataclasses import dataclass, field
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
    StoreDamaged,
    StoreLost,
)
from actors.writer import (
    Bounds,
    Command,
    DatabaseWriter,
    Poison,
    Settle,
    operation_name,
    persist,
    write,
)
from storage.database import log_bytes, open_reader
from storage.errors import Corrupt, SchemaError
from storage.presence import Presence
from storage.tuning import Tuning
from supervision import (
    ActorDeadError,
    ActorRestarted,
    Backoff,
    ChildSpec,
    Delivery,
    MailboxFull,
    Named,
    Refused,
    Reply,
    StartError,
    System,
    UnexpectedMessage,
    ask,
    supervisor,
)
from tests.support.disk import Disk
from tests.support.faults import until


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Command[None]):
    """Does something inside the transaction that is no write."""

    function: Callable[[], None]


def _refuse() -> None:
    raise NotFound("nothing was written")


def call(conn: sqlite3.Connection, command: Call) -> None:
    command.function()


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
    Call: call,
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


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


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


async def test_a_transaction_is_bounded_by_the_bytes_of_its_commands(running: Opening) -> None:
    commits: list[int] = []
    observed = {"observe_commit": lambda rows, _: commits.append(rows)}
    async with running(bounds=Bounds(bytes=1000), **observed) as writer:
        long = [AddThing(name=str(number) * 400) for number in range(5)]
        answers = await writer.in_one_batch(*long, AddThing(name="x" * 5000), AddThing(name="y"))
        assert answers == [1, 2, 3, 4, 5, 6, 7]
    assert commits == [*writer.before, 2, 2, 1, 1, 1]


async def test_a_transaction_is_bounded_by_the_time_its_handlers_take_except_in_a_simulation(
    running: Opening,
) -> None:
    commits: list[int] = []
    observed = {"observe_commit": lambda rows, _: commits.append(rows)}
    async with running(bounds=Bounds(seconds=0.0), **observed) as writer:
        await writer.in_one_batch(*(AddThing(name=str(index)) for index in range(3)))
    assert commits == ([3] if writer.system.inline else [1, 1, 1, 1])


async def test_what_a_batch_had_committed_stays_when_its_rest_fails(
    running: Opening, disk: Disk
) -> None:
    async with running(bounds=Bounds(bytes=0)) as writer:
        fill_the_disk = Call(function=lambda: disk.break_("COMMIT", sqlite3.SQLITE_FULL))
        first, full, rest = await writer.in_one_batch(
            AddThing(name="a"), fill_the_disk, AddThing(name="b")
        )
        assert first == 1
        assert isinstance(full, StorageFull)
        assert isinstance(rest, StorageFull)
        assert writer.names() == ["a"]


async def test_most_batches_need_no_savepoint(running: Opening, disk: Disk) -> None:
    async with running() as writer:
        disk.break_("SAVEPOINT", sqlite3.SQLITE_IOERR, times=1000)
        await write(writer.name, Insert(name="a"))
        refused = Call(function=_refuse)
        outcomes = await writer.in_one_batch(Insert(name="a"), refused, AddThing(name="b"))
        assert isinstance(outcomes[0], Conflict)
        assert isinstance(outcomes[1], NotFound)
        assert outcomes[2] == 2


async def test_a_slow_writer_lets_its_askers_wait_in_line_until_their_deadline(
    schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DatabaseWriter, "mailbox_bound", 2)
    async with a_writer_runs(schema, inline=False) as writer, trio.open_nursery() as nursery:
        late: list[object] = []

        async def too_late() -> None:
            with pytest.raises(MailboxFull):
                await write(writer.name, AddThing(name="late"), deadline_s=0.05)
            late.append(True)

        async with writer.kept_busy():
            for number in range(6):
                nursery.start_soon(write, writer.name, AddThing(name=str(number)))
            await trio.testing.wait_all_tasks_blocked()
            await too_late()
        nursery.cancel_scope.deadline = trio.current_time() + 10
    assert late
    conn = open_reader(writer.path)
    rows = conn.execute("SELECT name FROM things ORDER BY name").fetchall()
    conn.close()
    assert [row["name"] for row in rows] == list("012345")


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


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "code",
    [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_READONLY],
)
async def test_a_commit_that_fails_is_looked_up_and_answered_truthfully(
    running: Opening, disk: Disk, code: int, after: bool
) -> None:
    async with running() as writer:
        disk.break_("COMMIT", code, after=after)
        assert await ask(writer.name, AddThing(name="a")) == 1
        assert writer.names() == ["a"]
        assert writer.restarts == 0
    assert disk.opened == 2


async def test_what_a_failed_sync_left_in_the_log_is_written_again(
    running: Opening, disk: Disk
) -> None:
    """The system may count pages as written that never were: they must not stay in the log."""
    async with running() as writer:
        disk.break_("COMMIT", sqlite3.SQLITE_IOERR_FSYNC, after=True)
        await ask(writer.name, AddThing(name="a"))
        copy = writer.path.with_name("copy.db")
        copy.write_bytes(writer.path.read_bytes())  # without its log
    with closing(open_reader(copy)) as conn:
        assert [row["name"] for row in conn.execute("SELECT name FROM things")] == ["a"]


async def test_a_reader_in_the_log_keeps_the_outcome_unknown(running: Opening, disk: Disk) -> None:
    async with running(tuning=Tuning(busy_timeout_s=0.0)) as writer:
        await write(writer.name, AddThing(name="a"))
        with closing(open_reader(writer.path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM things").fetchall()
            disk.break_("COMMIT", sqlite3.SQLITE_IOERR_FSYNC, after=True)
            with pytest.raises(DatabaseUnavailable, match="a reader needs the log"):
                await ask(writer.name, AddThing(name="b"))
        assert await write(writer.name, AddThing(name="b")) == 2


async def test_askers_of_a_disk_that_stays_broken_learn_that_the_outcome_is_unknown(
    running: Opening, disk: Disk
) -> None:
    async with running() as writer:
        disk.break_("COMMIT", sqlite3.SQLITE_IOERR_FSYNC, times=2)
        with pytest.raises(DatabaseUnavailable, match="whether add_thing was written is not known"):
            await ask(writer.name, AddThing(name="a"))
        assert writer.restarts == 0, "no restart would mend the disk"
        assert await ask(writer.name, AddThing(name="a")) == 1


async def test_write_outlasts_a_disk_that_cannot_even_be_opened(
    running: Opening, disk: Disk
) -> None:
    async with running() as writer:
        disk.break_("COMMIT", sqlite3.SQLITE_IOERR_FSYNC)
        disk.broken["open"] = sqlite3.SQLITE_CANTOPEN
        disk.times = 6
        assert await write(writer.name, AddThing(name="a")) == 1
        assert writer.restarts == 0


async def test_write_gives_up_on_a_disk_that_stays_broken(running: Opening, disk: Disk) -> None:
    async with running() as writer:
        disk.break_("COMMIT", sqlite3.SQLITE_IOERR, times=1000)
        with pytest.raises(DatabaseUnavailable, match=r"things_writer gave no answer within 0\.1"):
            await write(writer.name, AddThing(name="a"), deadline_s=0.1)


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


@pytest.mark.parametrize(("room_bytes", "emptied"), [(1, True), (1 << 40, False)])
async def test_a_log_that_is_longer_than_what_is_left_of_the_disk_is_emptied(
    running: Opening, monkeypatch: pytest.MonkeyPatch, room_bytes: int, emptied: bool
) -> None:
    monkeypatch.setattr(actors.writer, "free_bytes", lambda path: room_bytes)
    async with running() as writer:
        await write(writer.name, AddThing(name="a"))
        await write(writer.name, Settle())
        assert (log_bytes(writer.path) == 0) is emptied


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "COMMIT"])
async def test_a_full_disk_is_the_same_at_every_statement_and_writing_goes_on_by_itself(
    running: Opening, disk: Disk, statement: str
) -> None:
    async with running() as writer:
        disk.break_(statement, sqlite3.SQLITE_FULL)
        with pytest.raises(StorageFull, match="add_thing was not written"):
            await write(writer.name, AddThing(name="a"))
        assert writer.names() == []
        assert await write(writer.name, AddThing(name="a")) == 1
        assert writer.restarts == 0


async def test_a_full_disk_that_cannot_even_be_rolled_back_on_is_opened_anew(
    running: Opening, disk: Disk
) -> None:
    async with running() as writer:
        disk.break_("COMMIT", sqlite3.SQLITE_FULL, times=2)
        disk.broken["ROLLBACK"] = sqlite3.SQLITE_IOERR
        assert await write(writer.name, AddThing(name="a")) == 1
    assert disk.opened == 2


async def test_a_full_disk_says_nothing_of_an_attempt_whose_outcome_is_unknown(
    running: Opening, disk: Disk
) -> None:
    """The commit came through and its sync failed; the second attempt finds no room to look."""
    async with running() as writer:
        disk.break_("COMMIT", sqlite3.SQLITE_IOERR_FSYNC, times=2, after=True)
        disk.broken["open"] = sqlite3.SQLITE_FULL
        with pytest.raises(DatabaseUnavailable, match="is not known"):
            await ask(writer.name, AddThing(name="a"))
        assert await ask(writer.name, AddThing(name="a")) == 1


async def test_a_damaged_database_refuses_every_write_and_names_the_place(
    running: Opening, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as writer:
        await write(writer.name, AddThing(name="a"))
        disk.break_("INSERT", sqlite3.SQLITE_CORRUPT)
        for said in ("whether add_thing was written is not known", "add_thing was refused"):
            with pytest.raises(StoreDamaged, match=rf"{said}: .*things\.db") as caught:
                await write(writer.name, AddThing(name="b"))
            assert isinstance(caught.value, Refused), "it crashes nobody"
        assert writer.names() == ["a"], "reads go on"
        assert writer.restarts == 0
    assert disk.opened == 1, "nothing is written to it any more"
    assert [r.levelno for r in caplog.records if r.name == "actors.writer"] == [logging.CRITICAL]


@asynccontextmanager
async def a_writer_that_looks(
    running: Opening, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    """Looks at its file before each transaction, and somebody reads from that."""
    async with running() as writer:
        await write(writer.name, AddThing(name="a"))
    monkeypatch.setattr(actors.writer, "FILES_LOOK_S", 0.0)
    presence = Presence([writer.path])
    with closing(open_reader(writer.path)):
        async with running(presence=presence, poison=True) as writer:
            await write(writer.name, AddThing(name="b"))
            yield writer


async def test_nothing_is_written_to_a_file_that_was_deleted(
    running: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_writer_that_looks(running, monkeypatch) as writer:
        writer.path.unlink()
        with pytest.raises(StoreLost, match=r"add_thing was refused: .*things\.db was deleted"):
            await write(writer.name, AddThing(name="c"))
        assert writer.restarts == 0


async def test_a_writer_that_is_restarted_makes_no_new_file_in_the_place_of_a_lost_one(
    running: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_writer_that_looks(running, monkeypatch) as writer:
        monkeypatch.setattr(actors.writer, "FILES_LOOK_S", math.inf)
        writer.path.unlink()
        with pytest.raises(ActorDeadError):
            await ask(writer.name, Poison())
        with pytest.raises(StoreLost):
            await write(writer.name, AddThing(name="c"))
        assert not writer.path.exists()
        assert writer.restarts == 1


async def test_a_file_that_comes_back_is_written_again(
    running: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_writer_that_looks(running, monkeypatch) as writer:
        away = writer.path.rename(writer.path.with_name("away.db"))
        with pytest.raises(StoreLost):
            await write(writer.name, AddThing(name="c"))
        away.rename(writer.path)
        assert await write(writer.name, AddThing(name="c")) == 3


async def test_a_connection_is_not_opened_anew_in_the_place_of_a_lost_file(
    running: Opening, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    async with a_writer_that_looks(running, monkeypatch) as writer:
        monkeypatch.setattr(actors.writer, "FILES_LOOK_S", math.inf)
        writer.path.unlink()
        disk.break_("COMMIT", sqlite3.SQLITE_IOERR)
        with pytest.raises(DatabaseUnavailable, match="was written is not known"):
            await ask(writer.name, AddThing(name="c"))
        assert not writer.path.exists()


async def test_a_look_at_the_files_is_good_for_a_second(
    running: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []
    monkeypatch.setattr(Presence, "look", lambda _: looks.append(None))
    monkeypatch.setattr(actors.writer, "FILES_LOOK_S", math.inf)
    async with running() as writer:
        for name in "abc":
            await write(writer.name, AddThing(name=name))
        assert len(looks) == 1, "at its start"


async def test_persist_waits_for_a_lost_file(
    running: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors.writer, "PERSIST_PAUSE_S", 0.01)
    async with a_writer_that_looks(running, monkeypatch) as writer:
        away = writer.path.rename(writer.path.with_name("away.db"))
        with trio.move_on_after(0.1):
            await persist(writer.name, AddThing(name="c"))
        away.rename(writer.path)
        assert await persist(writer.name, AddThing(name="c")) == 3


def overwrite(path: Path, table: str) -> int:
    """Damages the first page of a table; says which page that is."""
    with closing(open_reader(path)) as conn:
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        (page,) = conn.execute(sql, (table,)).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(range(256)) * 16)
    return int(page)


async def test_damage_that_sqlite_finds_in_a_command_is_located(running: Opening) -> None:
    async with running() as writer:
        await write(writer.name, AddThing(name="a"))
    page = overwrite(writer.path, "things")
    async with running() as writer:
        with pytest.raises(StoreDamaged, match=rf"[Pp]age {page}\b"):
            await write(writer.name, AddThing(name="a"))


async def test_damage_that_is_found_at_the_start_is_located_too(running: Opening) -> None:
    async with running() as writer:
        await write(writer.name, AddThing(name="a"))
    page = overwrite(writer.path, "schema_migrations")
    with pytest.raises(StartError) as raised:
        async with running():
            pytest.fail("started")
    assert isinstance(raised.value.cause, Corrupt)
    assert re.search(rf"things\.db .*[Pp]age {page}\b", str(raised.value.cause))


@dataclass
class LogSeen:
    """What a writer said about its write-ahead log."""

    said: list[tuple[int, bool]] = field(default_factory=list)

    def __call__(self, size_bytes: int, held: bool) -> None:
        self.said.append((size_bytes, held))


LITTLE = Tuning(wal_limit_bytes=100_000)


@pytest.fixture
def looking_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.writer, "LOG_LOOK_S", 0.0)
    monkeypatch.setattr(actors.writer, "LOG_PATIENCE_S", 0.0)


@pytest.mark.usefixtures("looking_always")
async def test_a_log_that_grew_too_long_is_emptied(running: Opening) -> None:
    seen = LogSeen()
    async with running(tuning=LITTLE, observe_log=seen) as writer:
        await write(writer.name, AddThing(name="a"))
        await write(writer.name, Fill(size_bytes=200_000))
        await write(writer.name, AddThing(name="b"))
    (small, _), (emptied, held), _ = seen.said
    assert 0 < small < 100_000
    assert (emptied, held) == (0, False)


@pytest.mark.usefixtures("looking_always")
async def test_a_reader_that_lets_the_log_grow_is_an_alarm_until_it_ends(
    running: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    seen = LogSeen()
    async with running(tuning=LITTLE, observe_log=seen) as writer:
        await write(writer.name, AddThing(name="a"))
        with closing(open_reader(writer.path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM things").fetchall()
            for number in range(3):
                await write(writer.name, Fill(size_bytes=200_000 + number))
            await until(lambda: len(seen.said) == 4)
        await write(writer.name, AddThing(name="b"))
    assert [held for _, held in seen.said] == [False, True, True, True, False]
    assert seen.said[3][0] > 1_000_000
    assert seen.said[4][0] == 0
    said = [r.getMessage() for r in caplog.records if r.name == "actors.writer"]
    assert ["readers keep it" in text for text in said] == [True, False], "once each"


@pytest.mark.usefixtures("looking_always")
async def test_a_limit_of_zero_leaves_the_log_alone(running: Opening) -> None:
    seen = LogSeen()
    async with running(tuning=Tuning(wal_limit_bytes=0), observe_log=seen) as writer:
        await write(writer.name, Fill(size_bytes=200_000))
    assert seen.said[0][0] > 400_000
    assert seen.said[0][1] is False


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

    def observe(database: str, operation: str, seconds: float, number: int) -> None:
        assert seconds >= 0
        assert number == 1
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
