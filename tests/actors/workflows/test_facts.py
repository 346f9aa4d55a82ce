"""What the history of a workflow reads like to everybody else."""

from pathlib import Path
from typing import Any

import pytest

from actors import facts
from actors.facts import Fact
from actors.workflows.facts import facts_of, workflow_outbox
from actors.workflows.history import Kind
from actors.workflows.messages import ActivateInstance, CreateInstance
from actors.workflows.store import HANDLERS
from storage import payload
from storage.workflows.records import HistoryRow
from tests.support.database import open_database

ERROR = {"code": "boom", "message": "it went off"}


def read(kind: Kind, body: Any = None, *, op: str = "", name: str = "flow") -> list[Fact]:
    return facts_of(
        HistoryRow(
            position=7,
            workflow_id="w-1",
            seq=3,
            kind=kind,
            op=op,
            name=name,
            payload=payload.encode(body),
            at="now",
        )
    )


def started(**more: Any) -> dict[str, Any]:
    usual = {"version": 1, "queued": False, "agent_type": None, "agent_id": None}
    return {**usual, **more}


def test_a_start_without_an_agent_is_one_fact() -> None:
    (fact,) = read(Kind.WORKFLOW_STARTED, started())
    assert (fact.type, fact.workflow_id, fact.at) == (facts.WORKFLOW_STARTED, "w-1", "now")
    assert fact.data == {"type": "flow", "version": 1}


def test_a_start_with_an_agent_says_who_was_assigned() -> None:
    first, second = read(Kind.WORKFLOW_STARTED, started(agent_type="helper", agent_id="helper-1"))
    assert first.type == facts.WORKFLOW_STARTED
    assert second.type == facts.AGENT_ASSIGNED
    assert second.data == {"agent_type": "helper", "agent_id": "helper-1"}


def test_a_start_that_waits_for_an_agent_is_queued() -> None:
    (fact,) = read(Kind.WORKFLOW_STARTED, started(agent_type="helper", queued=True))
    assert fact.type == facts.WORKFLOW_QUEUED


def test_a_queued_workflow_that_gets_its_agent_has_started() -> None:
    first, second = read(Kind.WORKFLOW_ACTIVATED, {"agent_id": "helper-1"})
    assert (first.type, first.data) == (facts.WORKFLOW_STARTED, {"type": "flow"})
    assert (second.type, second.data) == (facts.AGENT_ASSIGNED, {"agent_id": "helper-1"})


def test_a_stalled_workflow_that_goes_on_has_resumed() -> None:
    for kind in (Kind.WORKFLOW_RECOVERED, Kind.WORKFLOW_ACTIVATED):  # the first schema's word
        assert [fact.type for fact in read(kind)] == [facts.WORKFLOW_RESUMED]


def test_a_scheduled_step_names_its_type_of_agent() -> None:
    (fact,) = read(Kind.ACTIVITY_SCHEDULED, {"agent_type": "helper"}, op="2", name="dig")
    assert fact.type == facts.STEP_SCHEDULED
    assert fact.data == {"step": "2", "activity": "dig", "agent_type": "helper"}


def test_a_completed_step_carries_its_result_beside_the_fact() -> None:
    body = {"result": {"confidence": 0.5}, "agent_id": "h-1", "agent_type": "h", "attempts": 2}
    (fact,) = read(Kind.ACTIVITY_COMPLETED, {**body, "seconds": 0.25}, op="2", name="dig")
    assert fact.data == {
        "step": "2",
        "activity": "dig",
        "agent_id": "h-1",
        "agent_type": "h",
        "attempts": 2,
        "seconds": 0.25,
    }
    assert fact.result is not None
    assert (fact.result.step, fact.result.result_type) == ("2", "dig")
    assert (fact.result.agent_id, fact.result.confidence_score) == ("h-1", 0.5)
    assert fact.result.value == payload.encode({"confidence": 0.5})


@pytest.mark.parametrize("value", [None, 0.5, 'a"}] b', [], {"result": [1, {}], "ü": "}]"}])
@pytest.mark.parametrize(
    "more", [{}, {"attempts": 12}, {"seconds": 0.5}, {"attempts": True, "x": 1}]
)
def test_a_result_is_passed_on_as_it_is_stored(value: Any, more: dict[str, Any]) -> None:
    (fact,) = read(Kind.ACTIVITY_COMPLETED, {"result": value, **more}, op="2", name="dig")
    assert fact.result is not None
    assert fact.result.value == payload.encode(value)


