"""The workflow manager: starts workflows, and answers what became of them.

A start is refused first, for every reason there is; then it is decided, in one commit, with every
id chosen; then it is made in the other two databases, and only then answered. The workflow's own
actor starts after the answer: a crash in between is found at the next start.
"""

import random

from actors.agents.messages import GrantQueued, ReleaseAgent, ReloadAssignments, ReserveAgent
from actors.clock import Clock, rfc3339
from actors.coordination import event_log, intents, listing, reading, repeats, requests
from actors.coordination.assignment_listing import list_assignments
from actors.coordination.assignment_messages import AssignWorkflow, HandOff, ListAssignments
from actors.coordination.cache import CacheManager
from actors.coordination.control import Controller
from actors.coordination.handoff import Handoffs
from actors.coordination.messages import (
    CancelWorkflow,
    CloseIntent,
    CompleteWorkflow,
    FindAnswer,
    GetHistory,
    GetLogBounds,
    GetWorkflow,
    IntentOpen,
    IsKeyKnown,
    KeepAnswer,
    ListWorkflows,
    ListWorkflowTypes,
    PauseWorkflow,
    ReadEvents,
    ReadLog,
    RecordAnswer,
    RecordStart,
    ResumeWorkflow,
    RetryWorkflow,
    SignalWorkflow,
    StartPlan,
    StartWorkflow,
    TerminateWorkflow,
    UpdateWorkflow,
    WorkflowRecord,
    WorkflowTypeRecord,
)
from actors.coordination.updating import Updater
from actors.errors import Conflict, DatabaseUnavailable, Overloaded, StorageFull, StoreLost
from actors.facts import FactsLogged
from actors.hints import hint
from actors.ids import workflow_id as new_workflow_id
from actors.issues.issue import check, new_issue
from actors.issues.messages import MintIssueId
from actors.workflows.definition import Definitions, WorkflowDefinition
from actors.workflows.messages import Launch, QueryWorkflow
from actors.writer import write
from storage import payload
from storage.lookups import Reads
from storage.pool import ReadPool
from supervision import (
    Actor,
    ActorDeadError,
    ActorRestarting,
    AskTimeout,
    MailboxFull,
    Named,
    Refused,
    ask,
)

CREATOR = "beadflow"


