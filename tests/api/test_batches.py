"""Many things in one request: each part is done or refused by itself."""

import json
from typing import Any

import pytest
from quart import g

from actors.auth.messages import Principal
from actors.auth.roles import Role, granted
from actors.issues.verbs import CloseIssue, DeleteIssue
from api.routes import batches
from tests.api.asgi import Answer, Header
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite

ISSUES = "/api/v1/issues"
JSON: Header = ("Content-Type", "application/json")


def post(shared: SharedSite, target: str, body: Any, *headers: Header) -> Answer:
    return shared.call("POST", target, headers=[JSON, *headers], body=[json.dumps(body).encode()])


def start(shared: SharedSite, *workflows: dict[str, Any], key: str | None = None) -> Any:
    headers = [] if key is None else [("Idempotency-Key", key)]
    answer = post(shared, f"{WORKFLOWS}/batch", {"workflows": workflows}, *headers)
    assert answer.status == 200, answer.body
    return answer.json()


def change(shared: SharedSite, *changes: dict[str, Any], **more: Any) -> Any:
    key = more.pop("key", None)
    headers = [] if key is None else [("Idempotency-Key", key)]
    body = {"actor": "ann", "changes": changes, **more}
    answer = post(shared, f"{ISSUES}/batch", body, *headers)
    assert answer.status == 200, answer.body
    return answer.json()


def plain(workflow_type: str = "listed", **more: Any) -> dict[str, Any]:
    return {"issue_title": "T", "workflow_type": workflow_type, **more}


def test_each_start_of_a_batch_is_answered_in_its_place(shared: SharedSite) -> None:
    chosen = plain(workflow_id="in-a-batch")
    answer = start(shared, plain(), plain("none"), chosen, plain(workflow_id="types"))
    assert (answer["done"], answer["refused"]) == (2, 2)
    assert [each["index"] for each in answer["data"]] == [0, 1, 2, 3]
    assert [each["status"] for each in answer["data"]] == [201, 404, 201, 422]
    first, unknown, third, reserved = answer["data"]
    assert shared.get(f"{WORKFLOWS}/{first['workflow']['id']}")["title"] == "T"
    assert (third["workflow"]["id"], third["problem"]) == ("in-a-batch", None)
    assert (unknown["workflow"], unknown["problem"]["code"]) == (None, "not_found")
    assert reserved["problem"]["errors"][0]["pointer"] == "/workflow_id"


def test_a_hundred_workflows_are_started_at_once(shared: SharedSite) -> None:
    answer = start(shared, *[plain(priority=number % 5) for number in range(100)])
    assert answer["done"] == 100
    assert len({each["workflow"]["id"] for each in answer["data"]}) == 100
    assert [each["workflow"]["priority"] for each in answer["data"][:6]] == [0, 1, 2, 3, 4, 0]


def test_a_batch_that_is_not_well_formed_is_refused_as_a_whole(shared: SharedSite) -> None:
    body = {"workflows": [plain(workflow_id="not-started"), plain(priority="high")]}
    answer = post(shared, f"{WORKFLOWS}/batch", body)
    problem = refused(answer, 422, "validation_error")
    assert problem["errors"][0]["pointer"] == "/workflows/1/priority"
    assert shared.call("GET", f"{WORKFLOWS}/not-started").status == 404
    for few in ([], [plain()] * 101):
        refused(post(shared, f"{WORKFLOWS}/batch", {"workflows": few}), 422, "validation_error")


def test_a_batch_of_starts_that_comes_again_starts_nothing_more(shared: SharedSite) -> None:
    first, second = (start(shared, plain(), plain(), key="starts") for _ in range(2))
    assert first == second
    assert first["data"][0]["workflow"]["id"] != first["data"][1]["workflow"]["id"]


def test_changes_are_made_in_order_and_may_name_issues_before_them(shared: SharedSite) -> None:
    answer = change(
        shared,
        {"op": "create", "title": "Epic", "issue_type": "epic"},
        {"op": "create", "title": "Part", "parent": "$0", "labels": ["a"]},
        {"op": "create", "title": "Other", "depends_on": [{"id": "$1"}]},
        {"op": "claim", "id": "$1", "ttl_s": 60.0},
        {"op": "label", "id": "$1", "add": ["b"], "remove": ["a"]},
        {"op": "comment", "id": "$1", "text": "begun"},
        {"op": "update", "id": "$2", "priority": 0, "append_notes": "urgent"},
        {"op": "depend", "id": "$2", "depends_on": "$0", "type": "related"},
        {"op": "free", "id": "$2", "depends_on": "$0"},
        {"op": "release", "id": "$1"},
        {"op": "close", "id": "$1", "reason": "Completed"},
        {"op": "reopen", "id": "$1"},
        {"op": "defer", "id": "$1"},
        {"op": "delete", "id": "$1", "cascade": True},
        {"op": "restore", "id": "$1"},
    )
    assert (answer["done"], answer["refused"], answer["skipped"]) == (15, 0, 0), answer
    epic, part, other = (each["id"] for each in answer["data"][:3])
    assert part == f"{epic}.1"
    by_op = {each["op"]: each for each in answer["data"]}
    assert [by_op[op]["status"] for op in ("create", "close")] == [201, 200]
    assert by_op["claim"]["claim"]["holder"] == "ann"
    assert by_op["label"]["issue"]["labels"] == ["b"]
    assert by_op["comment"]["issue"]["comments"][0]["text"] == "begun"
    assert by_op["close"]["issue"]["status"] == "closed"
    assert sorted(by_op["delete"]["deleted"]) == sorted([part, other])
    assert shared.get(f"{ISSUES}/{part}")["issue"]["status"] == "open"


