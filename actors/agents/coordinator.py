"""The agent coordinator: who works for which workflow, and who does which step.

Task rows and assignments are the truth; everything it holds in memory is taken from them again at
its start. Here are the agents and the workflows they are reserved for; how steps are handed out,
and their outcomes taken, is in `handout`.
"""

import contextlib
import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog
import trio

from actors import bus, facts
from actors.agents.catalogue import AgentSpec, Catalogue
from actors.agents.handout import LOOK_S, Handout, agent_name
from actors.agents.leases import Leases
from actors.agents.messages import (
    AgentBeat,
    AgentGone,
    AgentUp,
    AgentView,
    AssignQueued,
    GrantQueued,
    Introduce,
    ListAgents,
    ListAwaited,
    ReleaseAgent,
    ReloadAssignments,
    ReserveAgent,
    TaskBeat,
    TaskDone,
    TaskFailed,
    TaskForgotten,
    TaskNote,
    TaskReady,
    TaskUsed,
    TaskWithdrawn,
)
from actors.agents.moving import Moving
from actors.agents.notes import Notes
from actors.agents.passing import Passing
from actors.agents.protocol import Agent
from actors.agents.registration import Registration
from actors.agents.registration_messages import UNREGISTERED, AboutAgents
from actors.agents.roster import Member, Roster
from actors.agents.site import Site
from actors.agents.waiting import steps_ago, urgency
from actors.breakers import Breakers
from actors.clock import Clock, rfc3339
from actors.coordination.assignment_messages import (
    HANDOFF,
    LOST,
    AssignmentRecord,
    MoveWorkflow,
)
from actors.errors import Conflict, NotFound, Overloaded
from actors.facts import FactsLogged
from actors.hints import hint
from actors.workflows.definition import Definitions
from actors.workflows.messages import ActivateInstance, Launch
from actors.workflows.requests import is_queued
from actors.writer import Settle, persist
from storage.coordination import assignments
from storage.coordination import queries as coordination
from storage.workflows import queries as workflows
from supervision import (
    Actor,
    ActorDeadError,
    ActorInfo,
    ActorRestarting,
    AskTimeout,
    ChildExists,
    Named,
    StartChild,
    StartError,
    ask,
)

START_S = 60.0

EVERY = -1
"""No limit, to SQLite: where others' rows stand between ours, a stretch might hold none of them."""

_LETS_GO_ON = frozenset({facts.WORKFLOW_STARTED, facts.WORKFLOW_RESUMED, facts.WORKFLOW_RETRIED})
"""After one of these a workflow wants done what it did not want before."""

_NOT_RUN = (None, "queued")
"""What the engine says of a workflow that has to be let run."""

AT_ONCE = 100
"""How many assignments are looked at before others get a turn."""

log = structlog.get_logger("beadflow.coordinator")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorParts:
    """What the coordinator is given.

    Args:
        incarnation: names this life of the process; nothing is handed out before the dispatcher
            has counted it, since it may be a task that keeps killing the process.
        instances: the dynamic supervisor of the agents' actors.
        site: where the agents work.
        coordination_reader: a read-only connection for short look-ups on the trio thread.
        tempolite_reader: the same, of the engine's database.
        on_workload: told (agent id, agent type, workload) after each change; None of one that is
            not there any more.
        drives_all: False leaves workflows alone that this process did not start.
        breakers: the process's circuits, for the agents.
    """

    incarnation: str
    instances: Named
    me: Named
    dispatcher: Named
    bus: Named
    coordination: Named
    tempolite: Named
    coordination_reader: sqlite3.Connection
    tempolite_reader: sqlite3.Connection
    site: Site
    definitions: Definitions
    clock: Clock
    on_workload: Callable[[str, str, int | None], None]
    drives_all: bool = True
    breakers: Breakers = field(default_factory=Breakers)


