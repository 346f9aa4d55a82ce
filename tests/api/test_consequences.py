"""What a change of an issue does to its workflow, and who may do that."""

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


@pytest.fixture(scope="module")
def agent(door: Locked) -> Header:
    return door.header(Role.AGENT, "somebody")


def put(door: Locked, issue_id: str, header: Header, **fields: Any) -> Answer:
    typed = ("Content-Type", "application/json")
    return door.call(
        "PUT", f"{ISSUES}/{issue_id}", header, typed, body=[json.dumps(fields).encode()]
    )


def batch(door: Locked, header: Header, *changes: dict[str, Any]) -> list[Any]:
    answer = door.post(f"{ISSUES}/batch", {"changes": list(changes)}, header)
    return [part["problem"] and part["problem"]["code"] for part in answer.json()["data"]]


def live(door: Locked, workflow_type: str = "waiting") -> tuple[str, str]:
    """A workflow that goes on, and its issue."""
    record = door.shared.start(workflow_type).json()
    return record["id"], record["beads_issue_id"]


def held(door: Locked) -> tuple[str, str, str]:
    """A workflow that is with an agent, its issue, and the id of that agent."""
    workflow_id, issue_id = live(door, "relay")
    door.shared.until(lambda f: f.type == facts.AGENT_ASSIGNED and f.workflow_id == workflow_id)
    page = door.shared.get(f"/api/v1/assignments?workflow_id={workflow_id}")
    return workflow_id, issue_id, page["data"][0]["agent_id"]


def lines(door: Locked, admin: Header, actor: str) -> list[dict[str, Any]]:
    # Nobody waits for the line of a refusal; that of an act comes after it.
    assert door.post("/api/v1/reconcile", {"repair": False}, admin).status == 200
    target = f"/api/v1/audit?actor={actor}&limit=200"
    found: list[dict[str, Any]] = door.call("GET", target, admin).json()["data"]
    return found


def depends_on(door: Locked, issue_id: str, header: Header) -> str:
    """An issue that this one depends on, with another one in between."""
    ids = [door.post(ISSUES, {"title": "t"}, header).json()["id"] for _ in range(2)]
    for source, target in ((issue_id, ids[0]), (ids[0], ids[1])):
        body = {"depends_on": target, "type": "related"}
        assert door.post(f"{ISSUES}/{source}/dependencies", body, header).status == 200
    return str(ids[1])


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AGENT])
def test_nobody_ends_a_workflow_by_its_issue_who_may_not_end_it(
    door: Locked, admin: Header, role: Role
) -> None:
    header = door.header(role, f"{role}-1")
    workflow_id, issue_id = live(door)
    far = depends_on(door, issue_id, admin)
    for answer in (
        door.post(f"{ISSUES}/{issue_id}/close", {}, header),
        door.post(f"{ISSUES}/{issue_id}/close", {"force": True}, header),
        door.call("DELETE", f"{ISSUES}/{issue_id}", header),
        door.call("DELETE", f"{ISSUES}/{issue_id}?force=true", header),
        door.call("DELETE", f"{ISSUES}/{far}?cascade=true", header),
        put(door, issue_id, header, status="closed"),
    ):
        assert "permission" in refused(answer, 403, "forbidden")["detail"]
    changes = [
        {"op": "close", "id": issue_id},
        {"op": "delete", "id": issue_id},
        {"op": "delete", "id": far, "cascade": True},
        {"op": "update", "id": issue_id, "status": "closed"},
    ]
    assert batch(door, header, *changes) == ["forbidden"] * 4
    assert door.shared.get(f"{WORKFLOWS}/{workflow_id}")["status"] == "active"
    assert door.shared.get(f"{ISSUES}/{issue_id}")["issue"]["status"] != "closed"
    noted = {(line["action"], line["outcome"]) for line in lines(door, admin, f"{role}-1")}
    assert ("workflow:delete", "refused") in noted


