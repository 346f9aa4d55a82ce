"""Changes of a workflow: title, priority, variables and status, together or alone.

What concerns the bridge alone is one commit. What the engine has to do, too, is decided in one
commit, made there, and true in another: until then nobody sees it, and the engine may still refuse.
Changes of one workflow are made one after the other. Whoever is answered finds what it asked for,
in this workflow and in every list: the log has followed the engine by then.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import trio

from actors.bus import CatchUp, ring
from actors.clock import Clock, rfc3339
from actors.coordination import reading, repeats, requests, revising, transitions
from actors.coordination.fields import check_reason, stored
from actors.coordination.messages import (
    ApplyUpdate,
    CloseIntent,
    IntentOpen,
    RecordUpdate,
    UpdatePlan,
    UpdateWorkflow,
    WorkflowChanged,
    WorkflowRecord,
)
from actors.coordination.transitions import Verb
from actors.errors import Conflict, DatabaseUnavailable, NotFound, Overloaded, ValidationError
from actors.hints import hint
from actors.ids import message_id as new_id
from actors.workflows.definition import Definitions
from actors.workflows.messages import (
    CompleteInstance,
    Launch,
    PauseInstance,
    RequestCancel,
    ResumeInstance,
    RetryInstance,
    SetPriority,
    SetVariables,
)
from actors.writer import Command, write
from storage import payload
from storage.pool import ReadPool
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Named, Refused, ask

FOLLOW_S: Final = 5.0
"""How long a write waits for the log to tell of it; after that it is answered all the same."""

WAITING: Final = ("queued", "paused")


class Updater:
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
        coordination: Named,
        tempolite: Named,
        dispatcher: Named,
        intents: Named,
        event_bus: Named,
        definitions: Definitions,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._record = get_workflow
        self._pool = pool
        self._histories = histories
        self._coordination = coordination
        self._tempolite = tempolite
        self._dispatcher = dispatcher
        self._intents = intents
        self._event_bus = event_bus
        self._definitions = definitions
        self._clock = clock
        self._chance = chance
        self._turns: dict[str, trio.Lock] = {}

    async def answer(self, request: UpdateWorkflow) -> WorkflowRecord:
        check(request)
        async with self._turn(request.workflow_id):
            key = _key(request)
            if key is not None and await repeats.answered(self._pool, *key) is not None:
                return await self._record(request.workflow_id)
            plan = await self._decide(request, key)
            if plan is not None:
                await self._carry_out(plan, request.expected)
                await caught_up(self._event_bus)
            return await self._record(request.workflow_id)

    @asynccontextmanager
    async def _turn(self, workflow_id: str) -> AsyncIterator[None]:
        lock = self._turns.setdefault(workflow_id, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._turns.pop(workflow_id, None)

    async def _decide(
        self, request: UpdateWorkflow, key: tuple[str, str] | None
    ) -> UpdatePlan | None:
        """Refuse for every reason there is; None where nothing is left to do."""
        record = await self._record(request.workflow_id)
        if request.expected not in (None, record.updated_at):
            raise WorkflowChanged(f"workflow {record.id} has changed since {request.expected}")
        if record.parent_id is not None and _has_fields(request):
            raise Conflict(
                f"workflow {record.id} is a child: title, priority and variables are its parent's",
                code="child_workflow",
                hint=f"change {record.parent_id}",
            )
        present = await self._status(record)
        verb = None
        if request.status is not None:
            verb = transitions.verb(record.id, present, request.status)
        variables = self._variables(request, record, present)
        if verb is None and not _has_fields(request):
            return None
        return UpdatePlan(
            update_id=f"{record.id}@{new_id(self._chance)}",
            workflow_id=record.id,
            title=request.title,
            priority=request.priority,
            variables=variables,
            verb=None if verb is None else str(verb),
            reason=request.reason,
            result=None if request.result is None else stored("result", request.result),
            author=request.author,
            key=key if record.parent_id is None else None,
            at=revising.later(rfc3339(self._clock()), record.updated_at),
        )

    async def _status(self, record: WorkflowRecord) -> str:
        """What the engine says, which the mapping follows a moment later."""
        found = await reading.engine_status(self._histories, record.id)
        return record.status if found is None else reading.shown_status(found)

    def _variables(
        self, request: UpdateWorkflow, record: WorkflowRecord, present: str
    ) -> str | None:
        if request.variables is None:
            return None
        if present not in WAITING:
            raise Conflict(
                f"workflow {record.id} is {present} and has its variables",
                code="variables_fixed",
                hint="variables can be changed while a workflow is queued; start a new one",
            )
        self._definitions.get(record.type, record.version).parse(request.variables)
        return payload.encode(request.variables)

    async def _carry_out(self, plan: UpdatePlan, expected: str | None) -> None:
        """All of it or nothing; what cannot be made now is made by the intents' actor."""
        at_the_engine = (plan.verb, plan.variables, plan.priority) != (None, None, None)
        here = (plan.title, plan.variables, plan.priority, plan.key) != (None, None, None, None)
        try:
            if at_the_engine and here:
                if not await write(self._coordination, RecordUpdate(plan=plan, expected=expected)):
                    return
                expected = None
            if at_the_engine:
                await self._tell(plan)
            if here:
                await write(self._coordination, ApplyUpdate(plan=plan, expected=expected))
                ring(self._event_bus)
        except DatabaseUnavailable as error:
            hint(self._intents, IntentOpen())
            raise Overloaded(
                f"the stores did not answer in time; workflow {plan.workflow_id} may have been "
                "changed: look at it before you try again"
            ) from error

    async def _tell(self, plan: UpdatePlan) -> None:
        try:
            woken = await make(plan, tempolite=self._tempolite)
        except NotFound as error:
            await self._forget(plan)
            raise Overloaded(f"workflow {plan.workflow_id} is decided, not made yet") from error
        except DatabaseUnavailable:
            raise
        except Refused:
            await self._forget(plan)
            raise
        for told in woken:
            hint(self._dispatcher, Launch(workflow_id=told))

    async def _forget(self, plan: UpdatePlan) -> None:
        await write(self._coordination, CloseIntent(intent_id=plan.update_id))


