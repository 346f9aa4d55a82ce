"""In whose name requests act, and what an agent may touch."""

import json
from typing import Any

import pytest

from actors import facts
from actors.auth.roles import Role
from tests.api.asgi import Answer, Header
from tests.api.locked import Locked
from tests.api.problems import refused
from tests.api.site import WORKFLOWS

ISSUES = "/api/v1/issues"
GATES = "/api/v1/gates"


@pytest.fixture(scope="module")
def agent(door: Locked) -> Header:
    return door.header(Role.AGENT, "runner-1")


def an_issue(door: Locked, header: Header, **given: Any) -> str:
    answer = door.post(ISSUES, {"title": "t", **given}, header)
    assert answer.status == 201, answer.body
    issue_id: str = answer.json()["id"]
    return issue_id


def held(door: Locked) -> tuple[str, str]:
    """A workflow that is with an agent, and that agent's id."""
    workflow_id: str = door.shared.start("relay").json()["id"]
    door.shared.until(lambda f: f.type == facts.AGENT_ASSIGNED and f.workflow_id == workflow_id)
    page = door.shared.get(f"/api/v1/assignments?workflow_id={workflow_id}")
    return workflow_id, page["data"][0]["agent_id"]


def put(door: Locked, target: str, body: bytes, *headers: Header) -> Answer:
    return door.call("PUT", target, *headers, body=[body])


def test_whoever_is_known_need_not_say_who_acts(door: Locked, operator: Header) -> None:
    issue_id = an_issue(door, operator)
    door.post(f"{ISSUES}/{issue_id}/comments", {"text": "done"}, operator)
    shown = door.shared.get(f"{ISSUES}/{issue_id}")["issue"]
    assert shown["created_by"] == "ann"
    assert [each["author"] for each in shown["comments"]] == ["ann"]


def test_without_a_credential_the_name_is_asked_for(door: Locked) -> None:
    headers = [("Content-Type", "application/json")]
    answer = door.shared.call("POST", ISSUES, headers=headers, body=[b'{"title": "t"}'])
    assert refused(answer, 422, "validation_error")["errors"][0]["pointer"] == "/actor"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("close", {"actor": "bob"}),
        ("comments", {"actor": "bob", "text": "x"}),
        ("claim", {"actor": "bob"}),
        ("labels", {"actor": "bob", "add": ["x"]}),
    ],
)
def test_nobody_acts_in_somebody_else_s_name(
    door: Locked, operator: Header, path: str, body: dict[str, Any]
) -> None:
    issue_id = an_issue(door, operator)
    refused(door.post(f"{ISSUES}/{issue_id}/{path}", body, operator), 403, "not_yourself")


def test_neither_in_a_query_nor_in_a_batch(door: Locked, operator: Header) -> None:
    issue_id = an_issue(door, operator)
    answer = door.call("DELETE", f"{ISSUES}/{issue_id}?actor=bob", operator)
    refused(answer, 403, "not_yourself")
    body = {"actor": "bob", "changes": [{"op": "close", "id": issue_id}]}
    refused(door.post(f"{ISSUES}/batch", body, operator), 403, "not_yourself")
    assert door.call("DELETE", f"{ISSUES}/{issue_id}", operator).status == 200


def test_an_administrator_may_and_it_is_noted(door: Locked, admin: Header) -> None:
    issue_id = an_issue(door, admin, actor="bob")
    assert door.shared.get(f"{ISSUES}/{issue_id}")["issue"]["created_by"] == "bob"
    lines = door.call("GET", "/api/v1/audit?actor=root&limit=200", admin).json()["data"]
    assert {line["detail"].get("as") for line in lines} >= {"bob"}


def test_a_gate_is_answered_in_the_name_of_whoever_answers(door: Locked, operator: Header) -> None:
    gate_id = opened(door)
    answer = door.post(f"{GATES}/{gate_id}/approve", {}, operator)
    assert (answer.status, answer.json()["by"]) == (200, "ann")


def opened(door: Locked) -> str:
    workflow_id: str = door.shared.start("gated").json()["id"]
    door.shared.until(lambda f: f.type == facts.GATE_OPENED and f.workflow_id == workflow_id)
    (gate,) = door.shared.get(f"{GATES}?workflow_id={workflow_id}")["data"]
    gate_id: str = gate["id"]
    return gate_id


