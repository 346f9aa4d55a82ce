"""The rules of reconciling, one by one, on views made by hand."""

from dataclasses import replace
from typing import Any

import pytest

from actors.coordination.reconciling.rules import Answer, examine
from actors.coordination.reconciling.view import House, Mapped, OpenTask, Ran, Told, View
from actors.issues.messages import AddComment, ApplyChange
from actors.workflows.messages import ActivateInstance, RequestCancel
from storage.issues.provenance import Stroke

AT = "2026-03-01T00:00:00.000000Z"
HOUSE = House(home="h", at=AT, agents={"a-1": "a"}, actors=frozenset({"w"}))
MAPPED = Mapped(
    issue_id="x",
    workflow_type="t",
    title="T",
    status="active",
    priority=2,
    agent_type=None,
    created_at=AT,
    intent_at=None,
    assignment_id=None,
    assignment=None,
    agent_id=None,
    assigned_type=None,
)
WITH_AGENT = replace(
    MAPPED,
    agent_type="a",
    assignment_id=1,
    assignment="assigned",
    agent_id="a-1",
    assigned_type="a",
)
RAN = Ran(status="running", parent_id=None, is_parked=False, updated_at=AT)
OURS = Stroke(seq=1, status="in_progress", automatic=True, actor="", at=AT)


def told(status: str = "in_progress", hand: str | None = None, **row: Any) -> Told:
    """The issue; `hand` is who moved it last, None where it follows its workflow."""
    work = {"home": "h", "workflow_id": "w", "agent_id": "a-1"} | row.pop("work", {})
    fields = {"id": "x", "title": "T", "priority": 2, "status": status, "created_at": AT}
    fields |= {"metadata": {"beadflow": work}, **row}
    stroke = replace(OURS, status=status, automatic=hand is None, actor=hand or "")
    return Told(
        issue_id="x",
        row=fields,
        was_removed=False,
        stroke=stroke,
        labelled_by_hand=False,
        is_leased=False,
    )


def view(**parts: Any) -> View:
    return View(**{"workflow_id": "w", "mapped": MAPPED, "ran": RAN, "told": told(), **parts})


def codes(seen: View, house: House = HOUSE) -> list[str]:
    return [found.code for found in examine(seen, house)]


GONE = replace(told(), row=None)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, []),
        ({"ran": None}, ["instance_missing"]),
        ({"mapped": None}, ["mapping_missing"]),
        ({"mapped": None, "ran": replace(RAN, parent_id="p")}, []),
        ({"ran": replace(RAN, parent_id="p")}, ["child_mapped"]),
        ({"mapped": None, "ran": None}, ["workflow_unknown"]),
        ({"mapped": None, "ran": None, "told": told("closed")}, []),
        ({"mapped": None, "ran": None, "told": told(work={"home": "other"})}, []),
        ({"ran": None, "mapped": replace(MAPPED, intent_at=AT)}, []),
        ({"ran": replace(RAN, status="paused")}, ["status_behind"]),
        ({"told": told("closed", "ann")}, ["issue_closed"]),
        ({"told": told("closed", "")}, ["issue_closed"]),
        ({"told": told("closed", "ann"), "ran": replace(RAN, cancel_asked=True)}, []),
        ({"told": told("closed")}, ["issue_behind"]),
        ({"told": told("blocked", "ann")}, []),
        ({"told": told("blocked")}, ["issue_behind"]),
        ({"told": told("tombstone")}, ["issue_deleted"]),
        ({"told": replace(GONE, was_removed=True)}, ["issue_deleted"]),
        ({"told": GONE}, ["issue_missing"]),
        ({"told": told(work={"home": "other"})}, ["issue_taken"]),
        ({"told": told("closed", "ann", work={"home": "other"})}, ["issue_taken"]),
        ({"told": told(work={"workflow_id": "w-2"})}, ["issue_elsewhere"]),
        ({"told": told(metadata="text")}, ["issue_elsewhere"]),
        ({"told": told(metadata=None)}, ["issue_unmarked"]),
        ({"told": told(title="U")}, ["issue_renamed"]),
        ({"told": told(priority=9)}, []),
        ({"mapped": replace(MAPPED, agent_type="a")}, ["assignment_missing"]),
        ({"mapped": WITH_AGENT}, []),
        ({"mapped": replace(WITH_AGENT, agent_id="a-2")}, ["agent_gone"]),
    ],
)
def test_what_is_found(parts: dict[str, Any], expected: list[str]) -> None:
    assert codes(view(**parts)) == expected


