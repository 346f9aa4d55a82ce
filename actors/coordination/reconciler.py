"""The reconciler: makes each workflow's issue say what became of the workflow.

It follows the event log from a cursor that it keeps beside the issues, in the same transaction as
each change: an event is applied once, however often it is read. What the bus tells it is a hint;
what it works from is the log.
"""

import sqlite3

import structlog
import trio

from actors import facts
from actors.bus import NO_END, logged_fact
from actors.errors import Conflict, NotFound, ValidationError
from actors.facts import FactsLogged, LoggedFact
from actors.issues.messages import (
    AddComment,
    ApplyChange,
    Change,
    Position,
    PublicationFailed,
    RecordNow,
    SetStatus,
    SetWork,
)
from actors.writer import persist
from storage.coordination import queries
from storage.issues.queries import cursor
from storage.pool import ReadPool
from supervision import Actor, ActorDeadError, ActorRestarting, AskTimeout, Named, ask

CONSUMER = "reconciler"
BATCH = 500
AUTHOR = "beadflow"
TOKEN_CHARACTERS = 60

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
        case facts.WORKFLOW_RESUMED:
            return (SetStatus(status="in_progress"),)
        case facts.WORKFLOW_STALLED | facts.WORKFLOW_DEAD_LETTERED:
            return (_explain(fact), SetStatus(status="blocked"))
        case facts.WORKFLOW_COMPLETED:
            done = SetStatus(status="closed", reason="Completed")
            summary = fact.data.get("summary")
            return (AddComment(author=AUTHOR, text=summary), done) if summary else (done,)
        case facts.WORKFLOW_FAILED:
            reason = f"Failed: {_token(str(fact.data['code']))}"
            return (_explain(fact), SetStatus(status="closed", reason=reason))
        case _:
            return ()


def _explain(fact: LoggedFact) -> AddComment:
    return AddComment(author=AUTHOR, text=f"{fact.data['code']}: {fact.data['message']}")


def _token(code: str) -> str:
    """A code as one word of plain characters."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in code)
    return kept[:TOKEN_CHARACTERS] or "unknown"


class Reconciler(Actor):
    """See the module.

    Args:
        pool: read-only connections to the coordination database.
        beads_reader: a read-only connection to the issues' database, where its cursor is.
    """

    mailbox_bound = 10_000

    def __init__(
        self, *, pool: ReadPool, beads_reader: sqlite3.Connection, beads: Named, publisher: Named
    ) -> None:
        super().__init__()
        self._pool = pool
        self._beads_reader = beads_reader
        self._beads = beads
        self._publisher = publisher
        self._position = 0
        self._work = trio.Event()

    async def on_start(self) -> None:
        self._position = cursor(self._beads_reader, CONSUMER)
        self._work.set()
        self.spawn(self._pump)

    async def on_receive(self, message: object) -> object:
        match message:
            case FactsLogged():
                self._work.set()
            case _:
                return await super().on_receive(message)
        return None

    async def _pump(self) -> None:
        while True:
            await self._work.wait()
            self._work = trio.Event()
            while await self._follow():
                pass

    async def _follow(self) -> bool:
        """Apply one stretch of the log; answers whether there may be more."""
        rows = await self._pool.fetch("reconcile", queries.EVENTS, (self._position, NO_END, BATCH))
        ended = False
        for fact in map(logged_fact, rows):
            await self._apply(fact)
            self._position = fact.seq
            ended = ended or fact.type in facts.ENDS
        if ended:
            self.spawn(self._record)
        return len(rows) == BATCH

    async def _apply(self, fact: LoggedFact) -> None:
        changes = changes_for(fact)
        if not changes or fact.issue_id is None:
            return
        command = ApplyChange(
            issue_id=fact.issue_id,
            changes=changes,
            at=fact.at,
            source=Position(consumer=CONSUMER, seq=fact.seq),
            key=fact.workflow_id or "",
        )
        try:
            await persist(self._beads, command)
        except (NotFound, Conflict, ValidationError) as error:
            log.warning("issue left alone", issue_id=fact.issue_id, why=str(error))

    async def _record(self) -> None:
        """A workflow has ended: have the file and its ref say so now."""
        try:
            await ask(self._publisher, RecordNow(), deadline_s=60.0)
        except (PublicationFailed, ActorDeadError, ActorRestarting, AskTimeout) as error:
            log.warning("not recorded yet", why=str(error))
