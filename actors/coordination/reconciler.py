"""The reconciler: makes each workflow's issue say what became of the workflow.

It follows the event log from a cursor that it keeps beside the issues, in the same transaction as
each change: an event is applied once, however often it is read. What the bus tells it is the log's
own text as long as nothing is missing in between; where something is, it reads the log.
"""

import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog
import trio

from actors import facts
from actors.bus import NO_END, logged_fact
from actors.coordination.reconciling import reasons
from actors.coordination.reconciling.hands import Hands, touched
from actors.coordination.reconciling.messages import NoteLooked, Reconcile, Report
from actors.coordination.reconciling.passes import Feed, Passes
from actors.coordination.revising import BY_THE_ISSUE
from actors.damage import damage_in
from actors.errors import DatabaseError, Overloaded
from actors.facts import FactsLogged, LoggedFact
from actors.hints import hint
from actors.issues.messages import (
    AddComment,
    ApplyChange,
    ApplyChanges,
    Change,
    ChangeLabels,
    Describe,
    Position,
    PublicationFailed,
    RecordNow,
    SetStatus,
    SetWork,
)
from actors.writer import persist
from storage.coordination import queries
from storage.coordination.divergences import LOOKED_AT
from storage.errors import QueryFailed, QueryTimeout
from storage.issues.queries import cursor
from storage.pool import ReadPool
from supervision import Actor, ActorDeadError, ActorRestarting, AskTimeout, Named, ask

T = TypeVar("T")

CONSUMER = "reconciler"
BATCH = 500

HEARD = 5000
"""Events kept that the bus told of; who is further behind reads the log."""

LOOK_S = 30.0
"""How often the log is read although nothing was heard: a hint may be lost."""

STOP_S = 2.0
PAUSE_S = 1.0
"""Between two recordings, and before a read that failed is tried again."""

AUTHOR = "beadflow"
PAUSED_LABEL = "paused"

log = structlog.get_logger("beadflow.reconciler")


def changes_for(fact: LoggedFact) -> tuple[Change, ...]:
    """What an event of the log means for the issue. Pure; () for most events.

    Prose goes into a comment, never into a close reason: bd reads failure words there.
    """
    match fact.type:
        case facts.WORKFLOW_STARTED:
            return (SetStatus(status="in_progress"),)
        case facts.AGENT_ASSIGNED:
            return (SetWork(fields={"agent_id": fact.data["agent_id"]}),)
        case facts.AGENT_HANDOFF:
            return _handed_on(fact)
        case facts.WORKFLOW_UPDATED if fact.data["author"] != BY_THE_ISSUE:
            changed = {k: fact.data[k] for k in ("title", "priority") if k in fact.data}
            return (Describe(**changed),) if changed else ()
        case facts.WORKFLOW_RESUMED:
            waits = fact.data.get("queued", False)
            return (SetStatus(status="open" if waits else "in_progress"), _NOT_PAUSED)
        case facts.WORKFLOW_RETRIED:
            author = str(fact.data["author"])
            status = "open" if fact.data["queued"] else "in_progress"
            how = "Retried from its start" if "run" in fact.data else "Retried"
            return (AddComment(author=author, text=f"{how} by {author}"), SetStatus(status=status))
        case facts.WORKFLOW_PAUSED:
            return (*_comment(fact), SetStatus(status="in_progress"), _PAUSED)
        case facts.WORKFLOW_CANCEL_REQUESTED if fact.data.get("resumes"):
            return (_NOT_PAUSED,)
        case facts.WORKFLOW_STALLED | facts.WORKFLOW_DEAD_LETTERED:
            return (_explain(fact), SetStatus(status="blocked"))
        case facts.WORKFLOW_COMPLETED:
            done = SetStatus(status="closed", reason="Completed")
            summary = fact.data.get("summary")
            author = fact.data.get("agent_id", AUTHOR)
            if "author" in fact.data:
                author = fact.data["author"]
                by_hand = f"Completed by hand by {author}"
                summary = str(fact.data.get("reason") or "").strip() or summary or by_hand
            return (AddComment(author=author, text=summary), done) if summary else (done,)
        case facts.WORKFLOW_FAILED:
            reason = reasons.failed(str(fact.data["code"]))
            return (_explain(fact), SetStatus(status="closed", reason=reason))
        case facts.WORKFLOW_CANCELLED:
            return _cancelled(fact, "requested")
        case facts.WORKFLOW_TERMINATED:
            return _cancelled(fact, "terminated")
        case _:
            return ()


