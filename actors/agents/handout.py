"""Handing out: which agent does which step, and what became of each attempt.

A part of the coordinator, in its actor and on its messages. A step is handed out with a fence that
rises with each attempt; the attempt is durable before the agent hears of it, and its outcome is
stored against that fence before the workflow hears of it.
"""

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
import trio

from actors import facts
from actors.agents.messages import AgentUp, CancelTask, TaskBeat, TaskDone, TaskFailed, TaskOrder
from actors.agents.notes import Notes
from actors.agents.passing import Passing
from actors.agents.roster import Roster, TaskKey
from actors.agents.waiting import Line
from actors.clock import Clock, rfc3339
from actors.hints import hint
from actors.workflows.activities import encode_failure
from actors.workflows.definition import ActivityFailure, RetryPolicy
from actors.workflows.dispatcher import workflow_name
from actors.workflows.messages import (
    EndAttempt,
    GiveUpTask,
    RecordHeartbeat,
    StartTask,
    TaskEnded,
)
from actors.writer import persist
from storage import payload
from storage.workflows import queries, waiting
from storage.workflows.records import TaskRow
from supervision import ActorDeadError, ActorRestarting, MailboxFull, Named

CRASH_ATTEMPTS = 3
"""Agents a step may take with it, in one life of the process, before it is given up."""

START_TO_CLOSE = "start_to_close_timeout"

LOOK_S = 30.0
"""How long nobody looks when nothing is heard: hints may be lost, and the wall clock may jump."""

log = structlog.get_logger("beadflow.handout")


def agent_name(agent_id: str) -> str:
    """The registered name of an agent's actor."""
    return f"agent/{agent_id}"


