"""From counted rows to what analytics answers. It only reads."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.analytics.messages import Period, Spread, Steps, Total, Usage, Workflows
from actors.coordination.rows import fetch
from storage.coordination import analytics
from storage.pool import ReadPool

OPEN: Final = ("queued", "active", "paused", "stalled", "dead_letter")
_HOUR_S: Final = 3600.0


@dataclass(slots=True)
class Count:
    """How many workflows of one key were started and ended, and how long they ran in all."""

    started: int = 0
    open: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    ran: int = 0
    run_s: float = 0.0

    @property
    def ended(self) -> int:
        return sum(self.ends.values())


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found of workflows, by key."""

    counts: Mapping[str, Count]
    queue: Mapping[str, Spread]
    run: Mapping[str, Spread]

    def of(self, key: str, seconds: float, *, says_open: bool = True) -> Workflows:
        """Those of a key, in so many seconds."""
        found = self.counts.get(key, Count())
        completed, failed = found.ends.get("completed", 0), found.ends.get("failed", 0)
        return Workflows(
            started=found.started,
            open={status: found.open.get(status, 0) for status in OPEN} if says_open else None,
            ended=found.ended,
            completed=completed,
            failed=failed,
            cancelled=found.ends.get("cancelled", 0),
            terminated=found.ends.get("terminated", 0),
            success_rate=success_rate(completed, failed),
            per_hour=per_hour(found.ended, seconds),
            queue_s=self.queue.get(key),
            run_s=self.run.get(key),
        )


async def workflows(pool: ReadPool, period: Period, group: str) -> Measured:
    """By key; the empty group has one, the empty one, for all."""
    span = _span(period)
    return Measured(
        counts=await count(pool, period, group),
        queue=_spreads(await fetch(pool, "analytics_queue", analytics.QUEUE_S[group], span)),
        run=_spreads(await fetch(pool, "analytics_run", analytics.RUN_S[group], span)),
    )


async def count(pool: ReadPool, period: Period, group: str) -> dict[str, Count]:
    span = _span(period)
    counts: dict[str, Count] = defaultdict(Count)
    for row in await fetch(pool, "analytics_started", analytics.STARTED[group], span):
        found = counts[row["key"]]
        found.started += row["many"]
        if row["status"] in OPEN:
            found.open[row["status"]] = row["many"]
    for row in await fetch(pool, "analytics_ended", analytics.ENDED[group], span):
        found = counts[row["key"]]
        found.ends[row["status"]] = row["many"]
        found.ran += row["ran"]
        found.run_s += row["run_s"]
    return dict(counts)


async def steps(
    pool: ReadPool, period: Period, group: str, *, timed: bool = True
) -> dict[str, Steps]:
    """By key. Without `timed` nobody asks how long they took, which takes longest to find out."""
    span = _span(period)
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in await fetch(pool, "analytics_steps", analytics.STEPS[group], span):
        counts[row["key"]][row["type"]] = row["many"]
    rows = await fetch(pool, "analytics_step_s", analytics.STEP_S[group], span) if timed else []
    seconds = _spreads(rows)
    return {key: _steps(found, period, seconds.get(key)) for key, found in counts.items()}


async def usage(pool: ReadPool, period: Period, group: str) -> dict[str, Usage]:
    rows = await fetch(pool, "analytics_usage", analytics.USAGE[group], _span(period))
    return {row["key"]: usage_of(row) for row in rows}


async def open_now(pool: ReadPool) -> dict[str, int]:
    rows = await fetch(pool, "analytics_open", analytics.OPEN, ())
    found = {row["status"]: row["many"] for row in rows}
    return {status: found.get(status, 0) for status in OPEN}


def usage_of(row: sqlite3.Row) -> Usage:
    return Usage(
        calls=row["calls"],
        input_tokens=row["input_tokens"] or 0,
        output_tokens=row["output_tokens"] or 0,
        cache_read_tokens=row["cache_read_tokens"] or 0,
        cache_write_tokens=row["cache_write_tokens"] or 0,
        cost_usd=None if row["cost_usd"] is None else round(row["cost_usd"], 6),
    )


def total(counts: Iterable[Count], period: Period) -> Total:
    """The sums over all keys."""
    counts = list(counts)
    ends: dict[str, int] = defaultdict(int)
    for found in counts:
        for status, many in found.ends.items():
            ends[status] += many
    ran, run_s = sum(each.ran for each in counts), sum(each.run_s for each in counts)
    ended = sum(ends.values())
    return Total(
        started=sum(found.started for found in counts),
        ended=ended,
        completed=ends["completed"],
        failed=ends["failed"],
        cancelled=ends["cancelled"],
        terminated=ends["terminated"],
        success_rate=success_rate(ends["completed"], ends["failed"]),
        per_hour=per_hour(ended, period.seconds),
        run_mean_s=round(run_s / ran, 3) if ran else None,
    )


def success_rate(completed: int, failed: int) -> float | None:
    judged = completed + failed
    return round(completed / judged, 6) if judged else None


def per_hour(many: int, seconds: float) -> float:
    return round(many * _HOUR_S / seconds, 3)


def changes(now: Total, then: Total) -> dict[str, float | None]:
    """How much each number has changed, as a part of what it was."""
    return {name: _change(getattr(now, name), getattr(then, name)) for name in Total.__slots__}


def _change(now: float | None, then: float | None) -> float | None:
    if now is None or not then:
        return None
    return round((now - then) / then, 6)


def _steps(found: Mapping[str, int], period: Period, seconds: Spread | None) -> Steps:
    completed, failed = found.get("step_completed", 0), found.get("step_failed", 0)
    return Steps(
        completed=completed,
        failed=failed,
        retried=found.get("step_retried", 0),
        success_rate=success_rate(completed, failed),
        per_hour=per_hour(completed, period.seconds),
        seconds=seconds,
    )


def _spreads(rows: Sequence[sqlite3.Row]) -> dict[str, Spread]:
    return {
        row["key"]: Spread(
            count=row["many"],
            mean=round(row["mean"], 3),
            p50=row["p50"],
            p95=row["p95"],
            p99=row["p99"],
            max=row["most"],
        )
        for row in rows
    }


def _span(period: Period) -> dict[str, str]:
    return {"since": period.since, "until": period.until}