@dataclass(slots=True)
class _State:
    """What it holds in memory.

    Args:
        undecided: reservations whose start is not in the database yet.
        doubtful: those of them that nobody may be going to start any more.
        granting: queued workflows whose reservation is on its way to the database.
        own: the workflows that this process started, where it drives no others.
        seen: the last event of the log that was followed.
        waking: workflows that got an agent, and may have to be let run.
        cleared: agents that are gone, and that nothing was left with when that was looked at.
        walk: whether to look at all assignments, not only at what has changed.
        walked_at: when that was done last, on trio's clock.
    """

    roster: Roster
    undecided: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    granting: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    seen: int = 0
    assignments_changed: bool = True
    waking: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)
    walk: bool = True
    walked_at: float = -math.inf


class AgentCoordinator(Actor):
    """See the module."""

    mailbox_bound = 100_000
    deferred_bound = 1000

    def __init__(
        self,
        *,
        specs: Sequence[AgentSpec],
        parts: CoordinatorParts,
        types: Sequence[type[Agent]] = (),
    ) -> None:
        super().__init__()
        self._parts = parts
        self._state = _State(Roster({}))
        classes = {kind.agent_type: kind for kind in (*types, *(s.agent_class for s in specs))}
        self._registration = Registration(
            catalogue=Catalogue(classes),
            specs=specs,
            roster=self._state.roster,
            reader=parts.coordination_reader,
            writer=parts.coordination,
            bus=parts.bus,
            instances=parts.instances,
            coordinator=parts.me,
            site=parts.site,
            clock=parts.clock,
            named=self._named,
            described=self._described,
            spawn=self.spawn,
            start=self._start_agent,
            lost=self._lost,
            reload=self._reload,
            breakers=parts.breakers,
            show=self._show,
        )
        self._notes = Notes(parts.bus, parts.clock)
        self._handout = Handout(
            roster=self._state.roster,
            reader=parts.tempolite_reader,
            writer=parts.tempolite,
            notes=self._notes,
            clock=parts.clock,
            named=self._named,
            spawn=self.spawn,
            look_again=self._look_again,
            made_room=self._look_at_assignments,
            is_driven=self._is_driven,
            show=self._show,
        )
        self._moving = Moving(
            roster=self._state.roster,
            reader=parts.coordination_reader,
            engine=parts.tempolite_reader,
            writer=parts.coordination,
            bus=parts.bus,
            clock=parts.clock,
            activate=self._activate,
            settle=self._settle,
            show=self._show,
        )
        self._leases = Leases(
            roster=self._state.roster,
            writer=parts.coordination,
            bus=parts.bus,
            instances=parts.instances,
            clock=parts.clock,
            handout=self._handout,
            spawn=self.spawn,
            start=self._start_agent,
            gave_up=self._gave_up,
        )
        self._handout.passing = Passing(
            roster=self._state.roster,
            moving=self._moving,
            definitions=parts.definitions,
            reader=parts.coordination_reader,
            engine=parts.tempolite_reader,
            named=self._named,
            spawn=self.spawn,
            look_again=self._look_again,
        )
        self._work = trio.Event()
        self._doubts = trio.Event()

    async def on_start(self) -> None:
        """Reads the rows once what a coordinator that died has sent is among them.

        Else an attempt that its last words began would be nobody's, and an agent given twice.
        """
        await persist(self._parts.coordination, Settle())
        await persist(self._parts.tempolite, Settle())
        self._state.seen = coordination.last_event(self._parts.coordination_reader)
        self._registration.refresh()
        self._reload()
        self._launch_activated()
        self._handout.load()
        self.spawn(self._pump)
        self.spawn(self._sift)
        self.spawn(self._leases.watch)

    async def on_receive(self, message: object) -> object:
        match message:
            case TaskReady(workflow_id=workflow_id):
                self._own(workflow_id)
                self._handout.hear(workflow_id)
                self._work.set()
            case TaskWithdrawn(workflow_id=workflow_id, op=op):
                self._handout.withdraw((workflow_id, op))
            case GrantQueued():
                self._look_at_assignments()
            case ReserveAgent():
                return self._reserve(message)
            case MoveWorkflow():
                return self.defer(self._move(message))
            case ReleaseAgent(workflow_id=workflow_id):
                self._doubt({workflow_id})
            case ReloadAssignments():
                self._doubt(self._state.undecided)
            case TaskDone() | TaskFailed():
                return self.defer(self._handout.end(message))
            case TaskBeat():
                self._handout.beat(message)
            case TaskNote():
                self._notes.pass_on(message)
            case TaskUsed():
                self._notes.used(message)
            case FactsLogged():
                self._follow(message)
            case AgentUp():
                self._came_up(message)
            case AgentGone():
                self._went(message)
            case AgentBeat():
                self._leases.beat(message)
            case TaskForgotten():
                self._forgotten(message)
            case ListAwaited():
                return self._handout.awaited()
            case AboutAgents():
                return self.defer(self._registration.answer(message))
            case ListAgents():
                return tuple(_view(member) for member in self._state.roster.members.values())
            case _:
                return await super().on_receive(message)
        return None

    # Who there is.

    async def _start_agent(self, agent_id: str) -> None:
        """Start an agent, or find the one that outlived an earlier coordinator.

        One that is not there yet, or is being restarted, says so itself when it is up. One that is
        lost is ended first, if it is there: it may be hanging.
        """
        if self._state.roster.members[agent_id].standing == "lost":
            await self._leases.end(agent_id)
        self._leases.expect(agent_id)
        try:
            child = StartChild(spec=self._registration.child(agent_id))
            with contextlib.suppress(ChildExists):
                await ask(self._parts.instances, child, deadline_s=START_S)
            agent = self.system.named(agent_name(agent_id))
            self._came_up(await ask(agent, Introduce(), deadline_s=START_S))
        except StartError as error:
            self._went(AgentGone(agent_id=agent_id, reason=str(error)))
        except (ActorDeadError, ActorRestarting, AskTimeout) as error:
            log.warning("agent not up yet", agent_id=agent_id, why=str(error))

    def _described(self, agent_id: str) -> ActorInfo | None:
        """What the kernel knows of an agent's actor: its supervisor stands beside this one."""
        agents = self.me.path.rpartition("/")[0]
        return self.system.snapshot(f"{agents}/agent_instances/{agent_id}", depth=0)

    def _lost(self, agent_id: str) -> None:
        for key, fence in list(self._state.roster.members[agent_id].running.items()):
            self._handout.take_back(agent_id, key, fence)
        self._gave_up()

    def _gave_up(self) -> None:
        """What some agent had is for others: which one, and what, is looked for."""
        self._state.cleared.clear()
        self._look_at_assignments()

    def _forgotten(self, message: TaskForgotten) -> None:
        if message.agent_id in self._state.roster.members:
            key = (message.workflow_id, message.op)
            if key not in self._handout.awaited():
                self._handout.take_back(message.agent_id, key, message.fence)

    def _came_up(self, agent: AgentUp) -> None:
        member = self._state.roster.members[agent.agent_id]
        if member.incarnation != agent.incarnation:
            self._handout.adopt(self._state.roster.lose(agent.agent_id))
            member.incarnation = agent.incarnation
            self._handout.review(agent)
            if member.standing == "lost":
                self.spawn(self._leases.came_up, agent)
            else:
                member.up = True
                self._leases.renew(agent.agent_id)
            self._registration.came_up(agent)
            self._look_at_assignments()

    def _went(self, message: AgentGone) -> None:
        """Its restarts are used up, or it could not be started."""
        member = self._state.roster.members[message.agent_id]
        self._leases.lose(member, message.reason, hangs=False)

    # Who is reserved for what.

    def _reserve(self, request: ReserveAgent) -> str | None:
        of_type = self._state.roster.of_type(request.agent_type)
        if all(member.standing == UNREGISTERED for member in of_type):
            known = self._state.roster.types()
            raise NotFound(
                f"no agent of type {request.agent_type!r} is configured; "
                f"known: {', '.join(known) or 'none'}"
            )
        self._own(request.workflow_id)
        holder = self._state.roster.holder(request.workflow_id)
        if holder is None and self._is_waited_for(request.agent_type):
            return None
        agent_id = self._state.roster.reserve(request.workflow_id, request.agent_type)
        if agent_id is not None:
            self._state.undecided.add(request.workflow_id)
            self._show(agent_id)
        return agent_id

    async def _move(self, request: MoveWorkflow) -> AssignmentRecord:
        record = await self._moving.move(request)
        if request.kind != HANDOFF:  # who hands on ends what it has begun
            self._handout.recall(record.workflow_id, record.agent_type, but=record.agent_id)
        return record

    def _settle(self, workflow_id: str) -> None:
        """Have the roster say who has a workflow, as the database does."""
        if workflow_id in self._state.granting:
            return  # whoever grants it settles it
        row = assignments.open_of(self._parts.coordination_reader, workflow_id)
        if row is None and workflow_id in self._state.undecided:
            return
        has_it = row is not None and row["status"] == "assigned" and self._is_driven(workflow_id)
        before = self._state.roster.holder(workflow_id)
        self._state.roster.settle(workflow_id, row["agent_id"] if row and has_it else None)
        if row is not None and has_it:
            self._state.waking.add(workflow_id)
            self._state.cleared.discard(row["agent_id"])
        after = self._state.roster.holder(workflow_id)
        for member in {m.agent_id: m for m in (before, after) if m is not None}.values():
            self._show(member.agent_id)
        self._look_at_assignments()

    def _doubt(self, workflow_ids: Iterable[str]) -> None:
        """Whoever reserved for these has died or was refused; the start may be decided even so."""
        self._state.doubtful.update(workflow_ids)
        self._doubts.set()

    async def _sift(self) -> None:
        """Free what was reserved for starts that never came, once nothing of them is on its way."""
        while True:
            await self._doubts.wait()
            self._doubts = trio.Event()
            doubtful, self._state.doubtful = self._state.doubtful, set()
            await persist(self._parts.coordination, Settle())
            for workflow_id in sorted(doubtful):
                if coordination.mapping(self._parts.coordination_reader, workflow_id) is None:
                    self._release(workflow_id)
            self._reload()

    def _own(self, workflow_id: str | None) -> None:
        if workflow_id is None or self._parts.drives_all or workflow_id in self._state.own:
            return
        self._state.own.add(workflow_id)
        self._state.waking.add(workflow_id)
        self._state.cleared.clear()

    def _release(self, workflow_id: str) -> None:
        holder = self._state.roster.holder(workflow_id)
        self._state.undecided.discard(workflow_id)
        if holder is not None:
            self._state.roster.release(workflow_id)
            self._show(holder.agent_id)
            self._look_at_assignments()

    def _reload(self) -> None:
        reader = self._parts.coordination_reader
        rows = reader.execute(coordination.ASSIGNED)
        assigned = {
            row["workflow_id"]: row["agent_id"]
            for row in rows
            if self._is_driven(row["workflow_id"])  # what nobody drives keeps no agent busy
        }
        decided = {w for w in self._state.undecided if coordination.mapping(reader, w) is not None}
        self._state.undecided -= decided
        for workflow_id in self._state.undecided | self._state.granting:
            holder = self._state.roster.holder(workflow_id)
            if holder is not None:
                assigned.setdefault(workflow_id, holder.agent_id)
        self._state.roster.take_reservations(assigned)
        for agent_id in self._state.roster.members:
            self._show(agent_id)
        self._state.walk = True
        self._look_at_assignments()

    def _look_at_assignments(self) -> None:
        self._state.assignments_changed = True
        self._work.set()

    def _follow(self, logged: FactsLogged) -> None:
        if logged.facts[0].seq != self._state.seen + 1:
            self._reload()
            self._handout.sweep()
        self._state.seen = logged.facts[-1].seq
        for fact in logged.facts:
            if fact.workflow_id is None:
                continue
            if fact.type in _LETS_GO_ON:
                self._handout.hear(fact.workflow_id)
            if fact.type in facts.ENDS:
                self._handout.withdraw_all(fact.workflow_id)
                self._release(fact.workflow_id)
            elif fact.type == facts.STEP_CANCELLED:
                self._handout.withdraw((fact.workflow_id, fact.data["step"]))
            elif fact.type in (facts.WORKFLOW_RESUMED, facts.WORKFLOW_RETRIED):
                self._state.waking.add(fact.workflow_id)
                self._look_at_assignments()
            elif fact.type in (facts.WORKFLOW_STARTED, facts.WORKFLOW_QUEUED):
                self._state.undecided.discard(fact.workflow_id)
            elif fact.type == facts.AGENT_ASSIGNED and self._is_gone(fact.data["agent_id"]):
                self._state.cleared.discard(fact.data["agent_id"])
                self._state.walk |= fact.data["agent_id"] not in self._state.roster.members
                self._look_at_assignments()

    # Giving queued workflows their agents.

    async def _pump(self) -> None:
        rest_s = LOOK_S
        while True:
            with trio.move_on_after(rest_s):
                await self._work.wait()
            self._work = trio.Event()
            if trio.current_time() >= self._state.walked_at + LOOK_S:
                self._state.walk = True
            if self._state.assignments_changed or self._state.walk:
                self._state.assignments_changed = False
                if self._state.walk:
                    self._state.walk = False
                    self._state.walked_at = trio.current_time()
                    self._state.cleared.clear()
                    await self._walk()
                await self._rescue(self._left_behind())
                await self._grant()
                await self._let_run()
            counted = workflows.meta(self._parts.tempolite_reader, "incarnation")
            if counted == self._parts.incarnation:  # else the dispatcher tells us when it has
                self._handout.hand_out()
                rest_s = self._handout.rest_s()

    async def _walk(self) -> None:
        """Look at every assignment: something may have been missed, or changed by other hands."""
        rows = self._parts.coordination_reader.execute(coordination.ASSIGNED).fetchall()
        members = self._state.roster.members
        await self._rescue([row for row in rows if row["agent_id"] not in members])
        for number, row in enumerate(rows, start=1):
            status = workflows.status(self._parts.tempolite_reader, row["workflow_id"])
            if status in _NOT_RUN:
                self._state.waking.add(row["workflow_id"])
            if number % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    def _left_behind(self) -> list[sqlite3.Row]:
        """What agents have that are gone since this was looked at."""
        gone = {agent_id for agent_id in self._state.roster.members if self._is_gone(agent_id)}
        unseen = sorted(gone - self._state.cleared)
        self._state.cleared = gone
        reader = self._parts.coordination_reader
        return [row for agent_id in unseen for row in assignments.held_by(reader, agent_id)]

    async def _rescue(self, rows: Sequence[sqlite3.Row]) -> None:
        """Give what lost agents had to others, or queue it: the rows say what that is."""
        for row in rows:
            if self._is_gone(row["agent_id"]) and self._is_driven(row["workflow_id"]):
                request = MoveWorkflow(
                    move_id=f"lost-{row['id']}",
                    workflow_id=row["workflow_id"],
                    kind=LOST,
                    from_agent=row["agent_id"],
                    to_type=row["agent_type"],
                    reason=f"agent {row['agent_id']} is lost",
                    assignment_id=row["id"],
                )
                # It has ended, somebody was first, or its agent is not logged yet: that we hear.
                with contextlib.suppress(Conflict, NotFound, Overloaded):
                    await self._move(request)

    def _is_gone(self, agent_id: str) -> bool:
        """Whether what this agent has is for others."""
        member = self._state.roster.members.get(agent_id)
        return member is None or member.standing in ("lost", "unregistered")

    async def _grant(self) -> None:
        """Give queued workflows the agents that have room, oldest first."""
        for agent_type in self._state.roster.types():
            await self._grant_type(agent_type)

    async def _let_run(self) -> None:
        """Let those run that have their agent now."""
        for workflow_id in sorted(self._state.waking):
            self._state.waking.discard(workflow_id)
            status = workflows.status(self._parts.tempolite_reader, workflow_id)
            if status not in _NOT_RUN or not self._is_driven(workflow_id):
                continue
            row = assignments.open_of(self._parts.coordination_reader, workflow_id)
            if row is None or row["status"] != "assigned":
                continue
            if status is None:
                self._state.waking.add(workflow_id)  # it is decided, and not made yet
            else:
                await self._activate(workflow_id, row["agent_id"])

    async def _grant_type(self, agent_type: str) -> None:
        room = sum(
            max(0, m.max_workload - m.workload) for m in self._state.roster.of_type(agent_type)
        )
        if room == 0:
            return
        reader = self._parts.coordination_reader
        limit = room if self._parts.drives_all else EVERY
        for workflow_id in self._in_order(assignments.waiting(reader, agent_type, limit)):
            if not self._is_driven(workflow_id):
                continue
            agent_id = self._state.roster.reserve(workflow_id, agent_type)
            if agent_id is None:
                return
            self._show(agent_id)
            command = AssignQueued(
                workflow_id=workflow_id,
                agent_id=agent_id,
                at=self._now(),
                announced=self._has_run(workflow_id),
            )
            self._state.granting.add(workflow_id)
            granted = await persist(self._parts.coordination, command)
            self._state.granting.discard(workflow_id)
            self._settle(workflow_id)
            if granted and command.announced:
                bus.ring(self._parts.bus)

    def _in_order(self, found: Sequence[tuple[str, int, str]]) -> list[str]:
        """Who waits for an agent, the first one first; see `waiting`."""
        steps = steps_ago(self._parts.clock())
        places = sorted((urgency((p, since), steps), since, w) for w, p, since in found)
        return [workflow_id for _, _, workflow_id in places]

    def _is_waited_for(self, agent_type: str) -> bool:
        """Whether others wait for an agent already, who then come first."""
        if not self._parts.drives_all:
            return False
        reader = self._parts.coordination_reader
        rows = reader.execute(coordination.QUEUED, (agent_type, len(self._state.granting) + 1))
        return any(row["workflow_id"] not in self._state.granting for row in rows)

    def _has_run(self, workflow_id: str) -> bool:
        """Whether it has run before, so that the engine will not say that it has an agent now."""
        row = workflows.instance(self._parts.tempolite_reader, workflow_id)
        return row is not None and not is_queued(self._parts.tempolite_reader, row)

    def _launch_activated(self) -> None:
        """A coordinator that died may have activated workflows that nobody was told to launch."""
        rows = self._parts.coordination_reader.execute(coordination.ASSIGNED).fetchall()
        for workflow_id in (row["workflow_id"] for row in rows):
            status = workflows.status(self._parts.tempolite_reader, workflow_id)
            if status == "running" and self._is_driven(workflow_id):
                hint(self._parts.dispatcher, Launch(workflow_id=workflow_id))

    async def _activate(self, workflow_id: str, agent_id: str) -> None:
        command = ActivateInstance(workflow_id=workflow_id, agent_id=agent_id, at=self._now())
        await persist(self._parts.tempolite, command)
        hint(self._parts.dispatcher, Launch(workflow_id=workflow_id))

    def _named(self, name: str) -> Named:
        return self.system.named(name)

    def _look_again(self) -> None:
        self._work.set()

    def _is_driven(self, workflow_id: str) -> bool:
        return self._parts.drives_all or workflow_id in self._state.own

    # What others see.

    def _show(self, agent_id: str) -> None:
        member = self._state.roster.members[agent_id]
        is_there = member.standing != UNREGISTERED
        self._parts.on_workload(agent_id, member.agent_type, member.workload if is_there else None)
        self._registration.look(agent_id)

    def _now(self) -> str:
        return rfc3339(self._parts.clock())


def _view(member: Member) -> AgentView:
    return AgentView(
        agent_id=member.agent_id,
        agent_type=member.agent_type,
        capabilities=member.capabilities,
        workload=member.workload,
        max_workload=member.max_workload,
        running=tuple(f"{workflow_id}/{op}" for workflow_id, op in member.running),
        status=member.standing,
    )
