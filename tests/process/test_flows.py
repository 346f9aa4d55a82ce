"""The reference scenarios, over HTTP against a real server: a workflow's life, and two flows.

A workflow is started, looked at and completed. A start is one issue, one mapping, one instance and
one assignment. A handoff stores results, comments on the issue, signals the workflow, completes one
assignment and makes the next.
"""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, run

pytestmark = pytest.mark.process

WORKFLOWS = "/api/v1/workflows"


def put(server: Server, workflow_id: str, **body: Any) -> dict[str, Any]:
    with server.client() as client:
        answer = client.put(f"{WORKFLOWS}/{workflow_id}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def send(server: Server, path: str, **body: Any) -> dict[str, Any]:
    with server.client() as client:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        answer = client.post(path, json=body, headers=key)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


def issue(server: Server, issue_id: str) -> dict[str, Any]:
    return dict(server.get(f"/api/v1/issues/{issue_id}")["issue"])


def assignments(server: Server, workflow_id: str) -> list[tuple[Any, ...]]:
    found = server.get("/api/v1/assignments", workflow_id=workflow_id)["data"]
    fields = ("agent_id", "step_number", "status", "handoff_from")
    return [tuple(each[name] for name in fields) for each in reversed(found)]


def types(server: Server, workflow_id: str, last: str) -> list[str]:
    """What has happened to it, up to the event `last`."""
    seen: list[str] = []
    server.until(workflow_id, lambda event: bool(seen.append(event.type)) or event.type == last)
    return seen


def test_a_workflow_is_created_looked_at_and_completed(server: Server) -> None:
    """The reference's TestWorkflowLifecycle."""
    with server:
        created = server.post(
            issue_title="Test research workflow",
            workflow_type="inquiry",
            agent_type="clerk",
            variables={"query": "tokio async"},
        )
        assert created["id"]
        assert created["beads_issue_id"]

        found = server.get(f"{WORKFLOWS}/{created['id']}")
        assert found["id"] == created["id"]
        assert (found["status"], found["variables"]) == ("active", {"query": "tokio async"})

        assert put(server, created["id"], status="completed")["status"] == "completed"
        assert server.ended(created["id"])["status"] == "completed"
        assert server.get(f"{WORKFLOWS}/{created['id']}")["status"] == "completed"
        server.within(10.0, lambda: issue(server, created["beads_issue_id"])["status"] == "closed")
        assert issue(server, created["beads_issue_id"])["close_reason"] == "Completed"
        assert assignments(server, created["id"]) == [("clerk-1", 1, "completed", None)]


def test_a_start_from_the_command_line_is_an_issue_a_workflow_and_an_assignment(
    server: Server,
) -> None:
    """The reference's flow 4.1, from the command to the agent."""
    with server:
        ran = run(
            *("workflow", "start", "inquiry", "Compare runtimes", "--priority", "1"),
            *("--var", "query=tokio async", "--url", server.url, "-o", "json"),
            cwd=server.repo,
        )
        assert ran.returncode == 0, ran.stderr
        workflow_id = json.loads(ran.stdout)["data"]["id"]
        assert types(server, workflow_id, "agent_assigned").count("workflow_started") == 1
        found = server.get(f"{WORKFLOWS}/{workflow_id}")
        assert (found["status"], found["priority"], found["agent_id"]) == ("active", 1, "clerk-1")
        server.within(
            10.0, lambda: issue(server, found["beads_issue_id"])["status"] == "in_progress"
        )
        made = issue(server, found["beads_issue_id"])
        assert (made["title"], made["priority"]) == ("Compare runtimes", 1)
        assert made["metadata"]["beadflow"]["workflow_id"] == workflow_id
        assert made["metadata"]["beadflow"]["agent_id"] == "clerk-1"
        assert assignments(server, workflow_id) == [("clerk-1", 1, "assigned", None)]
        history = server.get(f"{WORKFLOWS}/{workflow_id}/history")["data"]
        assert history[0]["kind"] == "workflow_started"


def test_an_agent_that_has_done_its_step_passes_the_workflow_on_to_the_next(
    server: Server, tmp_path: Path
) -> None:
    """The reference's flow 4.2, between two steps."""
    variables = {"ledger": str(tmp_path / "ledger"), "gate": str(tmp_path / "gate")}
    with server:
        started = server.post(
            issue_title="Find and write", workflow_type="found_and_written", variables=variables
        )
        ended = server.ended(started["id"])
        seen = types(server, started["id"], "workflow_completed")
        results = server.get(f"{WORKFLOWS}/{started['id']}/results")["data"]
        server.within(10.0, lambda: issue(server, started["beads_issue_id"])["status"] == "closed")
        comments = issue(server, started["beads_issue_id"])["comments"]
        held = assignments(server, started["id"])
    assert (ended["status"], ended["agent_id"]) == ("completed", "scribe-1")
    by_step = {each["result_type"]: each["result_data"] for each in results}
    assert by_step["first"] == "one"
    assert by_step["write_down"] == "one, written down by scribe-1"
    assert by_step["output"]["told"]["from_agent"] == "clerk-1"
    assert by_step["output"]["told"]["to_agent"] == "scribe-1"
    assert held == [
        ("clerk-1", 1, "completed", None),
        ("scribe-1", 2, "completed", "clerk-1"),
    ]
    assert [comment["text"] for comment in comments] == [
        "Handoff from clerk-1 to scribe-1\n\nthe next step is write_down",
        "one, written down by scribe-1",
    ]
    assert seen.count("agent_handoff") == 1
    assert seen.index("agent_handoff") < seen.index("workflow_completed")


def test_a_workflow_is_handed_on_by_request_and_told_so(server: Server, tmp_path: Path) -> None:
    """The reference's CoordinateHandoff, with what the agent hands over."""
    del tmp_path
    with server:
        started = server.post(
            issue_title="Ask around", workflow_type="inquiry", variables={"query": "?"}
        )
        refused = _refused(server, started["id"], from_agent="scribe-1", to_agent="clerk-1")
        assert refused == (409, "not_the_holder")
        refused = _refused(server, started["id"], from_agent="clerk-1", to_agent="nobody")
        assert refused == (404, "not_found")
        refused = _refused(server, started["id"], from_agent="clerk-1", to_agent="scribe-1")
        assert refused == (409, "wrong_agent_type")
        types(server, started["id"], "agent_assigned")
        assert assignments(server, started["id"]) == [("clerk-1", 1, "assigned", None)]


def _refused(server: Server, workflow_id: str, **body: Any) -> tuple[int, str]:
    with server.client() as client:
        answer = client.post(f"{WORKFLOWS}/{workflow_id}/handoff", json=body)
    return answer.status_code, answer.json()["code"]
