"""The agent coordinator: who works for which workflow, and who does which step.

Task rows and assignments are the truth; everything it holds in memory is taken from them again at
its start. A step is handed out with a fence that rises with each attempt, and its outcome is
stored here, against that fence, before the workflow hears of it: the late result of an agent that
was given up is refused.
"""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import trio

from actors import facts
from actors.agents.messages import (
    AgentGone,
    AgentUp,
    AgentView,
    AssignQueued,
    GrantQueued,
    Introduce,
    ListAgents,
    ReleaseAgent,
    ReloadAssignments,
    ReserveAgent,
    TaskDone,
    TaskFailed,
    TaskNote,
    TaskOrder,
    TaskReady,
)
from actors.agents.protocol import Agent
from actors.agents.roster import Member, Roster, TaskKey
from actors.bus import log_line, tell_bus
from actors.clock import Clock, rfc3339
from actors.errors import NotFound
from actors.facts import Fact, FactsLogged
from actors.hints import hint
from actors.workflows.activities import encode_failure
from actors.workflows.definition import ActivityFailure, RetryPolicy
from actors.workflows.dispatcher import workflow_name
from actors.workflows.messages import ActivateInstance, EndAttempt, Launch, StartTask, TaskEnded
from actors.writer import persist
from storage import payload
from storage.coordination import queries as coordination
from storage.workflows import queries as workflows
from storage.workflows.records import TaskRow
from supervision import (
    Actor,
    ActorDeadError,
    ActorRestarting,
    AskTimeout,
    ChildExists,
    ChildSpec,
    MailboxFull,
    Named,
    StartChild,
    StartError,
    ask,
)

READY_BATCH = 256
"""Ready rows of one agent type looked at in one go."""

START_S = 60.0

CRASH_ATTEMPTS = 3
"""Agents a step may take with it, in one life of the process, before it is given up."""

log = structlog.get_logger("beadflow.coordinator")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """One configured agent instance."""

    agent_id: str
    agent_class: type[Agent]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorParts:
    """What the coordinator is given.

    Args:
        incarnation: names this life of the process; nothing is handed out before the dispatcher
            has counted it, since it may be a task that keeps killing the process.
        instances: the dynamic supervisor of the agents' actors.
        repo: root of the work tree, for the agents.
        coordination_reader: a read-only connection for short look-ups on the trio thread.
        tempolite_reader: the same, of the engine's database.
        on_workload: told (agent id, agent type, workload) after each change.
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
    repo: Path
    clock: Clock
    on_workload: Callable[[str, str, int], None]


def agent_name(agent_id: str) -> str:
    """The registered name of an agent's actor."""
    return f"agent/{agent_id}"


@dataclass(slots=True)
class _State:
    """What it holds in memory.

    Args:
        undecided: reservations whose start is not in the database yet.
        orphans: tasks that were handed out and that nobody does now.
        crashes: agents that died with a task.
        waiting: tasks that wait for their next attempt, with the fence of the failed one.
        seen: the last event of the log that was followed.
    """

    roster: Roster
    undecided: set[str] = field(default_factory=set)
    handing_out: set[TaskKey] = field(default_factory=set)
    orphans: dict[TaskKey, TaskRow] = field(default_factory=dict)
    crashes: Counter[TaskKey] = field(default_factory=Counter)
    waiting: set[tuple[TaskKey, int]] = field(default_factory=set)
    seen: int = 0
    assignments_changed: bool = True