class WorkflowManager(Actor):
    """See the module.

    Args:
        home: this installation's name, written into every issue it makes.
        repo_name: how issues call the repository they come from.
        definitions: what can be started.
        pool: read-only connections to the coordination database.
        histories: the same, to the engine's.
        lookups: of single rows in both, in this order; None takes the connections.
        cache: where the records of workflows are read.
    """

    mailbox_bound = 2000
    deferred_bound = 500

    def __init__(
        self,
        *,
        home: str,
        definitions: Definitions,
        pool: ReadPool,
        histories: ReadPool,
        coordination: Named,
        tempolite: Named,
        beads: Named,
        tracker: Named,
        coordinator: Named,
        dispatcher: Named,
        intents: Named,
        event_bus: Named,
        cache: CacheManager,
        clock: Clock,
        chance: random.Random,
        lookups: tuple[Reads, Reads] | None = None,
    ) -> None:
        super().__init__()
        self._home = home
        self._definitions = definitions
        self._pool = pool
        self._histories = histories
        self._coordination = coordination
        self._tempolite = tempolite
        self._beads = beads
        self._tracker = tracker
        self._coordinator = coordinator
        self._dispatcher = dispatcher
        self._intents = intents
        self._cache = cache
        self._clock = clock
        self._chance = chance
        self._updater = Updater(
            get_workflow=cache.get_workflow,
            pool=pool,
            histories=histories,
            coordination=coordination,
            tempolite=tempolite,
            dispatcher=dispatcher,
            intents=intents,
            event_bus=event_bus,
            definitions=definitions,
            clock=clock,
            chance=chance,
        )
        self._controller = Controller(
            get_workflow=cache.get_workflow,
            pool=pool,
            histories=histories,
            tempolite=tempolite,
            dispatcher=dispatcher,
            clock=clock,
            chance=chance,
        )
        rows, past = lookups or (pool, histories)
        self._rows = rows
        self._handoffs = Handoffs(
            definitions=definitions,
            pool=rows,
            histories=past,
            coordinator=coordinator,
            intents=intents,
            chance=chance,
        )

    async def on_start(self) -> None:
        """A manager that died may have left starts behind: some not decided, some not made."""
        self._cache.begin()
        if self._cache.shared is not None:
            self.spawn(self._cache.shared.run)
        hint(self._coordinator, ReloadAssignments())
        hint(self._intents, IntentOpen())

    async def on_receive(self, message: object) -> object:
        match message:
            case StartWorkflow():
                return self.defer(self._start(message))
            case FactsLogged(facts=found):
                self._cache.hear(found)
            case GetWorkflow():
                asked = message.workflow_id
                return self.defer(self._cache.get_workflow(asked))
            case ListWorkflows():
                return self.defer(listing.list_workflows(self._pool, message))
            case ReadEvents():
                return self.defer(reading.read_events(self._pool, self._histories, message))
            case ReadLog():
                return self.defer(event_log.read_log(self._pool, self._histories, message))
            case GetLogBounds():
                return self.defer(event_log.log_bounds(self._pool))
            case ListWorkflowTypes():
                return tuple(_type_record(found) for found in self._definitions.latest())
            case UpdateWorkflow():
                return self.defer(self._updater.answer(message))
            case (
                SignalWorkflow()
                | QueryWorkflow()
                | PauseWorkflow()
                | ResumeWorkflow()
                | CancelWorkflow()
                | TerminateWorkflow()
                | CompleteWorkflow()
                | RetryWorkflow()
                | GetHistory()
            ):
                return self.defer(self._controller.answer(message))
            case ListAssignments():
                return self.defer(list_assignments(self._pool, message))
            case HandOff() | AssignWorkflow():
                return self.defer(self._handoffs.answer(message))
            case FindAnswer(key=key, request_sha256=sha256):
                return self.defer(repeats.answered(self._rows, key, sha256))
            case IsKeyKnown(key=key):
                return self.defer(repeats.is_known(self._rows, key))
            case KeepAnswer():
                return self.defer(self._keep(message))
            case _:
                return await super().on_receive(message)
        return None

    async def _keep(self, message: KeepAnswer) -> None:
        command = RecordAnswer(
            key=message.key,
            request_sha256=message.request_sha256,
            answer=message.answer,
            at=rfc3339(self._clock()),
        )
        await write(self._coordination, command)

    async def _start(self, request: StartWorkflow) -> WorkflowRecord:
        definition = requests.check(request, self._definitions)
        plan = await self._decide(request, definition)
        known = await self._record(plan)
        if known is not None:
            return await self._cache.get_workflow(known)
        await self._make(plan)
        hint(self._coordination, CloseIntent(intent_id=plan.workflow_id))
        if plan.status == "queued":
            hint(self._coordinator, GrantQueued())
        else:
            created = intents.instance_of(plan)
            hint(self._dispatcher, Launch(workflow_id=plan.workflow_id, created=created))
        return _record(plan)

    async def _record(self, plan: StartPlan) -> str | None:
        """The first commit. Answers the workflow that the idempotency key started already."""
        known: str | None = plan.workflow_id
        try:
            known = await write(self._coordination, RecordStart(plan=plan))
        except StoreLost:
            raise
        except DatabaseUnavailable as error:
            hint(self._intents, IntentOpen())
            raise _unknown_outcome(plan) from error
        finally:
            if known is not None:
                hint(self._coordinator, ReleaseAgent(workflow_id=plan.workflow_id))
        return known

    async def _make(self, plan: StartPlan) -> None:
        """The second commit. What cannot be made now is made by the intents' actor."""
        try:
            await intents.make(plan, beads=self._beads, tempolite=self._tempolite)
        except (StorageFull, StoreLost, MailboxFull, Conflict):
            hint(self._intents, IntentOpen())
            raise
        except DatabaseUnavailable as error:
            hint(self._intents, IntentOpen())
            raise _unknown_outcome(plan) from error

    async def _decide(self, request: StartWorkflow, definition: WorkflowDefinition) -> StartPlan:
        """Choose every id. Nothing is written yet, and a reservation that is not used is freed."""
        now = self._clock()
        at = rfc3339(now)
        workflow_id = request.workflow_id or new_workflow_id(definition.name, now, self._chance)
        agent_type = request.agent_type or definition.agent_type
        mint = MintIssueId(
            title=request.title,
            description=definition.description,
            creator=CREATOR,
            created_at=at,
        )
        agent_id = None
        try:
            issue_id = await ask(self._tracker, mint)
            if agent_type is not None:
                reserve = ReserveAgent(workflow_id=workflow_id, agent_type=agent_type)
                agent_id = await ask(self._coordinator, reserve)
            return self._plan(
                request,
                definition,
                workflow_id=workflow_id,
                issue_id=issue_id,
                agent_type=agent_type,
                agent_id=agent_id,
                at=at,
            )
        except (ActorDeadError, ActorRestarting, AskTimeout) as error:
            hint(self._coordinator, ReleaseAgent(workflow_id=workflow_id))
            raise Overloaded(f"nothing was started, it can be tried again: {error}") from error
        except Refused:
            hint(self._coordinator, ReleaseAgent(workflow_id=workflow_id))
            raise

    def _plan(
        self,
        request: StartWorkflow,
        definition: WorkflowDefinition,
        *,
        workflow_id: str,
        issue_id: str,
        agent_type: str | None,
        agent_id: str | None,
        at: str,
    ) -> StartPlan:
        work = {"home": self._home, "workflow_id": workflow_id, "workflow_type": definition.name}
        if agent_id is not None:
            work["agent_id"] = agent_id
        issue = new_issue(
            issue_id=issue_id,
            title=request.title,
            description=definition.description,
            priority=request.priority,
            issue_type="task",
            created_by=CREATOR,
            created_at=at,
            labels=("beadflow",),
            work=work,
        )
        check(issue)
        return StartPlan(
            workflow_id=workflow_id,
            issue_id=issue_id,
            workflow_type=definition.name,
            version=definition.version,
            title=request.title,
            priority=request.priority,
            agent_type=agent_type,
            agent_id=agent_id,
            variables=payload.encode(request.variables),
            issue=issue,
            idempotency_key=request.idempotency_key,
            request_sha256=requests.fingerprint(request),
            at=at,
        )


