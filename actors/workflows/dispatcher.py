"""The dispatcher: sees to it that every workflow that can run has its actor.

At start it counts this life of the process, sets aside what was live in too many bad ends, and
starts the rest again, oldest first. From then on it starts what it is told about. A hint that is
lost costs nothing but time: the rows are read again at the next start.
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
import trio

from actors.agents.messages import TaskReady
from actors.clock import rfc3339
from actors.errors import Conflict, NotFound, Overloaded
from actors.hints import hint
from actors.workflows.history import Status
from actors.workflows.loading import Loaded, load_all
from actors.workflows.messages import (
    BeginLife,
    CreateInstance,
    DescribeWorkflow,
    EndLife,
    Launch,
    Look,
    QueryWorkflow,
    SetAside,
    TrySuspects,
    Unpark,
    WorkflowGaveUp,
    WorkflowView,
)
from actors.workflows.outcome import stalled
from actors.workflows.parts import EngineParts
from actors.workflows.store import SUSPECT, as_created
from actors.workflows.workflow import WorkflowActor
from actors.writer import persist, write
from storage import payload
from storage.workflows import queries
from storage.workflows.records import InstanceRow
from supervision import (
    Actor,
    ActorDeadError,
    ActorRef,
    ActorRestarting,
    Ask,
    AskTimeout,
    ChildExists,
    ChildSpec,
    MailboxFull,
    Named,
    StartChild,
    StartError,
    ask,
    ask_then,
)

T = TypeVar("T")

RECOVERY_LIMIT = 5
"""Bad ends of the process that a workflow may have been live in, without progress in between."""

TRIALS = 16
"""Groups in which suspects are tried."""

TRIAL_S = 0.5
"""How long the next group waits for one that neither gets further nor rests."""

RECOVERY_BATCH = 100
"""Workflows whose histories are read in one look, on the trio thread: about 5 ms."""

START_ATTEMPTS = 3
"""Times a workflow's actor may fail to come up, e.g. because its history could not be read."""

GONE_PAUSE_S = 0.01
QUERY_ATTEMPTS = 5
START_PAUSE_S = 2.0
START_S = 5.0
STOP_S = 2.0

log = structlog.get_logger("beadflow.dispatcher")


def workflow_name(workflow_id: str) -> str:
    """The registered name of a live workflow's actor."""
    return f"workflow/{workflow_id}"


