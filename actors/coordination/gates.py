"""The gates: an issue for each that a workflow asks for, and to each workflow its answer.

Follows the event log from a cursor, in order; whatever it does for an event is the same when it is
done twice. At the start it also looks at every gate there is: one that was answered while nobody
was here, or whose answer is in no log any more, is told then. Time is kept here, too: a gate that
nobody has answered in time is rejected by the road that every answer takes, so that it has one.
"""

import hashlib
import json
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import structlog
import trio
from pydantic import ValidationError as ModelError

from actors import facts
from actors.bus import logged_fact
from actors.clock import Clock, rfc3339
from actors.coordination.messages import GetWorkflow
from actors.coordination.reconciling.messages import NoteLooked
from actors.damage import damage_in
from actors.errors import Conflict, DatabaseError, NotFound
from actors.facts import FactsLogged, LoggedFact
from actors.hints import hint
from actors.issues import gates, issue
from actors.issues.gates import Answer
from actors.issues.messages import GetIssue, Issue
from actors.issues.questions import IssueFilter, QueryIssues
from actors.issues.verbs import AddDependency, AnswerGate, NewIssue
from actors.workflows.gates import Decision
from actors.workflows.messages import AddSignal, Launch
from actors.workflows.replay import GATE
from actors.writer import persist
from storage import payload
from storage.coordination import queries
from storage.coordination.divergences import LAST_EVENT, LOOKED_AT
from storage.errors import QueryFailed, QueryTimeout
from storage.pool import ReadPool
from supervision import (
    Actor,
    ActorDeadError,
    ActorRestarting,
    Ask,
    AskTimeout,
    MailboxFull,
    Named,
    Refused,
    ask,
)

T = TypeVar("T")

SOURCE: Final = "gates"
AUTHOR: Final = "beadflow"

_ENDS: Final = (facts.WORKFLOW_COMPLETED, facts.WORKFLOW_CANCELLED, facts.WORKFLOW_TERMINATED)
"""After these nothing waits any more. One that failed or was set aside may be taken up again."""

FOLLOWED: Final = frozenset(
    {
        facts.GATE_REQUESTED,
        facts.GATE_OPENED,
        facts.GATE_ANSWERED,
        facts.GATE_WITHDRAWN,
        facts.STEP_CANCELLED,
        *_ENDS,
    }
)

HEARD: Final = 5000
"""Events kept that the bus told of, and events that are looked at again after a crash."""

STEP: Final = 20_000
"""Events of the log looked at in one query."""

LOOK_S: Final = 30.0
"""How often the log is read although nothing was heard: a hint may be lost."""

CLOCK_S: Final = 1.0
"""How often the clock is looked at where a gate has a time: it may jump, or have stood still."""

PAUSE_S: Final = 1.0
"""Before something is tried again that cannot be done now."""

_LONGEST_NS: Final = 2**63 - 1

ASK_S: Final = 30.0
PAGE: Final = 500