def _unknown_outcome(plan: StartPlan) -> Overloaded:
    return Overloaded(
        f"the stores did not answer in time; workflow {plan.workflow_id} may have been started: "
        "ask for it before you try again, or repeat with an idempotency key"
    )


def _record(plan: StartPlan) -> WorkflowRecord:
    """What the mapping says right after its commit."""
    return WorkflowRecord(
        id=plan.workflow_id,
        beads_issue_id=plan.issue_id,
        type=plan.workflow_type,
        version=plan.version,
        title=plan.title,
        status=plan.status,
        priority=plan.priority,
        agent_type=plan.agent_type,
        agent_id=plan.agent_id,
        variables=payload.decode(plan.variables),
        created_at=plan.at,
        started_at=None,
        completed_at=None,
        error_code=None,
        error_message=None,
        updated_at=plan.at,
        waits_for_agent=plan.agent_type if plan.agent_id is None else None,
    )


def _type_record(definition: WorkflowDefinition) -> WorkflowTypeRecord:
    return WorkflowTypeRecord(
        name=definition.name,
        version=definition.version,
        description=definition.description,
        agent_type=definition.agent_type,
        agents=_takers(definition),
        variables=definition.schema(),
        warnings=definition.report.findings,
    )


def _takers(definition: WorkflowDefinition) -> tuple[str, ...]:
    """To whom it may be handed by what it declares, its own type first."""
    own = definition.agent_type
    if own is None or not definition.agents:
        return ()
    return tuple(dict.fromkeys((own, *definition.agents)))