class Dispatcher(Actor):
    """Launches workflow actors under `instances`, a dynamic supervisor.

    Args:
        incarnation: names this life of the process.
        instances: the supervisor of the workflow actors.
        parts: what each of them is given.
        drives_all: False leaves workflows alone that this process did not start.
    """

    mailbox_bound = 100_000
    deferred_bound = 1000

    def __init__(
        self, *, incarnation: str, instances: Named, parts: EngineParts, drives_all: bool = True
    ) -> None:
        super().__init__()
        self._drives_all = drives_all
        self._incarnation = incarnation
        self._instances = instances
        self._parts = parts
        self._recovering: dict[str, bool] = {}
        self._launched: OrderedDict[str, None] = OrderedDict()

    async def on_start(self) -> None:
        begin = BeginLife(
            incarnation=self._incarnation, recovery_limit=RECOVERY_LIMIT, at=self._now()
        )
        life = await write(self._parts.writer, begin, deadline_s=START_S)
        rows = queries.live_instances(self._parts.reader)
        log.info("life", epoch=life.epoch, clean=life.clean, live=len(rows))
        hint(self._parts.coordinator, TaskReady())
        if self._drives_all:
            ready = [row for row in rows if row.status != Status.QUEUED]
            self._launched = OrderedDict.fromkeys(row.workflow_id for row in ready)
            self._recovering = {row.workflow_id: False for row in ready}
            sure = [row for row in ready if row.recoveries < SUSPECT]
            self.spawn(self._recover, sure, [row for row in ready if row.recoveries >= SUSPECT])

    async def on_stop(self) -> None:
        """An end that cannot be recorded in time counts as a bad one."""
        with trio.move_on_after(STOP_S):
            await persist(self._parts.writer, EndLife(incarnation=self._incarnation))

    async def on_receive(self, message: object) -> object:
        match message:
            case Launch(created=CreateInstance() as created) if self._is_new(created):
                self._run_new(created)
                return None
            case Launch():
                return self.defer(self._hear(message))
            case QueryWorkflow():
                return self.defer(self._query(message))
            case DescribeWorkflow():
                return self.defer(self._describe(message))
            case WorkflowGaveUp():
                return self.defer(self._give_up(message))
            case _:
                return await super().on_receive(message)

    async def _recover(self, sure: list[InstanceRow], suspects: list[InstanceRow]) -> None:
        """Run what can run, the oldest first; those that may be what kills the process come last.

        They are tried in small groups, and one by one after another bad end, so that what waits
        beside the culprit is not set aside with it.
        """
        await self._recover_all(sure)
        size = -(-len(suspects) // TRIALS)
        groups = [[row] for row in suspects if row.recoveries > SUSPECT]
        fresh = [row for row in suspects if row.recoveries == SUSPECT]
        groups += [fresh[first : first + size] for first in range(0, len(fresh), size or 1)]
        for group in groups:
            await self._try([row.workflow_id for row in group])
        if groups:
            await persist(self._parts.writer, TrySuspects(workflow_ids=()))

    async def _try(self, workflow_ids: list[str]) -> None:
        """Run some suspects, and wait until they have got further, wait, or have had their time."""
        await persist(self._parts.writer, TrySuspects(workflow_ids=tuple(workflow_ids)))
        for workflow_id in workflow_ids:
            self._recovering.pop(workflow_id, None)
            await self._launch(workflow_id)
        with trio.move_on_after(TRIAL_S):
            for workflow_id in workflow_ids:
                while not self._has_passed(workflow_id):  # noqa: ASYNC110 - its rows say so
                    await trio.sleep(GONE_PAUSE_S)

    def _has_passed(self, workflow_id: str) -> bool:
        row = queries.instance(self._parts.reader, workflow_id)
        if row is None or row.status != Status.RUNNING:
            return True
        return bool(row.parked) or row.recoveries < SUSPECT

    async def _recover_all(self, rows: list[InstanceRow]) -> None:
        """Many are read, and started, at once: one by one they take a third longer."""
        long = {row.workflow_id for row in rows}
        for first in range(0, len(rows), RECOVERY_BATCH):
            short = load_all(self._parts.reader, rows[first : first + RECOVERY_BATCH])
            for workflow_id in await self._start_all(short):
                await self._launch(workflow_id)
            long -= {loaded.row.workflow_id for loaded in short}
            for workflow_id in (loaded.row.workflow_id for loaded in short):
                if self._recovering.pop(workflow_id):
                    await self._look(workflow_id)
        for workflow_id in [row.workflow_id for row in rows if row.workflow_id in long]:
            del self._recovering[workflow_id]
            await self._launch(workflow_id)

    async def _start_all(self, found: list[Loaded]) -> list[str]:
        """Start several workflows' actors side by side; answers those that did not come up."""
        missing, waiting, all_said = [], len(found), trio.Event()

        def answer(workflow_id: str) -> Callable[[ActorRef | None, BaseException | None], None]:
            def begun(_: ActorRef | None, error: BaseException | None) -> None:
                nonlocal waiting
                if error is not None:
                    missing.append(workflow_id)
                waiting -= 1
                if not waiting:
                    all_said.set()

            return begun

        for loaded in found:
            workflow_id = loaded.row.workflow_id
            self._remember(workflow_id)
            spec = self._spec(workflow_id, loaded)
            ask_then(self._instances, StartChild(spec=spec), answer(workflow_id))
        if found:
            await all_said.wait()
        return missing

    def _is_new(self, created: CreateInstance) -> bool:
        """Whether nobody has heard of it before."""
        workflow_id = created.workflow_id
        return workflow_id not in self._recovering and workflow_id not in self._launched

    def _run_new(self, created: CreateInstance) -> None:
        """Run what was just created. No task waits for its actor to be up."""
        workflow_id = created.workflow_id
        self._remember(workflow_id)

        def begun(_: ActorRef | None, error: BaseException | None) -> None:
            if error is not None:
                hint(self._parts.dispatcher, Launch(workflow_id=workflow_id))

        ask_then(
            self._instances, StartChild(spec=self._spec(workflow_id, as_created(created))), begun
        )

    async def _hear(self, message: Launch) -> None:
        """Launch a workflow, or have it look at the rows once it is recovered."""
        if message.workflow_id in self._recovering:
            self._recovering[message.workflow_id] = True
        else:
            await self._launch(message.workflow_id)

    def _remember(self, workflow_id: str) -> None:
        """Keep who was launched for as long as the news of its making can be on its way."""
        self._launched[workflow_id] = None
        if len(self._launched) > self.mailbox_bound:
            self._launched.popitem(last=False)

    async def _launch(self, workflow_id: str, attempt: int = 1) -> None:
        """See that a workflow has its actor, and that this one looks at the rows."""
        self._remember(workflow_id)
        status = queries.status(self._parts.reader, workflow_id)
        if status not in (Status.RUNNING, Status.STALLED):
            await self._look(workflow_id)  # one that was paused or ended may still have its actor
            return
        spec = self._spec(workflow_id, None)
        while True:
            try:
                await ask(self._instances, StartChild(spec=spec), deadline_s=60.0)
            except ChildExists:
                if await self._look(workflow_id):
                    return
                await trio.sleep(GONE_PAUSE_S)  # it is about to be gone
            except StartError as error:
                if attempt == START_ATTEMPTS:
                    await self._give_up(WorkflowGaveUp(workflow_id=workflow_id, reason=str(error)))
                else:
                    log.warning("workflow not up yet", workflow_id=workflow_id, why=str(error))
                    self.spawn(self._launch_later, workflow_id, attempt + 1)
                return
            else:
                return

    async def _look(self, workflow_id: str) -> bool:
        """Have a live workflow look at its rows. Answers False when it is about to stop."""
        try:
            return await ask(self.system.named(workflow_name(workflow_id)), Look())
        except ActorDeadError:
            return False
        except (ActorRestarting, AskTimeout, MailboxFull):
            return True  # its next incarnation, or what it does next, reads the rows

    async def _query(self, query: QueryWorkflow) -> Any:
        """Answered by the live actor; one that waits as its row is run for it."""
        return await self._of_live(query.workflow_id, query)

    async def _describe(self, question: DescribeWorkflow) -> WorkflowView:
        actor = self.system.named(workflow_name(question.workflow_id))
        try:
            return await ask(actor, question)
        except ActorDeadError as error:
            raise NotFound(f"workflow {question.workflow_id!r} is not live") from error
        except (ActorRestarting, AskTimeout) as error:
            raise Overloaded(f"workflow {question.workflow_id} cannot answer now") from error

    async def _of_live(self, workflow_id: str, question: Ask[T]) -> T:
        while workflow_id in self._recovering:  # noqa: ASYNC110 - many, and soon over
            await trio.sleep(GONE_PAUSE_S)
        for _ in range(QUERY_ATTEMPTS):
            row = queries.instance(self._parts.reader, workflow_id)
            if row is None:
                raise NotFound(f"no workflow {workflow_id!r}")
            if row.status not in (Status.RUNNING, Status.STALLED):
                raise Conflict(
                    f"workflow {workflow_id} is {row.status}: only one that runs answers queries",
                    code="workflow_not_running",
                    hint="read its results or its history instead",
                )
            if row.parked:
                await persist(self._parts.writer, Unpark(workflow_id=workflow_id))
            await self._launch(workflow_id)
            try:
                return await ask(self.system.named(workflow_name(workflow_id)), question)
            except (ActorDeadError, ActorRestarting):
                await trio.sleep(GONE_PAUSE_S)
            except AskTimeout as error:
                raise Overloaded(f"workflow {workflow_id} is too busy to answer now") from error
        why = queries.why_stalled(self._parts.reader, workflow_id)
        if why is not None:
            raise stalled(workflow_id, payload.decode(why)["message"])
        raise Conflict(f"workflow {workflow_id} does not stay up: it cannot answer now")

    def _spec(self, workflow_id: str, loaded: Loaded | None) -> ChildSpec:
        return ChildSpec(
            id=workflow_id,
            build=self._builder(workflow_id, loaded),
            restart="transient",
            name=workflow_name(workflow_id),
        )

    def _builder(self, workflow_id: str, loaded: Loaded | None) -> Callable[[], WorkflowActor]:
        """Makes each incarnation; only the first need not ask what the one before has sent.

        What the actors of an earlier dispatcher sent, the writer took before our `BeginLife`.
        """
        earlier = itertools.count()

        def build() -> WorkflowActor:
            restarted = next(earlier) > 0
            return WorkflowActor(
                workflow_id=workflow_id,
                parts=self._parts,
                restarted=restarted,
                loaded=None if restarted else loaded,
            )

        return build

    async def _launch_later(self, workflow_id: str, attempt: int) -> None:
        await trio.sleep(START_PAUSE_S)
        await self._launch(workflow_id, attempt)

    async def _give_up(self, message: WorkflowGaveUp) -> None:
        """Its restarts are used up: say so in its history, where people see it."""
        command = SetAside(workflow_id=message.workflow_id, reason=message.reason, at=self._now())
        await persist(self._parts.writer, command)

    def _now(self) -> str:
        return rfc3339(self._parts.clock())