def test_what_is_refused_does_not_hold_up_the_rest(shared: SharedSite) -> None:
    answer = change(
        shared,
        {"op": "close", "id": "no-such"},
        {"op": "comment", "id": "$0", "text": "?"},
        {"op": "comment", "id": "$5", "text": "?"},
        {"op": "create", "title": ""},
        {"op": "create", "title": "Fine"},
    )
    assert [each["status"] for each in answer["data"]] == [404, 409, 409, 422, 201]
    codes = [each["problem"] and each["problem"]["code"] for each in answer["data"]]
    assert codes == ["not_found", "no_such_part", "no_such_part", "validation_error", None]


def test_a_batch_may_stop_at_what_is_refused(shared: SharedSite) -> None:
    answer = change(
        shared,
        {"op": "create", "title": "Before", "id": "repo-before"},
        {"op": "close", "id": "no-such"},
        {"op": "create", "title": "After", "id": "repo-after"},
        stop=True,
    )
    assert (answer["done"], answer["refused"], answer["skipped"]) == (1, 1, 1)
    assert shared.call("GET", f"{ISSUES}/repo-after").status == 404


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"op": "create", "title": 1}, "/changes/0/title"),
        ({"op": "create"}, "/changes/0/title"),
        ({"op": "create", "title": "T", "metal": 1}, "/changes/0/metal"),
        ({"op": "create", "title": "T", "depends_on": [{"id": 1}]}, "/changes/0/depends_on/0/id"),
        ({"op": "explode", "id": "x-1"}, "/changes/0"),
        ({"op": "comment", "id": "x-1", "text": "t", "actor": "bob"}, "/changes/0/actor"),
    ],
)
def test_a_change_that_is_none_is_named_by_its_place(
    shared: SharedSite, wrong: dict[str, Any], pointer: str
) -> None:
    answer = post(shared, f"{ISSUES}/batch", {"actor": "ann", "changes": [wrong]})
    assert refused(answer, 422, "validation_error")["errors"][0]["pointer"] == pointer


def test_changes_that_come_again_are_not_made_again(shared: SharedSite) -> None:
    made = change(shared, {"op": "create", "title": "Keyed"})["data"][0]["id"]
    said = {"op": "comment", "id": made, "text": "once"}
    assert change(shared, said, said, key="said") == change(shared, said, said, key="said")
    assert len(shared.get(f"{ISSUES}/{made}")["issue"]["comments"]) == 2


def test_changes_are_known_where_the_answer_was_not_kept(
    shared: SharedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the server died before it had noted what it did."""
    made = change(shared, {"op": "create", "title": "Cut off"})["data"][0]["id"]
    new, said = {"op": "create", "title": "New"}, {"op": "comment", "id": made, "text": "once"}
    monkeypatch.setattr("api.conventions.repeats.KNOWING", frozenset({"batches.change"}))
    first, second = (change(shared, new, said, key="cut off") for _ in range(2))
    assert first["data"][0]["id"] == second["data"][0]["id"]
    assert len(shared.get(f"{ISSUES}/{made}")["issue"]["comments"]) == 1


def test_a_gate_is_not_answered_by_who_may_not_write_workflows(shared: SharedSite) -> None:
    gate, plain = (
        change(shared, {"op": "create", "title": "T", "issue_type": kind})["data"][0]["id"]
        for kind in ("gate", "task")
    )
    agent = Principal(
        user_id="a-1",
        roles=frozenset({Role.AGENT}),
        permissions=granted(frozenset({Role.AGENT}), None),
        via="key",
    )

    async def changed(verb: Any) -> dict[str, Any]:
        async with shared._inner.app.test_request_context("/"):
            g.principal, g.request_id = agent, "r"
            return await batches._changed(shared._inner.doors, verb, [])

    def outcome(issue_id: str, kind: Any = CloseIssue, **more: Any) -> Any:
        done = shared.run(changed, kind(issue_id=issue_id, actor="a-1", **more))
        return done["status"], done["problem"] and done["problem"]["code"]

    assert outcome(gate) == (403, "forbidden")
    assert outcome(plain, DeleteIssue, cascade=True) == (403, "forbidden")
    assert outcome(plain) == (200, None)
    assert shared.get(f"{ISSUES}/{gate}")["issue"]["status"] == "open"
