"""A start, decided but not yet made: what the manager writes in its first commit."""

from typing import Any

from actors.coordination.messages import StartPlan
from actors.issues.issue import new_issue
from storage import payload

AT = "2026-03-01T00:00:00.000000Z"


def start_plan(workflow_type: str, number: int = 1, **more: Any) -> StartPlan:
    """The plan of workflow w-<number>, whose issue is x-<number>."""
    issue_id, workflow_id = f"x-{number}", f"w-{number}"
    usual = {
        "workflow_id": workflow_id,
        "issue_id": issue_id,
        "workflow_type": workflow_type,
        "version": 1,
        "title": "T",
        "priority": 2,
        "agent_type": None,
        "agent_id": None,
        "variables": payload.encode({}),
        "issue": new_issue(
            issue_id=issue_id,
            title="T",
            created_at=AT,
            created_by="beadflow",
            work={"workflow_id": workflow_id},
        ),
        "idempotency_key": None,
        "request_sha256": "s",
        "at": AT,
    }
    return StartPlan(**{**usual, **more})
