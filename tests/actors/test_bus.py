"""The bus: every fact once, in order, and nobody who listens can slow it."""

import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from actors import bus as bus_room
from actors.bus import (
    CatchUp,
    EventBus,
    Note,
    Outbox,
    OutboxAdvanced,
    Subscribe,
    Subscription,
    log_line,
    ring,
    tell_bus,
)
from actors.coordination import event_log
from actors.coordination.messages import LogFacts, LogPage, Move, ReadLog
from actors.coordination.store import HANDLERS
from actors.errors import StorageFull
from actors.event_filter import EventFilter
from actors.facts import Fact, FactsLogged, LoggedFact
from storage.coordination import queries
from storage.database import open_reader
from supervision import (
    Actor,
    ActorDeadError,
    ActorRestarting,
    Backoff,
    ChildSpec,
    System,
    ask,
    supervisor,
)
from tests.support.database import Database, open_database

DEADLINE_S = 10.0
UPDATES = EventFilter(topics=("workflow_updated",))


class InlineWriter(Actor):
    """The coordination database's writer, on a task; what goes wrong with it is told it."""

    def __init__(self, room: "Room") -> None:
        super().__init__()
        self._room = room

    async def on_receive(self, message: object) -> object:
        assert isinstance(message, LogFacts)
        self._room.commands.append(message)
        if self._room.full:
            self._room.full -= 1
            raise StorageFull("the disk is full")
        answer = self._room.database.run(message)
        if self._room.lose_answers:
            self._room.lose_answers -= 1
            raise RuntimeError("died after the commit")
        await self._room.gate.wait()
        return answer


class Follower(Actor):
    def __init__(self, told: list[int]) -> None:
        super().__init__()
        self._told = told

    async def on_receive(self, message: object) -> object:
        assert isinstance(message, FactsLogged)
        self._told += [fact.seq for fact in message.facts]
        return None


@dataclass
class Room:
    database: Database
    reader: sqlite3.Connection
    system: System = None  # type: ignore[assignment]
    pending: dict[str, list[str]] = field(default_factory=lambda: {"one": [], "two": []})
    commands: list[LogFacts] = field(default_factory=list)
    reads: list[tuple[str, int]] = field(default_factory=list)
    followed: list[int] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    full: int = 0
    lose_answers: int = 0
    gate: trio.Event = field(default_factory=trio.Event)

    def outbox(self, source: str) -> Outbox:
        def read(after: int, limit: int) -> tuple[int, Sequence[Fact]]:
            self.reads.append((source, after))
            names = self.pending[source][after : after + limit]
            return after + len(names), [fact(name) for name in names]

        return Outbox(source=source, read=read)

    def happen(self, source: str, *names: str) -> None:
        self.pending[source] += names
        ring(self.system.named("bus"))

    async def subscribe(self, buffer: int = 256, **more: Any) -> Subscription:
        with trio.fail_after(DEADLINE_S):
            while True:
                try:
                    return await ask(self.system.named("bus"), Subscribe(buffer=buffer, **more))
                except ActorRestarting:
                    await trio.sleep(0.001)

    def is_all_logged(self) -> bool:
        return all(
            queries.cursor(self.reader, source) == len(names)
            for source, names in self.pending.items()
        )

    def log(self) -> list[tuple[int, str]]:
        rows = self.reader.execute(queries.EVENTS, (0, 2**60, -1))
        return [(row["seq"], row["type"]) for row in rows]

    async def logged(self, count: int) -> list[str]:
        with trio.fail_after(DEADLINE_S):
            while len(self.log()) < count:
                await trio.sleep(0.001)
        assert [seq for seq, _ in self.log()] == list(range(1, len(self.log()) + 1))
        return [name for _, name in self.log()]

    async def crash(self) -> None:
        with pytest.raises(ActorDeadError):
            await self.subscribe(buffer="a crash")  # type: ignore[arg-type]


def fact(name: str) -> Fact:
    """By its type; or as type|workflow|time|number."""
    kind, *rest = name.split("|")
    if not rest:
        return Fact(type=kind, workflow_id=None, at="t")
    workflow_id, at, number = rest
    return Fact(type=kind, workflow_id=workflow_id, at=at, data={"n": int(number)})


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[Database, sqlite3.Connection]]:
    path = tmp_path / "c.db"
    with (
        open_database(path, "storage.coordination", HANDLERS) as database,
        closing(open_reader(path)) as reader,
    ):
        yield database, reader


