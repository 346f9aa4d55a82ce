"""The dispatcher: sees to it that every workflow that can run has its actor.

At start it counts this life of the process, sets aside what was live in too many bad ends, and
starts the rest again, oldest first. From then on it starts what it is told about. A hint that is
lost costs nothing but time: the rows are read again at the next start.
"""

import itertools
from collections.abc import Callable

import structlog
import trio

from actors.agents.messages import TaskReady
from actors.clock import rfc3339
from actors.errors import Conflict
from actors.hints import hint
from actors.workflows.history import HistoryEvent, Kind, Status
from actors.workflows.messages import (
    AppendHistory,
    BeginLife,
    EndLife,
    Launch,
    WorkflowGaveUp,
)
from actors.workflows.workflow import EngineParts, WorkflowActor
from actors.writer import persist, write
from storage import payload
from storage.workflows import queries
from supervision import Actor, ChildExists, ChildSpec, Named, StartChild, StartError, ask

RECOVERY_LIMIT = 5
"""Bad ends of the process that a workflow may have been live in, without progress in between."""

START_ATTEMPTS = 3
"""Times a workflow's actor may fail to come up, e.g. because its history could not be read."""

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

    async def on_start(self) -> None:
        begin = BeginLife(
            incarnation=self._incarnation, recovery_limit=RECOVERY_LIMIT, at=self._now()
        )
        life = await write(self._parts.writer, begin, deadline_s=START_S)
        rows = queries.live_instances(self._parts.reader)
        log.info("life", epoch=life.epoch, clean=life.clean, live=len(rows))
        hint(self._parts.coordinator, TaskReady())
        if self._drives_all:
            ready = [row.workflow_id for row in rows if row.status != Status.QUEUED]
            self.spawn(self._recover, ready)

    async def on_stop(self) -> None:
        """An end that cannot be recorded in time counts as a bad one."""
        with trio.move_on_after(STOP_S):
            await persist(self._parts.writer, EndLife(incarnation=self._incarnation))

    async def on_receive(self, message: object) -> object:
        match message:
            case Launch(workflow_id=workflow_id):
                return self.defer(self._launch(workflow_id))
            case WorkflowGaveUp():
                return self.defer(self._give_up(message))
            case _:
                return await super().on_receive(message)

    async def _recover(self, workflow_ids: list[str]) -> None:
        for workflow_id in workflow_ids:
            await self._launch(workflow_id)

    async def _launch(self, workflow_id: str, attempt: int = 1) -> None:
        spec = ChildSpec(
            id=workflow_id,
            build=self._builder(workflow_id),
            restart="transient",
            name=workflow_name(workflow_id),
        )
        try:
            await ask(self._instances, StartChild(spec=spec), deadline_s=60.0)
        except ChildExists:
            return  # told twice
        except StartError as error:
            if attempt == START_ATTEMPTS:
                await self._give_up(WorkflowGaveUp(workflow_id=workflow_id, reason=str(error)))
            else:
                log.warning("workflow not up yet", workflow_id=workflow_id, why=str(error))
                self.spawn(self._launch_later, workflow_id, attempt + 1)

    def _builder(self, workflow_id: str) -> Callable[[], WorkflowActor]:
        """Makes each incarnation; only the first need not ask what the one before has sent.

        What the actors of an earlier dispatcher sent, the writer took before our `BeginLife`.
        """
        earlier = itertools.count()

        def build() -> WorkflowActor:
            restarted = next(earlier) > 0
            return WorkflowActor(workflow_id=workflow_id, parts=self._parts, restarted=restarted)

        return build

    async def _launch_later(self, workflow_id: str, attempt: int) -> None:
        await trio.sleep(START_PAUSE_S)
        await self._launch(workflow_id, attempt)

    async def _give_up(self, message: WorkflowGaveUp) -> None:
        """Its restarts are used up: say so in its history, where people see it."""
        row = queries.instance(self._parts.reader, message.workflow_id)
        if row is None or row.status not in (Status.RUNNING, Status.STALLED):
            return
        event = HistoryEvent(
            seq=queries.last_seq(self._parts.reader, message.workflow_id) + 1,
            kind=Kind.WORKFLOW_DEAD_LETTERED,
            name=row.name,
            payload=payload.encode({"code": "dead_letter", "message": message.reason}),
            at=self._now(),
        )
        try:
            await persist(
                self._parts.writer,
                AppendHistory(workflow_id=message.workflow_id, events=(event,)),
            )
        except Conflict:
            await self._launch(message.workflow_id)

    def _now(self) -> str:
        return rfc3339(self._parts.clock())
