"""Intents: a start that three databases have to make, and no transaction spans.

The first commit decides everything; from then on the start only rolls forward. Whoever finds the
intent makes it, and making it twice is making it once: each part has its natural key.
"""

import contextlib
from dataclasses import asdict

import structlog
import trio

from actors.agents.messages import GrantQueued
from actors.clock import Clock, rfc3339
from actors.coordination.messages import CloseIntent, IntentOpen, StartPlan
from actors.errors import Conflict, DatabaseUnavailable, StorageFull
from actors.hints import hint
from actors.issues.messages import CreateIssue
from actors.workflows.history import Kind, NewEvent
from actors.workflows.messages import AppendHistory, CreateInstance, Launch
from actors.writer import Settle, persist, write
from storage import payload
from storage.coordination import queries
from storage.pool import ReadPool
from supervision import Actor, MailboxFull, Named

RETRY_S = 5.0

log = structlog.get_logger("beadflow.intents")


def plan_to_text(plan: StartPlan) -> str:
    """The stored form of a plan."""
    return payload.encode(asdict(plan))


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
    )


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
        clock: Clock,
    ) -> None:
        super().__init__()
        self._coordination = coordination
        self._beads = beads
        self._tempolite = tempolite
        self._coordinator = coordinator
        self._dispatcher = dispatcher
        self._pool = pool
        self._clock = clock
        self._trying: set[str] = set()
        self._told = trio.Event()

    async def on_start(self) -> None:
        for plan in await self._open():
            if not await self._finish(plan):
                self._try_later(plan)
        self.spawn(self._pump)

    async def on_receive(self, message: object) -> object:
        match message:
            case IntentOpen():
                self._told.set()
            case _:
                return await super().on_receive(message)
        return None

    async def _pump(self) -> None:
        """Take up what is open, also what a manager that died has sent and is not committed yet."""
        while True:
            await self._told.wait()
            self._told = trio.Event()
            await persist(self._coordination, Settle())
            for plan in await self._open():
                self._try_later(plan)

    async def _open(self) -> list[StartPlan]:
        rows = await self._pool.fetch("intents", queries.INTENTS, ())
        return [plan_from_text(row["payload"]) for row in rows]

    def _try_later(self, plan: StartPlan) -> None:
        if plan.workflow_id not in self._trying:
            self._trying.add(plan.workflow_id)
            self.spawn(self._keep_trying, plan)

    async def _keep_trying(self, plan: StartPlan) -> None:
        finished = False
        while not finished:
            await trio.sleep(RETRY_S)
            finished = await self._finish(plan)
        self._trying.discard(plan.workflow_id)
        hint(self._dispatcher, Launch(workflow_id=plan.workflow_id))
        hint(self._coordinator, GrantQueued())

    async def _finish(self, plan: StartPlan) -> bool:
        """Whether nothing is left to do."""
        try:
            await make(plan, beads=self._beads, tempolite=self._tempolite)
        except (StorageFull, MailboxFull, DatabaseUnavailable) as error:
            log.warning("intent stays open", workflow_id=plan.workflow_id, why=str(error))
            return False
        except Conflict as error:
            await self._abandon(plan, error.message)
        await persist(self._coordination, CloseIntent(intent_id=plan.workflow_id))
        log.info("intent closed", workflow_id=plan.workflow_id, issue_id=plan.issue_id)
        return True

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