class AgentCoordinator(Actor):
    """See the module."""

    mailbox_bound = 100_000
    deferred_bound = 1000

    def __init__(self, *, specs: Sequence[AgentSpec], parts: CoordinatorParts) -> None:
        super().__init__()
        self._specs = specs
        self._parts = parts
        self._state = _State(Roster({spec.agent_id: _member(spec) for spec in specs}))
        self._work = trio.Event()

    async def on_start(self) -> None:
        self._state.seen = coordination.last_event(self._parts.coordination_reader)
        self._reload()
        for row in workflows.open_tasks(self._parts.tempolite_reader):
            if row.state == "running":
                self._state.orphans[row.workflow_id, row.op] = row
        for workflow_id, op in workflows.ended_tasks(self._parts.tempolite_reader):
            self._wake(workflow_id, op)  # the coordinator before may have died in between
        for spec in self._specs:
            self.spawn(self._start_agent, spec)
        self.spawn(self._pump)

    async def on_receive(self, message: object) -> object:
        match message:
            case TaskReady():
                self._work.set()
            case GrantQueued():
                self._look_at_assignments()
            case ReserveAgent():
                return self._reserve(message)
            case ReleaseAgent(workflow_id=workflow_id):
                self._release(workflow_id)
            case ReloadAssignments():
                self._state.undecided.clear()
                self._reload()
            case TaskDone() | TaskFailed():
                return self.defer(self._end(message))
            case TaskNote():
                self._pass_on(message)
            case FactsLogged():
                self._follow(message)
            case AgentUp():
                self._came_up(message)
            case AgentGone():
                self._went(message)
            case ListAgents():
                return tuple(_view(member) for member in self._state.roster.members.values())
            case _:
                return await super().on_receive(message)
        return None

    # Who there is.

    async def _start_agent(self, spec: AgentSpec) -> None:
        """Start an agent, or find the one that outlived an earlier coordinator.

        One that is not there yet, or is being restarted, says so itself when it is up.
        """
        try:
            with contextlib.suppress(ChildExists):
                await self._start_child(spec)
            agent = self.system.named(agent_name(spec.agent_id))
            self._came_up(await ask(agent, Introduce(), deadline_s=START_S))
        except StartError as error:
            self._went(AgentGone(agent_id=spec.agent_id, reason=str(error)))
        except (ActorDeadError, ActorRestarting, AskTimeout) as error:
            log.warning("agent not up yet", agent_id=spec.agent_id, why=str(error))

    async def _start_child(self, spec: AgentSpec) -> None:
        build = partial(
            spec.agent_class,
            agent_id=spec.agent_id,
            coordinator=self._parts.me,
            repo=self._parts.repo,
        )
        child = ChildSpec(id=spec.agent_id, build=build, name=agent_name(spec.agent_id))
        await ask(self._parts.instances, StartChild(spec=child), deadline_s=START_S)

    def _came_up(self, agent: AgentUp) -> None:
        member = self._state.roster.members[agent.agent_id]
        if member.incarnation != agent.incarnation:
            self._adopt(self._state.roster.lose(agent.agent_id))
            member.incarnation, member.up = agent.incarnation, True
            self._look_at_assignments()

    def _went(self, message: AgentGone) -> None:
        log.error("agent given up", agent_id=message.agent_id, reason=message.reason)
        self._adopt(self._state.roster.retire(message.agent_id))
        self._work.set()

    def _adopt(self, lost: Sequence[TaskKey]) -> None:
        for key in lost:
            row = workflows.task(self._parts.tempolite_reader, *key)
            if row is not None and row.state == "running":
                self._state.orphans[key] = row
                self._state.crashes[key] += 1

    # Who is reserved for what.

    def _reserve(self, request: ReserveAgent) -> str | None:
        if not self._state.roster.of_type(request.agent_type):
            known = sorted({m.agent_type for m in self._state.roster.members.values()})
            raise NotFound(
                f"no agent of type {request.agent_type!r} is configured; "
                f"known: {', '.join(known) or 'none'}"
            )
        agent_id = self._state.roster.reserve(request.workflow_id, request.agent_type)
        if agent_id is not None:
            self._state.undecided.add(request.workflow_id)
            self._show(agent_id)
        return agent_id

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
        assigned = {row["workflow_id"]: row["agent_id"] for row in rows}
        decided = {w for w in self._state.undecided if coordination.mapping(reader, w) is not None}
        self._state.undecided -= decided
        for workflow_id in self._state.undecided:
            holder = self._state.roster.holder(workflow_id)
            if holder is not None:
                assigned.setdefault(workflow_id, holder.agent_id)
        self._state.roster.take_reservations(assigned)
        for agent_id in self._state.roster.members:
            self._show(agent_id)
        self._look_at_assignments()

    def _look_at_assignments(self) -> None:
        self._state.assignments_changed = True
        self._work.set()

    def _follow(self, logged: FactsLogged) -> None:
        if logged.facts[0].seq != self._state.seen + 1:
            self._reload()
        self._state.seen = logged.facts[-1].seq
        for fact in logged.facts:
            if fact.workflow_id is None:
                continue
            if fact.type in facts.ENDS:
                self._release(fact.workflow_id)
            elif fact.type in (facts.WORKFLOW_STARTED, facts.WORKFLOW_QUEUED):
                self._state.undecided.discard(fact.workflow_id)

    # Handing out.

    async def _pump(self) -> None:
        while True:
            await self._work.wait()
            self._work = trio.Event()
            if self._state.assignments_changed:
                self._state.assignments_changed = False
                await self._grant()
            self._hand_out()

    async def _grant(self) -> None:
        """Give queued workflows the agents that have room, oldest first; then let them run."""
        for agent_type in sorted({m.agent_type for m in self._state.roster.members.values()}):
            await self._grant_type(agent_type)
        rows = self._parts.coordination_reader.execute(coordination.ASSIGNED).fetchall()
        for row in rows:
            instance = workflows.instance(self._parts.tempolite_reader, row["workflow_id"])
            if instance is not None and instance.status == "queued":
                await self._activate(row["workflow_id"], row["agent_id"])

    async def _grant_type(self, agent_type: str) -> None:
        room = sum(
            max(0, m.max_workload - m.workload) for m in self._state.roster.of_type(agent_type)
        )
        if room == 0:
            return
        reader = self._parts.coordination_reader
        for row in reader.execute(coordination.QUEUED, (agent_type, room)).fetchall():
            workflow_id = row["workflow_id"]
            agent_id = self._state.roster.reserve(workflow_id, agent_type)
            if agent_id is None:
                return
            self._show(agent_id)
            command = AssignQueued(workflow_id=workflow_id, agent_id=agent_id, at=self._now())
            if not await persist(self._parts.coordination, command):
                self._release(workflow_id)

    async def _activate(self, workflow_id: str, agent_id: str) -> None:
        command = ActivateInstance(workflow_id=workflow_id, agent_id=agent_id, at=self._now())
        await persist(self._parts.tempolite, command)
        hint(self._parts.dispatcher, Launch(workflow_id=workflow_id))

    def _hand_out(self) -> None:
        counted = workflows.meta(self._parts.tempolite_reader, "incarnation")
        if counted != self._parts.incarnation:
            return  # the dispatcher tells us `TaskReady` when it has
        for agent_type in {m.agent_type for m in self._state.roster.members.values()}:
            ready = workflows.ready_tasks(self._parts.tempolite_reader, agent_type, READY_BATCH)
            for row in (*self._orphans(agent_type), *ready):
                self._offer(row)

    def _orphans(self, agent_type: str) -> list[TaskRow]:
        """Those of workflows that run; one that has stalled may want its own again."""
        reader = self._parts.tempolite_reader
        found = (row for row in self._state.orphans.values() if row.agent_type == agent_type)
        return [row for row in found if workflows.status(reader, row.workflow_id) == "running"]

    def _offer(self, row: TaskRow) -> None:
        key = (row.workflow_id, row.op)
        if key in self._state.handing_out or (key, row.fence) in self._state.waiting:
            return
        member = self._state.roster.choose(row.workflow_id, row.agent_type)
        if member is None:
            return
        self._state.handing_out.add(key)
        self._state.orphans.pop(key, None)
        self._state.roster.begin(member.agent_id, key, row.fence + 1)
        self._show(member.agent_id)
        self.spawn(self._hand, row, member.agent_id)

    async def _hand(self, row: TaskRow, agent_id: str) -> None:
        """Make the attempt durable, then tell the agent."""
        key = (row.workflow_id, row.op)
        try:
            if self._state.crashes[key] >= CRASH_ATTEMPTS:
                await self._crashed_too_often(row)
                self._state.roster.end(agent_id, key, row.fence + 1)
                return
            command = StartTask(
                workflow_id=row.workflow_id,
                op=row.op,
                agent_id=agent_id,
                fence=row.fence,
                at=self._now(),
            )
            started = await persist(self._parts.tempolite, command)
        finally:
            self._state.handing_out.discard(key)
        if started is None:
            self._state.roster.end(agent_id, key, row.fence + 1)
            self._overtaken(key)
            return
        self._state.roster.begin(agent_id, key, started.fence)
        order = _order(started)
        self._note(facts.STEP_STARTED, agent_id, order)
        try:
            self.system.named(agent_name(agent_id)).tell(order)
        except (ActorDeadError, ActorRestarting, MailboxFull):
            self._state.roster.end(agent_id, key, started.fence)
            self._state.orphans[key] = started

    def _overtaken(self, key: TaskKey) -> None:
        """A coordinator that has died went on with this task after we had read its row."""
        row = workflows.task(self._parts.tempolite_reader, *key)
        if row is not None and row.state == "running":
            self._state.orphans[key] = row
            self._work.set()
        else:
            self._wake(*key)

    # What comes back.

    async def _end(self, answer: TaskDone | TaskFailed) -> None:
        order = answer.order
        key = (order.workflow_id, order.op)
        current = self._state.roster.members[answer.agent_id].running.get(key)
        state, outcome, wait_s = self._judge(answer)
        command = EndAttempt(
            workflow_id=order.workflow_id,
            op=order.op,
            fence=order.fence,
            state=state,
            outcome=outcome,
            at=self._now(),
        )
        if wait_s is not None:
            self._state.waiting.add((key, order.fence))
        accepted = await persist(self._parts.tempolite, command)
        if current == order.fence:
            self._state.roster.end(answer.agent_id, key, order.fence)
            self._show(answer.agent_id)
        if accepted:
            self._state.crashes.pop(key, None)
            self._state.orphans.pop(key, None)
        else:
            log.warning("late result refused", workflow_id=order.workflow_id, op=order.op)
        if not accepted:
            self._state.waiting.discard((key, order.fence))
        elif wait_s is None:
            self._wake(order.workflow_id, order.op)
        else:
            self._note(facts.STEP_RETRIED, answer.agent_id, order, wait_s=wait_s)
            self.spawn(self._retry_later, (key, order.fence), wait_s)
        self._work.set()

    def _judge(self, answer: TaskDone | TaskFailed) -> tuple[str, str | None, float | None]:
        """The attempt's end: (state, stored outcome, seconds until the next one)."""
        if isinstance(answer, TaskDone):
            return "done", answer.result, None
        order = answer.order
        row = workflows.task(self._parts.tempolite_reader, order.workflow_id, order.op)
        policy = RetryPolicy() if row is None else _retry(row)
        wait_s = policy.wait_s(order.attempt, answer.code, retryable=answer.retryable)
        if wait_s is not None:
            return "ready", None, wait_s
        return "failed", _failure(order.attempt, answer.agent_id, answer.code, answer.message), None

    async def _retry_later(self, failed: tuple[TaskKey, int], wait_s: float) -> None:
        await trio.sleep(wait_s)
        self._state.waiting.discard(failed)
        self._work.set()

    async def _crashed_too_often(self, row: TaskRow) -> None:
        message = f"its agent died {CRASH_ATTEMPTS} times while it was doing this"
        command = EndAttempt(
            workflow_id=row.workflow_id,
            op=row.op,
            fence=row.fence,
            state="failed",
            outcome=_failure(row.attempt, row.agent_id, "agent_crashed", message),
            at=self._now(),
        )
        if await persist(self._parts.tempolite, command):
            self._wake(row.workflow_id, row.op)

    def _wake(self, workflow_id: str, op: str) -> None:
        """Tell the workflow. One that is not there reads the row when it starts."""
        name = self.system.named(workflow_name(workflow_id))
        hint(name, TaskEnded(workflow_id=workflow_id, op=op))

    # What others see.

    def _pass_on(self, note: TaskNote) -> None:
        if note.progress:
            self._note(
                facts.STEP_PROGRESS,
                note.agent_id,
                note.order,
                message=note.message,
                fraction=note.fraction,
            )
        else:
            line = log_line(
                workflow_id=note.order.workflow_id,
                source=note.agent_id,
                level=note.level,
                message=note.message,
                at=self._now(),
            )
            tell_bus(self._parts.bus, line)

    def _note(self, kind: str, agent_id: str, order: TaskOrder, **more: Any) -> None:
        data: Mapping[str, Any] = {
            "step": order.op,
            "activity": order.activity,
            "agent_id": agent_id,
            "attempt": order.attempt,
            **more,
        }
        fact = Fact(type=kind, workflow_id=order.workflow_id, at=self._now(), data=data)
        tell_bus(self._parts.bus, fact)

    def _show(self, agent_id: str) -> None:
        member = self._state.roster.members[agent_id]
        self._parts.on_workload(agent_id, member.agent_type, member.workload)

    def _now(self) -> str:
        return rfc3339(self._parts.clock())