@pytest.mark.parametrize(
    "text",
    [
        '[1,{"result":"r","attempts":1}]',
        '[1,{"attempts": 1,"result":"r"}]',
        '[1,{"attempts":1,"result":"r"}] ',
    ],
)
def test_a_result_that_is_stored_in_another_way_is_stored_anew(text: str) -> None:
    row = HistoryRow(7, "w-1", 3, Kind.ACTIVITY_COMPLETED, "2", "dig", text, "now")
    (fact,) = facts_of(row)
    assert fact.result is not None
    assert fact.result.value == payload.encode("r")


def test_a_failed_step_says_why() -> None:
    (fact,) = read(Kind.ACTIVITY_FAILED, {**ERROR, "attempts": 3}, op="2", name="dig")
    assert fact.type == facts.STEP_FAILED
    assert fact.data == {"step": "2", "activity": "dig", "attempts": 3, **ERROR}


def test_a_side_effect_is_nobody_elses_business() -> None:
    assert read(Kind.SIDE_EFFECT_RECORDED, {"result": 1}, op="2") == []


@pytest.mark.parametrize(
    ("kind", "fact_type"),
    [
        (Kind.WORKFLOW_STALLED, facts.WORKFLOW_STALLED),
        (Kind.WORKFLOW_DEAD_LETTERED, facts.WORKFLOW_DEAD_LETTERED),
    ],
)
def test_what_stopped_a_workflow_is_said(kind: Kind, fact_type: str) -> None:
    (fact,) = read(kind, ERROR)
    assert (fact.type, fact.data) == (fact_type, ERROR)


def test_a_failed_workflow_says_why_and_what_it_was() -> None:
    (fact,) = read(Kind.WORKFLOW_FAILED, {**ERROR, "attempts": 1})
    assert (fact.type, fact.data) == (facts.WORKFLOW_FAILED, {"type": "flow", **ERROR})


@pytest.mark.parametrize(
    ("value", "summary"),
    [
        ({"summary": "done"}, "done"),
        ("a short text", "a short text"),
        ("x" * 500, "x" * 400),
        (" \n", ""),
        ({"summary": 3}, ""),
        ([1], ""),
    ],
)
def test_a_completed_workflow_is_summed_up(value: Any, summary: str) -> None:
    (fact,) = read(Kind.WORKFLOW_COMPLETED, {"result": value})
    assert fact.type == facts.WORKFLOW_COMPLETED
    assert fact.data == {"type": "flow", "summary": summary}
    assert fact.result is not None
    assert (fact.result.step, fact.result.result_type) == ("output", "output")
    assert fact.result.value == payload.encode(value)


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ({"confidence": 0}, 0.0),
        ({"confidence": 1.0}, 1.0),
        ({"confidence": 1.5}, None),
        ({"confidence": -0.1}, None),
        ({"confidence": "high"}, None),
        ({"confidence": True}, None),
        ("text", None),
    ],
)
def test_a_confidence_is_a_number_from_zero_to_one(value: Any, score: float | None) -> None:
    (fact,) = read(Kind.WORKFLOW_COMPLETED, {"result": value})
    assert fact.result is not None
    assert fact.result.confidence_score == score


def test_the_outbox_goes_on_from_where_it_was_and_stays_there_when_nothing_follows(
    tmp_path: Path,
) -> None:
    with open_database(tmp_path / "t.db", "storage.workflows", HANDLERS) as database:
        database.run(
            CreateInstance(
                workflow_id="w-1",
                issue_id="x-1",
                name="flow",
                version=1,
                variables=payload.encode({}),
                agent_type="h",
                agent_id=None,
                queued=True,
                at="t1",
            )
        )
        database.run(ActivateInstance(workflow_id="w-1", agent_id="h-1", at="t2"))
        outbox = workflow_outbox(database.conn)
        position, found = outbox.read(0, 1)
        assert (position, [fact.type for fact in found]) == (1, [facts.WORKFLOW_QUEUED])
        position, found = outbox.read(position, 10)
        types = [fact.type for fact in found]
        assert (position, types) == (2, [facts.WORKFLOW_STARTED, facts.AGENT_ASSIGNED])
        assert outbox.read(position, 10) == (2, [])
