"""The routes that steer a workflow, and its history, on a whole running system."""

import json
from typing import Any

import pytest

from actors import facts
from tests.api.asgi import Answer, Header
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite

JSON: Header = ("Content-Type", "application/json")
VERBS = ["signal", "query", "pause", "resume", "cancel", "terminate", "retry"]
BODIES: dict[str, dict[str, Any]] = {"signal": {"name": "go"}, "query": {"name": "said"}}


def post(shared: SharedSite, workflow_id: str, verb: str, *headers: Header, **body: Any) -> Answer:
    target = f"{WORKFLOWS}/{workflow_id}/{verb}"
    return shared.call("POST", target, headers=[JSON, *headers], body=[json.dumps(body).encode()])


def waiting(shared: SharedSite) -> str:
    """A workflow that waits for its signal."""
    workflow_id: str = shared.start("waiting").json()["id"]
    assert post(shared, workflow_id, "query", name="said").json() == {"result": ["waiting"]}
    return workflow_id


def until(shared: SharedSite, workflow_id: str, kind: str) -> None:
    shared.until(lambda fact: fact.type == kind and fact.workflow_id == workflow_id)


def test_a_signal_is_answered_with_the_workflow_and_taken(shared: SharedSite) -> None:
    workflow_id = waiting(shared)
    answer = post(shared, workflow_id, "signal", name="go", value={"a": [1, None]})
    assert (answer.status, answer.json()["id"], answer.json()["status"]) == (
        200,
        workflow_id,
        "active",
    )
    until(shared, workflow_id, facts.WORKFLOW_COMPLETED)
    (output,) = shared.get(f"{WORKFLOWS}/{workflow_id}/results")["data"]
    assert output["result_data"] == {"a": [1, None]}


@pytest.mark.parametrize("by", ["message_id", "Idempotency-Key"])
def test_a_signal_that_is_sent_twice_is_one(shared: SharedSite, by: str) -> None:
    workflow_id = waiting(shared)
    sent: dict[str, Any] = {"name": "other", "value": 1}
    headers = [(by, "m")] if by == "Idempotency-Key" else []
    for _ in range(2):
        more = {by: "m"} if not headers else {}
        assert post(shared, workflow_id, "signal", *headers, **sent, **more).status == 200
    kinds = [event["kind"] for event in history(shared, workflow_id)]
    assert kinds.count("workflow_signaled") == 1
    changed = post(shared, workflow_id, "signal", name="other", value=2, message_id="m")
    refused(changed, 409, "conflict")


def test_a_message_id_counts_more_than_the_key_of_the_request(shared: SharedSite) -> None:
    workflow_id = waiting(shared)
    for name in ("k-1", "k-2"):
        key = ("Idempotency-Key", name)
        post(shared, workflow_id, "signal", key, name="other", message_id="a")
    kinds = [event["kind"] for event in history(shared, workflow_id)]
    assert kinds.count("workflow_signaled") == 1


def test_a_key_belongs_to_a_signal_of_one_workflow(shared: SharedSite) -> None:
    first, second = waiting(shared), waiting(shared)
    key = ("Idempotency-Key", f"of {first}")
    assert post(shared, first, "signal", key, name="other").status == 200
    again = post(shared, first, "signal", key, name="other")
    assert again.headers["idempotency-replayed"] == "true"
    for workflow_id, more in ((second, {}), (first, {"message_id": "m"})):
        answer = post(shared, workflow_id, "signal", key, name="other", **more)
        refused(answer, 422, "idempotency_key_reused")
    assert "workflow_signaled" not in [event["kind"] for event in history(shared, second)]


def test_a_query_takes_an_argument(shared: SharedSite) -> None:
    workflow_id = waiting(shared)
    answer = post(shared, workflow_id, "query", name="twice", argument=21)
    assert (answer.status, answer.json()) == (200, {"result": 42})


def test_a_query_that_fails_is_no_fault_of_the_request(shared: SharedSite) -> None:
    failed = post(shared, waiting(shared), "query", name="twice", argument=None)
    body = refused(failed, 409, "query_failed")
    assert "failed with TypeError" in body["detail"]
    assert "errors" not in body


def test_a_query_that_there_is_not_is_refused_with_those_there_are(shared: SharedSite) -> None:
    body = refused(post(shared, waiting(shared), "query", name="colour"), 422, "validation_error")
    assert "said, twice" in body["detail"]
    assert body["errors"][0]["pointer"] == "/name"


