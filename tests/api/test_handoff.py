"""The route that hands a workflow on, on a whole running system."""

import json
from typing import Any

import pytest

from actors import facts
from tests.api.asgi import Answer, Header
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite

JSON: Header = ("Content-Type", "application/json")


def post(shared: SharedSite, workflow_id: str, *headers: Header, **body: Any) -> Answer:
    target = f"{WORKFLOWS}/{workflow_id}/handoff"
    return shared.call("POST", target, headers=[JSON, *headers], body=[json.dumps(body).encode()])


@pytest.fixture
def held(shared: SharedSite) -> dict[str, Any]:
    """A workflow that an agent has; it is ended afterwards, so that the next one finds room."""
    started: dict[str, Any] = shared.start("relay").json()
    return started


def end(shared: SharedSite, workflow_id: str) -> None:
    target = f"{WORKFLOWS}/{workflow_id}/terminate"
    shared.call("POST", target, headers=[JSON], body=[b"{}"])
    shared.until(lambda f: f.type == facts.WORKFLOW_TERMINATED and f.workflow_id == workflow_id)


def test_a_handoff_is_answered_with_the_next_assignment(
    shared: SharedSite, held: dict[str, Any]
) -> None:
    giver, taker = held["agent_id"], "runner-2" if held["agent_id"] == "runner-1" else "runner-1"
    answer = post(
        shared,
        held["id"],
        ("Idempotency-Key", f"{held['id']}-1"),
        from_agent=giver,
        to_agent=taker,
        reason="tired",
        payload={"baton": [1, None]},
        author="me",
    )
    body = answer.json()
    assert (answer.status, body["agent_id"], body["handoff_from"]) == (200, taker, giver)
    assert (body["step_number"], body["status"], body["assigned_by"]) == (2, "assigned", "me")
    again = post(
        shared,
        held["id"],
        ("Idempotency-Key", f"{held['id']}-1"),
        from_agent=giver,
        to_agent=taker,
        reason="tired",
        payload={"baton": [1, None]},
        author="me",
    )
    assert again.json() == body
    assert shared.get(f"{WORKFLOWS}/{held['id']}")["agent_id"] == taker
    (result,) = shared.get(f"{WORKFLOWS}/{held['id']}/results")["data"]
    assert (result["result_type"], result["result_data"]) == ("handoff", {"baton": [1, None]})
    refused(post(shared, held["id"], from_agent=giver, to_agent=taker), 409, "not_the_holder")
    end(shared, held["id"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "validation_error"),
        ({"from_agent": "runner-1"}, 422, "validation_error"),
        ({"from_agent": "nobody-1", "to_type": "runner"}, 409, "not_the_holder"),
        ({"from_agent": 1, "to_type": "runner"}, 422, "validation_error"),
        ({"from_agent": "runner-1", "to_type": "runner", "x": 1}, 422, "validation_error"),
        (
            {"from_agent": "runner-1", "to_type": "runner", "assignment_id": 0},
            422,
            "validation_error",
        ),
        ({"from_agent": "runner-1", "to_type": "r", "reason": "x" * 1001}, 422, "validation_error"),
        ({"from_agent": "runner-1", "to_type": "r\n"}, 422, "validation_error"),
        ({"from_agent": "runner-1", "to_type": "r", "author": " \n"}, 422, "validation_error"),
    ],
)
def test_a_wrong_handoff_is_refused(
    shared: SharedSite, held: dict[str, Any], body: dict[str, Any], status: int, code: str
) -> None:
    refused(post(shared, held["id"], **body), status, code)
    end(shared, held["id"])


def test_a_workflow_that_is_over_or_not_there_is_not_handed_on(shared: SharedSite) -> None:
    body = {"from_agent": "runner-1", "to_agent": "runner-2"}
    refused(post(shared, shared.done("listed"), **body), 409, "workflow_closed")
    refused(post(shared, "nowhere-1", **body), 404, "not_found")