def _member(spec: AgentSpec) -> Member:
    return Member(
        agent_id=spec.agent_id,
        agent_type=spec.agent_class.agent_type,
        capabilities=spec.agent_class.capabilities(),
        max_workload=spec.agent_class.max_workload,
    )


def _view(member: Member) -> AgentView:
    return AgentView(
        agent_id=member.agent_id,
        agent_type=member.agent_type,
        capabilities=member.capabilities,
        workload=member.workload,
        max_workload=member.max_workload,
        running=tuple(f"{workflow_id}/{op}" for workflow_id, op in member.running),
    )


def _retry(row: TaskRow) -> RetryPolicy:
    stored = dict(payload.decode(row.policy)["retry"])
    return RetryPolicy(**{**stored, "non_retryable": tuple(stored["non_retryable"])})


def _order(row: TaskRow) -> TaskOrder:
    return TaskOrder(
        workflow_id=row.workflow_id,
        op=row.op,
        activity=row.activity,
        input=payload.decode(row.input),
        attempt=row.attempt,
        fence=row.fence,
        timeout_s=payload.decode(row.policy)["timeout_s"],
    )


def _failure(attempts: int, agent_id: str | None, code: str, message: str) -> str:
    failure = ActivityFailure(code, message)
    failure.attempts = attempts
    return encode_failure(failure, agent_id=agent_id)