@asynccontextmanager
async def running(parts: tuple[Database, sqlite3.Connection]) -> AsyncIterator[Room]:
    room = Room(*parts)
    room.gate.set()
    async with System.open() as room.system:
        named = room.system.named

        def build() -> EventBus:
            return EventBus(
                writer=named("writer"),
                reader=room.reader,
                outboxes=(room.outbox("one"), room.outbox("two")),
                followers=(named("follower"), named("nobody")),
                listeners=((named("listener"), UPDATES),),
            )

        children = [
            ChildSpec(id="writer", name="writer", build=lambda: InlineWriter(room)),
            ChildSpec(id="bus", name="bus", build=build),
            ChildSpec(id="follower", name="follower", build=lambda: Follower(room.followed)),
            ChildSpec(id="listener", name="listener", build=lambda: Follower(room.heard)),
        ]
        at_once = Backoff(initial_s=0.0)
        await room.system.start(supervisor("root", "one_for_one", children, backoff=at_once))
        yield room


@pytest.fixture
async def room(parts: tuple[Database, sqlite3.Connection]) -> AsyncIterator[Room]:
    async with running(parts) as opened:
        yield opened


async def received(subscription: Subscription, count: int) -> list[LoggedFact]:
    found: list[LoggedFact] = []
    with trio.fail_after(DEADLINE_S):
        while len(found) < count:
            found += await subscription.batches.receive()
    return found


async def test_facts_are_numbered_in_the_order_of_their_outbox(room: Room) -> None:
    room.happen("one", "a", "b", "c")
    assert await room.logged(3) == ["a", "b", "c"]


async def test_outboxes_are_read_on_from_where_each_was(room: Room) -> None:
    room.happen("one", "a")
    await room.logged(1)
    room.happen("two", "x")
    await room.logged(2)
    room.happen("one", "b")
    assert await room.logged(3) == ["a", "x", "b"]


async def test_a_long_outbox_is_copied_in_stretches(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_room, "BATCH", 10)
    room.happen("one", *(f"f{n}" for n in range(35)))
    assert await room.logged(35) == [f"f{n}" for n in range(35)]
    assert max(len(command.facts) for command in room.commands) == 10


async def test_after_a_copy_the_outboxes_are_left_alone_until_one_advances(room: Room) -> None:
    """What comes during a copy comes with what follows it, in one commit."""
    await trio.testing.wait_all_tasks_blocked()
    room.reads.clear()
    room.happen("one", "a", "b")
    await room.logged(2)
    room.happen("one", "c")
    await room.logged(3)
    await trio.testing.wait_all_tasks_blocked()
    assert room.reads == [("one", 0), ("two", 0), ("one", 2), ("two", 0)]


async def test_subscribers_and_followers_are_told_after_the_commit(room: Room) -> None:
    before = await room.subscribe()
    room.happen("one", "a")
    await received(before, 1)
    subscription = await room.subscribe()
    assert subscription.after == 1
    room.happen("one", "b", "c")
    found = await received(subscription, 2)
    assert [(f.seq, f.type) for f in found] == [(2, "b"), (3, "c")]
    assert len(room.log()) == 3
    await trio.testing.wait_all_tasks_blocked()
    assert room.followed == [1, 2, 3]


async def test_what_waited_while_the_bus_was_not_there_is_copied_when_it_starts(
    parts: tuple[Database, sqlite3.Connection],
) -> None:
    async with running(parts) as room:
        room.happen("one", "a")
        await room.logged(1)
        pending = room.pending
    async with running(parts) as room:
        room.pending = {"one": [*pending["one"], "b"], "two": ["x"]}
        ring(room.system.named("bus"))
        assert await room.logged(3) == ["a", "b", "x"]


async def test_a_bus_that_crashes_loses_and_doubles_nothing_and_cuts_its_subscribers_off(
    room: Room,
) -> None:
    subscription = await room.subscribe()
    room.happen("one", "a")
    await received(subscription, 1)  # published; a committed fact may still be on its way
    await room.crash()
    room.happen("one", "b")
    assert await room.logged(2) == ["a", "b"]
    with pytest.raises(trio.EndOfChannel):
        await subscription.batches.receive()


async def test_a_commit_whose_answer_was_lost_is_made_once_and_published(room: Room) -> None:
    subscription = await room.subscribe()
    room.lose_answers = 1
    room.happen("one", "a")
    assert [f.type for f in await received(subscription, 1)] == ["a"]
    room.happen("one", "b")
    assert [f.type for f in await received(subscription, 1)] == ["b"]
    assert await room.logged(2) == ["a", "b"]


async def test_a_note_whose_answer_was_lost_is_logged_once(room: Room) -> None:
    subscription = await room.subscribe()
    room.lose_answers = 1
    tell_bus(room.system.named("bus"), fact("note"))
    assert [f.type for f in await received(subscription, 1)] == ["note"]
    tell_bus(room.system.named("bus"), fact("another"))
    assert await room.logged(2) == ["note", "another"]


