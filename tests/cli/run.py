"""What a command line did, and the shapes tests are made of."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


def workflow(status: str = "active", **fields: Any) -> dict[str, Any]:
    return {
        "id": "wf-1",
        "beads_issue_id": "bf-7",
        "type": "research",
        "title": "Compare clients",
        "status": status,
        "priority": 2,
        "agent_type": "research",
        "agent_id": "research-1",
        "variables": {"question": "which?"},
        "created_at": "2025-03-01T10:00:00Z",
        "started_at": "2025-03-01T10:00:01Z",
        "completed_at": "2025-03-01T10:02:06Z" if status == "completed" else None,
        "error": None,
        **fields,
    }


def event(seq: int, kind: str, **data: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "type": kind,
        "workflow_id": "wf-1",
        "issue_id": "bf-7",
        "at": f"2025-03-01T10:00:{seq:02}Z",
        "data": data,
    }


def output(value: Any) -> dict[str, Any]:
    return {
        "id": "r-1",
        "workflow_id": "wf-1",
        "step": "report",
        "result_type": "output",
        "agent_type": "research",
        "agent_id": "research-1",
        "result_data": value,
        "confidence_score": 0.9,
        "created_at": "2025-03-01T10:02:06Z",
    }


def actor(path: str, *children: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": path.rpartition("/")[2],
        "path": path,
        "name": None,
        "kind": "task",
        "state": "running",
        "restarts": 0,
        "last_exit": None,
        "mailbox": {"depth": 3, "bound": 1000},
        "handled": 12,
        "refused": 0,
        "uptime_s": 185.0,
        "memory_bytes": 3174,
        "children": list(children),
        "more": 0,
        **fields,
    }


def tree(*, more: int = 0, **bus: Any) -> dict[str, Any]:
    """A root, its bus, and an engine with two workflows and `more`."""
    engine = actor("root/engine", actor("root/engine/a"), actor("root/engine/b"), more=more)
    return {
        "tree": actor("root", actor("root/bus", **bus), engine, kind="supervisor"),
        "totals": {"shown": 5, "more": more, "by_state": {"running": 5}, "by_kind": {"task": 5}},
        "dead_letters": {"count": 0, "recent": []},
    }


def issue(issue_id: str = "bd-1", **fields: Any) -> dict[str, Any]:
    return {
        "id": issue_id,
        "title": "Fix the login",
        "description": "",
        "status": "open",
        "priority": 1,
        "issue_type": "bug",
        "assignee": "",
        "labels": ["web"],
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:06Z",
        "closed_at": None,
        "close_reason": "",
        "created_by": "ann",
        **fields,
    }


def explained(issue_id: str, *causes: dict[str, Any], ready: bool = False) -> dict[str, Any]:
    return {"issue": issue(issue_id), "ready": ready, "causes": list(causes)}


def claim(issue_id: str = "bd-1", **fields: Any) -> dict[str, Any]:
    return {
        "issue": issue(issue_id, status="in_progress", assignee="ann"),
        "holder": "ann",
        "token": 7,
        "expires_at": "2026-01-02T03:34:05Z",
        **fields,
    }
