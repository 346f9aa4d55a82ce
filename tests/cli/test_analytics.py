"""`beadflow analytics`: what the server counts, put into words; and the stores without one."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from actors.analytics.messages import (
    AgentGroup,
    AgentReport,
    Bucket,
    Performance,
    Period,
    Spread,
    Steps,
    Total,
    Trends,
    Usage,
    WorkflowGroup,
    WorkflowReport,
    Workflows,
    WorkGroup,
)
from cli.exits import ExitCode
from storage.databases import databases
from storage.home import DataDir
from tests.cli.fake import Answer, FakeServer, problem
from tests.cli.run import Run
from tests.support.golden import golden_file

PERIOD = Period(since="2026-01-01T00:00:00.000000Z", until="2026-01-02T00:00:00Z", seconds=86400.0)
TIMES = Spread(count=3, mean=4.0, p50=2.5, p95=75.0, p99=80.0, max=7200.0)
FOUND = Workflows(
    started=5,
    open={"queued": 1, "active": 1},
    ended=3,
    completed=2,
    failed=1,
    success_rate=0.666667,
    per_hour=0.125,
    queue_s=TIMES,
    run_s=TIMES,
)
STEPS = Steps(completed=6, failed=1, retried=2, success_rate=0.857143, per_hour=0.25)
USAGE = Usage(calls=2, input_tokens=100, output_tokens=20, cost_usd=1.5)
TOTAL = Total(
    started=5,
    ended=3,
    completed=2,
    failed=1,
    cancelled=0,
    terminated=0,
    success_rate=0.666667,
    per_hour=0.125,
    run_mean_s=4.0,
)
PLACE = "/api/v1/analytics"


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    performance = Performance(
        period=PERIOD,
        now={"queued": 1, "active": 2},
        workflows=FOUND,
        steps=STEPS,
        usage=USAGE,
        group_by="activity",
        groups=(WorkGroup(key="dig", steps=STEPS, usage=USAGE),),
        is_cut=True,
    )
    workflows = WorkflowReport(
        period=PERIOD,
        group_by="agent",
        groups=(WorkflowGroup(key="", workflows=FOUND),),
        is_cut=False,
    )
    agents = AgentReport(
        period=PERIOD,
        group_by="agent",
        groups=(AgentGroup(key="a-1", agent_type="a", assignments=2, busy_s=7500.0, usage=USAGE),),
        is_cut=False,
    )
    trends = Trends(
        period=PERIOD,
        group_by="day",
        buckets=(Bucket(since=PERIOD.since, until=PERIOD.until, workflows=FOUND),),
        total=TOTAL,
        before=TOTAL,
        change={"started": 0.5, "ended": None},
    )
    found = {"performance": performance, "workflows": workflows, "agents": agents, "trends": trends}
    for name, report in found.items():
        server.answers[f"GET {PLACE}/{name}"] = Answer(asdict(report))  # type: ignore[call-overload]
    return server


def test_performance_is_told_in_words(beadflow: Run, at: FakeServer) -> None:
    ran = beadflow("analytics", "performance", "24h", "--group-by", "activity")
    assert at.seen[-1].params == {"period": "24h", "group_by": "activity"}
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "period    2026-01-01 00:00:00Z to 2026-01-02 00:00:00Z",
        "started   5",
        "ended     3 (2 completed, 1 failed, 0 cancelled, 0 terminated)",
        "success   66.7%",
        "per hour  0.125",
        "queue     p50 2.5s, p95 1m15s, p99 1m20s, max 2h00m",
        "run       p50 2.5s, p95 1m15s, p99 1m20s, max 2h00m",
        "steps     6 completed, 1 failed, 2 retried",
        "tokens    100 in, 20 out",
        "cost      $1.50",
        "open now  1 queued, 2 active",
        "",
        "ACTIVITY  COMPLETED  FAILED  RETRIED  SUCCESS  P50  P95          TOKENS   COST",
        "dig               6       1        2    85.7%            100 in, 20 out  $1.50",
    ]
    assert ran.err == "there are more groups than these\n"


def test_workflows_without_an_agent_have_a_line(beadflow: Run, at: FakeServer) -> None:
    ran = beadflow("analytics", "workflows", "--group-by", "agent", "-n", "3")
    assert at.seen[-1].params == {"group_by": "agent", "limit": "3"}
    assert [line.split()[:5] for line in ran.out.splitlines()] == [
        ["AGENT", "STARTED", "ENDED", "COMPLETED", "FAILED"],
        ["-", "5", "3", "2", "1"],
    ]


def test_agents_have_a_line_each(beadflow: Run, at: FakeServer) -> None:
    ran = beadflow("analytics", "agents", "-o", "csv")
    heading, line = ran.out.splitlines()
    assert heading.split(",")[:3] == ["agent", "type", "given"]
    assert line == 'a-1,a,2,0,0,2h05m,0,0,0,0,"100 in, 20 out",$1.50'
    assert at.seen[-1].params == {"group_by": "agent"}


def test_trends_are_compared_with_the_period_before(beadflow: Run, at: FakeServer) -> None:
    ran = beadflow("analytics", "trends", "7d", "--until", "2026-01-08T00:00:00Z")
    assert at.seen[-1].params == {"period": "7d", "until": "2026-01-08T00:00:00Z"}
    lines = ran.out.splitlines()
    assert lines[1].startswith("2026-01-01 00:00:00Z        5      3")
    assert "started       5 (before: 5, +50.0%)" in lines
    assert "run mean      4 (before: 4)" in lines


@pytest.mark.parametrize("name", ["performance", "workflows", "agents", "trends"])
def test_programs_get_what_the_server_said(beadflow: Run, at: FakeServer, name: str) -> None:
    found = beadflow("analytics", name, "-o", "json").json
    assert found["schema"] == f"beadflow.analytics.{name}/1"
    assert found["data"] == json.loads(at.answers[f"GET {PLACE}/{name}"].content())


def test_a_refusal_is_the_server_s(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {PLACE}/trends"] = problem(422, "No", code="validation_error", detail="d")
    ran = beadflow("analytics", "trends", "400d")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")


def test_the_stores_answer_where_nobody_serves(
    beadflow: Run, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo)
    data = DataDir.resolve(repo)
    data.path.mkdir(mode=0o700)
    for database in databases(data.path):
        shutil.copy(golden_file(database.name, 1), database.path)
    assert beadflow("db", "migrate").code == 0
    span = ("--since", "2026-11-22T00:00:00Z", "--until", "2026-11-23T00:00:00Z")
    found = beadflow("analytics", "performance", *span, "-o", "json").json["data"]["workflows"]
    assert (found["started"], found["completed"], found["failed"]) == (4, 1, 1)
    for name in ("workflows", "agents", "trends"):
        assert beadflow("analytics", name, *span, "-o", "json").code == 0
