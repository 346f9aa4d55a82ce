"""/api/v1/assignments, on a whole running system."""

import json
from typing import Any

import pytest

from tests.api.asgi import Answer, Header
from tests.api.problems import refused
from tests.api.site import SharedSite

ASSIGNMENTS = "/api/v1/assignments"
JSON: Header = ("Content-Type", "application/json")


def assign(shared: SharedSite, *headers: Header, **body: Any) -> Answer:
    whole = [json.dumps(body).encode()]
    return shared.call("POST", ASSIGNMENTS, headers=[JSON, *headers], body=whole)


def relay(shared: SharedSite) -> tuple[str, str, str]:
    """A workflow that is with an agent, that agent and another one of its type."""
    started = shared.start("relay").json()
    has = started["agent_id"]
    return started["id"], has, next(a for a in ("runner-1", "runner-2") if a != has)


def of_workflow(shared: SharedSite, workflow_id: str, more: str = "") -> dict[str, Any]:
    return shared.get(f"{ASSIGNMENTS}?workflow_id={workflow_id}{more}")


def test_a_workflow_is_given_to_an_agent_by_hand(shared: SharedSite) -> None:
    workflow_id, has, other = relay(shared)
    given = assign(shared, workflow_id=workflow_id, agent_id=other, reason="knows it")
    assert given.status == 201
    assert given.json()["agent_id"] == other
    newest, before = of_workflow(shared, workflow_id)["data"]
    assert newest == given.json()
    assert (before["agent_id"], before["status"]) == (has, "reassigned")
    assert (newest["reason"], newest["assigned_by"]) == ("knows it", "operator")


def test_who_has_a_workflow_keeps_it(shared: SharedSite) -> None:
    workflow_id, has, _ = relay(shared)
    assert assign(shared, workflow_id=workflow_id, agent_id=has).status == 201
    assert len(of_workflow(shared, workflow_id)["data"]) == 1


def test_the_same_request_twice_is_one(shared: SharedSite) -> None:
    workflow_id, _, other = relay(shared)
    key: Header = ("Idempotency-Key", f"to {other} {workflow_id}")
    body = {"workflow_id": workflow_id, "agent_id": other}
    assert assign(shared, key, **body).json() == assign(shared, key, **body).json()
    assert len(of_workflow(shared, workflow_id)["data"]) == 2
    refused(assign(shared, key, **{**body, "reason": "another"}), 422, "idempotency_key_reused")


def test_a_list_goes_on_where_its_cursor_says(shared: SharedSite) -> None:
    workflow_id, has, other = relay(shared)
    for agent_id in (other, has):
        assign(shared, workflow_id=workflow_id, agent_id=agent_id)
    page = of_workflow(shared, workflow_id, "&limit=2")
    rest = of_workflow(shared, workflow_id, f"&limit=2&cursor={page['next_cursor']}")
    found = [one["agent_id"] for one in (*page["data"], *rest["data"])]
    assert found == [has, other, has]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("&status=assigned", 1),
        ("&status=reassigned", 1),
        ("&status=queued", 0),
        ("&agent_type=runner", 2),
        ("&agent_type=greeter", 0),
    ],
)
def test_a_list_holds_only_what_was_asked_for(shared: SharedSite, query: str, found: int) -> None:
    workflow_id, _, other = relay(shared)
    assign(shared, workflow_id=workflow_id, agent_id=other)
    assert len(of_workflow(shared, workflow_id, query)["data"]) == found
    of_agent = shared.get(f"{ASSIGNMENTS}?agent_id={other}&limit=200")["data"]
    assert workflow_id in {one["workflow_id"] for one in of_agent}
    assert {one["agent_id"] for one in of_agent} == {other}


@pytest.mark.parametrize(
    "query", ["status=odd", "limit=0", "limit=201", "cursor=odd", "cursor=YQ", "other=1"]
)
def test_a_list_is_refused_for(shared: SharedSite, query: str) -> None:
    answer = shared.call("GET", f"{ASSIGNMENTS}?{query}")
    refused(answer, 422, "validation_error")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"agent_id": "nobody"}, 404, "not_found"),
        ({"agent_id": "greeter-1"}, 409, "wrong_agent_type"),
        ({"agent_id": ""}, 422, "validation_error"),
        ({"agent_id": "runner-1", "workflow_id": "wf-none"}, 404, "not_found"),
        ({"agent_id": "runner-1", "reason": "x" * 1001}, 422, "validation_error"),
        ({}, 422, "validation_error"),
    ],
)
def test_a_workflow_is_given_to_nobody_for(
    shared: SharedSite, body: dict[str, Any], status: int, code: str
) -> None:
    workflow_id, _, _ = relay(shared)
    refused(assign(shared, **{"workflow_id": workflow_id, **body}), status, code)
