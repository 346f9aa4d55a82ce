"""Handing a workflow on from the command line."""

from typing import Any

import pytest

from tests.cli.fake import Answer, FakeServer, problem
from tests.cli.run import Run

ROUTE = "POST /api/v1/workflows/wf-1/handoff"
ASSIGNMENT = {
    "id": 7,
    "workflow_id": "wf-1",
    "agent_type": "painter",
    "agent_id": "painter-1",
    "step_number": 2,
    "status": "assigned",
    "priority": 2,
    "handoff_from": "digger-1",
    "assigned_by": "me",
    "reason": "all dug",
}


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    monkeypatch.setenv("BEADFLOW_ACTOR", "me")
    return server


@pytest.mark.parametrize(
    ("argv", "body"),
    [
        (["--to", "painter-1"], {"to_agent": "painter-1"}),
        (["--to-type", "painter"], {"to_type": "painter"}),
        (
            ["--to", "painter-1", "--reason", "all dug", "--payload", '{"depth": 3}'],
            {"to_agent": "painter-1", "reason": "all dug", "payload": {"depth": 3}},
        ),
        (["--to", "painter-1", "--assignment", "6"], {"to_agent": "painter-1", "assignment_id": 6}),
    ],
)
def test_a_handoff_sends_what_was_asked_for_and_shows_the_assignment(
    beadflow: Run, at: FakeServer, argv: list[str], body: dict[str, Any]
) -> None:
    at.answers[ROUTE] = Answer(ASSIGNMENT)
    ran = beadflow("workflow", "handoff", "wf-1", "--from", "digger-1", *argv)
    assert (ran.code, ran.err) == (0, "")
    assert "painter-1" in ran.out
    usual = dict.fromkeys(["to_agent", "to_type", "payload", "assignment_id"])
    assert at.seen[0].body == {
        "from_agent": "digger-1",
        **usual,
        "reason": "",
        "author": "me",
        **body,
    }
    assert at.seen[0].headers["idempotency-key"]


def test_a_handoff_in_json_answers_the_servers_own_object(beadflow: Run, at: FakeServer) -> None:
    at.answers[ROUTE] = Answer({**ASSIGNMENT, "newer": "field"})
    ran = beadflow("workflow", "handoff", "wf-1", "--from", "a", "--to", "b", "-o", "json")
    assert ran.json["schema"] == "beadflow.workflow.handoff/1"
    assert ran.json["data"]["newer"] == "field"


def test_a_refused_handoff_is_told_with_its_exit_code(beadflow: Run, at: FakeServer) -> None:
    at.answers[ROUTE] = problem(409, "Refused", detail="not yours", code="not_the_holder")
    ran = beadflow("workflow", "handoff", "wf-1", "--from", "a", "--to", "b")
    assert (ran.code, ran.out) == (7, "")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--to", "b"], "--from"),
        (["--from", "a", "--to", "b", "--payload", "{"], "--payload"),
        (["--from", "a", "--to", "b", "--assignment", "x"], "--assignment"),
    ],
)
def test_a_wrong_use_is_told_and_nothing_is_sent(
    beadflow: Run, at: FakeServer, argv: list[str], said: str
) -> None:
    ran = beadflow("workflow", "handoff", "wf-1", *argv)
    assert ran.code == 2
    assert said in ran.err
    assert at.seen == []