async def test_a_commit_of_a_bus_that_died_meanwhile_costs_its_successor_nothing(
    room: Room,
) -> None:
    """The former bus's command is made after the new one has read where to go on."""
    room.gate = trio.Event()
    room.happen("one", "a")
    await room.logged(1)  # committed, and not answered yet
    await room.crash()
    subscription = await room.subscribe()
    room.happen("one", "b")
    room.gate.set()
    assert await room.logged(2) == ["a", "b"]
    assert subscription.after == 1
    assert [f.seq for f in await received(subscription, 1)] == [2]


async def test_a_command_still_on_its_way_when_its_bus_died_leaves_no_gap(room: Room) -> None:
    """What it logs was read before the next bus began, and less than that one has read."""
    subscription = await room.subscribe()
    room.database.run(LogFacts(moves=(Move("one", 0, 1),), facts=(fact("a"),)))
    room.happen("one", "a", "b", "c")
    found = await received(subscription, 3)
    assert [(f.seq, f.type) for f in found] == [(1, "a"), (2, "b"), (3, "c")]
    room.happen("one", "d")
    assert await room.logged(4) == ["a", "b", "c", "d"]


async def test_what_somebody_else_logged_in_between_is_published_in_its_place(room: Room) -> None:
    subscription = await room.subscribe()
    room.database.run(LogFacts(moves=(Move("other", 0, 1),), facts=(fact("x"),)))
    room.happen("one", "a")
    found = await received(subscription, 2)
    assert [(f.seq, f.type) for f in found] == [(1, "x"), (2, "a")]


