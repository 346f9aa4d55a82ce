"""What the analyst answers, against a recount of the event log: random histories and periods."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from actors.analytics.analyst import Analyst
from actors.analytics.messages import (
    BUCKETS,
    WORK_GROUPS,
    WORKFLOW_GROUPS,
    Asked,
    MeasureAgents,
    MeasurePerformance,
    MeasureTrends,
    MeasureWorkflows,
)
from actors.clock import rfc3339
from supervision import Ask
from tests.actors.analytics.chronicle import BEGIN, HANDLERS, Chronicle
from tests.actors.analytics.recount import Recount
from tests.support.database import Database, open_database

T = TypeVar("T")

SEEDS = int(os.environ.get("BEADFLOW_ANALYTICS_SEEDS", "6"))


class Pool:
    """Reads on the database's own connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, operation: str, sql: str, params: Any) -> list[Any]:
        del operation
        return self._database.conn.execute(sql, params).fetchall()


async def ask(analyst: Analyst, message: Ask[T]) -> T:
    """What it answers, without a system around it."""
    answer: Any = await analyst.on_receive(message)
    return answer  # type: ignore[no-any-return]


@contextmanager
def told(tmp_path: Path, seed: int) -> Iterator[tuple[Chronicle, Analyst, Recount]]:
    """A chronicle, who measures it at its end, and what its events come to."""
    with open_database(tmp_path / "c.db", "storage.coordination", HANDLERS) as database:
        database.conn.execute("PRAGMA synchronous = OFF")  # nothing here has to last
        chronicle = Chronicle(database, random.Random(seed))
        chronicle.write(30)
        pool: Any = Pool(database)
        analyst = Analyst(pool=pool, clock=lambda: chronicle.now)
        yield chronicle, analyst, Recount.of(database.conn)


def some_period(chronicle: Chronicle) -> Asked:
    """Any part of the chronicle; its end is not later than the last that happened.

    Half of them begin and end with something that happened.
    """
    if chronicle.chance.random() < 0.5:
        rows = chronicle.database.rows("SELECT DISTINCT at FROM events ORDER BY at")
        since, until = sorted(chronicle.chance.sample([at for (at,) in rows], 2))
        return Asked(since=since, until=until)
    length = (chronicle.now - BEGIN) / timedelta(milliseconds=1)
    ends = sorted(chronicle.chance.sample(range(int(length)), 2))
    since, until = (rfc3339(BEGIN + timedelta(milliseconds=end)) for end in ends)
    return Asked(since=since, until=until)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_every_number_is_the_one_that_the_events_come_to(tmp_path: Path, seed: int) -> None:
    with told(tmp_path, seed) as (chronicle, analyst, recount):
        for _ in range(3):
            asked = some_period(chronicle)
            await check_workflows(analyst, recount, asked)
            await check_performance(analyst, recount, asked)
            await check_agents(analyst, recount, asked)
            await check_trends(analyst, recount, asked)


async def check_workflows(analyst: Analyst, recount: Recount, asked: Asked) -> None:
    for group in WORKFLOW_GROUPS:
        report = await ask(analyst, MeasureWorkflows(asked=asked, group_by=group))
        found = {each.key: asdict(each.workflows) for each in report.groups}
        assert found == recount.workflows(report.period, group), (asked, group)


async def check_performance(analyst: Analyst, recount: Recount, asked: Asked) -> None:
    for group in WORK_GROUPS:
        report = await ask(analyst, MeasurePerformance(asked=asked, group_by=group))
        found = {each.key: asdict(each) for each in report.groups}
        assert found == recount.work(report.period, group), (asked, group)
        for key, whole in recount.workflows(report.period, "").items():
            assert (key, asdict(report.workflows)) == ("", whole)
        for whole in recount.work(report.period, "").values():
            assert asdict(report.steps) == {**whole["steps"], "seconds": None}
            assert asdict(report.usage) == whole["usage"]


async def check_agents(analyst: Analyst, recount: Recount, asked: Asked) -> None:
    report = await ask(analyst, MeasureAgents(asked=asked))
    wanted = recount.agents(report.period)
    assert {each.key for each in report.groups} == wanted.keys()
    for each in report.groups:
        counted = wanted[each.key]
        assert asdict(each.usage) == counted.pop("usage")
        found = {name: getattr(each, name) for name in counted}
        assert found == pytest.approx(counted, abs=0.02)  # each stretch is to the millisecond
        assert each.load == pytest.approx(each.busy_s / report.period.seconds, abs=1e-6)
    kinds = await ask(analyst, MeasureAgents(asked=asked, group_by="agent_type"))
    for kind in kinds.groups:
        alike = [each for each in report.groups if each.agent_type == kind.key]
        assert kind.agents == len(alike)
        for name in ("assignments", "handed_on", "completed", "failed", "retried"):
            assert getattr(kind, name) == sum(getattr(each, name) for each in alike)


async def check_trends(analyst: Analyst, recount: Recount, asked: Asked) -> None:
    for group in BUCKETS[1:]:
        trends = await ask(analyst, MeasureTrends(asked=asked, group_by=group))
        found = recount.workflows(trends.period, group)
        for bucket in trends.buckets:
            wanted = found.pop(bucket.since[: {"hour": 13, "day": 10}[group]], None)
            assert bucket.workflows.started == (wanted["started"] if wanted else 0)
            assert bucket.workflows.ended == (wanted["ended"] if wanted else 0)
        assert not found
        whole = recount.workflows(trends.period, "").get("", {})
        assert trends.total.started == whole.get("started", 0)
        assert trends.total.completed == whole.get("completed", 0)