log = structlog.get_logger("beadflow.gates")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A gate of this home that nobody has answered yet."""

    issue_id: str
    workflow_id: str
    step: str
    signal: str
    expires_at: datetime | None


class Gates(Actor):
    """See the module.

    Args:
        home: this installation: it answers for the gates of its own workflows only.
        pool: read-only connections to the coordination database.
    """

    def __init__(
        self,
        *,
        home: str,
        tracker: Named,
        manager: Named,
        coordination: Named,
        tempolite: Named,
        dispatcher: Named,
        pool: ReadPool,
        clock: Clock,
    ) -> None:
        super().__init__()
        self._home = home
        self._tracker = tracker
        self._manager = manager
        self._coordination = coordination
        self._tempolite = tempolite
        self._dispatcher = dispatcher
        self._pool = pool
        self._clock = clock
        self._position = 0
        self._noted = 0
        self._open: dict[str, _Open] = {}
        self._heard: deque[LoggedFact] = deque()
        self._heard_to: int | None = None
        self._missed = True  # something may be in the log that is not among what was heard
        self._told = trio.Event()
        self._changed = trio.Event()

    async def on_start(self) -> None:
        self.spawn(self._pump)
        self.spawn(self._keep_time)

    async def on_receive(self, message: object) -> object:
        match message:
            case FactsLogged(facts=found):
                self._take(found)
            case _:
                return await super().on_receive(message)
        return None

    # What has happened, in order.

    def _take(self, found: Sequence[LoggedFact]) -> None:
        """Keep what was told of gates and of ends; the log is read only for what was not heard."""
        if self._heard_to != found[0].seq - 1 or len(self._heard) >= HEARD:
            self._heard.clear()
            self._missed = True
        else:
            self._heard.extend(fact for fact in found if fact.type in FOLLOWED)
        self._heard_to = found[-1].seq
        if self._missed or self._heard:
            self._told.set()

    async def _pump(self) -> None:
        rows = await self._fetch(LOOKED_AT, (SOURCE,))
        self._position = self._noted = rows[0]["position"] if rows else 0
        await self._look_at_all()
        while True:
            if self._missed:
                self._missed = False  # before the look: what is missed meanwhile is another matter
                await self._catch_up()
            while self._heard:
                fact = self._heard.popleft()
                if fact.seq > self._position:
                    await self._follow(fact)
                    self._position = fact.seq
            self._note()
            with trio.move_on_after(LOOK_S) as patience:
                await self._told.wait()
            self._missed |= patience.cancelled_caught
            self._told = trio.Event()

    async def _catch_up(self) -> None:
        until = (await self._fetch(LAST_EVENT, ()))[0][0] or 0
        self._position = min(self._position, until)
        while self._position < until:
            last = min(until, self._position + STEP)
            wanted = (self._position, last, _NAMES)
            for row in await self._fetch(queries.EVENTS_OF_TYPES, wanted):
                await self._follow(logged_fact(row))
            self._position = last

    def _note(self) -> None:
        """Say how far it has got, where reading that much again would take a while."""
        if self._position - self._noted >= HEARD:
            self._noted = self._position
            hint(self._coordination, NoteLooked(source=SOURCE, position=self._position))

    async def _follow(self, fact: LoggedFact) -> None:
        match fact.type:
            case facts.GATE_REQUESTED:
                await self._make(fact)
            case facts.GATE_OPENED:
                await self._remember(fact.issue_id or "")
            case facts.GATE_ANSWERED:
                await self._hear(fact)
            case facts.GATE_WITHDRAWN:
                self._open.pop(fact.issue_id or "", None)
            case facts.STEP_CANCELLED if fact.data["operation"] == GATE:
                await self._withdraw(fact, fact.data["step"])
            case _ if fact.type in _ENDS:
                await self._withdraw(fact, None)

    async def _fetch(self, sql: str, values: Sequence[Any]) -> Sequence[sqlite3.Row]:
        while True:
            try:
                return await self._pool.fetch("gates", sql, values)
            except (QueryTimeout, QueryFailed) as error:
                if damage_in(error) is not None:
                    raise  # no later read is better
                log.warning("log not read yet", why=str(error))
                await trio.sleep(PAUSE_S)

    async def _ask(self, target: Named, message: Ask[T]) -> T:
        """Ask until there is an answer; a refusal is one."""
        while True:
            try:
                return await ask(target, message, deadline_s=ASK_S)
            except (ActorDeadError, ActorRestarting, AskTimeout, MailboxFull) as error:
                log.warning("not done yet", what=type(message).__name__, why=str(error))
            except Refused as error:
                if not error.retryable:
                    raise
                log.warning("not done yet", what=type(message).__name__, why=str(error))
            except DatabaseError as error:
                log.warning("not done yet", what=type(message).__name__, why=str(error))
            await trio.sleep(PAUSE_S)

    # Gates that are asked for.

    async def _make(self, fact: LoggedFact) -> None:
        """Make its issue, and have the workflow's own issue wait for it."""
        assert fact.workflow_id is not None  # noqa: S101 - for mypy: a history says so
        try:
            made = await self._ask(self._tracker, self._new(fact))
        except Refused as error:
            log.error("gate not made", workflow_id=fact.workflow_id, why=str(error))  # noqa: TRY400
            answer = Answer(approved=False, by=AUTHOR, why=str(error), at=fact.at)
            await self._tell(fact.workflow_id, fact.data["signal"], "", answer, fact.at)
            return
        if gates.answer_of(made.row) is None:
            self._keep(made)  # the workflow's end may be the next event, before the gate's own
        owner = await self._owner(fact)
        if owner:
            edge = AddDependency(issue_id=owner, depends_on_id=made.id, actor=AUTHOR)
            try:
                await self._ask(self._tracker, edge)
            except (Conflict, NotFound) as error:
                log.warning("no edge to a gate", issue_id=owner, gate=made.id, why=error.message)

    def _new(self, fact: LoggedFact) -> NewIssue:
        data = fact.data
        names = ("step", "signal", "expires_at")
        note = {"workflow_id": fact.workflow_id, **{n: data[n] for n in names if n in data}}
        fields: dict[str, Any] = {
            "title": data["title"],
            "description": data["description"],
            "issue_type": gates.TYPE,
            "await_type": "human",
            "metadata": {issue.WORK_KEY: {"home": self._home, gates.NOTE: note}},
        }
        if "timeout_s" in data:
            fields["timeout"] = min(_LONGEST_NS, round(data["timeout_s"] * 1e9))
        given = {name: value for name, value in fields.items() if value != ""}
        whose = f"{fact.workflow_id} {data['signal']}"
        key = f"gate {hashlib.sha256(whose.encode()).hexdigest()}"
        return NewIssue(fields=given, actor=AUTHOR, key=key)

    async def _owner(self, fact: LoggedFact) -> str:
        """The workflow's issue; for a child, which has none, that of the workflow above it."""
        if fact.issue_id:
            return fact.issue_id
        try:
            found = await self._ask(self._manager, GetWorkflow(workflow_id=fact.workflow_id or ""))
        except NotFound:
            return ""
        return found.beads_issue_id

    # Gates that are open.

    async def _look_at_all(self) -> None:
        async for found in self._all():
            if gates.answer_of(found.row) is None:
                self._keep(found)
            else:
                await self._pass_on(found, found.updated_at)

    async def _all(self) -> AsyncIterator[Issue]:
        cursor = None
        while True:
            question = QueryIssues(
                filter=IssueFilter(issue_type=(gates.TYPE,)),
                sort="id",
                limit=PAGE,
                cursor=cursor,
                closed=True,
            )
            page = await self._ask(self._tracker, question)
            for found in page.issues:
                yield found
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _remember(self, issue_id: str) -> None:
        try:
            found = await self._ask(self._tracker, GetIssue(issue_id=issue_id))
        except NotFound:
            return
        if gates.answer_of(found.row) is None:
            self._keep(found)

    def _keep(self, found: Issue) -> None:
        note = gates.note_of(found.row)
        if found.work.get("home") != self._home or "signal" not in note:
            return
        self._open[found.id] = _Open(
            issue_id=found.id,
            workflow_id=str(note.get("workflow_id")),
            step=str(note.get("step")),
            signal=str(note["signal"]),
            expires_at=_moment(note.get("expires_at")),
        )
        self._changed.set()

    async def _withdraw(self, fact: LoggedFact, step: str | None) -> None:
        """Close the gates that nobody waits behind any more."""
        why = str(fact.data.get("reason") or "the workflow has ended")
        for one in [one for one in self._open.values() if one.workflow_id == fact.workflow_id]:
            if step in (None, one.step):
                await self._answer(one, why, withdrawn=True)

    async def _answer(
        self, one: _Open, why: str, *, timed_out: bool = False, withdrawn: bool = False
    ) -> None:
        self._open.pop(one.issue_id, None)
        message = AnswerGate(
            issue_id=one.issue_id,
            actor=AUTHOR,
            approved=False,
            why=why,
            timed_out=timed_out,
            withdrawn=withdrawn,
        )
        try:
            await self._ask(self._tracker, message)
        except Refused as error:  # somebody was faster, or it is gone
            log.info("gate left alone", issue_id=one.issue_id, why=str(error))

    async def _keep_time(self) -> None:
        while True:
            now = self._clock()
            timed = [(one.expires_at, one) for one in self._open.values() if one.expires_at]
            for expires_at, one in timed:
                if expires_at <= now:
                    await self._answer(one, "nobody answered in time", timed_out=True)
            with trio.move_on_after(CLOCK_S if timed else LOOK_S):
                await self._changed.wait()
            self._changed = trio.Event()

    # Gates that are answered.

    async def _hear(self, fact: LoggedFact) -> None:
        issue_id = fact.issue_id or ""
        there = self._open.pop(issue_id, None)
        try:
            found = await self._ask(self._tracker, GetIssue(issue_id=issue_id))
        except NotFound:
            if there is not None:
                answer = Answer(approved=False, by="", why=str(fact.data["why"]), at=fact.at)
                await self._tell(there.workflow_id, there.signal, issue_id, answer, fact.at)
            return
        await self._pass_on(found, fact.at)

    async def _pass_on(self, found: Issue, at: str) -> None:
        note, answer = gates.note_of(found.row), gates.answer_of(found.row)
        if answer is None or answer.withdrawn or found.work.get("home") != self._home:
            return
        if "signal" in note and "workflow_id" in note:
            whose, signal = str(note["workflow_id"]), str(note["signal"])
            await self._tell(whose, signal, found.id, answer, at)

    async def _tell(
        self, workflow_id: str, signal: str, issue_id: str, answer: Answer, at: str
    ) -> None:
        """Give the workflow its answer; the same twice is once, and only the first one counts."""
        decision = _decision(answer, issue_id, at)
        command = AddSignal(
            workflow_id=workflow_id,
            message_id=signal,
            name=signal,
            value=payload.encode(decision.model_dump(mode="json")),
            at=rfc3339(self._clock()),
        )
        try:
            woken = await persist(self._tempolite, command)
        except (Conflict, NotFound) as error:  # it has ended, or has its answer
            log.debug("nobody to tell of a gate", workflow_id=workflow_id, why=error.message)
            return
        for one in woken:
            hint(self._dispatcher, Launch(workflow_id=one))


_NAMES: Final = json.dumps(sorted(FOLLOWED))


def _decision(answer: Answer, issue_id: str, at: str) -> Decision:
    said = {
        "approved": answer.approved,
        "by": answer.by,
        "why": answer.why,
        "issue_id": issue_id,
        "timed_out": answer.timed_out,
    }
    try:
        return Decision.model_validate({**said, "at": answer.at})
    except ModelError:  # somebody else's file may hold any text there
        return Decision.model_validate({**said, "at": at})


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None
