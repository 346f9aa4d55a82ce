"""The routes of analytics, on a whole running system: the numbers are those of its events."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.api.problems import refused
from tests.api.site import SharedSite

PLACE = "/api/v1/analytics"
ENDS = ("workflow_completed", "workflow_failed", "workflow_cancelled", "workflow_terminated")


def events(shared: SharedSite) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = 0
    while page := shared.get(f"/api/v1/events?after={after}&limit=1000")["data"]:
        found += page
        after = page[-1]["seq"]
    return found


def do_something(shared: SharedSite) -> None:
    shared.done("arithmetic", variables={"first": 1})
    shared.done("counting")
    shared.done("failing")


def test_performance_is_what_the_events_come_to(shared: SharedSite) -> None:
    do_something(shared)
    told = shared.get(f"{PLACE}/performance?group_by=activity")
    seen = Counter(event["type"] for event in events(shared))
    assert told["workflows"]["completed"] == seen["workflow_completed"]
    assert told["workflows"]["failed"] == seen["workflow_failed"]
    assert told["workflows"]["ended"] == sum(seen[kind] for kind in ENDS)
    assert told["workflows"]["run_s"]["count"] == told["workflows"]["queue_s"]["count"]
    assert told["steps"]["completed"] == seen["step_completed"]
    assert told["steps"]["failed"] == seen["step_failed"]
    assert sum(each["steps"]["completed"] for each in told["groups"]) == seen["step_completed"]
    assert told["is_cut"] is False


def test_workflows_are_grouped_by_type(shared: SharedSite) -> None:
    do_something(shared)
    groups = {each["key"]: each["workflows"] for each in shared.get(f"{PLACE}/workflows")["groups"]}
    listed = Counter(
        each["status"] for each in shared.get("/api/v1/workflows?type=failing&limit=200")["data"]
    )
    assert groups["failing"]["failed"] == listed["failed"]
    assert groups["failing"]["success_rate"] == 0.0
    assert groups["arithmetic"]["success_rate"] == 1.0
    first = shared.get(f"{PLACE}/workflows?limit=1")
    assert (len(first["groups"]), first["is_cut"]) == (1, True)


def test_what_agents_did_is_counted_for_each(shared: SharedSite) -> None:
    shared.done("greeting")
    (one, *_) = shared.get(f"{PLACE}/agents")["groups"]
    done = [event["data"] for event in events(shared) if event["type"] == "step_completed"]
    assert one["completed"] == sum(data.get("agent_id") == one["key"] for data in done)
    (kind, *_) = shared.get(f"{PLACE}/agents?group_by=agent_type")["groups"]
    assert kind["key"] == one["agent_type"]


def test_trends_have_every_bucket_and_the_change_since_the_period_before(
    shared: SharedSite,
) -> None:
    do_something(shared)
    trends = shared.get(f"{PLACE}/trends?period=3h&group_by=hour")
    assert len(trends["buckets"]) in {3, 4}
    assert trends["buckets"][0]["since"] == trends["period"]["since"]
    assert trends["buckets"][-1]["until"] == trends["period"]["until"]
    for before, after in zip(trends["buckets"], trends["buckets"][1:], strict=False):
        assert before["until"] == after["since"]
    assert sum(b["workflows"]["started"] for b in trends["buckets"]) == trends["total"]["started"]
    assert trends["before"]["started"] == 0
    assert trends["change"]["started"] is None


def test_nothing_happened_before_anything_did(shared: SharedSite) -> None:
    span = "since=2001-01-01T00:00:00Z&until=2001-01-02T00:00:00Z"
    whole = shared.get(f"{PLACE}/performance?{span}")
    assert (whole["workflows"]["started"], whole["workflows"]["run_s"]) == (0, None)
    assert shared.get(f"{PLACE}/agents?{span}")["groups"] == []
    soon = f"since={datetime.now(UTC).year + 5}-01-01T00:00:00Z&period=1d"
    assert shared.get(f"{PLACE}/agents?{soon}")["groups"] == []


@pytest.mark.parametrize(
    ("route", "query"),
    [
        ("performance", "period=yesterday"),
        ("performance", "period=0h"),
        ("performance", "period=400d"),
        ("performance", "period=\u0661h"),
        ("performance", "since=soon"),
        ("performance", "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z"),
        ("performance", "since=2026-01-02T00:00:00Z&until=2026-01-03T00:00:00Z&period=1d"),
        ("performance", "since=0001-01-01T00:00:00Z"),
        ("performance", "until=0001-01-01T00:00:00Z"),
        ("performance", "since=9999-12-31T23:00:00Z&period=1d"),
        ("performance", "group_by=type"),
        ("workflows", "group_by=colour"),
        ("workflows", "limit=0"),
        ("agents", "limit=201"),
        ("agents", "group_by=activity"),
        ("trends", "period=30d&group_by=minute"),
        ("trends", "since=0001-01-01T00:00:00Z&period=1d"),
        ("trends", "limit=3"),
    ],
)
def test_what_cannot_be_meant_is_refused(shared: SharedSite, route: str, query: str) -> None:
    refused(shared.call("GET", f"{PLACE}/{route}?{query}"), 422, "validation_error")