async def make(plan: UpdatePlan, *, tempolite: Named) -> tuple[str, ...]:
    """Have the engine do its part; answers whom to wake. Idempotent.

    What it can refuse comes first.
    """
    workflow_id, at = plan.workflow_id, plan.at
    woken: tuple[str, ...] = ()
    if plan.variables is not None:
        variables = SetVariables(workflow_id=workflow_id, variables=plan.variables, at=at)
        await write(tempolite, variables)
    if plan.verb is not None:
        told = await write(tempolite, COMMANDS[Verb(plan.verb)](plan))
        woken = tuple(dict.fromkeys((workflow_id, *told)))
    if plan.priority is not None:
        await write(tempolite, SetPriority(workflow_id=workflow_id, priority=plan.priority, at=at))
    return woken


async def finish(text: str, *, tempolite: Named, coordination: Named) -> None:
    """Go on with a change that was decided, from its stored plan. Idempotent.

    What the engine refuses by now was never answered: nothing of it is made. A change that follows
    the issue is true here already.

    Raises:
        StorageFull, MailboxFull, DatabaseUnavailable: it cannot be finished now.
    """
    plan = revising.plan_from_text(text)
    try:
        await make(plan, tempolite=tempolite)
    except (NotFound, Conflict):
        return
    if plan.author != revising.BY_THE_ISSUE:
        await write(coordination, ApplyUpdate(plan=plan))


def _pause(plan: UpdatePlan) -> Command[tuple[str, ...]]:
    return PauseInstance(workflow_id=plan.workflow_id, reason=plan.reason, at=plan.at)


def _resume(plan: UpdatePlan) -> Command[tuple[str, ...]]:
    return ResumeInstance(workflow_id=plan.workflow_id, at=plan.at)


def _cancel(plan: UpdatePlan) -> Command[tuple[str, ...]]:
    return RequestCancel(workflow_id=plan.workflow_id, reason=plan.reason, at=plan.at)


def _complete(plan: UpdatePlan) -> Command[tuple[str, ...]]:
    return CompleteInstance(
        workflow_id=plan.workflow_id,
        output=plan.result or payload.encode(None),
        author=plan.author,
        reason=plan.reason,
        at=plan.at,
    )


def _retry(plan: UpdatePlan) -> Command[tuple[str, ...]]:
    return RetryInstance(workflow_id=plan.workflow_id, author=plan.author, at=plan.at)


COMMANDS: Final[Mapping[Verb, Callable[[UpdatePlan], Command[tuple[str, ...]]]]] = {
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.CANCEL: _cancel,
    Verb.COMPLETE: _complete,
    Verb.RETRY: _retry,
}


async def caught_up(event_bus: Named) -> None:
    """Wait until the log tells what is written by now. A bus that is away is not waited for."""
    try:
        await ask(event_bus, CatchUp(), deadline_s=FOLLOW_S)
    except (ActorDeadError, ActorRestarting, AskTimeout, Overloaded):
        return


def check(request: UpdateWorkflow) -> None:
    """Everything that can refuse without asking anybody. Pure.

    Raises:
        ValidationError: with the field that is wrong.
    """
    if not _has_fields(request) and request.status is None:
        raise ValidationError(
            "name what is to change: title, priority, variables or status", field="body"
        )
    if request.title is not None:
        requests.check_title(request.title, "title")
    if request.priority is not None:
        requests.check_priority(request.priority)
    if request.variables is not None:
        requests.check_variables(request.variables)
    if request.reason and request.status is None:
        raise ValidationError("a reason is for a change of status", field="reason")
    if request.result is not None and request.status != "completed":
        raise ValidationError("a result is for the status completed", field="result")
    if request.result is not None:
        stored("result", request.result)
    check_reason(request.reason)


def _has_fields(request: UpdateWorkflow) -> bool:
    return (request.title, request.priority, request.variables) != (None, None, None)


def _key(request: UpdateWorkflow) -> tuple[str, str] | None:
    if request.idempotency_key is None:
        return None
    return request.idempotency_key, repeats.fingerprint(request)
