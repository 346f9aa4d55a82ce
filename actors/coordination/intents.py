"""Intents: what is decided in one database and has to be made in others, and no transaction spans.

The commit that decides holds everything; from then on it only rolls forward. Whoever finds the
intent makes it, and making it twice is making it once: each part has its natural key. How an intent
is made depends on its kind: a start here, a handoff in `handing`.
"""

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Final

import structlog
import trio

from actors.agents.messages import GrantQueued
from actors.clock import Clock, rfc3339
from actors.coordination import handing, revising, updating
from actors.coordination.messages import CloseIntent, IntentOpen, MakeIntent, StartPlan
from actors.damage import damage_in
from actors.errors import Conflict, DatabaseUnavailable, StorageFull
from actors.facts import FactsLogged
from actors.hints import hint
from actors.issues.messages import CreateIssue
from actors.workflows.history import Kind, NewEvent
from actors.workflows.messages import AppendHistory, CreateInstance, Launch
from actors.writer import Settle, persist, write
from storage import payload
from storage.coordination import queries
from storage.errors import QueryFailed, QueryTimeout
from storage.lookups import Reads
from storage.pool import ReadPool
from supervision import Actor, MailboxFull, Named

RETRY_S = 5.0

LOOK_S = 30.0
"""How often what is open is looked for although nothing was heard: a hint may be lost."""

log = structlog.get_logger("beadflow.intents")


_PLANNED: Final = tuple(field.name for field in fields(StartPlan))


def plan_to_text(plan: StartPlan) -> str:
    """The stored form of a plan. `asdict` would copy the issue, and take nine times as long."""
    return payload.encode({name: getattr(plan, name) for name in _PLANNED})


def plan_from_text(text: str) -> StartPlan:
    return StartPlan(**payload.decode(text))


async def make(plan: StartPlan, *, beads: Named, tempolite: Named) -> None:
    """Make a decided start: the issue, then the instance. Idempotent.

    In this order, since a workflow runs once its instance is there, and what happens to it cannot
    be said on an issue that is not there yet.

    Raises:
        Conflict: another issue has taken the id since it was chosen; the start cannot be made. Its
            instance is there, so that it can be abandoned.
        StorageFull: the disk is full; the intent stays open.
        MailboxFull: a writer has more work than room for it; the intent stays open.
        DatabaseUnavailable: a writer gave no answer in time; the intent stays open.
    """
    taken: Conflict | None = None
    try:
        await write(beads, CreateIssue(row=plan.issue, key=plan.workflow_id))
    except Conflict as error:
        taken = error
    await write(tempolite, instance_of(plan))
    if taken is not None:
        raise taken


