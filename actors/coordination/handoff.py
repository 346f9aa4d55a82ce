"""Handing workflows on: an agent passes one to the next, or somebody gives it to an agent by hand.

A part of the manager. Everything that can refuse without knowing who has room is asked here; the
coordinator, who alone knows, decides and has it written: the old assignment's end, the next one,
and for a handoff its intent, in one transaction. Then the intent is made: the workflow gets its
signal (`handing`). The comment on the issue follows from the fact, as everything on an issue does.
"""

import contextlib
import random
from dataclasses import replace
from typing import Final

from actors.coordination import reading, repeats
from actors.coordination.assignment_messages import (
    BY_HAND,
    HANDOFF,
    AssignmentRecord,
    AssignWorkflow,
    HandOff,
    MoveWorkflow,
)
from actors.coordination.fields import NAME_CHARACTERS, check_reason, check_text, stored
from actors.coordination.messages import IntentOpen, MakeIntent, WorkflowRecord
from actors.errors import Conflict, NotFound, Overloaded, ValidationError
from actors.hints import hint
from actors.ids import move_id as new_move_id
from actors.workflows.definition import Definitions
from actors.workflows.history import CLOSED, Status
from storage import payload
from storage.lookups import Reads
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Named, Refused, ask

MOVE_S: Final = 30.0
MAKE_S: Final = 10.0

_OVER: Final = CLOSED | {Status.DEAD_LETTER}


class Handoffs:
    """See the module.

    Args:
        definitions: which say what types of agents a workflow may be handed to.
        pool: look-ups in the coordination database.
        histories: the same, to the engine's.
    """

    def __init__(
        self,
        *,
        definitions: Definitions,
        pool: Reads,
        histories: Reads,
        coordinator: Named,
        intents: Named,
        chance: random.Random,
    ) -> None:
        self._definitions = definitions
        self._pool = pool
        self._histories = histories
        self._coordinator = coordinator
        self._intents = intents
        self._chance = chance

    async def answer(self, request: HandOff | AssignWorkflow) -> AssignmentRecord:
        """Have a workflow given to another agent.

        Raises:
            ValidationError: a field is wrong; it is named.
            NotFound: there is no such workflow, or no such agent.
            Conflict: the idempotency key came with another request, or it cannot be done now; the
                code says why.
            Overloaded: it is not known whether it was done, or something did not answer in time.
        """
        reason = payload.plain_text(request.reason)  # it is stored in many places
        move = self._checked(replace(request, reason=reason))
        if move.key is not None:
            known = await repeats.answered(self._pool, *move.key)
            if known is not None:
                return AssignmentRecord(**known)
        found = await self._live(request.workflow_id)
        allowed = await self._allowed(found)
        record = await self._move(replace(move, allowed=allowed))
        if move.kind == HANDOFF:
            await self._make(move.move_id)
        return record

    def _checked(self, request: HandOff | AssignWorkflow) -> MoveWorkflow:
        """The coordinator's question for it; everything that is wrong in itself is said here."""
        check_reason(request.reason)
        check_text("author", request.author, NAME_CHARACTERS)
        match request:
            case HandOff():
                move = self._handoff(request)
            case AssignWorkflow():
                check_text("agent_id", request.agent_id, NAME_CHARACTERS)
                move = MoveWorkflow(
                    move_id=new_move_id(self._chance),
                    workflow_id=request.workflow_id,
                    kind=BY_HAND,
                    to_agent=request.agent_id,
                    reason=request.reason,
                    author=request.author,
                )
        key = request.idempotency_key
        return move if key is None else replace(move, key=(key, repeats.fingerprint(request)))

    def _handoff(self, request: HandOff) -> MoveWorkflow:
        check_text("from_agent", request.from_agent, NAME_CHARACTERS)
        if request.to_agent is None and request.to_type is None:
            raise ValidationError(
                "say whom it goes to: to_agent, or to_type for whichever agent of a type has room",
                field="to_agent",
            )
        for field, text in (("to_agent", request.to_agent), ("to_type", request.to_type)):
            if text is not None:
                check_text(field, text, NAME_CHARACTERS)
        handed_over = None if request.payload is None else stored("payload", request.payload)
        return MoveWorkflow(
            move_id=new_move_id(self._chance),
            workflow_id=request.workflow_id,
            kind=HANDOFF,
            from_agent=request.from_agent,
            to_agent=request.to_agent,
            to_type=request.to_type,
            reason=request.reason,
            payload=handed_over,
            assignment_id=request.assignment_id,
            author=request.author,
        )

    async def _live(self, workflow_id: str) -> WorkflowRecord:
        """The workflow, if it can be with an agent at all."""
        record = await reading.get_workflow(self._pool, self._histories, workflow_id)
        if record.parent_id is not None:
            raise Conflict(
                f"workflow {workflow_id} is a child of {record.parent_id} and has no agent of its"
                " own",
                code="child_workflow",
                hint="hand on the workflow above it; agents do a child's steps as they have room",
            )
        status = await reading.engine_status(self._histories, workflow_id)
        if status is None and record.completed_at is None:
            raise Overloaded(f"workflow {workflow_id} is decided, but not made yet")
        if status is None or status in _OVER:
            raise Conflict(
                f"workflow {workflow_id} is over: it is {status or record.status}",
                code="workflow_closed",
                hint="only a workflow that goes on can be given to an agent",
            )
        return record

    async def _allowed(self, record: WorkflowRecord) -> tuple[str, ...]:
        """Types of agents that may have it; () for any, where it never asked for one."""
        try:
            definition = self._definitions.get(record.type, record.version)
        except NotFound:
            declared: tuple[str, ...] = ()  # its code is not here: it has stalled
        else:
            declared = definition.agents
        if declared:
            return tuple(sorted({*declared, record.agent_type or declared[0]}))
        return tuple(sorted(await reading.agent_types_of(self._pool, self._histories, record.id)))

    async def _move(self, move: MoveWorkflow) -> AssignmentRecord:
        try:
            return await ask(self._coordinator, move, deadline_s=MOVE_S)
        except (ActorDeadError, ActorRestarting, AskTimeout) as error:
            hint(self._intents, IntentOpen())
            raise Overloaded(
                f"workflow {move.workflow_id} may have been given to another agent, or not: look"
                " at it before you try again, or repeat with an idempotency key"
            ) from error

    async def _make(self, move_id: str) -> None:
        """It stands already; what cannot be made now is made by the intents' actor."""
        with contextlib.suppress(ActorDeadError, ActorRestarting, AskTimeout, Refused):
            await ask(self._intents, MakeIntent(intent_id=move_id), deadline_s=MAKE_S)