@dataclass(slots=True, kw_only=True)
class Handout:
    """See the module.

    Args:
        named: finds an actor by its name.
        spawn: runs a background task of the coordinator.
        look_again: has `hand_out` called soon.
        made_room: called when an agent that was full has room.
        is_driven: whether this process drives a workflow.
        show: called with an agent's id when its workload has changed.
        busy: tasks whose hand-out, or whose end without an agent, is on its way to the database.
        orphans: tasks that were handed out and that nobody does now.
        crashes: agents that died with a task.
        passing: hands a workflow on before a step of another type of agent.
        withdrawn: tasks that were said to be unwanted while they were being handed out.
        recalled: tasks that were taken from their agents while they were being handed out.
        lines: the workflows that wait for agents of each type.
        served: when each of those was given an agent last: its wait begins anew with that.
    """

    roster: Roster
    reader: sqlite3.Connection
    writer: Named
    notes: Notes
    clock: Clock
    named: Callable[[str], Named]
    spawn: Callable[..., None]
    look_again: Callable[[], None]
    made_room: Callable[[], None]
    is_driven: Callable[[str], bool]
    show: Callable[[str], None]
    busy: set[TaskKey] = field(default_factory=set)
    orphans: dict[TaskKey, TaskRow] = field(default_factory=dict)
    crashes: Counter[TaskKey] = field(default_factory=Counter)
    withdrawn: set[TaskKey] = field(default_factory=set)
    recalled: set[TaskKey] = field(default_factory=set)
    passing: Passing | None = None
    lines: dict[str, Line] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    _swept_at: float = -math.inf
    _due_until: str = ""

    def load(self) -> None:
        """Take up what an earlier coordinator, or an earlier life of the process, left."""
        for row in queries.open_tasks(self.reader):
            if row.state == "running":
                self.orphans[row.workflow_id, row.op] = row
        for workflow_id, op in queries.ended_tasks(self.reader):
            self._wake(workflow_id, op)  # the coordinator before may have died in between

    def adopt(self, lost: Sequence[TaskKey]) -> None:
        """An agent died with these."""
        for key in lost:
            row = queries.task(self.reader, *key)
            if row is not None and row.state == "running":
                self.orphans[key] = row
                self.crashes[key] += 1

    def hand_out(self) -> None:
        """Offer every step that waits to whoever has room for it, unless it has waited too long."""
        now = self._now()
        if trio.current_time() - self._swept_at >= LOOK_S:
            self.sweep()
        self._give_up_late(now)
        for workflow_id in waiting.due(self.reader, self._due_until, now):
            self._look(workflow_id, now)
        self._due_until = now
        for agent_type in self.roster.types():
            for row in self._orphans(agent_type):
                if self.is_driven(row.workflow_id):
                    self._offer(row)
            self._serve(agent_type, now)

    # Who waits: the rows say so. In memory is which workflows to look at, and in what order.

    def hear(self, workflow_id: str | None) -> None:
        """It is said that a workflow may wait for an agent; None that any may."""
        if workflow_id is None:
            self.lines.clear()
        else:
            self._look(workflow_id, self._now())

    def _look(self, workflow_id: str, now: str) -> None:
        for agent_type in self.lines:
            self._first(agent_type, workflow_id, now)

    def _first(self, agent_type: str, workflow_id: str, now: str) -> str | None:
        """What a workflow waits for first, by which it stands in line."""
        handing = sum(key[0] == workflow_id for key in self.busy)
        found = waiting.first(self.reader, agent_type, workflow_id, at=now, limit=handing + 1)
        line = self.lines[agent_type]
        for op, priority, since in found:
            if (workflow_id, op) not in self.busy:
                line.put(workflow_id, (priority, self._since(workflow_id, since)))
                return op
        line.drop(workflow_id)
        return None

    def _line(self, agent_type: str, now: str) -> Line:
        line = self.lines.get(agent_type)
        if line is None:
            line = self.lines[agent_type] = Line()
            found = waiting.line(self.reader, agent_type, now)
            for workflow_id, (priority, since) in found.items():
                line.put(workflow_id, (priority, self._since(workflow_id, since)))
        return line

    def _since(self, workflow_id: str, since: str) -> str:
        """Since when a workflow waits: who has just had an agent is behind who has had none."""
        return max(since, self.served.get(workflow_id, ""))

    def _serve(self, agent_type: str, now: str) -> None:
        """Offer what waits for agents of a type, to each workflow's own agent and then in order."""
        line = self._line(agent_type, now)
        if not line.heads:
            return
        members = self.roster.of_type(agent_type)
        for member in members:
            for workflow_id in sorted(member.reserved & line.heads.keys()):
                if not member.does_any_of(workflow_id):
                    self._serve_one(agent_type, workflow_id, now)
        if not any(member.up and member.has_room for member in members):
            self._pass_on(agent_type, line, now)
            return
        for workflow_id in line.in_order(self.clock(), self.roster.running_of):
            self._serve_one(agent_type, workflow_id, now)
            if not any(member.up and member.has_room for member in members):
                break

    def _pass_on(self, agent_type: str, line: Line, now: str) -> None:
        """A workflow that another type of agent has may be handed on, and wait in their line."""
        if self.passing is not None:
            for member in list(self.roster.members.values()):
                for workflow_id in sorted(member.reserved & line.heads.keys()):
                    if member.agent_type != agent_type:
                        self._serve_one(agent_type, workflow_id, now)

    def _serve_one(self, agent_type: str, workflow_id: str, now: str) -> None:
        op = self._first(agent_type, workflow_id, now)
        if op is None:
            return
        row = queries.task(self.reader, workflow_id, op)
        runs = queries.status(self.reader, workflow_id) == "running"
        if row is None or row.state != "ready" or not runs or not self.is_driven(workflow_id):
            self.lines[agent_type].drop(workflow_id)  # until something is heard of it
        elif self._offer(row):
            self.served[workflow_id] = now
            self._first(agent_type, workflow_id, now)

    def rest_s(self) -> float:
        """Seconds until there is something to do although nothing is heard; at most `LOOK_S`."""
        now = self._now()
        ends = (row.close_by for row in self.orphans.values())
        moments = (queries.next_task_at(self.reader, now), *ends)
        future = [self._left_s(at) for at in moments if at is not None and at > now]
        return min([LOOK_S, *future])

    def _give_up_late(self, now: str) -> None:
        """End what no agent has taken in time, or has not done in time."""
        late = [row for row in self.orphans.values() if row.close_by and row.close_by <= now]
        for row in (*late, *queries.late_tasks(self.reader, now)):
            key = (row.workflow_id, row.op)
            if key not in self.busy and self.is_driven(row.workflow_id):
                self.busy.add(key)
                self.orphans.pop(key, None)
                self.spawn(self._give_up, row)

    # What nobody wants any more.

    def sweep(self) -> None:
        """Whatever was said and not heard: have nothing done that nobody wants."""
        self._swept_at = trio.current_time()
        stand = {workflow_id for line in self.lines.values() for workflow_id in line.heads}
        self.served = {w: at for w, at in self.served.items() if w in stand}
        self.lines.clear()
        for member in self.roster.members.values():
            for key in list(member.running):
                self.withdraw(key)

    def withdraw_all(self, workflow_id: str) -> None:
        """A workflow has ended."""
        for member in self.roster.members.values():
            for key in [key for key in member.running if key[0] == workflow_id]:
                self.withdraw(key)

    def withdraw(self, key: TaskKey) -> None:
        """It is said that nobody wants this task. Its row is what counts."""
        if key in self.busy:
            self.withdrawn.add(key)
            return
        orphan = self.orphans.get(key)
        if orphan is not None and not self._is_wanted(key, orphan.fence):
            del self.orphans[key]
        for member in self.roster.members.values():
            fence = member.running.get(key)
            if fence is not None and not self._is_wanted(key, fence):
                self._revoke(member.agent_id, key, fence)

    def review(self, agent: AgentUp) -> None:
        """Have an agent that outlived an earlier coordinator do nothing that nobody wants."""
        for workflow_id, op, fence in agent.running:
            if not self._is_wanted((workflow_id, op), fence):
                cancel = CancelTask(workflow_id=workflow_id, op=op, fence=fence)
                hint(self.named(agent_name(agent.agent_id)), cancel)

    def _is_wanted(self, key: TaskKey, fence: int) -> bool:
        row = queries.task(self.reader, *key)
        return row is not None and (row.state, row.fence) == ("running", fence)

    def _revoke(self, agent_id: str, key: TaskKey, fence: int) -> None:
        workflow_id, op = key
        cancel = CancelTask(workflow_id=workflow_id, op=op, fence=fence)
        try:
            self.named(agent_name(agent_id)).tell(cancel)
        except MailboxFull:
            return  # the next sweep tells it
        except (ActorDeadError, ActorRestarting):
            pass  # what it did has ended with it
        self.crashes.pop(key, None)
        self._free(agent_id, key, fence)
        self.look_again()

    def _free(self, agent_id: str, key: TaskKey, fence: int) -> None:
        """An agent does this no longer."""
        was_full = not self.roster.members[agent_id].free
        if self.roster.end(agent_id, key, fence):
            self.show(agent_id)
            if was_full and self.roster.members[agent_id].free:
                self.made_room()

    # What is done by another agent from now on.

    def awaited(self) -> frozenset[TaskKey]:
        """Steps that were begun and that nobody does, or that are on their way to somebody."""
        return frozenset(self.orphans) | frozenset(self.busy)

    def recall(self, workflow_id: str, agent_type: str, *, but: str | None) -> None:
        """Take a workflow's tasks of a type from all agents but one."""
        for member in self.roster.of_type(agent_type):
            if member.agent_id != but:
                for key in [key for key in member.running if key[0] == workflow_id]:
                    self.take_back(member.agent_id, key, member.running[key])

    def take_back(self, agent_id: str, key: TaskKey, fence: int) -> None:
        """Have an attempt be nobody's: what comes of it is refused, and the next one begins."""
        if key in self.busy:
            self.recalled.add(key)
        else:
            self.busy.add(key)
            self.spawn(self._take_back, agent_id, key, fence)

    async def _take_back(self, agent_id: str, key: TaskKey, fence: int) -> None:
        row = queries.task(self.reader, *key)
        try:
            if row is not None and (row.state, row.fence) == ("running", fence):
                command = EndAttempt(
                    workflow_id=row.workflow_id,
                    op=row.op,
                    fence=fence,
                    state="ready",
                    outcome=row.outcome,
                    next_at=None,
                    at=self._now(),
                )
                await persist(self.writer, command)
        finally:
            self.busy.discard(key)
            self.recalled.discard(key)
        self.orphans.pop(key, None)
        workflow_id, op = key
        cancel = CancelTask(workflow_id=workflow_id, op=op, fence=fence)
        hint(self.named(agent_name(agent_id)), cancel)
        self._free(agent_id, key, fence)
        self.hear(workflow_id)
        self.look_again()

    # Who does what.

    def _orphans(self, agent_type: str) -> list[TaskRow]:
        """Those of workflows that run; one that has stalled may want its own again."""
        found = (row for row in self.orphans.values() if row.agent_type == agent_type)
        return [row for row in found if queries.status(self.reader, row.workflow_id) == "running"]

    def _offer(self, row: TaskRow) -> bool:
        """Whether somebody takes it."""
        key = (row.workflow_id, row.op)
        if key in self.busy or (self.passing is not None and self.passing.goes_first(row)):
            return False
        member = self.roster.choose(row.workflow_id, row.agent_type, row.activity)
        if member is None:
            return False
        self.busy.add(key)
        self.orphans.pop(key, None)
        self.roster.begin(member.agent_id, key, row.fence + 1)
        self.show(member.agent_id)
        self.spawn(self._hand, row, member.agent_id)
        return True

    async def _hand(self, row: TaskRow, agent_id: str) -> None:
        """Make the attempt durable, then tell the agent."""
        key = (row.workflow_id, row.op)
        try:
            if self.crashes[key] >= CRASH_ATTEMPTS:
                await self._crashed_too_often(row)
                self._free(agent_id, key, row.fence + 1)
                return
            command = StartTask(
                workflow_id=row.workflow_id,
                op=row.op,
                agent_id=agent_id,
                fence=row.fence,
                at=self._now(),
            )
            started = await persist(self.writer, command)
        finally:
            self.busy.discard(key)
            doubtful, recalled = key in self.withdrawn, key in self.recalled
            self.withdrawn.discard(key)
            self.recalled.discard(key)
        if started is None:
            self._free(agent_id, key, row.fence + 1)
            self.hear(row.workflow_id)
            self._overtaken(key)
            return
        self.roster.begin(agent_id, key, started.fence)
        order = self._order(started)
        self.notes.step(facts.STEP_STARTED, agent_id, order)
        try:
            self.named(agent_name(agent_id)).tell(order)
        except (ActorDeadError, ActorRestarting, MailboxFull) as error:
            if not isinstance(error, MailboxFull):
                self.roster.members[agent_id].up = False  # until it says that it is there again
            self.orphans[key] = started
            self._free(agent_id, key, started.fence)
        if doubtful:
            self.withdraw(key)
        if recalled:
            self.take_back(agent_id, key, started.fence)

    def _overtaken(self, key: TaskKey) -> None:
        """A coordinator that has died went on with this task after we had read its row."""
        row = queries.task(self.reader, *key)
        if row is not None and row.state == "running":
            self.orphans[key] = row
            self.look_again()
        else:
            self._wake(*key)

    async def end(self, answer: TaskDone | TaskFailed) -> None:
        """Store what became of an attempt, then tell the workflow, or try again later."""
        order = answer.order
        key = (order.workflow_id, order.op)
        if not self._is_believed(answer.agent_id):
            log.warning("result of a lost agent refused", workflow_id=key[0], op=key[1])
            return
        state, outcome, wait_s = self._judge(answer)
        now = self.clock()
        command = EndAttempt(
            workflow_id=order.workflow_id,
            op=order.op,
            fence=order.fence,
            state=state,
            outcome=outcome,
            next_at=None if wait_s is None else rfc3339(now + timedelta(seconds=wait_s)),
            at=rfc3339(now),
            heartbeat=answer.heartbeat if isinstance(answer, TaskFailed) else None,
        )
        accepted = await persist(self.writer, command)
        self._free(answer.agent_id, key, order.fence)
        if accepted:
            self._accepted(answer, wait_s)
        else:
            log.warning("late result refused", workflow_id=order.workflow_id, op=order.op)
        self.hear(order.workflow_id)
        self.look_again()

    def _is_believed(self, agent_id: str) -> bool:
        """What an agent that is lost did is for others, whatever it came to."""
        member = self.roster.members.get(agent_id)
        return member is not None and member.standing in ("active", "draining")

    def beat(self, beat: TaskBeat) -> None:
        """Keep what an attempt says of how far it is, unless the attempt is over."""
        order = beat.order
        member = self.roster.members.get(beat.agent_id)
        running = {} if member is None else member.running
        if running.get((order.workflow_id, order.op)) == order.fence:
            command = RecordHeartbeat(
                workflow_id=order.workflow_id,
                op=order.op,
                attempt=order.attempt,
                details=beat.details,
                at=self._now(),
            )
            hint(self.writer, command)

    def _accepted(self, answer: TaskDone | TaskFailed, wait_s: float | None) -> None:
        order = answer.order
        key = (order.workflow_id, order.op)
        self.crashes.pop(key, None)
        self.orphans.pop(key, None)
        if wait_s is None:
            self._wake(*key)
        else:
            self.notes.step(facts.STEP_RETRIED, answer.agent_id, order, wait_s=wait_s)

    def _judge(self, answer: TaskDone | TaskFailed) -> tuple[str, str | None, float | None]:
        """The attempt's end: (state, stored outcome, seconds until the next one)."""
        if isinstance(answer, TaskDone):
            return "done", answer.result, None
        order = answer.order
        row = queries.task(self.reader, order.workflow_id, order.op)
        policy = RetryPolicy() if row is None else _retry(row)
        wait_s = policy.wait_s(order.attempt, answer.code, retryable=answer.retryable)
        outcome = _failure(order.attempt, answer.agent_id, answer.code, answer.message)
        if row is not None and self._is_out_of_time(row, answer, wait_s):
            code, message = _why_late(row, outcome)
            return "failed", _failure(order.attempt, answer.agent_id, code, message), None
        return ("failed" if wait_s is None else "ready"), outcome, wait_s

    def _is_out_of_time(self, row: TaskRow, answer: TaskFailed, wait_s: float | None) -> bool:
        """Whether the step has no time left, or will have none when it would be tried again."""
        if row.close_by is None:
            return False
        if answer.code == START_TO_CLOSE and answer.order.timeout_s < _policy(row)["timeout_s"]:
            return True  # the attempt was given what was left
        return self._left_s(row.close_by) <= (wait_s or 0.0)

    async def _give_up(self, row: TaskRow) -> None:
        """It has waited too long for an agent, or nobody does it any more and its time is over."""
        code, message = _why_late(row, row.outcome)
        try:
            await self._fail(row, code, message)
        finally:
            self.busy.discard((row.workflow_id, row.op))
            self.withdrawn.discard((row.workflow_id, row.op))
        self.look_again()

    async def _crashed_too_often(self, row: TaskRow) -> None:
        message = f"its agent died {CRASH_ATTEMPTS} times while it was doing this"
        await self._fail(row, "agent_crashed", message)

    async def _fail(self, row: TaskRow, code: str, message: str) -> None:
        """End a step that no agent does now."""
        outcome, at = _failure(row.attempt, row.agent_id, code, message), self._now()
        key: dict[str, Any] = {"workflow_id": row.workflow_id, "op": row.op, "fence": row.fence}
        waits = row.state == "ready"
        command: GiveUpTask | EndAttempt = (
            GiveUpTask(**key, outcome=outcome, at=at)
            if waits
            else EndAttempt(**key, state="failed", outcome=outcome, at=at)
        )
        if await persist(self.writer, command):
            self.crashes.pop((row.workflow_id, row.op), None)
            self._wake(row.workflow_id, row.op)

    def _wake(self, workflow_id: str, op: str) -> None:
        """Tell the workflow. One that is not there reads the row when it starts."""
        hint(self.named(workflow_name(workflow_id)), TaskEnded(workflow_id=workflow_id, op=op))

    def _order(self, row: TaskRow) -> TaskOrder:
        policy = _policy(row)
        timeout_s = policy["timeout_s"]
        first = row.attempt == 1
        if row.close_by is not None:
            timeout_s = min(timeout_s, max(0.0, self._left_s(row.close_by)))
        return TaskOrder(
            workflow_id=row.workflow_id,
            op=row.op,
            activity=row.activity,
            input=payload.decode(row.input),
            attempt=row.attempt,
            fence=row.fence,
            timeout_s=timeout_s,
            heartbeat_timeout_s=policy.get("heartbeat_timeout_s"),
            heartbeat=None if first else queries.heartbeat(self.reader, row.workflow_id, row.op),
        )

    def _left_s(self, at: str) -> float:
        """Seconds until a stored moment, less than none once it is over."""
        return (datetime.fromisoformat(at) - self.clock()).total_seconds()

    def _now(self) -> str:
        return rfc3339(self.clock())