def over(status: str = "completed") -> dict[str, Any]:
    return {"mapped": replace(MAPPED, status=status), "ran": replace(RAN, status=status)}


IDLE = replace(HOUSE, actors=frozenset())


def test_the_issue_of_a_workflow_that_is_over_stays_as_somebody_left_it() -> None:
    assert codes(view(**over(), told=told("closed", "ann")), IDLE) == []
    assert codes(view(**over(), told=told("tombstone")), IDLE) == []
    assert codes(view(**over(), told=GONE), IDLE) == []
    assert codes(view(**over(), told=told("open", "ann")), IDLE) == ["issue_reopened"]
    assert codes(view(**over(), told=told("open")), IDLE) == ["issue_behind"]


def test_an_actor_stands_for_each_workflow_that_runs_and_for_no_other() -> None:
    assert codes(view(), IDLE) == ["actor_missing"]
    assert codes(view(ran=replace(RAN, is_parked=True)), IDLE) == []
    assert codes(view(**over(), told=told("closed")), HOUSE) == ["actor_left"]
    assert codes(view(), replace(HOUSE, actors=None)) == []


def test_a_workflow_that_has_its_agent_does_not_wait_for_it() -> None:
    waiting = {"mapped": replace(WITH_AGENT, status="queued"), "ran": replace(RAN, status="queued")}
    (found,) = examine(view(**waiting, told=told("open")), IDLE)
    assert found.code == "not_activated"
    assert isinstance(found.acts[0].message, ActivateInstance)


def test_a_step_of_an_agent_that_is_not_there_is_offered_anew() -> None:
    task = OpenTask(
        op="1",
        agent_type="a",
        activity="dig",
        state="running",
        fence=1,
        agent_id="a-2",
        created_at=AT,
    )
    assert codes(view(tasks=(task,))) == ["task_lost"]
    assert codes(view(tasks=(replace(task, agent_id="a-1"),))) == []
    assert codes(view(tasks=(replace(task, state="ready"),))) == []
    assert codes(view(tasks=(task,)), replace(HOUSE, agents=None)) == []


def test_a_step_is_forgotten_when_its_agent_denies_it_and_nobody_looks_after_it() -> None:
    task = OpenTask(
        op="1",
        agent_type="a",
        activity="dig",
        state="running",
        fence=2,
        agent_id="a-1",
        created_at=AT,
    )
    idle = replace(HOUSE, doing={"a-1": frozenset()}, awaited=frozenset())
    assert codes(view(tasks=(task,)), idle) == ["step_forgotten"]
    for known in (
        replace(idle, doing={"a-1": frozenset({("w", "1", 2)})}),
        replace(idle, doing={}),
        replace(idle, awaited=None),
        replace(idle, awaited=frozenset({("w", "1")})),
    ):
        assert codes(view(tasks=(task,)), known) == []
    older = replace(idle, doing={"a-1": frozenset({("w", "1", 1)})})
    assert codes(view(tasks=(task,)), older) == ["step_forgotten"]


def test_the_reason_of_a_close_by_hand_goes_along_with_the_cancellation() -> None:
    (found,) = examine(view(told=told("closed", "ann", close_reason="not needed")), HOUSE)
    (cancel,) = (act.message for act in found.acts)
    assert isinstance(cancel, RequestCancel)
    assert cancel.reason == "its issue was closed: not needed"


def test_the_agent_that_has_it_answers_by_closing_it() -> None:
    (found,) = examine(view(mapped=WITH_AGENT, told=told("closed", "a-1")), HOUSE)
    assert (found.code, found.acts[0].message) == (
        "step_done",
        Answer(agent_id="a-1", closed_at=AT),
    )


def test_an_explanation_is_given_once() -> None:
    seen = view(**over(), told=told("open", "ann"))
    (found,) = examine(seen, IDLE)
    (change,) = (act.message for act in found.says)
    assert isinstance(change, ApplyChange)
    (comment,) = change.changes
    assert isinstance(comment, AddComment)
    said = told("open", "ann", comments=[{"text": comment.text}])
    (again,) = examine(replace(seen, told=said), IDLE)
    assert (again.code, again.says) == ("issue_reopened", ())