def test_a_workflow_is_paused_and_resumed(shared: SharedSite) -> None:
    workflow_id = waiting(shared)
    assert post(shared, workflow_id, "pause", reason="lunch").json()["status"] == "paused"
    until(shared, workflow_id, facts.WORKFLOW_PAUSED)
    assert shared.get(f"{WORKFLOWS}/{workflow_id}")["status"] == "paused"
    refused(post(shared, workflow_id, "query", name="said"), 409, "workflow_not_running")
    found = shared.get(f"{WORKFLOWS}?status=paused&limit=200")["data"]
    assert workflow_id in {workflow["id"] for workflow in found}
    assert post(shared, workflow_id, "resume").json()["status"] == "active"
    lines = [line["message"] for line in shared.get(f"{WORKFLOWS}/{workflow_id}/logs")["data"]]
    assert "workflow paused: lunch" in lines


def test_a_workflow_is_cancelled_and_may_clean_up(shared: SharedSite) -> None:
    workflow_id = waiting(shared)
    asked = post(shared, workflow_id, "cancel", reason="enough")
    assert (asked.status, asked.json()["status"]) == (202, "active")
    assert asked.headers["location"] == f"{WORKFLOWS}/{workflow_id}"
    until(shared, workflow_id, facts.WORKFLOW_CANCELLED)
    body = shared.get(f"{WORKFLOWS}/{workflow_id}")
    assert (body["status"], body["error"]) == ("cancelled", None)
    assert body["completed_at"]
    (cleaned,) = shared.get(f"{WORKFLOWS}/{workflow_id}/results")["data"]
    assert cleaned["result_data"] == "enough"


def test_deleting_a_workflow_is_cancelling_it(shared: SharedSite) -> None:
    workflow_id = waiting(shared)
    answer = shared.call("DELETE", f"{WORKFLOWS}/{workflow_id}?reason=no%20need")
    assert (answer.status, answer.json()["id"]) == (202, workflow_id)
    until(shared, workflow_id, facts.WORKFLOW_CANCELLED)
    assert history(shared, workflow_id)[-1]["payload"] == {"reason": "no need"}
    assert shared.call("DELETE", f"{WORKFLOWS}/{workflow_id}").json()["status"] == "cancelled"


def test_a_workflow_is_terminated_at_once(shared: SharedSite) -> None:
    workflow_id = waiting(shared)
    body = post(shared, workflow_id, "terminate", reason="now").json()
    assert body["status"] == "terminated"
    assert body["completed_at"]
    until(shared, workflow_id, facts.WORKFLOW_TERMINATED)
    assert shared.get(f"{WORKFLOWS}/{workflow_id}/results")["data"] == []


def test_a_failed_workflow_is_retried_and_may_fail_again(shared: SharedSite) -> None:
    workflow_id = shared.done("failing")
    answer = post(shared, workflow_id, "retry", author="ann")
    assert (answer.status, answer.json()["id"]) == (200, workflow_id)
    until(shared, workflow_id, facts.WORKFLOW_RETRIED)
    live = refused(post(shared, waiting(shared), "retry"), 409, "not_retryable")
    assert "nothing to retry" in live["detail"]


