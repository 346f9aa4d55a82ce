"""A workflow's log: its events, each as one line for people. Pure."""

from collections.abc import Mapping
from typing import Any

from actors import facts
from actors.facts import LoggedFact

_ERRORS = frozenset({facts.WORKFLOW_FAILED, facts.WORKFLOW_DEAD_LETTERED, facts.STEP_FAILED})
_WARNINGS = frozenset({facts.WORKFLOW_STALLED, facts.STEP_RETRIED})


def line_of(fact: LoggedFact) -> dict[str, Any]:
    """The line of one event: {seq, at, level, source, message}."""
    return {
        "seq": fact.seq,
        "at": fact.at,
        "level": _level(fact),
        "source": _source(fact),
        "message": _message(fact),
    }


def _source(fact: LoggedFact) -> str:
    """Who says so: the engine of whole workflows, an agent of its steps, a line its own source."""
    if fact.type.startswith("workflow_"):
        return "beadflow"
    return str(fact.data.get("source") or fact.data.get("agent_id") or "beadflow")


def _level(fact: LoggedFact) -> str:
    if fact.type == facts.LOG:
        return str(fact.data["level"])
    if fact.type in _ERRORS:
        return "error"
    return "warning" if fact.type in _WARNINGS else "info"


def _message(fact: LoggedFact) -> str:
    data = fact.data
    match fact.type:
        case facts.LOG:
            return str(data["message"])
        case facts.STEP_PROGRESS:
            return f"{data['activity']}: {data['message']}"
        case facts.STEP_SCHEDULED:
            return f"step {data['step']} {data['activity']} waits for a {data['agent_type']} agent"
        case facts.STEP_STARTED:
            return f"step {data['step']} {data['activity']} started, attempt {data['attempt']}"
        case facts.STEP_COMPLETED:
            return f"step {data['step']} {data['activity']} completed{_seconds(data)}"
        case facts.STEP_RETRIED:
            return f"step {data['step']} {data['activity']} is tried again in {data['wait_s']:g} s"
        case facts.STEP_FAILED:
            return f"step {data['step']} {data['activity']} failed: {_error(data)}"
        case facts.AGENT_ASSIGNED:
            return f"assigned to {data['agent_id']}"
        case facts.WORKFLOW_COMPLETED:
            return f"workflow completed. {data['summary']}".rstrip()
        case facts.WORKFLOW_FAILED | facts.WORKFLOW_STALLED | facts.WORKFLOW_DEAD_LETTERED:
            return f"{fact.type.replace('_', ' ')}: {_error(data)}"
        case facts.ISSUE_CREATED | facts.ISSUE_UPDATED | facts.ISSUE_CLOSED:
            return f"issue {fact.issue_id}: {fact.type.removeprefix('issue_')}, {data['status']}"
        case _:
            return fact.type.replace("_", " ")


def _seconds(data: Mapping[str, Any]) -> str:
    return f" in {data['seconds']:.1f} s" if "seconds" in data else ""


def _error(data: Mapping[str, Any]) -> str:
    return f"{data['code']}: {data['message']}"
