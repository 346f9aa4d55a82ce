"""Random histories of workflows, written as the system writes them."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from actors import facts
from actors.agents.messages import AssignQueued
from actors.clock import rfc3339
from actors.coordination import assigning, store
from actors.coordination.assignment_messages import MoveAssignment
from actors.coordination.messages import LogFacts, Move, RecordStart, StartPlan
from actors.facts import Fact
from storage import payload
from storage.coordination import assignments
from tests.support.database import Database

HANDLERS: Final = {**store.HANDLERS, **assigning.HANDLERS}
BEGIN: Final = datetime(2026, 3, 1, tzinfo=UTC)
AGENTS: Final = {"a": ("a-1", "a-2"), "b": ("b-1",)}
ACTIVITIES: Final = ("dig", "look", "write")
ENDS: Final = (facts.WORKFLOW_COMPLETED,) * 4 + (
    facts.WORKFLOW_FAILED,
    facts.WORKFLOW_CANCELLED,
    facts.WORKFLOW_TERMINATED,
    facts.WORKFLOW_DEAD_LETTERED,
)


@dataclass
class Chronicle:
    """Writes what happens to workflows into a database; its clock only goes forward."""

    database: Database
    chance: random.Random
    now: datetime = BEGIN
    logged: int = 0
    moves: int = 0
    holders: dict[str, str | None] = field(default_factory=dict)

    def write(self, workflows: int) -> None:
        """Let so many workflows begin and most of them end, in any order of what they do."""
        open_ones: list[tuple[str, int]] = []
        begun = 0
        while begun < workflows or open_ones:
            self.now += timedelta(milliseconds=self.chance.randrange(0, 900_000))
            if begun < workflows and (not open_ones or self.chance.random() < 0.3):
                open_ones.append((self._begin(begun), self.chance.randrange(8)))
                begun += 1
                continue
            place = self.chance.randrange(len(open_ones))
            workflow_id, left = open_ones.pop(place)
            if left:
                self._go_on(workflow_id)
                open_ones.append((workflow_id, left - 1))
            elif self.chance.random() < 0.85:
                self._end(workflow_id)

    def _begin(self, number: int) -> str:
        workflow_id, issue_id = f"w-{number}", f"x-{number}"
        wanted = self.chance.choice((None, "a", "b"))
        agent = None if wanted is None else self.chance.choice((None, *AGENTS[wanted]))
        kind, priority = self.chance.choice(("flow", "other")), self.chance.randrange(5)
        self.database.run(
            RecordStart(
                plan=StartPlan(
                    workflow_id=workflow_id,
                    issue_id=issue_id,
                    workflow_type=kind,
                    version=1,
                    title="T",
                    priority=priority,
                    agent_type=wanted,
                    agent_id=agent,
                    variables=payload.encode({}),
                    issue={"id": issue_id},
                    idempotency_key=None,
                    request_sha256="",
                    at=rfc3339(self.now),
                )
            )
        )
        change = {"change": "created", "fields": [], "status": "open", "status_before": None}
        created = {**change, "title": "T", "workflow_id": workflow_id, "priority": priority}
        self._log(Fact(facts.ISSUE_CREATED, None, rfc3339(self.now), created, issue_id=issue_id))
        started = {"type": kind, "version": 1}
        if wanted is not None and agent is None:
            self._say(workflow_id, facts.WORKFLOW_QUEUED, agent_type=wanted, **started)
        else:
            self._say(workflow_id, facts.WORKFLOW_STARTED, **started)
        if agent is not None:
            self._say(workflow_id, facts.AGENT_ASSIGNED, agent_id=agent, agent_type=wanted)
        self.holders[workflow_id] = agent
        return workflow_id

    def _go_on(self, workflow_id: str) -> None:
        row = assignments.open_of(self.database.conn, workflow_id)
        if row is not None and row["agent_id"] is None:
            self._assign(workflow_id, row["agent_type"])
            return
        if row is not None and self.chance.random() < 0.2:
            self._move(workflow_id, row)
            return
        if self.chance.random() < 0.1:
            self._say(workflow_id, facts.WORKFLOW_PAUSED, reason="r")
            self._say(workflow_id, facts.WORKFLOW_RESUMED)
            return
        self._work(workflow_id, None if row is None else row["agent_id"])

    def _assign(self, workflow_id: str, agent_type: str) -> None:
        agent = self.chance.choice(AGENTS[agent_type])
        had_one = self.holders[workflow_id] is not None
        at = rfc3339(self.now)
        self.database.run(
            AssignQueued(workflow_id=workflow_id, agent_id=agent, at=at, announced=had_one)
        )
        if not had_one:
            self._say(workflow_id, facts.WORKFLOW_STARTED, type="flow")
            self._say(workflow_id, facts.AGENT_ASSIGNED, agent_id=agent)
        self.holders[workflow_id] = agent

    def _move(self, workflow_id: str, row: Any) -> None:
        self.moves += 1
        kind = self.chance.choice(("handoff", "reassign"))
        agent_type = self.chance.choice(("a", "b"))
        others = [one for one in AGENTS[agent_type] if one != row["agent_id"]]
        self.database.run(
            MoveAssignment(
                move_id=f"m-{self.moves}",
                workflow_id=workflow_id,
                kind=kind,  # type: ignore[arg-type]  # any other than a handoff replaces the agent
                fence=row["id"],
                agent_type=agent_type,
                agent_id=self.chance.choice((None, *others)),
                reason="r",
                payload=None,
                author="",
                key=None,
                at=rfc3339(self.now),
            )
        )

    def _work(self, workflow_id: str, agent: str | None) -> None:
        step = {"step": str(self.chance.randrange(9)), "activity": self.chance.choice(ACTIVITIES)}
        by = {} if agent is None else {"agent_id": agent}
        kind = self.chance.choice(
            (facts.STEP_COMPLETED, facts.STEP_COMPLETED, facts.STEP_FAILED, facts.STEP_RETRIED)
        )
        where = self.chance.choice((workflow_id, f"{workflow_id}.1"))  # a child's counts, too
        self._say(where, facts.STEP_SCHEDULED, **step, agent_type="a")
        if kind == facts.STEP_COMPLETED:
            took = {} if agent is None else {"seconds": self.chance.randrange(10_000) / 1000}
            kinds = {} if agent is None else {"agent_type": agent.partition("-")[0]}
            self._say(where, kind, **step, **by, **kinds, **took, attempts=1)
        elif kind == facts.STEP_FAILED:
            self._say(where, kind, **step, **by, attempts=1, code="c", message="m")
        else:
            self._say(where, kind, **step, **by, attempt=1)
        if agent is not None and self.chance.random() < 0.5:
            spent = {f"{name}_tokens": self.chance.randrange(1000) for name in _TOKENS}
            cost = self.chance.choice(({}, {"cost_usd": self.chance.randrange(1000) / 1000}))
            kinds = {"agent_type": agent.partition("-")[0], "attempt": 1}
            self._say(where, facts.USAGE_RECORDED, **step, **by, **kinds, **spent, **cost)
        if where != workflow_id and self.chance.random() < 0.3:
            self._say(where, facts.WORKFLOW_COMPLETED, type="child", summary="")

    def _end(self, workflow_id: str) -> None:
        kind = self.chance.choice(ENDS)
        said: dict[str, Any] = {"type": "flow", "reason": "r"}
        if kind == facts.WORKFLOW_COMPLETED:
            said = {"type": "flow", "summary": ""}
        elif kind == facts.WORKFLOW_FAILED:
            said = {"type": "flow", "code": "c", "message": "m"}
        elif kind == facts.WORKFLOW_DEAD_LETTERED:
            said = {"code": "c", "message": "m"}
        self._say(workflow_id, kind, **said)
        if kind == facts.WORKFLOW_FAILED and self.chance.random() < 0.5:
            self.now += timedelta(minutes=1)
            had = self.holders[workflow_id] is not None
            self._say(workflow_id, facts.WORKFLOW_RETRIED, author="o", queued=had, **{"from": 2})
            if had:
                self._go_on(workflow_id)
            self.now += timedelta(minutes=1)
            self._say(workflow_id, facts.WORKFLOW_COMPLETED, type="flow", summary="")

    def _say(self, workflow_id: str, kind: str, **data: Any) -> None:
        self._log(Fact(kind, workflow_id, rfc3339(self.now), data))

    def _log(self, fact: Fact) -> None:
        moves = (Move("test", self.logged, self.logged + 1),)
        self.logged += 1
        self.database.run(LogFacts(moves=moves, facts=(fact,)))


_TOKENS: Final = ("input", "output", "cache_read", "cache_write")
