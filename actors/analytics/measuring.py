"""From counted rows to what analytics answers. It only reads."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from actors.analytics.messages import Period, Spread, Steps, Total, Usage, Workflows
from actors.coordination.rows import fetch
from storage.coordination import analytics
from storage.pool import ReadPool

OPEN: Final = ("queued", "active", "paused", "stalled", "dead_letter")
_ENDS: Final = ("completed", "failed", "cancelled", "terminated")
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found of workflows, by key.

    Args:
        started: how many of each status, those of the empty one being of any.
        ended: rows of `analytics.ENDED`.
    """

    started: Mapping[str, Mapping[str, int]]
    ended: Mapping[str, sqlite3.Row]

    @property
    def keys(self) -> set[str]:
        return {*self.started, *self.ended}

    def of(self, key: str, seconds: float, *, says_open: bool = True) -> Workflows:
        """Those of a key, in so many seconds."""
        begun, row = self.started.get(key, {}), self.ended.get(key)
        found = Workflows(
            started=sum(begun.values()),
            open={status: begun.get(status, 0) for status in OPEN} if says_open else None,
        )
        if row is None:
            return found
        return Workflows(
            started=found.started,
            open=found.open,
            ended=row["ended"],
            **{status: row[status] for status in _ENDS},
            success_rate=success_rate(row["completed"], row["failed"]),
            per_hour=per_hour(row["ended"], seconds),
            queue_s=_spread(row, "queue_s"),
            run_s=_spread(row, "run_s"),
        )


async def workflows(pool: ReadPool, period: Period, group: str) -> Measured:
    """By key; the empty group has one, the empty one, for all."""
    started: dict[str, dict[str, int]] = defaultdict(dict)
    for row in await _fetch(pool, "analytics_started", analytics.STARTED[group], period):
        started[row["key"]][row["status"]] = row["many"]
    ended = await _fetch(pool, "analytics_ended", analytics.ENDED[group], period)
    return Measured(started=started, ended={row["key"]: row for row in ended})


async def steps(pool: ReadPool, period: Period) -> Steps:
    (row,) = await _fetch(pool, "analytics_steps", analytics.STEPS, period)
    return _steps(row, period, None)


async def work(pool: ReadPool, period: Period, group: str) -> dict[str, Steps]:
    """By key, with the times of those that agents did."""
    rows = await _fetch(pool, "analytics_work", analytics.WORK[group], period)
    return {row["key"]: _steps(row, period, _spread(row, "step_s")) for row in rows}


async def usage(pool: ReadPool, period: Period, group: str) -> dict[str, Usage]:
    rows = await _fetch(pool, "analytics_usage", analytics.USAGE[group], period)
    return {row["key"]: _usage(row) for row in rows}


async def open_now(pool: ReadPool) -> dict[str, int]:
    rows = await fetch(pool, "analytics_open", analytics.OPEN, ())
    found = {row["status"]: row["many"] for row in rows}
    return {status: found.get(status, 0) for status in OPEN}


def total(found: Workflows) -> Total:
    return Total(
        started=found.started,
        ended=found.ended,
        completed=found.completed,
        failed=found.failed,
        cancelled=found.cancelled,
        terminated=found.terminated,
        success_rate=found.success_rate,
        per_hour=found.per_hour,
        run_mean_s=None if found.run_s is None else found.run_s.mean,
    )


def together(spent: Iterable[Usage]) -> Usage:
    spent = list(spent)
    costs = [each.cost_usd for each in spent if each.cost_usd is not None]
    return Usage(
        calls=sum(each.calls for each in spent),
        input_tokens=sum(each.input_tokens for each in spent),
        output_tokens=sum(each.output_tokens for each in spent),
        cache_read_tokens=sum(each.cache_read_tokens for each in spent),
        cache_write_tokens=sum(each.cache_write_tokens for each in spent),
        cost_usd=round(sum(costs), 6) if costs else None,
    )


def changes(now: Total, then: Total) -> dict[str, float | None]:
    """How much each number has changed, as a part of what it was."""
    return {name: _change(getattr(now, name), getattr(then, name)) for name in Total.__slots__}


def success_rate(completed: int, failed: int) -> float | None:
    judged = completed + failed
    return round(completed / judged, 6) if judged else None


def per_hour(many: int, seconds: float) -> float:
    return round(many * _HOUR_S / seconds, 3)


def _change(now: float | None, then: float | None) -> float | None:
    if now is None or not then:
        return None
    return round((now - then) / then, 6)


def _steps(row: sqlite3.Row, period: Period, seconds: Spread | None) -> Steps:
    return Steps(
        completed=row["completed"],
        failed=row["failed"],
        retried=row["retried"],
        success_rate=success_rate(row["completed"], row["failed"]),
        per_hour=per_hour(row["completed"], period.seconds),
        seconds=seconds,
    )


def _usage(row: sqlite3.Row) -> Usage:
    return Usage(
        calls=row["calls"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        cache_write_tokens=row["cache_write_tokens"],
        cost_usd=None if row["cost_usd"] is None else round(row["cost_usd"], 6),
    )


def _spread(row: sqlite3.Row, name: str) -> Spread | None:
    if row[f"{name}_count"] is None:
        return None
    return Spread(
        count=row[f"{name}_count"],
        mean=round(row[f"{name}_mean"], 3),
        p50=row[f"{name}_p50"],
        p95=row[f"{name}_p95"],
        p99=row[f"{name}_p99"],
        max=row[f"{name}_max"],
    )


async def _fetch(pool: ReadPool, operation: str, sql: str, period: Period) -> list[sqlite3.Row]:
    return await fetch(pool, operation, sql, {"since": period.since, "until": period.until})