def test_what_to_do_with_a_closed_workflow_is_told(shared: SharedSite) -> None:
    for workflow_type, advice in (("failing", "retry it first"), ("listed", "start another one")):
        answer = post(shared, shared.done(workflow_type), "pause")
        assert advice in refused(answer, 409, "workflow_closed")["hint"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_workflow_takes_no_requests(shared: SharedSite, verb: str) -> None:
    workflow_id = shared.done("listed")
    code = "workflow_not_running" if verb == "query" else "workflow_closed"
    refused(post(shared, workflow_id, verb, **BODIES.get(verb, {})), 409, code)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("workflow_id", ["nothing", "%00", "%ff", "%ed%a0%80", "a" * 9000])
def test_a_request_to_a_workflow_that_is_not_there_is_not_found(
    shared: SharedSite, verb: str, workflow_id: str
) -> None:
    refused(post(shared, workflow_id, verb, **BODIES.get(verb, {})), 404, "not_found")


@pytest.mark.parametrize(
    ("verb", "body", "pointer"),
    [
        ("signal", {}, "/name"),
        ("signal", {"name": ""}, "/name"),
        ("signal", {"name": 1}, "/name"),
        ("signal", {"name": "go", "message_id": ""}, "/message_id"),
        ("signal", {"name": "go", "value": "x" * 300_000}, "/value"),
        ("signal", {"name": "go", "colour": 1}, "/colour"),
        ("query", {}, "/name"),
        ("query", {"name": "said", "argument": "x" * 300_000}, "/argument"),
        ("query", {"name": "said", "value": 1}, "/value"),
        ("pause", {"reason": 1}, "/reason"),
        ("pause", {"reason": None}, "/reason"),
        ("cancel", {"reason": "x" * 1001}, "/reason"),
        ("terminate", {"why": ""}, "/why"),
        ("retry", {"author": 1}, "/author"),
        ("retry", {"author": ""}, "/author"),
        ("resume", {"reason": ""}, "/reason"),
    ],
)
def test_a_request_with_a_wrong_field_is_refused_by_its_name(
    shared: SharedSite, verb: str, body: dict[str, Any], pointer: str
) -> None:
    answer = refused(post(shared, waiting(shared), verb, **body), 422, "validation_error")
    assert answer["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("verb", VERBS)
def test_a_request_takes_one_json_object_and_no_query(shared: SharedSite, verb: str) -> None:
    target, body = f"{WORKFLOWS}/x/{verb}", json.dumps(BODIES.get(verb, {})).encode()
    answer = shared.call("POST", f"{target}?a=1", headers=[JSON], body=[body])
    assert refused(answer, 422, "validation_error")["errors"][0]["pointer"] == "/a"
    refused(shared.call("POST", target, headers=[JSON], body=[b"[]"]), 400, "bad_body")
    refused(shared.call("POST", target, body=[body]), 415, "unsupported_media_type")


@pytest.mark.parametrize("verb", VERBS)
def test_a_request_without_a_body_is_one_that_a_page_elsewhere_could_send(
    shared: SharedSite, verb: str
) -> None:
    refused(shared.call("POST", f"{WORKFLOWS}/x/{verb}"), 415, "unsupported_media_type")


def test_a_delete_refuses_parameters_it_does_not_know(shared: SharedSite) -> None:
    answer = shared.call("DELETE", f"{WORKFLOWS}/x?force=1")
    refused(answer, 422, "validation_error")


# --- the history


def history(shared: SharedSite, workflow_id: str, limit: int = 200) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        target = f"{WORKFLOWS}/{workflow_id}/history?after={after}&limit={limit}"
        page = shared.get(target)
        assert len(page["data"]) <= limit
        found += page["data"]
        after = page["next_after"]
    return found


def test_the_history_is_every_event_as_data_page_by_page(shared: SharedSite) -> None:
    workflow_id = shared.done("arithmetic", variables={"first": 5})
    events = history(shared, workflow_id)
    assert [event["seq"] for event in events] == [1, 2, 3]
    assert [event["kind"] for event in events] == [
        "workflow_started",
        "activity_completed",
        "workflow_completed",
    ]
    assert set(events[1]) == {"seq", "kind", "op", "name", "at", "payload"}
    assert (events[1]["op"], events[1]["name"], events[1]["payload"]["result"]) == ("1", "add", 7)
    assert history(shared, workflow_id, limit=2) == events


def test_a_history_that_there_is_not_is_not_found(shared: SharedSite) -> None:
    refused(shared.call("GET", f"{WORKFLOWS}/nothing/history"), 404, "not_found")


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "until=3"])
def test_the_history_refuses_what_it_cannot_follow(shared: SharedSite, query: str) -> None:
    refused(shared.call("GET", f"{WORKFLOWS}/x/history?{query}"), 422, "validation_error")


# --- a chosen id


def test_a_workflow_is_started_under_a_chosen_id_once(shared: SharedSite) -> None:
    first = shared.start("listed", workflow_id="2025-03.nightly~1")
    again = shared.start("listed", workflow_id="2025-03.nightly~1")
    assert (first.status, again.status) == (201, 201)
    assert first.json()["id"] == again.json()["id"] == "2025-03.nightly~1"
    assert first.headers["location"] == f"{WORKFLOWS}/2025-03.nightly~1"
    refused(shared.start("counting", workflow_id="2025-03.nightly~1"), 409, "conflict")


@pytest.mark.parametrize("chosen", ["", "a/b", "..", "types", "parent.3", "é", 7])
def test_an_id_that_cannot_be_chosen_is_refused(shared: SharedSite, chosen: Any) -> None:
    body = refused(shared.start("listed", workflow_id=chosen), 422, "validation_error")
    assert body["errors"][0]["pointer"] == "/workflow_id"
