"""The routes under /api/v1/workflows, on a whole running system."""

import json
from typing import Any

import pytest

from actors.coordination.messages import WorkflowRecord
from actors.facts import LOG
from api.models import Workflow
from tests.api.asgi import Answer
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite

GIVEN = {"variables": {"first": 5}}


def test_a_start_is_answered_with_the_workflow_and_where_it_is(shared: SharedSite) -> None:
    answer = shared.start("arithmetic", priority=1, **GIVEN)
    body = answer.json()
    assert answer.status == 201
    assert answer.headers["location"] == f"{WORKFLOWS}/{body['id']}"
    assert answer.headers["content-type"] == "application/json"
    assert body["id"].startswith("arithmetic-")
    assert body["beads_issue_id"]
    assert body["created_at"].endswith("Z")
    assert body["status"] in {"queued", "active"}
    known = {"id", "beads_issue_id", "created_at", "started_at", "status", "updated_at"}
    assert {name: body[name] for name in body if name not in known} == {
        "type": "arithmetic",
        "version": 1,
        "title": "a title",
        "priority": 1,
        "agent_type": None,
        "agent_id": None,
        "variables": {"first": 5},
        "completed_at": None,
        "error": None,
        "parent_id": None,
        "waits_for_agent": None,
    }


def test_priority_is_2_and_there_are_no_variables_unless_it_is_said(shared: SharedSite) -> None:
    body = shared.start("counting").json()
    assert (body["priority"], body["variables"]) == (2, {})


def test_a_start_reserves_an_agent_of_the_workflows_type(shared: SharedSite) -> None:
    body = shared.start("greeting", variables={"name": "Ada"}).json()
    assert (body["agent_type"], body["agent_id"]) == ("greeter", "greeter-1")


def test_a_workflow_that_ended_says_when_and_how(shared: SharedSite) -> None:
    workflow_id = shared.done("arithmetic", **GIVEN)
    body = shared.get(f"{WORKFLOWS}/{workflow_id}")
    assert (body["status"], body["error"]) == ("completed", None)
    assert body["created_at"] <= body["started_at"] <= body["completed_at"]


def test_a_workflow_that_failed_says_why(shared: SharedSite) -> None:
    workflow_id = shared.done("failing")
    body = shared.get(f"{WORKFLOWS}/{workflow_id}")
    assert body["status"] == "failed"
    assert body["error"]["code"] == "boom"
    assert body["error"]["message"].endswith("it went off")


def test_a_repeated_start_with_the_same_key_is_one_start(shared: SharedSite) -> None:
    key = ("Idempotency-Key", "the-same")
    first = shared.start("arithmetic", key, **GIVEN)
    second = shared.start("arithmetic", key, **GIVEN)
    assert (first.status, second.status) == (201, 201)
    assert first.json()["id"] == second.json()["id"]