def test_an_administrator_ends_it_and_that_is_noted(door: Locked, admin: Header) -> None:
    (first, one), (second, two), (third, three) = (live(door) for _ in range(3))
    far = depends_on(door, three, admin)
    assert door.post(f"{ISSUES}/{one}/close", {"force": True}, admin).status == 200
    plain = door.post(ISSUES, {"title": "t"}, admin).json()["id"]
    parts = [{"op": "close", "id": plain}, {"op": "delete", "id": two}]
    assert batch(door, admin, *parts) == [None, None]
    assert door.call("DELETE", f"{ISSUES}/{far}?cascade=true", admin).status == 200
    for workflow_id in (first, second, third):
        door.shared.until(
            lambda f, of=workflow_id: f.type == facts.WORKFLOW_CANCELLED and f.workflow_id == of  # type: ignore[misc]
        )
    noted = [line for line in lines(door, admin, "root") if "workflows" in line["detail"]]
    assert [line["detail"]["workflows"] for line in noted] == [[first], [second], [third]]
    assert {(line["action"], line["outcome"]) for line in noted} == {("workflow:delete", "done")}


def test_the_agent_that_has_a_workflow_closes_its_issue_and_no_other_does(
    door: Locked, admin: Header, agent: Header
) -> None:
    workflow_id, issue_id, who = held(door)
    mine = door.header(Role.AGENT, who)
    refused(door.post(f"{ISSUES}/{issue_id}/close", {"force": True}, agent), 403, "forbidden")
    assert door.post(f"{ISSUES}/{issue_id}/close", {"force": True}, mine).status == 200
    (noted,) = (line for line in lines(door, admin, who) if "workflows" in line["detail"])
    assert noted["detail"]["workflows"] == [workflow_id]


def test_a_workflow_is_not_renamed_by_its_issue_without_workflow_write(
    door: Locked, operator: Header, agent: Header
) -> None:
    _, issue_id, who = held(door)
    other = {"title": "mine", "priority": 0}
    for header in (agent, door.header(Role.AGENT, who)):
        for name, value in other.items():
            answer = put(door, issue_id, header, **{name: value})
            assert "workflow:write" in refused(answer, 403, "forbidden")["detail"]
        assert batch(door, header, {"op": "update", "id": issue_id, **other}) == ["forbidden"]
        assert put(door, issue_id, header, notes="seen").status == 200
    plain = door.post(ISSUES, {"title": "t"}, agent).json()["id"]
    assert put(door, plain, agent, **other).status == 200
    assert put(door, issue_id, operator, **other).status == 200
    assert door.shared.get(f"{ISSUES}/{issue_id}")["issue"]["title"] == "mine"


def test_only_an_administrator_takes_in_lines_that_name_any_author(
    door: Locked, admin: Header, operator: Header, agent: Header
) -> None:
    kind = ("Content-Type", "application/x-ndjson")
    line = json.dumps({"id": "taken-1", "title": "t", "created_by": "ann"}).encode()
    for header in (operator, agent):
        answer = door.call("POST", f"{ISSUES}/import", header, kind, body=[line])
        assert "system:admin" in refused(answer, 403, "forbidden")["detail"]
    assert door.call("POST", f"{ISSUES}/import", admin, kind, body=[line]).status == 200
    targets = [each["target"] for each in lines(door, admin, "root") if each["outcome"] == "done"]
    assert f"POST {ISSUES}/import" in targets


def test_issues_without_a_live_workflow_are_closed_and_deleted_as_ever(
    door: Locked, operator: Header
) -> None:
    over = door.shared.done("arithmetic", variables={"first": 1})
    issue_id = door.shared.get(f"{WORKFLOWS}/{over}")["beads_issue_id"]
    plain = door.post(ISSUES, {"title": "t"}, operator).json()["id"]
    assert door.post(f"{ISSUES}/{plain}/close", {}, operator).status == 200
    assert put(door, plain, operator, status="closed").status == 200
    for each in (plain, issue_id):
        assert door.call("DELETE", f"{ISSUES}/{each}?cascade=true", operator).status == 200
