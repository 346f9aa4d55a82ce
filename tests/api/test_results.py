"""The routes of results, on a whole running system."""

import json

from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite

LINES = ("Accept", "application/x-ndjson")
JSON = ("Content-Type", "application/json")


def store(
    shared: SharedSite, workflow_id: str, *headers: tuple[str, str], **more: object
) -> object:
    body = json.dumps({"result_type": "review", "result_data": {"ok": True}, **more}).encode()
    target = f"{WORKFLOWS}/{workflow_id}/results"
    answer = shared.call("POST", target, headers=(JSON, *headers), body=[body])
    assert answer.status == 201, answer.body
    return answer.json()


def test_the_results_of_a_workflow_have_versions_and_artifacts(shared: SharedSite) -> None:
    workflow_id = shared.done("arithmetic", variables={"first": 5})
    answer = shared.get(f"{WORKFLOWS}/{workflow_id}/results")
    assert answer["next_cursor"] is None
    assert [
        (r["step"], r["result_data"], r["version"], r["artifacts"]) for r in answer["data"]
    ] == [
        ("1", 7, 1, []),
        ("output", {"total": 7, "summary": "added"}, 1, []),
    ]


def test_a_result_that_is_stored_is_answered_and_found(shared: SharedSite) -> None:
    workflow_id = shared.done("counting")
    made = store(shared, workflow_id, step="1", agent_id="runner-1", confidence_score=0.5)
    assert isinstance(made, dict)
    assert (made["version"], made["confidence_score"]) == (2, 0.5)
    place = f"{WORKFLOWS}/{workflow_id}/results"
    assert shared.get(f"{place}?step=1&latest=true")["data"] == [made]
    assert shared.get(f"{place}?version=2")["data"] == [made]
    assert shared.get("/api/v1/results?agent_id=runner-1&min_confidence=0.5")["data"] == [made]
    assert shared.get("/api/v1/results?agent_id=runner-1&min_confidence=0.6")["data"] == []


def test_a_repeated_request_stores_once(shared: SharedSite) -> None:
    workflow_id = shared.done("counting")
    key = ("Idempotency-Key", workflow_id)
    assert store(shared, workflow_id, key) == store(shared, workflow_id, key)
    other = json.dumps({"result_type": "review", "result_data": 1}).encode()
    target = f"{WORKFLOWS}/{workflow_id}/results"
    answer = shared.call("POST", target, headers=(JSON, key), body=[other])
    refused(answer, 422, "idempotency_key_reused")


def test_lists_go_on_where_they_ended_and_lines_do_so_by_themselves(shared: SharedSite) -> None:
    workflow_id = shared.done("counting")
    place = f"{WORKFLOWS}/{workflow_id}/results"
    whole = shared.get(place)["data"]
    found, cursor = [], ""
    while True:
        page = shared.get(f"{place}?limit=2{cursor}")
        found += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == whole
    answer = shared.call("GET", f"{place}?limit=2", headers=[LINES])
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.body.splitlines()] == whole


def test_what_is_wrong_is_refused_by_name(shared: SharedSite) -> None:
    workflow_id = shared.done("counting")
    place = f"{WORKFLOWS}/{workflow_id}/results"
    for query in ("min_confidence=2", "limit=0", "since=x", "cursor=x", "version=0", "color=1"):
        refused(shared.call("GET", f"{place}?{query}"), 422, "validation_error")
    for body in ({}, {"result_type": "a"}, {"result_type": "a b", "result_data": 1}):
        answer = shared.call("POST", place, headers=[JSON], body=[json.dumps(body).encode()])
        refused(answer, 422, "validation_error")
    refused(shared.call("GET", f"{WORKFLOWS}/w-9/results"), 404, "not_found")
    refused(shared.call("GET", f"{WORKFLOWS}/w-9/results", headers=[LINES]), 404, "not_found")
