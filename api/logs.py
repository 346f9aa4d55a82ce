"""A workflow's log: its events, each as one line for people. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from actors import facts
from actors.facts import LoggedFact
from actors.workflows.messages import GATE_SIGNAL

_ERRORS = frozenset({facts.WORKFLOW_FAILED, facts.WORKFLOW_DEAD_LETTERED, facts.STEP_FAILED})
_WARNINGS = frozenset(
    {
        facts.AGENT_LOST,
        facts.CIRCUIT_OPENED,
        facts.STATE_RECONCILED,
        facts.WORKFLOW_STALLED,
        facts.WORKFLOW_CANCELLED,
        facts.WORKFLOW_TERMINATED,
        facts.STEP_RETRIED,
        facts.CHILD_FAILED,
        facts.COMPENSATION_STARTED,
    }
)


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
        case facts.AGENT_ASSIGNED:
            return f"assigned to {data['agent_id']}"
        case facts.AGENT_HANDOFF:
            return _of_handoff(data)
        case _ if fact.type.startswith("agent_"):
            return f"agent {data['agent_id']} {_AGENTS[fact.type]}{_reason(data)}"
        case facts.RESULT_STORED:
            return (
                f"result {data['result_type']} stored, version {data['version']} of {data['step']}"
            )
        case facts.ARTIFACT_STORED:
            return (
                f"artifact {data['name']} stored, version {data['version']}, {data['size']} bytes"
            )
        case facts.STATE_RECONCILED:
            return f"the stores disagreed {data['found']} times, {data['repaired']} repaired"
        case facts.ISSUE_CREATED | facts.ISSUE_UPDATED | facts.ISSUE_CLOSED:
            said = dict.fromkeys((fact.type.removeprefix("issue_"), str(data["status"])))
            return f"issue {fact.issue_id}: {', '.join(said)}"
        case facts.CIRCUIT_OPENED:
            return f"{data['service']} is left alone for {data['retry_in_s']:g} s: {data['why']}"
        case facts.CIRCUIT_HALF_OPENED:
            return f"{data['service']} is tried again"
        case facts.CIRCUIT_CLOSED:
            return f"{data['service']} is back"
        case _ if fact.type.startswith("workflow_"):
            return _of_workflow(fact)
        case _:
            return _of_operation(fact)


_AGENTS: Final = {
    facts.AGENT_REGISTERED: "was registered",
    facts.AGENT_UNREGISTERED: "was unregistered",
    facts.AGENT_DRAINING: "takes nothing new",
    facts.AGENT_DRAINED: "has nothing left",
    facts.AGENT_ACTIVATED: "takes work again",
    facts.AGENT_LOST: "is lost",
    facts.AGENT_RECOVERED: "is there again",
}


def _of_handoff(data: Mapping[str, Any]) -> str:
    to = data["to_agent"] or f"the next free agent of type {data['to_type']}"
    return f"handed on from {data['from_agent']} to {to}{_reason(data)}"


def _of_workflow(fact: LoggedFact) -> str:
    data, plain = fact.data, fact.type.replace("_", " ")
    match fact.type:
        case facts.WORKFLOW_COMPLETED:
            return f"workflow completed. {data['summary']}".rstrip()
        case facts.WORKFLOW_FAILED | facts.WORKFLOW_STALLED | facts.WORKFLOW_DEAD_LETTERED:
            return f"{plain}: {_error(data)}"
        case facts.WORKFLOW_SIGNALED if data["name"].startswith(GATE_SIGNAL):
            return "a gate was answered"
        case facts.WORKFLOW_SIGNALED:
            return f"signal {data['name']} received"
        case facts.WORKFLOW_CONTINUED_AS_NEW:
            return f"workflow continues as new, run {data['run']}"
        case facts.WORKFLOW_UPDATED:
            return f"workflow updated by {data['author']}: {', '.join(data['fields'])}"
        case facts.WORKFLOW_RETRIED:
            waits = ", it waits for an agent" if data.get("queued") else ""
            return f"workflow retried by {data['author']}{waits}"
        case facts.WORKFLOW_RESUMED if data.get("queued"):
            return "workflow resumed, it waits for an agent"
        case facts.WORKFLOW_STARTED if data.get("paused"):
            return "workflow has its agent, and is paused"
        case _:
            return f"{plain}{_reason(data)}"


def _of_operation(fact: LoggedFact) -> str:
    data = fact.data
    step = " ".join(str(data[name]) for name in ("step", "activity") if name in data)
    match fact.type:
        case facts.STEP_PROGRESS:
            return f"{data['activity']}: {data['message']}"
        case facts.USAGE_RECORDED:
            return f"step {step} used {_used(data)}"
        case facts.STEP_SCHEDULED:
            return f"step {step} waits for a {data['agent_type']} agent"
        case facts.STEP_STARTED:
            return f"step {step} started, attempt {data['attempt']}"
        case facts.STEP_COMPLETED:
            return f"step {step} completed{_seconds(data)}"
        case facts.STEP_RETRIED:
            return f"step {step} is tried again {_next(data)}"
        case facts.STEP_FAILED:
            return f"step {step} failed: {_error(data)}"
        case facts.STEP_CANCELLED:
            return f"step {step} {data['operation']} cancelled{_reason(data)}"
        case facts.TIMER_STARTED:
            return f"step {step} timer runs until {data['fire_at']}"
        case facts.TIMER_FIRED:
            return f"step {step} timer fired"
        case facts.SIGNAL_CONSUMED if data["name"].startswith(GATE_SIGNAL):
            return f"step {step} has the answer of its gate"
        case facts.GATE_REQUESTED:
            return f"step {step} waits at a gate: {data['title']}"
        case facts.GATE_OPENED | facts.GATE_ANSWERED | facts.GATE_WITHDRAWN:
            return _of_gate(fact)
        case facts.SIGNAL_CONSUMED:
            return f"step {step} took signal {data['name']}"
        case facts.CHILD_STARTED | facts.CHILD_COMPLETED:
            end = fact.type.removeprefix("child_")
            return f"step {step} child {data['type']} {end}: {data['child_id']}"
        case facts.CHILD_FAILED:
            return f"step {step} child {data['type']} failed: {_error(data)}"
        case facts.COMPENSATION_STARTED:
            undos = ", ".join(reversed(data["undos"]))
            return f"step {step} undoes {undos}{_reason(data)}"
        case _:
            return fact.type.replace("_", " ")


def _of_gate(fact: LoggedFact) -> str:
    data, gate = fact.data, f"gate {fact.issue_id}"
    match fact.type:
        case facts.GATE_OPENED:
            return f"{gate} opened: {data['title']}"
        case facts.GATE_WITHDRAWN:
            return f"{gate} withdrawn: {data['why']}"
        case _:
            by = f" by {data['by']}" if data["by"] else ""
            why = f": {data['why']}" if data["why"] else ""
            return f"{gate} {'approved' if data['approved'] else 'rejected'}{by}{why}"


def _next(data: Mapping[str, Any]) -> str:
    """Agents' attempts tell the wait, the engine's own the moment, and what went wrong."""
    if "wait_s" in data:
        return f"in {data['wait_s']:g} s"
    return f"at {data['next_at']}: {_error(data)}"


def _reason(data: Mapping[str, Any]) -> str:
    reason = data.get("reason")
    return f": {reason}" if reason else ""


def _used(data: Mapping[str, Any]) -> str:
    tokens = sum(number for name, number in data.items() if name.endswith("_tokens"))
    cost = f", {data['cost_usd']:.4f} USD" if "cost_usd" in data else ""
    return f"{tokens:,} tokens{cost}"


def _seconds(data: Mapping[str, Any]) -> str:
    return f" in {data['seconds']:.1f} s" if "seconds" in data else ""


def _error(data: Mapping[str, Any]) -> str:
    return f"{data['code']}: {data['message']}"