def test_an_agent_answers_no_gate_by_any_road(door: Locked, agent: Header) -> None:
    gate_id = opened(door)
    address = f"{ISSUES}/{gate_id}"
    ways = [
        door.post(f"{GATES}/{gate_id}/approve", {}, agent),
        door.post(f"{address}/close", {}, agent),
        door.post(f"{address}/defer", {}, agent),
        door.post(f"{address}/claim", {}, agent),
        door.post(f"{address}/release", {}, agent),
        door.call("DELETE", address, agent),
        door.call("DELETE", f"{ISSUES}/{an_issue(door, agent)}?cascade=true", agent),
        put(door, address, b'{"status":"closed"}', agent, ("Content-Type", "application/json")),
    ]
    for answer in ways:
        refused(answer, 403, "forbidden")
    parts = [{"op": "close", "id": gate_id}, {"op": "delete", "id": gate_id, "cascade": True}]
    came = door.post(f"{ISSUES}/batch", {"changes": parts}, agent).json()["data"]
    assert [part["problem"]["code"] for part in came] == ["forbidden", "forbidden"]
    assert door.shared.get(f"{GATES}/{gate_id}")["status"] == "open"


def test_nobody_assigns_what_somebody_else_has_claimed(
    door: Locked, operator: Header, agent: Header
) -> None:
    issue_id, typed = an_issue(door, operator), ("Content-Type", "application/json")
    address = f"{ISSUES}/{issue_id}"
    claim = door.post(f"{address}/claim", {}, operator).json()
    for given in (b'{"assignee":"runner-1"}', b'{"assignee":null}'):
        refused(put(door, address, given, agent, typed), 409, "already_claimed")
    changes = {"changes": [{"op": "update", "id": issue_id, "assignee": "runner-1"}]}
    (part,) = door.post(f"{ISSUES}/batch", changes, agent).json()["data"]
    assert part["problem"]["code"] == "already_claimed"
    assert put(door, address, b'{"assignee":"ann","notes":"n"}', agent, typed).status == 200
    passed_on = json.dumps({"assignee": "runner-1", "token": claim["token"]}).encode()
    assert put(door, address, passed_on, agent, typed).status == 200


@pytest.mark.parametrize("status", ["cancelled", "completed"])
def test_a_state_that_ends_a_workflow_needs_what_its_deletion_needs(
    door: Locked, operator: Header, status: str
) -> None:
    workflow_id, _ = held(door)
    typed = ("Content-Type", "application/json")
    target = f"{WORKFLOWS}/{workflow_id}"
    answer = put(door, target, f'{{"status":"{status}"}}'.encode(), operator, typed)
    assert "workflow:delete" in refused(answer, 403, "forbidden")["detail"]
    assert put(door, target, b'{"priority":1}', operator, typed).status == 200


def test_a_state_that_ends_a_workflow_is_noted_as_its_deletion_is(
    door: Locked, admin: Header
) -> None:
    workflow_id, _ = held(door)
    typed = ("Content-Type", "application/json")
    target = f"{WORKFLOWS}/{workflow_id}"
    assert put(door, target, b'{"priority":1}', admin, typed).status == 200
    assert put(door, target, b'{"status":"cancelled"}', admin, typed).status == 200
    log = "/api/v1/audit?action=workflow:delete&outcome=done&limit=200"
    lines = door.call("GET", log, admin).json()["data"]
    noted = [line["detail"]["workflows"] for line in lines if line["target"] == f"PUT {target}"]
    assert noted == [[workflow_id]]


def test_an_agent_works_for_what_is_assigned_to_it(door: Locked) -> None:
    workflow_id, mine = held(door)
    other = "runner-2" if mine == "runner-1" else "runner-1"
    me, stranger = door.header(Role.AGENT, mine), door.header(Role.AGENT, other)
    target = f"{WORKFLOWS}/{workflow_id}"
    result = {"result_type": "note", "result_data": {}}
    handoff = {"from_agent": mine, "to_agent": other}
    for header in (stranger, door.header(Role.AGENT, "nobody")):
        refused(door.post(f"{target}/results", result, header), 403, "not_your_workflow")
        refused(put(door, f"{target}/artifacts/a", b"x", header), 403, "not_your_workflow")
        refused(door.post(f"{target}/handoff", handoff, header), 403, "not_your_workflow")
    named = {**result, "agent_id": other}
    refused(door.post(f"{target}/results", named, me), 403, "not_your_workflow")
    stored = door.post(f"{target}/results", result, me)
    assert (stored.status, stored.json()["agent_id"]) == (201, mine)
    assert put(door, f"{target}/artifacts/a", b"x", me).status == 201
    assert door.post(f"{target}/handoff", handoff, me).json()["agent_id"] == other
    refused(door.post(f"{target}/results", result, me), 403, "not_your_workflow")
    assert door.post(f"{target}/results", result, stranger).status == 201