def _policy(row: TaskRow) -> dict[str, Any]:
    return dict(payload.decode(row.policy))


def _retry(row: TaskRow) -> RetryPolicy:
    stored = _policy(row)["retry"]
    return RetryPolicy(**{**stored, "non_retryable": tuple(stored["non_retryable"])})


def _why_late(row: TaskRow, failed: str | None) -> tuple[str, str]:
    """Code and message of a step whose time is over; `failed` is how its last attempt did."""
    policy = _policy(row)
    started = row.attempt > 0 or row.start_by is None
    if not started and (row.close_by is None or str(row.start_by) <= row.close_by):
        limit_s = policy["schedule_to_start_s"]
        message = f"no agent of type {row.agent_type!r} took {row.activity!r} within {limit_s} s"
        return "schedule_to_start_timeout", message
    message = f"activity {row.activity!r} was not done within {policy['schedule_to_close_s']} s"
    if failed is not None:
        last = payload.decode(failed)
        message += f"; its attempt {last['attempts']} failed with {last['code']}: {last['message']}"
    return "schedule_to_close_timeout", message


def _failure(attempts: int, agent_id: str | None, code: str, message: str) -> str:
    failure = ActivityFailure(code, message)
    failure.attempts = attempts
    by = {} if agent_id is None else {"agent_id": agent_id}
    return encode_failure(failure, **by)