def instance_of(plan: StartPlan) -> CreateInstance:
    """The command that makes a start's instance."""
    return CreateInstance(
        workflow_id=plan.workflow_id,
        issue_id=plan.issue_id,
        name=plan.workflow_type,
        version=plan.version,
        variables=plan.variables,
        agent_type=plan.agent_type,
        agent_id=plan.agent_id,
        queued=plan.status == "queued",
        at=plan.at,
        priority=plan.priority,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One row: `payload` is stored JSON text, as its kind has it."""

    id: str
    workflow_id: str
    kind: str
    payload: str


def _intent(row: sqlite3.Row) -> Intent:
    return Intent(**dict(row))


class Intents(Actor):
    """Finishes what was decided and not made: before anybody else starts, and whenever told.

    A start that cannot be made now (the disk is full, a writer is away) is tried until it can. One
    that never can be, because somebody else's issue has its id, ends as a failed workflow.
    """

    def __init__(
        self,
        *,
        coordination: Named,
        beads: Named,
        tempolite: Named,
        coordinator: Named,
        dispatcher: Named,
        pool: ReadPool,
        lookups: Reads,
        clock: Clock,
    ) -> None:
        super().__init__()
        self._coordination = coordination
        self._beads = beads
        self._tempolite = tempolite
        self._coordinator = coordinator
        self._dispatcher = dispatcher
        self._pool = pool
        self._lookups = lookups
        self._clock = clock
        self._makers: Mapping[str, Callable[[Intent], Awaitable[None]]] = {
            "start": self._make_start,
            "handoff": self._make_handoff,
            "update": self._make_update,
        }
        self._trying: set[str] = set()
        self._told = trio.Event()

    async def on_start(self) -> None:
        for intent in await self._open():
            if not await self._finish(intent):
                self._try_later(intent)
        self.spawn(self._pump)

    async def on_receive(self, message: object) -> object:
        match message:
            case IntentOpen():
                self._told.set()
            case FactsLogged(facts=found):
                if any(revising.is_of_an_issue(fact) for fact in found):
                    self._told.set()
            case MakeIntent(intent_id=intent_id):
                return self.defer(self._make(intent_id))
            case _:
                return await super().on_receive(message)
        return None

    async def _pump(self) -> None:
        """Take up what is open, also what a manager that died has sent and is not committed yet."""
        while True:
            with trio.move_on_after(LOOK_S):
                await self._told.wait()
            self._told = trio.Event()
            await persist(self._coordination, Settle())
            try:
                found = await self._open()
            except (QueryTimeout, QueryFailed) as error:
                if damage_in(error) is not None:
                    raise  # no later read is better
                log.warning("intents not read yet", why=str(error))
                continue
            for intent in found:
                self._try_later(intent)

    async def _open(self) -> list[Intent]:
        return [_intent(row) for row in await self._pool.fetch("intents", queries.INTENTS, ())]

    async def _make(self, intent_id: str) -> None:
        """One that nobody else is making. Where it is not open any more, nothing is left to do."""
        try:
            rows = await self._lookups.fetch("intent", queries.INTENT, (intent_id,))
        except (QueryTimeout, QueryFailed) as error:
            log.warning("intent not read yet", intent_id=intent_id, why=str(error))
            self._told.set()
            return
        for intent in map(_intent, rows):
            if await self._is_made(intent):
                hint(self._coordination, CloseIntent(intent_id=intent.id))  # somebody waits
                self._wake(intent)
            else:
                self._try_later(intent)

    def _try_later(self, intent: Intent) -> None:
        if intent.id not in self._trying:
            self._trying.add(intent.id)
            self.spawn(self._keep_trying, intent)

    async def _keep_trying(self, intent: Intent) -> None:
        finished = False
        while not finished:
            await trio.sleep(RETRY_S)
            finished = await self._finish(intent)
        self._trying.discard(intent.id)
        self._wake(intent)

    def _wake(self, intent: Intent) -> None:
        """Tell whom it concerns. Before they have started nobody has to: they find it."""
        hint(self._dispatcher, Launch(workflow_id=intent.workflow_id))
        hint(self._coordinator, GrantQueued())

    async def _finish(self, intent: Intent) -> bool:
        """Whether nothing is left to do."""
        if not await self._is_made(intent):
            return False
        await persist(self._coordination, CloseIntent(intent_id=intent.id))
        log.info("intent closed", intent_id=intent.id, workflow_id=intent.workflow_id)
        return True

    async def _is_made(self, intent: Intent) -> bool:
        """Make it; False when that cannot be done now."""
        try:
            await self._makers[intent.kind](intent)
        except (StorageFull, MailboxFull, DatabaseUnavailable) as error:
            log.warning("intent stays open", intent_id=intent.id, why=str(error))
            return False
        return True

    async def _make_start(self, intent: Intent) -> None:
        plan = plan_from_text(intent.payload)
        try:
            await make(plan, beads=self._beads, tempolite=self._tempolite)
        except Conflict as error:
            await self._abandon(plan, error.message)

    async def _make_handoff(self, intent: Intent) -> None:
        await handing.make(intent.id, intent.payload, tempolite=self._tempolite)

    async def _make_update(self, intent: Intent) -> None:
        await updating.finish(
            intent.payload, tempolite=self._tempolite, coordination=self._coordination
        )

    async def _abandon(self, plan: StartPlan, reason: str) -> None:
        """Close it by the road every end takes, so that all three databases agree on it."""
        failed = NewEvent(
            kind=Kind.WORKFLOW_FAILED,
            name=plan.workflow_type,
            payload=payload.encode({"code": "start_failed", "message": reason, "attempts": 1}),
            at=rfc3339(self._clock()),
        )
        command = AppendHistory(workflow_id=plan.workflow_id, after=1, events=(failed,))
        with contextlib.suppress(Conflict):  # it has gone on by itself, or was abandoned before
            await persist(self._tempolite, command)