_PAUSED = ChangeLabels(add=(PAUSED_LABEL,))
_NOT_PAUSED = ChangeLabels(remove=(PAUSED_LABEL,))


def _handed_on(fact: LoggedFact) -> tuple[Change, ...]:
    """Who has it now is said at once, also where nobody has it until an agent is free."""
    giver, taker, reason = (
        str(fact.data[key] or "") for key in ("from_agent", "to_agent", "reason")
    )
    goes_to = taker or f"the next free agent of type {fact.data['to_type']}"
    text = f"Handoff from {giver} to {goes_to}"
    if reason.strip():
        text = f"{text}\n\n{reason}"
    return (AddComment(author=giver, text=text), SetWork(fields={"agent_id": taker or None}))


def _cancelled(fact: LoggedFact, how: str) -> tuple[Change, ...]:
    """Never "Terminated": bd knows "cancelled" for an end without success, and not that."""
    closed = SetStatus(status="closed", reason=f"Cancelled: {how}")
    return (*_comment(fact), _NOT_PAUSED, closed)


def _comment(fact: LoggedFact) -> tuple[AddComment, ...]:
    """Why somebody asked for it, where they said so."""
    reason = str(fact.data["reason"])
    return (AddComment(author=AUTHOR, text=reason),) if reason.strip() else ()


def _explain(fact: LoggedFact) -> AddComment:
    return AddComment(author=AUTHOR, text=f"{fact.data['code']}: {fact.data['message']}")


