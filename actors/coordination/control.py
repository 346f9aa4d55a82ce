"""What an operator does to a workflow: signal, query, pause, cancel, complete, retry, look back.

A request is a command to the engine's writer, so that it is durable, and has reached every child,
before it is answered. Then the dispatcher is told whom it concerns; that is a hint.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from actors.clock import Clock, rfc3339
from actors.coordination import reading
from actors.coordination.fields import (
    MESSAGE_ID_CHARACTERS,
    NAME_CHARACTERS,
    check_reason,
    check_text,
    stored,
)
from actors.coordination.messages import (
    CancelWorkflow,
    CompleteWorkflow,
    GetHistory,
    HistoryPage,
    PauseWorkflow,
    ResumeWorkflow,
    RetryWorkflow,
    SignalWorkflow,
    TerminateWorkflow,
    WorkflowRecord,
)
from actors.errors import DatabaseUnavailable, NotFound, Overloaded, ValidationError
from actors.hints import hint
from actors.ids import message_id as new_message_id
from actors.workflows.messages import (
    GATE_SIGNAL,
    AddSignal,
    CompleteInstance,
    Launch,
    PauseInstance,
    QueryWorkflow,
    RequestCancel,
    ResumeInstance,
    RetryInstance,
    TerminateInstance,
)
from actors.writer import Command, write
from storage.pool import ReadPool
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Named, ask

QUERY_S: Final = 9.0


Request = (
    SignalWorkflow
    | PauseWorkflow
    | ResumeWorkflow
    | CancelWorkflow
    | TerminateWorkflow
    | CompleteWorkflow
    | RetryWorkflow
)
"""What is a command of the engine's."""

Control = Request | QueryWorkflow | GetHistory
"""What `Controller.answer` takes."""


class Controller:
    """See the module.

    Args:
        get_workflow: gives a workflow's record as it is now, or raises `NotFound`.
        pool: read-only connections to the coordination database.
        histories: the same, to the engine's.
    """

    def __init__(
        self,
        *,
        get_workflow: Callable[[str], Awaitable[WorkflowRecord]],
        pool: ReadPool,
        histories: ReadPool,
        tempolite: Named,
        dispatcher: Named,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._get_workflow = get_workflow
        self._pool = pool
        self._histories = histories
        self._tempolite = tempolite
        self._dispatcher = dispatcher
        self._clock = clock
        self._chance = chance

    async def answer(self, message: Control) -> WorkflowRecord | HistoryPage | Any:
        match message:
            case GetHistory():
                return await reading.get_history(self._pool, self._histories, message)
            case QueryWorkflow():
                return await self._query(message)
            case _:
                return await self._command(message.workflow_id, self._prepared(message))

    def _prepared(self, message: Request) -> Command[tuple[str, ...]]:
        """The engine's command for it; everything that can refuse without asking does so here."""
        workflow_id, at = message.workflow_id, rfc3339(self._clock())
        match message:
            case SignalWorkflow():
                check_text("name", message.name, NAME_CHARACTERS)
                _refuse_gate(message.name)
                message_id = message.message_id
                if message_id is None:
                    message_id = new_message_id(self._chance)
                check_text("message_id", message_id, MESSAGE_ID_CHARACTERS)
                return AddSignal(
                    workflow_id=workflow_id,
                    message_id=message_id,
                    name=message.name,
                    value=stored("value", message.value),
                    at=at,
                )
            case ResumeWorkflow():
                return ResumeInstance(workflow_id=workflow_id, at=at)
            case CompleteWorkflow():
                check_text("author", message.author, NAME_CHARACTERS)
                return CompleteInstance(
                    workflow_id=workflow_id,
                    output=stored("output", message.output),
                    author=message.author,
                    at=at,
                )
            case RetryWorkflow():
                check_text("author", message.author, NAME_CHARACTERS)
                return RetryInstance(workflow_id=workflow_id, author=message.author, at=at)
            case PauseWorkflow() | CancelWorkflow() | TerminateWorkflow():
                check_reason(message.reason)
                request = _REQUESTS[type(message)]
                return request(workflow_id=workflow_id, reason=message.reason, at=at)

    async def _command(self, workflow_id: str, command: Command[tuple[str, ...]]) -> WorkflowRecord:
        await self._get_workflow(workflow_id)
        try:
            woken = await write(self._tempolite, command)
        except NotFound as error:
            raise Overloaded(f"workflow {workflow_id} is decided, but not made yet") from error
        except DatabaseUnavailable as error:
            raise Overloaded(
                f"the stores did not answer in time; workflow {workflow_id} may have been told: "
                "look at its history before you try again"
            ) from error
        for told in dict.fromkeys((workflow_id, *woken)):
            hint(self._dispatcher, Launch(workflow_id=told))
        return await self._get_workflow(workflow_id)

    async def _query(self, query: QueryWorkflow) -> Any:
        check_text("name", query.name, NAME_CHARACTERS)
        stored("argument", query.argument)
        try:
            return await ask(self._dispatcher, query, deadline_s=QUERY_S)
        except (ActorDeadError, ActorRestarting, AskTimeout) as error:
            raise Overloaded(
                f"workflow {query.workflow_id} did not answer the query in time: {error}"
            ) from error


def _refuse_gate(name: str) -> None:
    if name.startswith(GATE_SIGNAL):
        raise ValidationError(
            f"signals that begin with {GATE_SIGNAL!r} answer gates, and nobody else sends them",
            field="name",
            value=name,
            hint="approve or reject the gate: `beadflow gate list`",
        )


_REQUESTS: Final[Mapping[type, Callable[..., Command[tuple[str, ...]]]]] = {
    PauseWorkflow: PauseInstance,
    CancelWorkflow: RequestCancel,
    TerminateWorkflow: TerminateInstance,
}
