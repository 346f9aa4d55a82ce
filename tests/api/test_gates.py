"""The routes of gates, on a whole running system."""

import json
from datetime import datetime
from typing import Any

import pytest

from actors import facts
from tests.api.asgi import Answer
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite

GATES = "/api/v1/gates"


def opened(shared: SharedSite) -> tuple[str, dict[str, Any]]:
    """A workflow that waits at its gate, and that."""
    workflow_id: str = shared.start("gated").json()["id"]
    shared.until(lambda f: f.type == facts.GATE_OPENED and f.workflow_id == workflow_id)
    (gate,) = shared.get(f"{GATES}?workflow_id={workflow_id}")["data"]
    return workflow_id, gate


def post(shared: SharedSite, gate_id: str, verb: str, **body: Any) -> Answer:
    typed = [("Content-Type", "application/json")]
    target = f"{GATES}/{gate_id}/{verb}"
    return shared.call("POST", target, headers=typed, body=[json.dumps(body).encode()])


def output(shared: SharedSite, workflow_id: str) -> Any:
    shared.until(lambda f: f.type == facts.WORKFLOW_COMPLETED and f.workflow_id == workflow_id)
    (found,) = shared.get(f"{WORKFLOWS}/{workflow_id}/results")["data"]
    return found["result_data"]


def test_an_open_gate_shows_the_question_and_who_waits(shared: SharedSite) -> None:
    workflow_id, gate = opened(shared)
    assert (gate["title"], gate["description"]) == ("Go on?", "All is well.")
    assert (gate["status"], gate["workflow_id"], gate["step"]) == ("open", workflow_id, "1")
    assert gate["expires_at"] > gate["opened_at"]
    assert (gate["by"], gate["why"], gate["answered_at"], gate["timed_out"]) == (*[None] * 3, False)
    assert shared.get(f"{GATES}/{gate['id']}") == gate


@pytest.mark.parametrize(("verb", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_an_answer_goes_to_the_workflow_once(shared: SharedSite, verb: str, status: str) -> None:
    workflow_id, gate = opened(shared)
    answered = post(shared, gate["id"], verb, by="ann", why="as agreed")
    found = answered.json()
    assert (answered.status, found["status"], found["by"]) == (200, status, "ann")
    decided = output(shared, workflow_id)
    at = datetime.fromisoformat(decided.pop("at"))  # the moment, which may be spelled in two ways
    assert at == datetime.fromisoformat(found["answered_at"])
    assert decided == {
        "approved": verb == "approve",
        "by": "ann",
        "why": "as agreed",
        "issue_id": gate["id"],
        "timed_out": False,
    }
    for other in ("approve", "reject"):
        problem = refused(post(shared, gate["id"], other, by="bob"), 409, "gate_answered")
        assert f"was {status} by ann at" in problem["detail"]
    assert shared.get(f"{GATES}?workflow_id={workflow_id}")["data"] == []
    (kept,) = shared.get(f"{GATES}?status=answered&workflow_id={workflow_id}&limit=1000")["data"]
    assert kept == shared.get(f"{GATES}/{gate['id']}") == found


def test_closing_the_issue_over_http_answers_the_gate(shared: SharedSite) -> None:
    workflow_id, gate = opened(shared)
    body = json.dumps({"actor": "bob", "reason": "Rejected, too dear"}).encode()
    typed = [("Content-Type", "application/json")]
    shared.call("POST", f"/api/v1/issues/{gate['id']}/close", headers=typed, body=[body])
    decided = output(shared, workflow_id)
    assert (decided["approved"], decided["by"], decided["why"]) == (False, "bob", "too dear")
    assert shared.get(f"{GATES}/{gate['id']}")["why"] == "too dear"


def test_cancelling_the_workflow_withdraws_the_gate(shared: SharedSite) -> None:
    workflow_id, gate = opened(shared)
    shared.call("DELETE", f"{WORKFLOWS}/{workflow_id}")
    shared.until(lambda f: f.type == facts.GATE_WITHDRAWN and f.issue_id == gate["id"])
    assert shared.get(f"{GATES}/{gate['id']}")["status"] == "withdrawn"
    refused(post(shared, gate["id"], "approve", by="ann"), 409, "gate_answered")


def test_what_is_no_gate_is_not_found(shared: SharedSite) -> None:
    record = shared.get(f"{WORKFLOWS}/{shared.done('arithmetic', variables={'first': 1})}")
    issue_id = record["beads_issue_id"]
    refused(shared.call("GET", f"{GATES}/{issue_id}"), 404, "not_found")
    refused(post(shared, issue_id, "approve", by="ann"), 404, "not_found")
    refused(shared.call("GET", f"{GATES}/nobody-1"), 404, "not_found")
    refused(post(shared, "nobody-1", "reject", by="ann"), 404, "not_found")


@pytest.mark.parametrize(
    "body",
    [{}, {"by": " "}, {"by": 1}, {"by": "ann", "why": 7}, {"by": "a" * 201}, {"by": "a", "x": 1}],
)
def test_an_answer_without_who_gave_it_is_refused(shared: SharedSite, body: dict[str, Any]) -> None:
    refused(post(shared, "any-1", "approve", **body), 422, "validation_error")


@pytest.mark.parametrize("query", ["status=gone", "limit=0", "limit=1001", "cursor=x", "more=1"])
def test_a_list_of_gates_that_nobody_can_make_is_refused(shared: SharedSite, query: str) -> None:
    refused(shared.call("GET", f"{GATES}?{query}"), 422, "validation_error")
