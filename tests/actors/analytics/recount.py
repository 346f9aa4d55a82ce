"""Analytics once more, from the event log alone and in the plainest way."""

import json
import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from actors.analytics.messages import Period

ENDS: Final = {
    "workflow_completed": "completed",
    "workflow_failed": "failed",
    "workflow_cancelled": "cancelled",
    "workflow_terminated": "terminated",
}
LETS_GO: Final = {*ENDS, "workflow_dead_lettered"}
STATUSES: Final = {
    "workflow_queued": "queued",
    "workflow_started": "active",
    "workflow_paused": "paused",
    "workflow_resumed": "active",
    "workflow_dead_lettered": "dead_letter",
    **ENDS,
}
OPEN: Final = ("queued", "active", "paused", "stalled", "dead_letter")
LENGTHS: Final = {"minute": 16, "hour": 13, "day": 10}


@dataclass
class Life:
    """What the events say of one workflow that has an issue."""

    kind: str
    priority: int
    created: str
    status: str = "active"
    started: str | None = None
    ended: str | None = None
    agent: str = ""
    agent_type: str = ""


@dataclass
class Hold:
    agent: str
    since: str
    until: str | None = None
    taken: bool = False


@dataclass
class Recount:
    lives: dict[str, Life] = field(default_factory=dict)
    holds: list[Hold] = field(default_factory=list)
    handed: list[tuple[str, str]] = field(default_factory=list)
    steps: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    usage: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _held: dict[str, Hold] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> "Recount":
        found = cls()
        priorities: dict[str, int] = {}
        for row in connection.execute("SELECT * FROM events ORDER BY seq"):
            data = json.loads(row["data"])[1]
            if row["type"] == "issue_created":
                priorities[data["workflow_id"]] = data["priority"]
            elif row["type"].startswith(("step_", "usage_")):
                found._work(row["type"], row["at"], data)
            elif row["issue_id"] is not None:
                found._life(row["workflow_id"], row["type"], row["at"], data, priorities)
        return found

    def _work(self, kind: str, at: str, data: dict[str, Any]) -> None:
        if kind == "usage_recorded":
            self.usage.append((at, data))
        elif kind in {"step_completed", "step_failed", "step_retried"}:
            self.steps.append((kind.removeprefix("step_"), at, data))

    def _life(
        self, workflow_id: str, kind: str, at: str, data: dict[str, Any], first: Mapping[str, int]
    ) -> None:
        life = self.lives.get(workflow_id)
        if life is None:
            life = Life(kind=data["type"], priority=first[workflow_id], created=at)
            self.lives[workflow_id] = life
        if kind == "agent_handoff":
            self.handed.append((at, data["from_agent"]))
            self._let_go(workflow_id, at, taken=False)
            life.agent_type = data["to_type"]
        elif kind == "agent_assigned":
            self._let_go(workflow_id, at, taken=True)
            self._held[workflow_id] = Hold(data["agent_id"], at)
            life.agent, life.agent_type = data["agent_id"], data["agent_id"].partition("-")[0]
        elif kind == "workflow_queued":
            self._let_go(workflow_id, at, taken=True)
            life.agent, life.agent_type = "", data["agent_type"]
            if life.started is None:
                life.status = "queued"
        elif kind in LETS_GO:
            self._let_go(workflow_id, at, taken=False)
            life.ended = at if kind in ENDS else None
            life.status = STATUSES[kind]
        elif kind == "workflow_retried":
            life.ended = None
            life.status = "queued" if data["queued"] else "active"
            life.agent = "" if data["queued"] else life.agent
        else:
            life.status = STATUSES[kind]
            if kind == "workflow_started":
                life.started = life.started or at

    def _let_go(self, workflow_id: str, at: str, *, taken: bool) -> None:
        hold = self._held.pop(workflow_id, None)
        if hold is not None:
            hold.until, hold.taken = at, taken
            self.holds.append(hold)

    # --- what is asked

    def workflows(self, period: Period, group: str) -> dict[str, dict[str, Any]]:
        begun: dict[str, list[Life]] = defaultdict(list)
        ended: dict[str, list[Life]] = defaultdict(list)
        for life in self.lives.values():
            if _is_in(life.created, period):
                begun[_key(life, group, life.created)].append(life)
            if life.ended is not None and _is_in(life.ended, period):
                ended[_key(life, group, life.ended)].append(life)
        return {
            key: _workflows(begun[key], ended[key], period, group)
            for key in begun.keys() | ended.keys()
        }

    def work(self, period: Period, group: str) -> dict[str, dict[str, Any]]:
        field_name = {"activity": "activity", "agent": "agent_id"}.get(group, "")

        def keys(at: str, data: dict[str, Any]) -> str:
            return at[: LENGTHS[group]] if group in LENGTHS else data.get(field_name, "")

        steps: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        usage: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for kind, at, data in self.steps:
            if _is_in(at, period):
                steps[keys(at, data)].append((kind, data))
        for at, data in self.usage:
            if _is_in(at, period):
                usage[keys(at, data)].append(data)
        return {
            key: {"key": key, "steps": _steps(steps[key], period), "usage": _usage(usage[key])}
            for key in steps.keys() | usage.keys()
        }

    def agents(self, period: Period) -> dict[str, dict[str, Any]]:
        found: dict[str, Counter[str]] = defaultdict(Counter)
        busy: dict[str, float] = defaultdict(float)
        for hold in (*self.holds, *self._held.values()):
            until = hold.until or period.until
            if hold.since >= period.until or until < period.since:
                continue
            busy[hold.agent] += _between(max(hold.since, period.since), min(until, period.until))
            found[hold.agent]["assignments"] += hold.since >= period.since
            found[hold.agent]["taken_away"] += hold.taken and until < period.until
        for at, agent in self.handed:
            found[agent]["handed_on"] += _is_in(at, period)
        seconds: dict[str, float] = defaultdict(float)
        for kind, at, data in self.steps:
            if "agent_id" in data and _is_in(at, period):
                found[data["agent_id"]][kind] += 1
                seconds[data["agent_id"]] += data.get("seconds", 0.0)
        spent = self.work(period, "agent")
        return {
            agent: {
                **{name: counted[name] for name in _COUNTED},
                "busy_s": busy[agent],
                "step_s": seconds[agent],
                "usage": spent[agent]["usage"] if agent in spent else _usage([]),
            }
            for agent, counted in found.items()
            if counted.total() or busy[agent] or agent in spent
        }


