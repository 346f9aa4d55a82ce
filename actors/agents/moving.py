"""Moving: how a workflow goes from one agent to another.

A part of the coordinator, in its actor and on its messages. The new agent is expected to have it
before the move is written, and the old one has it until then: so neither takes what it has no room
for, and nobody is told of a move that could still be lost.
"""

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from actors import bus
from actors.agents.roster import Member, Roster
from actors.clock import Clock, rfc3339
from actors.coordination import repeats
from actors.coordination.assigning import ENDED, STALE, closed, move_key
from actors.coordination.assignment_messages import (
    BY_HAND,
    HANDOFF,
    LOST,
    AssignmentRecord,
    MoveAssignment,
    MoveWorkflow,
)
from actors.errors import Conflict, NotFound, Overloaded, ValidationError
from actors.writer import persist
from storage.coordination import assignments, queries
from storage.workflows import queries as workflows
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Named, ask

SAID_S: Final = 5.0
"""How long the bus may take to log what there is."""


@dataclass(slots=True, kw_only=True)
class Moving:
    """See the module.

    Args:
        reader: of the coordination database.
        engine: of the engine's.
        activate: tells the engine that a queued workflow has its agent; again it does nothing.
        settle: has the roster say of a workflow what the database says.
        show: called with an agent's id when its workload has changed.
    """

    roster: Roster
    reader: sqlite3.Connection
    engine: sqlite3.Connection
    writer: Named
    bus: Named
    clock: Clock
    activate: Callable[[str, str], Awaitable[None]]
    settle: Callable[[str], None]
    show: Callable[[str], None]
    _turns: dict[str, trio.Lock] = field(default_factory=dict)

    async def move(self, request: MoveWorkflow) -> AssignmentRecord:
        """Refused as `MoveWorkflow`. One workflow is moved once at a time.

        Raises:
            Overloaded: the log does not say yet who has it; it can be asked again.
        """
        turn = self._turns.setdefault(request.workflow_id, trio.Lock())
        try:
            async with turn:
                return await self._move(request)
        finally:
            if not turn.statistics().tasks_waiting:
                self._turns.pop(request.workflow_id, None)

    async def _move(self, request: MoveWorkflow) -> AssignmentRecord:
        while True:
            known = repeats.known(self.reader, *move_key(request.move_id, request.key))
            if known is not None:
                return AssignmentRecord(**known)
            before = self._holding(request)
            if request.kind == BY_HAND and before and before.agent_id == request.to_agent:
                return before
            if before is not None and self._is_unsaid(before):
                await self._have_it_said(before)
                continue
            try:
                return await self._write(request, before, self._taker(request, before))
            except Conflict as error:
                if error.code != STALE:  # else: see who has it now, and decide again
                    raise

    def _is_unsaid(self, holding: AssignmentRecord) -> bool:
        """Whether it has an agent, and the log does not say so yet.

        That of a workflow's first agent comes from the engine, a moment after it is so; and who
        has it next is logged when it is so. The other way round, whoever follows the log would
        take the first agent for the last.
        """
        mapping = queries.mapping(self.reader, holding.workflow_id)
        return holding.agent_id is not None and mapping is not None and not mapping["started_at"]

    async def _have_it_said(self, holding: AssignmentRecord) -> None:
        workflow_id, agent_id = holding.workflow_id, holding.agent_id or ""
        if workflows.status(self.engine, workflow_id) != "running":
            await self.activate(workflow_id, agent_id)  # granted, and the engine not told yet
        with contextlib.suppress(ActorDeadError, ActorRestarting, AskTimeout):
            await ask(self.bus, bus.CatchUp(), deadline_s=SAID_S)
        if self._is_unsaid(holding):
            raise Overloaded(f"that workflow {workflow_id} has an agent is not in the log yet")

    def _holding(self, request: MoveWorkflow) -> AssignmentRecord | None:
        """The open assignment, if the workflow may be taken from it."""
        workflow_id = request.workflow_id
        mapping = queries.mapping(self.reader, workflow_id)
        if mapping is None:
            raise NotFound(f"there is no workflow {workflow_id} that could have an agent")
        status = workflows.status(self.engine, workflow_id) or mapping["status"]
        if status in ENDED:
            raise closed(workflow_id, status)
        row = assignments.open_of(self.reader, workflow_id)
        found = None if row is None else AssignmentRecord(**dict(row))
        self._check_holder(request, found)
        return found

    def _check_holder(self, request: MoveWorkflow, found: AssignmentRecord | None) -> None:
        holder = None if found is None else found.agent_id
        if request.kind == HANDOFF and holder is None:
            raise _not_the_holder(request, "no agent has it")
        if request.from_agent is not None and request.from_agent != holder:
            who = "no agent" if holder is None else holder
            raise _not_the_holder(request, f"{who} has it, not {request.from_agent}")
        fence = None if found is None else found.id
        if request.assignment_id is not None and request.assignment_id != fence:
            raise _not_the_holder(request, f"assignment {request.assignment_id} is over")

    def _taker(self, request: MoveWorkflow, before: AssignmentRecord | None) -> "_Taker":
        if request.to_agent is not None:
            member = self._named(request, request.to_agent)
            return _Taker(member.agent_type, member)
        agent_type = request.to_type or (before and before.agent_type)
        if not agent_type:
            raise ValidationError("neither an agent nor a type is named", field="to_agent")
        if not any(m.standing != "unregistered" for m in self.roster.of_type(agent_type)):
            if request.kind == LOST:
                return _Taker(agent_type, None)  # it waits for one to be registered
            known = ", ".join(self.roster.types()) or "none"
            raise NotFound(f"there is no agent of type {agent_type!r}; known: {known}")
        _check_type(request, agent_type)
        holder = None if before is None else before.agent_id
        return _Taker(agent_type, self.roster.least_loaded(agent_type, but=holder))

    def _named(self, request: MoveWorkflow, agent_id: str) -> Member:
        member = self.roster.members.get(agent_id)
        if member is None or member.standing == "unregistered":
            raise NotFound(f"there is no agent {agent_id}")
        if request.to_type is not None and member.agent_type != request.to_type:
            raise ValidationError(
                f"agent {agent_id} is of type {member.agent_type!r}, not {request.to_type!r}",
                field="to_type",
                value=request.to_type,
                hint="name the agent, or the type: one of them is enough",
            )
        _check_type(request, member.agent_type)
        if agent_id == request.from_agent:
            raise Conflict(
                f"agent {agent_id} has workflow {request.workflow_id} already",
                code="already_the_holder",
                hint="name another agent",
            )
        if member.standing in _TAKES_NOTHING:
            code, hint = _TAKES_NOTHING[member.standing]
            raise Conflict(
                f"agent {agent_id} takes no work: it is {member.standing}", code=code, hint=hint
            )
        if not member.has_room:
            raise Conflict(
                f"agent {agent_id} has no room: its workload is {member.workload} of"
                f" {member.max_workload}",
                code="agent_busy",
                hint="name another agent, or wait until this one has room",
            )
        return member

    async def _write(
        self, request: MoveWorkflow, before: AssignmentRecord | None, taker: "_Taker"
    ) -> AssignmentRecord:
        member = taker.member
        command = MoveAssignment(
            move_id=request.move_id,
            workflow_id=request.workflow_id,
            kind=request.kind,
            fence=None if before is None else before.id,
            agent_type=taker.agent_type,
            agent_id=None if member is None else member.agent_id,
            reason=request.reason,
            payload=request.payload,
            author=request.author,
            key=request.key,
            at=rfc3339(self.clock()),
        )
        if member is not None:
            member.expected.add(request.workflow_id)
            self.show(member.agent_id)
        try:
            record = await persist(self.writer, command)
        finally:
            if member is not None:
                member.expected.discard(request.workflow_id)
            self.settle(request.workflow_id)
        bus.ring(self.bus)
        return record


@dataclass(frozen=True, slots=True)
class _Taker:
    """Who is to have it; without a member it waits for one of the type."""

    agent_type: str
    member: Member | None


_TAKES_NOTHING = {
    "draining": ("agent_draining", "name another agent, or activate this one"),
    "lost": ("agent_lost", "name another agent, or wait until this one is back"),
}


def _check_type(request: MoveWorkflow, agent_type: str) -> None:
    if request.allowed and agent_type not in request.allowed:
        raise Conflict(
            f"workflow {request.workflow_id} has no work for agents of type {agent_type!r}",
            code="wrong_agent_type",
            hint=f"name an agent of type {', '.join(sorted(request.allowed))}",
        )


def _not_the_holder(request: MoveWorkflow, why: str) -> Conflict:
    return Conflict(
        f"workflow {request.workflow_id} was not handed on: {why}",
        code="not_the_holder",
        hint="see who has it, and decide again",
    )
