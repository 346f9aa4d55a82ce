"""The event bus: copies the outboxes into one numbered log, and tells whoever listens.

Each database keeps its own outbox (the engine's history, the issues' journal). The bus reads on
from its cursor, and commits the facts and the new cursor in one transaction of the coordination
database: no fact is lost and none is doubled, whatever dies in between. Only then does it publish.

Nobody can slow it. A follower (another actor) is told, and finds what it missed in the log; a
subscriber has a bounded buffer, and chooses what happens when that is full (`actors.feed`). What
subscribers want is looked at once for each batch and each filter, however many share it.
"""

import heapq
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
import trio

from actors.coordination.messages import LogFacts, Move
from actors.event_filter import EVERYTHING, Batch, EventFilter
from actors.event_texts import Texts
from actors.facts import LOG, Fact, FactsLogged, LoggedFact
from actors.feed import CUT, Feed, Lag
from actors.hints import hint
from actors.telemetry import Meters
from actors.writer import persist
from storage import payload
from storage.coordination import queries
from supervision import Actor, Ask, Named

BATCH = 500
"""Outbox rows copied in one transaction."""

STOP_S = 2.0
"""Time for the last facts when the system stops; what is left is copied at the next start."""

GATHER_S = 0.005
"""Pause after each copy. Without it a workflow that runs alone has each of its commits followed by
one of the log, on the same disk, and takes half as long again."""

LONGEST_GATHER_S = 0.05
SHARE = 4
"""How many times longer than a copy the pause after it is, up to the longest: when much happens,
what is copied at once grows, instead of the time that copying takes from what happens."""

NO_END = 2**63 - 1

NOTES = "notes"
"""The cursor of the notes: how many were logged, so that a repeated command logs them once."""

NOTES_BOUND = 10_000
"""Notes waiting for their transaction; beyond it the oldest are dropped and counted."""