async def test_a_full_disk_is_waited_out(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.writer.PERSIST_PAUSE_S", 0.0)
    room.full = 3
    room.happen("one", "a", "b")
    assert await room.logged(2) == ["a", "b"]


async def test_a_subscriber_that_is_too_slow_is_cut_off_and_slows_no_other(room: Room) -> None:
    slow, quick = await room.subscribe(buffer=1), await room.subscribe()
    for number in range(1, 6):
        room.happen("one", f"f{number}")
        await room.logged(number)
    assert len(await received(quick, 5)) == 5
    assert len(await received(slow, 1)) == 1
    with pytest.raises(trio.EndOfChannel):
        await slow.batches.receive()


async def test_a_subscriber_that_has_left_is_forgotten(room: Room) -> None:
    gone, there = await room.subscribe(), await room.subscribe()
    gone.batches.close()
    room.happen("one", "a")
    assert len(await received(there, 1)) == 1


async def test_a_stop_copies_what_is_left_and_ends_every_subscription(
    parts: tuple[Database, sqlite3.Connection],
) -> None:
    async with running(parts) as room:
        subscription = await room.subscribe()
        room.pending["one"].append("last")  # nobody rings
    assert [name for _, name in room.log()] == ["last"]
    assert len(await received(subscription, 1)) == 1
    with pytest.raises(trio.EndOfChannel):
        await subscription.batches.receive()


async def test_notes_are_logged_in_their_order_and_the_oldest_are_dropped_when_too_many_wait(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_room, "NOTES_BOUND", 3)
    room.gate = trio.Event()
    bus = room.system.named("bus")
    bus.tell(Note(fact=fact("first")))
    await room.logged(1)
    for number in range(5):
        bus.tell(Note(fact=fact(f"n{number}")))
    await room.subscribe()  # it has taken them all
    room.gate.set()
    assert await room.logged(4) == ["first", "n2", "n3", "n4"]


async def test_a_line_of_any_words_can_be_logged(room: Room) -> None:
    line = log_line(workflow_id="w", source="s", level="info", message="a\udcffb", at="t")
    tell_bus(room.system.named("bus"), line)
    assert await room.logged(1) == ["log"]
    assert line.data["message"] == r"a\udcffb"


async def test_what_the_bus_does_not_know_is_refused(room: Room) -> None:
    room.system.named("bus").tell(OutboxAdvanced())
    message: Any = "hello"
    with pytest.raises(Exception, match="no handler for str"):
        await ask(room.system.named("bus"), message)


# --- filters


async def test_a_subscriber_is_told_what_it_wants_and_a_filter_is_asked_once_for_all_who_share_it(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[EventFilter] = []
    select = EventFilter.select

    def counted(wanted: EventFilter, found: Any) -> tuple[LoggedFact, ...]:
        asked.append(wanted)
        return select(wanted, found)

    monkeypatch.setattr(EventFilter, "select", counted)
    steps, of_v = EventFilter(topics=("step_*",)), EventFilter(workflow_ids=("v",))
    several = [await room.subscribe(wanted=steps) for _ in range(3)]
    other = await room.subscribe(wanted=of_v)
    whole = await room.subscribe()
    room.happen("one", "step_started|w|t|1", "log|v|t|2", "step_failed|v|t|3")
    assert [f.data["n"] for f in await received(whole, 3)] == [1, 2, 3]
    for subscription in several:
        assert [f.data["n"] for f in await received(subscription, 2)] == [1, 3]
    assert [f.data["n"] for f in await received(other, 2)] == [2, 3]
    assert Counter(asked) == dict.fromkeys((steps, of_v, UPDATES), len(room.commands))


async def test_listeners_of_the_tree_are_told_what_they_want(room: Room) -> None:
    room.happen("one", "step_started|w|t|1", "workflow_updated|w|t|2", "log|v|t|3")
    await room.logged(3)
    await trio.testing.wait_all_tasks_blocked()
    assert room.heard == [2]


async def test_a_bus_is_caught_up_when_all_that_was_there_is_logged(room: Room) -> None:
    room.pending["one"] += [f"f{n}" for n in range(1200)]  # nobody rings
    await ask(room.system.named("bus"), CatchUp())
    assert len(room.log()) == 1200


class Reads:
    """The log, read as the manager does."""

    def __init__(self, reader: sqlite3.Connection) -> None:
        self._reader = reader

    async def fetch(self, _: str, sql: str, params: Any) -> list[sqlite3.Row]:
        await trio.lowlevel.checkpoint()
        return self._reader.execute(sql, params).fetchall()


FILTERS = [
    EventFilter(),
    EventFilter(topics=("step_*",)),
    EventFilter(workflow_ids=("w1",)),
    EventFilter(workflow_ids=("w0", "w2"), topics=("log", "step_failed")),
]
TYPES = ("step_started", "step_failed", "log", "workflow_paused")


async def replay(
    room: Room, wanted: EventFilter, chance: random.Random, after: int, until: int | None
) -> list[LoggedFact]:
    found: list[LoggedFact] = []
    reads: Any = Reads(room.reader)
    page = LogPage(facts=(), reached=after, more=True)
    while page.more:
        limit = chance.randint(1, 9)
        message = ReadLog(wanted=wanted, after=page.reached, until=until, limit=limit)
        page = await event_log.read_log(reads, reads, message)
        found += page.facts
    return found


async def follow(
    room: Room, wanted: EventFilter, chance: random.Random, done: trio.Event
) -> list[LoggedFact]:
    """As an event stream and its client do: replay, go live, be cut off, come back."""
    seen: list[LoggedFact] = []
    while not (done.is_set() and room.is_all_logged()):
        try:
            subscription = await room.subscribe(buffer=chance.randint(1, 2), wanted=wanted)
        except ActorDeadError:  # it crashed with the question
            continue
        with subscription.batches as batches:
            after = seen[-1].seq if seen else 0
            seen += await replay(room, wanted, chance, after, subscription.after)
            with trio.move_on_after(0.002 * chance.random()), suppress(trio.EndOfChannel):
                while True:
                    seen += await batches.receive()
    return seen + await replay(room, wanted, chance, seen[-1].seq if seen else 0, None)


@pytest.mark.parametrize("seed", range(8))
async def test_who_is_cut_off_anywhere_and_comes_back_hears_everything_once_and_in_order(
    room: Room, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """And each workflow's facts keep the order of its history, whatever their times say."""

    async def there(*_: object) -> None: ...

    monkeypatch.setattr(event_log, "get_workflow", there)
    monkeypatch.setattr(event_log, "STEP", 7)
    monkeypatch.setattr(event_log, "SCAN_LIMIT", 14)
    monkeypatch.setattr(bus_room, "BATCH", 5)
    monkeypatch.setattr(bus_room, "GATHER_S", 0.0005)
    chance = random.Random(seed)
    done = trio.Event()
    heard: dict[int, list[LoggedFact]] = {}

    async def one(number: int) -> None:
        heard[number] = await follow(room, FILTERS[number], random.Random(seed + number), done)

    async def happen() -> None:
        crashes = chance.sample(range(60), 2)
        numbers = dict.fromkeys(("w0", "w1", "w2"), 0)
        for turn in range(60):
            for _ in range(chance.randint(1, 4)):
                workflow_id = chance.choice(list(numbers))
                numbers[workflow_id] += 1
                at = f"t{chance.randint(0, 9)}"
                name = f"{chance.choice(TYPES)}|{workflow_id}|{at}|{numbers[workflow_id]}"
                room.happen("one", name)
            if turn in crashes:
                await room.crash()
            await trio.sleep(0.0005 * chance.random())
        done.set()

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(happen)
            for number in range(len(FILTERS)):
                nursery.start_soon(one, number)
    logged = [
        bus_room.logged_fact(row) for row in room.reader.execute(queries.EVENTS, (0, 2**60, -1))
    ]
    assert [f.seq for f in logged] == list(range(1, len(logged) + 1))
    for workflow_id in ("w0", "w1", "w2"):
        order = [f.data["n"] for f in logged if f.workflow_id == workflow_id]
        assert order == list(range(1, len(order) + 1))
    for number, wanted in enumerate(FILTERS):
        assert heard[number] == list(wanted.select(logged))