_COUNTED: Final = ("assignments", "taken_away", "handed_on", "completed", "failed", "retried")


def _key(life: Life, group: str, at: str) -> str:
    if group in LENGTHS:
        return at[: LENGTHS[group]]
    return {
        "": "",
        "type": life.kind,
        "agent": life.agent,
        "agent_type": life.agent_type,
        "status": life.status,
        "priority": str(life.priority),
    }[group]


def _workflows(begun: list[Life], ended: list[Life], period: Period, group: str) -> dict[str, Any]:
    ends = Counter(life.status for life in ended)
    states = Counter(life.status for life in begun)
    ran = [life for life in ended if life.started is not None]
    return {
        "started": len(begun),
        "open": None if group in LENGTHS else {status: states[status] for status in OPEN},
        "ended": len(ended),
        **{status: ends[status] for status in ENDS.values()},
        "success_rate": _rate(ends["completed"], ends["failed"]),
        "per_hour": round(len(ended) * 3600 / period.seconds, 3),
        "queue_s": _spread([_between(life.created, life.started or "") for life in ran]),
        "run_s": _spread([_between(life.started or "", life.ended or "") for life in ran]),
    }


def _steps(found: Iterable[tuple[str, dict[str, Any]]], period: Period) -> dict[str, Any]:
    kinds = Counter(kind for kind, _ in found)
    return {
        "completed": kinds["completed"],
        "failed": kinds["failed"],
        "retried": kinds["retried"],
        "success_rate": _rate(kinds["completed"], kinds["failed"]),
        "per_hour": round(kinds["completed"] * 3600 / period.seconds, 3),
        "seconds": _spread([data["seconds"] for _, data in found if "seconds" in data]),
    }


def _usage(found: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    costs = [data["cost_usd"] for data in found if "cost_usd" in data]
    return {
        "calls": len(found),
        **{name: sum(data[name] for data in found) for name in names},
        "cost_usd": round(sum(costs), 6) if costs else None,
    }


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    values = sorted(values)
    places = {name: math.ceil(len(values) * part / 100) - 1 for name, part in _RANKS.items()}
    return {
        "count": len(values),
        "mean": round(sum(values) / len(values), 3),
        **{name: values[place] for name, place in places.items()},
        "max": values[-1],
    }


_RANKS: Final = {"p50": 50, "p95": 95, "p99": 99}


def _rate(completed: int, failed: int) -> float | None:
    return round(completed / (completed + failed), 6) if completed + failed else None


def _between(since: str, until: str) -> float:
    length = datetime.fromisoformat(until) - datetime.fromisoformat(since)
    return round(length.total_seconds(), 3)


def _is_in(at: str, period: Period) -> bool:
    return period.since <= at < period.until