log = structlog.get_logger("beadflow.bus")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxAdvanced:
    """Told to the bus after a commit: there may be something new. A hint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxesSetBack:
    """Told to the bus: cursors were beyond the ends of their outboxes, and are there no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Told to the bus: a fact that comes from no outbox."""

    fact: Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A live view of the log.

    Args:
        after: the last number that was published before this subscription began.
        batches: what follows, in order; its end means that the subscriber was too slow, or that
            the bus has stopped.
        texts: of the log's events, shared by all who listen.
    """

    after: int
    batches: Feed
    texts: Texts = field(default_factory=Texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe(Ask[Subscription]):
    """Listen from now on. Close the channel to end it.

    Args:
        buffer: batches kept for a subscriber that is busy, at least 1.
        wanted: what it is told.
        lag: when the buffer is full, "cut" ends the subscription; "drop" drops the oldest batch,
            and an event `lagged` says so.
        limit_bytes: what the texts of all that is kept take at most; None for no such limit.
    """

    buffer: int = 256
    wanted: EventFilter = EVERYTHING
    lag: Lag = CUT
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp(Ask[None]):
    """Answered when all that is in the outboxes by now is logged, and what follows is true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """Where facts come from.

    Args:
        source: its name; the cursor is kept under it.
        read: (after, limit) -> the last position read and the facts up to there; it reads a
            short stretch by primary key, on the trio thread.
    """

    source: str
    read: Callable[[int, int], tuple[int, Sequence[Fact]]]


@dataclass(slots=True)
class _State:
    cursors: dict[str, int] = field(default_factory=dict)
    published: int = 0
    notes: deque[Fact] = field(default_factory=deque)
    pending: tuple[Fact, ...] = ()
    dropped_notes: int = 0
    subscribers: dict[EventFilter, list[Feed]] = field(default_factory=dict)


class EventBus(Actor):
    """See the module.

    Args:
        writer: the coordination database's writer.
        reader: a read-only connection to the coordination database, for short look-ups.
        outboxes: where facts come from, in the order in which they are asked.
        followers: actors told of every batch; one that misses it reads the log.
        listeners: actors told of what they want of each batch.
        meters: what is counted goes there.
    """

    mailbox_bound = 100_000

    def __init__(
        self,
        *,
        writer: Named,
        reader: sqlite3.Connection,
        outboxes: Sequence[Outbox],
        followers: Sequence[Named],
        listeners: Sequence[tuple[Named, EventFilter]] = (),
        meters: Meters | None = None,
    ) -> None:
        super().__init__()
        self._writer = writer
        self._reader = reader
        self._outboxes = outboxes
        self._followers = followers
        self._listeners = listeners
        self._meters = Meters() if meters is None else meters
        self._state = _State()
        self._texts = Texts()
        self._work = trio.Event()
        self._caught_up = trio.Event()

    async def on_start(self) -> None:
        self._state.published = queries.last_event(self._reader)
        for outbox in self._outboxes:
            self._look_up(outbox.source)
        self._look_up(NOTES)
        self._work.set()
        self.spawn(self._pump)

    async def on_receive(self, message: object) -> object:
        match message:
            case OutboxAdvanced():
                self._work.set()
            case OutboxesSetBack():
                for outbox in self._outboxes:
                    self._look_up(outbox.source)
                self._work.set()
            case Note(fact=fact):
                self._note(fact)
            case CatchUp():
                return self.defer(self._catch_up())
            case Subscribe():
                return self._subscribe(message)
            case _:
                return await super().on_receive(message)
        return None

    async def on_stop(self) -> None:
        with trio.move_on_after(STOP_S):
            await self._drain()
        self._cut_off_all()

    async def on_failure(self, error: BaseException) -> None:  # noqa: ARG002 - the hook's signature
        self._cut_off_all()

    def _cut_off_all(self) -> None:
        for feed in [feed for feeds in self._state.subscribers.values() for feed in feeds]:
            feed.end()

    def _note(self, fact: Fact) -> None:
        if len(self._state.notes) >= NOTES_BOUND:
            self._state.notes.popleft()
            self._state.dropped_notes += 1
            log.warning("note dropped", dropped=self._state.dropped_notes)
        self._state.notes.append(fact)
        self._work.set()

    def _subscribe(self, request: Subscribe) -> Subscription:
        wanted = request.wanted
        on_close = partial(self._forget, wanted)
        feed = Feed(request.buffer, request.lag, on_close, self._texts, request.limit_bytes)
        self._state.subscribers.setdefault(wanted, []).append(feed)
        self._meters.event_subscribers.inc()
        return Subscription(after=self._state.published, batches=feed, texts=self._texts)

    def _forget(self, wanted: EventFilter, feed: Feed) -> None:
        self._meters.event_subscribers.dec()
        feeds = self._state.subscribers[wanted]
        feeds.remove(feed)
        if not feeds:
            del self._state.subscribers[wanted]

    async def _pump(self) -> None:
        while True:
            await self._work.wait()
            self._work = trio.Event()
            caught_up, self._caught_up = self._caught_up, trio.Event()
            began = trio.current_time()
            # What comes meanwhile is rung for, and waits for the next time: else each small rest
            # has a commit of its own, and there are twice as many.
            while await self._copy() >= BATCH:
                pass
            caught_up.set()
            took_s = trio.current_time() - began
            await trio.sleep(min(LONGEST_GATHER_S, max(GATHER_S, SHARE * took_s)))

    async def _catch_up(self) -> None:
        caught_up = self._caught_up
        self._work.set()
        await caught_up.wait()

    async def _drain(self) -> None:
        while await self._copy():
            pass

    async def _copy(self) -> int:
        """Log one stretch of all there is, as it happened; answers how far it got in an outbox."""
        if not self._state.pending:
            self._state.pending, self._state.notes = tuple(self._state.notes), deque()
        notes = self._state.pending
        stretches = [self._stretch(outbox) for outbox in self._outboxes]
        after = self._state.cursors[NOTES]
        stretches.append((Move(NOTES, after, after + len(notes)), notes))
        moves = tuple(move for move, _ in stretches if move.position != move.after)
        if not moves:
            self._publish_own()
            return 0
        found = heapq.merge(*(facts for _, facts in stretches), key=_when)
        if not await self._log(LogFacts(moves=moves, facts=tuple(found))):
            return BATCH  # that was less than there is, perhaps
        return max(move.position - move.after for move in moves)

    def _stretch(self, outbox: Outbox) -> tuple[Move, Sequence[Fact]]:
        after = self._state.cursors[outbox.source]
        position, found = outbox.read(after, BATCH)
        return Move(outbox.source, after, position), found

    async def _log(self, command: LogFacts) -> bool:
        """Have it done; answers False where an earlier attempt was found to have done it."""
        logged = await persist(self._writer, command)
        before = self._state.cursors[NOTES]
        if logged is None:
            # An earlier attempt did it, perhaps a former bus's, which had read less or more.
            for source in self._state.cursors:
                self._look_up(source)
            self._publish(self._missed())
        else:
            self._state.cursors.update({move.source: move.position for move in command.moves})
            self._publish(logged)
        if self._state.cursors[NOTES] != before:
            self._state.pending = ()
        return logged is not None

    def _look_up(self, source: str) -> None:
        self._state.cursors[source] = queries.cursor(self._reader, source)

    def _missed(self) -> tuple[LoggedFact, ...]:
        """What is logged and was not published: its answer got lost, or came to a former bus."""
        rows = self._reader.execute(queries.EVENTS, (self._state.published, NO_END, -1))
        return tuple(logged_fact(row) for row in rows)

    def _publish_own(self) -> None:
        """What others have logged: facts of this database are logged where they are made true."""
        if queries.last_event(self._reader) > self._state.published:
            self._publish(self._missed())

    def _publish(self, batch: tuple[LoggedFact, ...]) -> None:
        if batch and batch[0].seq != self._state.published + 1:
            batch = self._missed()
        if not batch:
            return
        self._state.published = batch[-1].seq
        for follower in self._followers:
            hint(follower, FactsLogged(facts=batch))  # one that misses it reads the log
        for listener, wanted in self._listeners:
            if found := wanted.select(batch):
                hint(listener, FactsLogged(facts=found))
        self._meters.events_published.inc(len(batch))
        self._tell_subscribers(batch)

    def _tell_subscribers(self, batch: tuple[LoggedFact, ...]) -> None:
        for start in range(0, len(batch), BATCH):  # thousands of notes may come at once
            self._tell_part(batch[start : start + BATCH])

    def _tell_part(self, batch: tuple[LoggedFact, ...]) -> None:
        facts = Batch(batch)
        for wanted, feeds in list(self._state.subscribers.items()):
            found = facts.select(wanted)
            for feed in list(feeds) if found else ():
                self._offer(feed, found)

    def _offer(self, feed: Feed, found: tuple[LoggedFact, ...]) -> None:
        self._meters.events_lagged.inc(feed.offer(found))
        if feed.is_closed:
            log.warning("subscriber cut off: too slow")
            self._meters.event_subscribers_cut_off.inc()


def _when(fact: Fact) -> str:
    return fact.at


def logged_fact(row: sqlite3.Row) -> LoggedFact:
    """An event of the log, from its row."""
    return LoggedFact(
        seq=row["seq"],
        type=row["type"],
        workflow_id=row["workflow_id"],
        issue_id=row["issue_id"],
        at=row["at"],
        data=payload.decode(row["data"]),
    )


def tell_bus(bus: Named, fact: Fact) -> None:
    """Note a fact. Never blocks and never raises: a note is worth less than what it is about."""
    hint(bus, Note(fact=fact))


def ring(bus: Named) -> None:
    """Say, from any thread, that an outbox may have advanced. A bus looks anyway when it starts."""
    hint(bus, OutboxAdvanced())


def log_line(*, workflow_id: str, source: str, level: str, message: str, at: str) -> Fact:
    """A line for the workflow's log, as a fact."""
    return Fact(
        type=LOG,
        workflow_id=workflow_id,
        at=at,
        data={"source": source, "level": level, "message": payload.plain_text(message)},
    )
