"""Every kind of event is a line for people."""

from typing import Any

import pytest

from actors import facts
from actors.facts import LoggedFact
from actors.workflows.messages import GATE_SIGNAL
from api.logs import line_of

CIRCUIT = {"service": "redis", "retry_in_s": 10.0, "why": "away"}
ERROR = {"code": "boom", "message": "it went off"}
STEP = {"step": "3", "activity": "add"}
CHILD = {"step": "3", "type": "flow", "child_id": "w.3"}


def logged(kind: str, data: dict[str, Any]) -> LoggedFact:
    return LoggedFact(
        seq=7, type=kind, workflow_id="w", issue_id="i-1", at="2026-01-01T00:00:00Z", data=data
    )


@pytest.mark.parametrize(
    ("kind", "data", "level", "message"),
    [
        (facts.LOG, {"level": "warning", "message": "careful"}, "warning", "careful"),
        (facts.STEP_PROGRESS, {**STEP, "message": "half"}, "info", "add: half"),
        (
            facts.USAGE_RECORDED,
            {**STEP, "input_tokens": 1000, "output_tokens": 5, "cost_usd": 0.25},
            "info",
            "step 3 add used 1,005 tokens, 0.2500 USD",
        ),
        (
            facts.STEP_SCHEDULED,
            {**STEP, "agent_type": "poc"},
            "info",
            "step 3 add waits for a poc agent",
        ),
        (facts.STEP_STARTED, {**STEP, "attempt": 2}, "info", "step 3 add started, attempt 2"),
        (facts.STEP_COMPLETED, {**STEP, "seconds": 1.25}, "info", "step 3 add completed in 1.2 s"),
        (facts.STEP_COMPLETED, STEP, "info", "step 3 add completed"),
        (
            facts.STEP_RETRIED,
            {**STEP, "wait_s": 0.5, **ERROR},
            "warning",
            "step 3 add is tried again in 0.5 s",
        ),
        (facts.STEP_FAILED, {**STEP, **ERROR}, "error", "step 3 add failed: boom: it went off"),
        (facts.AGENT_ASSIGNED, {"agent_id": "poc-1"}, "info", "assigned to poc-1"),
        (
            facts.AGENT_HANDOFF,
            {"from_agent": "a-1", "to_agent": "b-1", "to_type": "b", "reason": "tired"},
            "info",
            "handed on from a-1 to b-1: tired",
        ),
        (
            facts.AGENT_HANDOFF,
            {"from_agent": "a-1", "to_agent": None, "to_type": "b", "reason": ""},
            "info",
            "handed on from a-1 to the next free agent of type b",
        ),
        (facts.ISSUE_CLOSED, {"status": "closed"}, "info", "issue i-1: closed"),
        (facts.ISSUE_UPDATED, {"status": "open"}, "info", "issue i-1: updated, open"),
        (facts.AGENT_REGISTERED, {"agent_id": "a-1"}, "info", "agent a-1 was registered"),
        (facts.AGENT_UNREGISTERED, {"agent_id": "a-1"}, "info", "agent a-1 was unregistered"),
        (
            facts.AGENT_DRAINING,
            {"agent_id": "a-1", "reason": "tired"},
            "info",
            "agent a-1 takes nothing new: tired",
        ),
        (facts.AGENT_DRAINED, {"agent_id": "a-1"}, "info", "agent a-1 has nothing left"),
        (facts.AGENT_ACTIVATED, {"agent_id": "a-1"}, "info", "agent a-1 takes work again"),
        (
            facts.AGENT_LOST,
            {"agent_id": "a-1", "reason": "no sign"},
            "warning",
            "agent a-1 is lost: no sign",
        ),
        (facts.AGENT_RECOVERED, {"agent_id": "a-1"}, "info", "agent a-1 is there again"),
        (
            facts.RESULT_STORED,
            {"result_type": "review", "step": "1", "version": 2},
            "info",
            "result review stored, version 2 of 1",
        ),
        (
            facts.ARTIFACT_STORED,
            {"name": "a.txt", "version": 1, "size": 5},
            "info",
            "artifact a.txt stored, version 1, 5 bytes",
        ),
        (
            facts.STATE_RECONCILED,
            {"found": 3, "repaired": 2},
            "warning",
            "the stores disagreed 3 times, 2 repaired",
        ),
        (
            facts.WORKFLOW_UPDATED,
            {"author": "ann", "fields": ["title", "priority"]},
            "info",
            "workflow updated by ann: title, priority",
        ),
        (
            facts.WORKFLOW_RETRIED,
            {"author": "ann", "queued": True},
            "info",
            "workflow retried by ann, it waits for an agent",
        ),
        (facts.WORKFLOW_QUEUED, {}, "info", "workflow queued"),
        (facts.WORKFLOW_COMPLETED, {"summary": "fine"}, "info", "workflow completed. fine"),
        (facts.WORKFLOW_COMPLETED, {"summary": ""}, "info", "workflow completed."),
        (facts.WORKFLOW_FAILED, ERROR, "error", "workflow failed: boom: it went off"),
        (facts.WORKFLOW_STALLED, ERROR, "warning", "workflow stalled: boom: it went off"),
        (
            facts.STEP_RETRIED,
            {**STEP, "next_at": "T", **ERROR},
            "warning",
            "step 3 add is tried again at T: boom: it went off",
        ),
        (
            facts.STEP_CANCELLED,
            {"step": "3", "operation": "timer", "reason": "the workflow was cancelled"},
            "info",
            "step 3 timer cancelled: the workflow was cancelled",
        ),
        (facts.TIMER_STARTED, {"step": "3", "fire_at": "T"}, "info", "step 3 timer runs until T"),
        (facts.TIMER_FIRED, {"step": "3"}, "info", "step 3 timer fired"),
        (
            facts.SIGNAL_CONSUMED,
            {"step": "3", "name": "go"},
            "info",
            "step 3 took signal go",
        ),
        (
            facts.GATE_REQUESTED,
            {"step": "3", "title": "Ship it?", "description": "", "signal": "s"},
            "info",
            "step 3 waits at a gate: Ship it?",
        ),
        (facts.GATE_OPENED, {"title": "Ship it?"}, "info", "gate i-1 opened: Ship it?"),
        (
            facts.GATE_ANSWERED,
            {"title": "Ship it?", "approved": True, "by": "ann", "why": "as agreed"},
            "info",
            "gate i-1 approved by ann: as agreed",
        ),
        (
            facts.GATE_ANSWERED,
            {"title": "Ship it?", "approved": False, "by": "", "why": ""},
            "info",
            "gate i-1 rejected",
        ),
        (
            facts.GATE_WITHDRAWN,
            {"title": "Ship it?", "why": "not wanted"},
            "info",
            "gate i-1 withdrawn: not wanted",
        ),
        (
            facts.SIGNAL_CONSUMED,
            {"step": "3", "name": f"{GATE_SIGNAL}1/3@T"},
            "info",
            "step 3 has the answer of its gate",
        ),
        (
            facts.WORKFLOW_SIGNALED,
            {"name": f"{GATE_SIGNAL}1/3@T", "message_id": "m"},
            "info",
            "a gate was answered",
        ),
        (facts.CHILD_STARTED, CHILD, "info", "step 3 child flow started: w.3"),
        (facts.CHILD_COMPLETED, CHILD, "info", "step 3 child flow completed: w.3"),
        (
            facts.CHILD_FAILED,
            {**CHILD, **ERROR},
            "warning",
            "step 3 child flow failed: boom: it went off",
        ),
        (
            facts.COMPENSATION_STARTED,
            {"step": "3", "reason": "E: why", "undos": ["first", "second"]},
            "warning",
            "step 3 undoes second, first: E: why",
        ),
        (facts.WORKFLOW_SIGNALED, {"name": "go"}, "info", "signal go received"),
        (facts.WORKFLOW_PAUSED, {"reason": "lunch"}, "info", "workflow paused: lunch"),
        (facts.WORKFLOW_PAUSED, {"reason": ""}, "info", "workflow paused"),
        (facts.WORKFLOW_RESUMED, {"queued": False}, "info", "workflow resumed"),
        (
            facts.WORKFLOW_RESUMED,
            {"queued": True},
            "info",
            "workflow resumed, it waits for an agent",
        ),
        (
            facts.WORKFLOW_STARTED,
            {"type": "flow", "paused": True},
            "info",
            "workflow has its agent, and is paused",
        ),
        (
            facts.WORKFLOW_CONTINUED_AS_NEW,
            {"run": 2, "version": 1},
            "info",
            "workflow continues as new, run 2",
        ),
        (
            facts.WORKFLOW_CANCEL_REQUESTED,
            {"reason": "why"},
            "info",
            "workflow cancel requested: why",
        ),
        (facts.WORKFLOW_CANCELLED, {"reason": "why"}, "warning", "workflow cancelled: why"),
        (facts.WORKFLOW_TERMINATED, {"reason": "why"}, "warning", "workflow terminated: why"),
        (facts.WORKFLOW_DEAD_LETTERED, ERROR, "error", "workflow dead lettered: boom: it went off"),
        (facts.CIRCUIT_OPENED, CIRCUIT, "warning", "redis is left alone for 10 s: away"),
        (facts.CIRCUIT_HALF_OPENED, CIRCUIT, "info", "redis is tried again"),
        (facts.CIRCUIT_CLOSED, CIRCUIT, "info", "redis is back"),
    ],
)
def test_an_event_is_a_line(kind: str, data: dict[str, Any], level: str, message: str) -> None:
    line = line_of(logged(kind, data))
    assert (line["level"], line["message"]) == (level, message)
    assert (line["seq"], line["at"]) == (7, "2026-01-01T00:00:00Z")


def test_every_kind_of_event_that_the_engine_tells_has_a_line_of_its_own() -> None:
    tested = next(m for m in test_an_event_is_a_line.pytestmark if m.name == "parametrize").args[1]
    untold = {facts.ISSUE_CREATED, facts.LAGGED}
    names = {v for n, v in vars(facts).items() if n.isupper() and isinstance(v, str)}
    assert names - untold == {kind for kind, *_ in tested}


@pytest.mark.parametrize(
    ("data", "source"),
    [({}, "beadflow"), ({"agent_id": "poc-1"}, "poc-1"), ({"source": "git"}, "git")],
)
def test_a_line_says_who_it_comes_from(data: dict[str, Any], source: str) -> None:
    line = {"step": "1", "activity": "do", "attempt": 1, **data}
    assert line_of(logged(facts.STEP_STARTED, line))["source"] == source


def test_the_engine_speaks_of_whole_workflows() -> None:
    fact = logged(facts.WORKFLOW_COMPLETED, {"summary": "", "agent_id": "poc-1"})
    assert line_of(fact)["source"] == "beadflow"