def test_a_key_that_stands_for_another_request_is_refused(shared: SharedSite) -> None:
    key = ("Idempotency-Key", "another")
    shared.start("arithmetic", key, **GIVEN)
    refused(shared.start("counting", key), 422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb", "\x7f"])
def test_a_key_that_cannot_be_one_is_refused(shared: SharedSite, key: str) -> None:
    body = refused(shared.start("counting", ("Idempotency-Key", key)), 422, "validation_error")
    assert body["errors"][0]["pointer"] == "/Idempotency-Key"


def test_a_list_gives_every_workflow_once_page_by_page_newest_first(shared: SharedSite) -> None:
    started = [shared.done("listed") for _ in range(7)]
    found, cursor, pages = [], "", 0
    while True:
        page = shared.get(f"{WORKFLOWS}?type=listed&limit=3&cursor={cursor}")
        found += [workflow["id"] for workflow in page["data"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert found == started[::-1]
    assert pages == 3
    rising = shared.get(f"{WORKFLOWS}?type=listed&sort=created&reverse=true")["data"]
    assert [workflow["id"] for workflow in rising] == started


def test_a_list_has_no_order_without_an_index(shared: SharedSite) -> None:
    refused(shared.call("GET", f"{WORKFLOWS}?sort=priority"), 422, "validation_error")


def test_a_list_holds_only_what_the_filters_let_through(shared: SharedSite) -> None:
    done, failed = shared.done("arithmetic", **GIVEN), shared.done("failing")
    by_status = {w["id"] for w in shared.get(f"{WORKFLOWS}?status=failed&limit=200")["data"]}
    by_type = {w["id"] for w in shared.get(f"{WORKFLOWS}?type=arithmetic&limit=200")["data"]}
    neither = shared.get(f"{WORKFLOWS}?type=arithmetic&status=failed")["data"]
    assert failed in by_status
    assert done not in by_status
    assert done in by_type
    assert failed not in by_type
    assert neither == []


def test_a_list_may_be_asked_for_by_all_that_a_workflow_is(shared: SharedSite) -> None:
    body = shared.start("greeting", priority=4, variables={"name": "Ada"}).json()
    asked = {
        "status": "active,completed",
        "agent_id": body["agent_id"],
        "agent_type": body["agent_type"],
        "priority": body["priority"],
        "issue": body["beads_issue_id"],
        "created_after": body["created_at"],
        "created_before": "9999-01-01T00:00:00Z",
        "q": "A%20TITLE",
    }
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    assert [w["id"] for w in shared.get(f"{WORKFLOWS}?{query}")["data"]] == [body["id"]]
    other = query.replace("TITLE", "TITLES")
    assert shared.get(f"{WORKFLOWS}?{other}") == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=x", "/limit"),
        ("limit=" + "9" * 5000, "/limit"),
        ("limit=1&limit=2", "/limit"),
        ("status=done", "/status/0"),
        ("status=active,done", "/status/1"),
        ("priority=5", "/priority"),
        ("created_after=yesterday", "/created_after"),
        ("created_before=2026-01-02T03:04:05", "/created_before"),
        ("created_before=2026-99-02T03:04:05Z", "/created_before"),
        ("q=" + "q" * 201, "/q"),
        ("colour=red", "/colour"),
        ("cursor=x", "/cursor"),
        ("cursor=%ff", "/cursor"),
        ("cursor=bnVsbA", "/cursor"),  # null
        ("cursor=WzEsMl0", "/cursor"),  # [1,2]
        ("cursor=WyJcdWQ4MDAiLCJ4Il0", "/cursor"),  # ["\ud800","x"]
        ("cursor=" + "W1tb" * 30_000, "/cursor"),  # [[[…
    ],
)
def test_a_list_refuses_a_query_it_cannot_follow(
    shared: SharedSite, query: str, pointer: str
) -> None:
    body = refused(shared.call("GET", f"{WORKFLOWS}?{query}"), 422, "validation_error")
    assert body["errors"][0]["pointer"] == pointer


def test_an_unknown_status_is_refused_with_the_known_ones_named(shared: SharedSite) -> None:
    body = refused(shared.call("GET", f"{WORKFLOWS}?status=done"), 422, "validation_error")
    assert "'dead_letter'" in body["detail"]


@pytest.mark.parametrize("rest", ["", "/results", "/logs"])
@pytest.mark.parametrize("workflow_id", ["nothing", "%00", "..", "%2e%2e%2f", "%ff", "a" * 9000])
def test_a_workflow_that_is_not_there_is_not_found(
    shared: SharedSite, rest: str, workflow_id: str
) -> None:
    refused(shared.call("GET", f"{WORKFLOWS}/{workflow_id}{rest}"), 404, "not_found")


@pytest.mark.parametrize("rest", ["", "/results", "/types"])
def test_a_route_without_a_query_refuses_one(shared: SharedSite, rest: str) -> None:
    target = f"{WORKFLOWS}/x{rest}" if rest != "/types" else f"{WORKFLOWS}/types"
    refused(shared.call("GET", f"{target}?verbose=1"), 422, "validation_error")


def test_the_results_of_a_workflow_are_its_steps_and_its_output(shared: SharedSite) -> None:
    workflow_id = shared.done("arithmetic", **GIVEN)
    data = shared.get(f"{WORKFLOWS}/{workflow_id}/results")["data"]
    assert [r["result_type"] for r in data] == ["add", "output"]
    assert data[0]["result_data"] == 7
    assert data[1]["result_data"] == {"total": 7, "summary": "added"}
    assert data[1]["step"] == "output"
    assert {r["workflow_id"] for r in data} == {workflow_id}
    assert set(data[0]) == {
        "id",
        "artifacts",
        "version",
        "workflow_id",
        "step",
        "result_type",
        "agent_type",
        "agent_id",
        "result_data",
        "confidence_score",
        "created_at",
    }


def test_the_log_is_read_on_from_the_last_line_seen(shared: SharedSite) -> None:
    workflow_id = shared.done("greeting", variables={"name": "Ada"})
    shared.until(lambda fact: fact.type == LOG and fact.workflow_id == workflow_id)
    whole = shared.get(f"{WORKFLOWS}/{workflow_id}/logs")
    lines, after = [], 0
    while True:
        page = shared.get(f"{WORKFLOWS}/{workflow_id}/logs?after={after}&limit=2")
        if not page["data"]:
            break
        assert len(page["data"]) <= 2
        lines += page["data"]
        after = page["next_after"]
    assert lines[: len(whole["data"])] == whole["data"]  # the issue is closed after the end
    assert whole["next_after"] == whole["data"][-1]["seq"]
    assert page["next_after"] == after == lines[-1]["seq"]
    assert "hello Ada" in {line["message"] for line in lines}
    assert all(set(line) == {"seq", "at", "level", "source", "message"} for line in lines)


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "after=9e9"])
def test_the_log_refuses_limits_that_are_none(shared: SharedSite, query: str) -> None:
    refused(shared.call("GET", f"{WORKFLOWS}/x/logs?{query}"), 422, "validation_error")