class Reconciler(Actor):
    """See the module.

    Args:
        period_s: how long it is from one pass over what is live to the next; 0 for no pass that
            nobody asks for.
        pool: read-only connections to the coordination database.
        beads_reader: a read-only connection to the issues' database, where its cursor is.
    """

    mailbox_bound = 10_000

    def __init__(
        self,
        *,
        pool: ReadPool,
        beads_reader: sqlite3.Connection,
        beads: Named,
        publisher: Named,
        coordination: Named,
        hands: Hands,
        passes: Passes,
        period_s: float = 0.0,
    ) -> None:
        super().__init__()
        self._passes = passes
        self._period_s = period_s
        self._coordination = coordination
        self._hands = hands
        self._seen = 0
        self._pool = pool
        self._beads_reader = beads_reader
        self._beads = beads
        self._publisher = publisher
        self._position = 0
        self._heard: deque[LoggedFact] = deque()
        self._missed = True  # something may be in the log that is not among what was heard
        self._work = trio.Event()
        self._ended = trio.Event()

    async def on_start(self) -> None:
        self._position = cursor(self._beads_reader, CONSUMER)
        self._seen = await self._looked_at()
        self._work.set()
        self.spawn(self._pump)
        self.spawn(self._keep_recorded)
        if self._period_s:
            self.spawn(self._look_now_and_then)

    async def on_stop(self) -> None:
        """What has ended is closed before the last flush; the rest is found at the next start."""
        self._miss()  # the log has the last word
        with trio.move_on_after(STOP_S):
            while await self._follow():
                pass

    async def on_receive(self, message: object) -> object:
        match message:
            case FactsLogged(facts=found):
                self._hear(found)
            case Reconcile():
                return self.defer(self._reconcile(message))
            case _:
                return await super().on_receive(message)
        return None

    def _hear(self, found: Sequence[LoggedFact]) -> None:
        follows = not self._heard or found[0].seq == self._heard[-1].seq + 1
        if follows and len(self._heard) < HEARD:
            self._heard.extend(found)
        else:
            self._miss()
        self._work.set()

    def _miss(self) -> None:
        self._heard.clear()
        self._missed = True

    async def _looked_at(self) -> int:
        """How far the events were looked at for what somebody did to issues."""
        rows = await self._pool.fetch("reconcile", LOOKED_AT, (CONSUMER,))
        return min(rows[0]["position"] if rows else 0, self._position)

    async def _pump(self) -> None:
        while self._seen < self._position:  # what a reconciler that died has applied and no more
            logged = [fact for fact in await self._read(self._seen) if fact.seq <= self._position]
            await self._look_at(logged)
            self._seen = logged[-1].seq if logged else self._position
        while True:
            with trio.move_on_after(LOOK_S) as patience:
                await self._work.wait()
            if patience.cancelled_caught:
                self._miss()
            self._work = trio.Event()
            while await self._follow():
                pass

    async def _follow(self) -> bool:
        """Apply one stretch of the log, as one command; answers whether there may be more."""
        logged = self._take()
        if not logged and self._missed:
            self._missed = False  # before the look: what is missed meanwhile is another matter
            logged = await self._read(self._position)
            self._missed = self._missed or len(logged) == BATCH
        commands = tuple(c for fact in logged if (c := _command(fact)) is not None)
        if commands:
            for why in await persist(self._beads, ApplyChanges(changes=commands)):
                log.warning("issue left alone", why=why)
        if logged:
            self._position = logged[-1].seq
            await self._look_at(logged)
        if any(fact.type in facts.ENDS for fact in logged):
            self._ended.set()
        return self._missed or bool(self._heard)

    async def _look_at(self, logged: Sequence[LoggedFact]) -> None:
        """Do what follows from what somebody did to issues; note how far that has got."""
        workflow_ids = touched(logged)
        if workflow_ids:
            await self._try(partial(self._hands.look, workflow_ids))
        if logged and (workflow_ids or logged[-1].seq - self._seen >= HEARD):
            self._seen = logged[-1].seq
            hint(self._coordination, NoteLooked(source=CONSUMER, position=self._seen))

    def _take(self) -> list[LoggedFact]:
        """What was heard and comes next; nothing when something before it was missed."""
        heard = self._heard
        while heard and heard[0].seq <= self._position:
            heard.popleft()
        if heard and heard[0].seq != self._position + 1:
            self._miss()
        return [heard.popleft() for _ in range(min(BATCH, len(heard)))]

    async def _read(self, after: int) -> list[LoggedFact]:
        asked = (after, NO_END, BATCH)
        rows = await self._try(partial(self._pool.fetch, "reconcile", queries.EVENTS, asked))
        return [logged_fact(row) for row in rows]

    async def _try(self, read: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await read()
            except (QueryTimeout, QueryFailed) as error:
                if damage_in(error) is not None:
                    raise  # no later read is better
                log.warning("log not read yet", why=str(error))
                await trio.sleep(PAUSE_S)

    # Passes over everything.

    async def _look_now_and_then(self) -> None:
        """The first time at the start: beside all that starts, and not before it."""
        while True:
            try:
                await self._reconcile(Reconcile(complete=False))
            except (Overloaded, DatabaseError) as error:
                log.warning("not reconciled", why=str(error))
            await trio.sleep(self._period_s)

    async def _reconcile(self, message: Reconcile) -> Report:
        feed = Feed(consumer=CONSUMER, position=lambda: self._position, set_back=self._set_back)
        try:
            return await self._passes.run(message, feed)
        except (QueryTimeout, QueryFailed) as error:
            if damage_in(error) is not None:
                raise
            raise Overloaded(f"the databases could not be read now: {error}") from error

    def _set_back(self, position: int) -> None:
        self._position = min(self._position, position)
        self._seen = min(self._seen, position)
        self._miss()
        self._work.set()

    async def _keep_recorded(self) -> None:
        """Have the ref say so when workflows have ended; a recording costs more than a workflow."""
        while True:
            await self._ended.wait()
            self._ended = trio.Event()
            await self._record()
            await trio.sleep(PAUSE_S)

    async def _record(self) -> None:
        try:
            await ask(self._publisher, RecordNow(), deadline_s=60.0)
        except (PublicationFailed, ActorDeadError, ActorRestarting, AskTimeout) as error:
            log.warning("not recorded yet", why=str(error))


def _command(fact: LoggedFact) -> ApplyChange | None:
    changes = changes_for(fact)
    if not changes or fact.issue_id is None:
        return None
    return ApplyChange(
        issue_id=fact.issue_id,
        changes=changes,
        at=fact.at,
        source=Position(consumer=CONSUMER, seq=fact.seq),
        key=fact.workflow_id or "",
    )