def test_the_types_are_listed_with_a_schema_of_their_variables(shared: SharedSite) -> None:
    data = {kind["name"]: kind for kind in shared.get(f"{WORKFLOWS}/types")["data"]}
    assert list(data) == [
        "arithmetic",
        "counting",
        "failing",
        "gated",
        "greeting",
        "listed",
        "relay",
        "waiting",
    ]
    assert data["arithmetic"]["description"] == "Add two numbers."
    assert data["arithmetic"]["variables"]["required"] == ["first"]
    assert data["greeting"]["agent_type"] == "greeter"
    assert set(data["greeting"]) == {
        "agents",
        "name",
        "version",
        "description",
        "agent_type",
        "variables",
        "warnings",
    }
    assert data["greeting"]["warnings"] == []


# --- PUT


def put(shared: SharedSite, workflow_id: str, body: Any, *headers: tuple[str, str]) -> Answer:
    typed = [("Content-Type", "application/json"), *headers]
    target = f"{WORKFLOWS}/{workflow_id}"
    return shared.call("PUT", target, headers=typed, body=[json.dumps(body).encode()])


def test_what_was_put_is_answered_and_read_back_with_its_tag(shared: SharedSite) -> None:
    one = shared.start("arithmetic", **GIVEN).json()
    before = shared.call("GET", f"{WORKFLOWS}/{one['id']}")
    seen = ("If-Match", before.headers["etag"])
    done = put(shared, one["id"], {"title": "T", "priority": 4}, seen)
    body = done.json()
    assert (done.status, body["title"], body["priority"]) == (200, "T", 4)
    after = shared.call("GET", f"{WORKFLOWS}/{one['id']}")
    assert after.headers["etag"].startswith(done.headers["etag"][:-1])
    assert not before.headers["etag"].startswith(done.headers["etag"][:-1])
    assert after.json()["title"] == "T"
    late = put(shared, one["id"], {"title": "U"}, seen)
    refused(late, 412, "workflow_changed")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/body"),
        ({"title": 1}, "/title"),
        ({"title": ""}, "/title"),
        ({"priority": "0"}, "/priority"),
        ({"priority": 9}, "/priority"),
        ({"variables": []}, "/variables"),
        ({"status": "done"}, "/status"),
        ({"title": "T", "reason": "r"}, "/reason"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    shared: SharedSite, body: dict[str, Any], pointer: str
) -> None:
    one = shared.start("counting").json()
    answer = put(shared, one["id"], body)
    assert refused(answer, 422, "validation_error")["errors"][0]["pointer"] == pointer


def test_a_change_of_what_is_over_says_what_may_be_asked_for(shared: SharedSite) -> None:
    workflow_id = shared.done("arithmetic", **GIVEN)
    answer = put(shared, workflow_id, {"status": "active"})
    assert "nothing else" in refused(answer, 409, "status_transition")["detail"]
    refused(put(shared, "x", {"title": "T"}), 404, "not_found")


@pytest.mark.parametrize("error", [None, "boom"])
def test_what_is_shown_of_a_workflow_is_what_its_model_describes(error: str | None) -> None:
    record = WorkflowRecord(
        id="w",
        beads_issue_id="x",
        type="flow",
        version=1,
        title="T",
        status="active" if error is None else "failed",
        priority=2,
        agent_type="a",
        agent_id=None,
        variables={"deep": [1]},
        created_at="2026-01-01T00:00:00.000000Z",
        started_at=None,
        completed_at=None,
        error_code=error,
        error_message=None,
        updated_at="2026-01-01T00:00:00.000000Z",
    )
    shown = Workflow.shown(record)
    assert Workflow.model_validate(shown, strict=True).model_dump() == shown
    assert list(shown) == list(Workflow.model_fields)
