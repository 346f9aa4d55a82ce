"""How the bridge's commands change its database; each of them may come twice."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors import facts
from actors.agents.messages import AssignQueued
from actors.coordination import assigning, store
from actors.coordination.intents import plan_from_text
from actors.coordination.messages import CloseIntent, LogFacts, Move, RecordStart, StartPlan
from actors.coordination.store import claim_home
from actors.errors import Conflict
from actors.facts import Fact, Result
from storage import payload
from storage.coordination import queries
from tests.support.database import Database, open_database

PLAN = StartPlan(
    workflow_id="w-1",
    issue_id="x-1",
    workflow_type="flow",
    version=1,
    title="T",
    priority=2,
    agent_type="a",
    agent_id="a-1",
    variables=payload.encode({}),
    issue={"id": "x-1"},
    idempotency_key="k",
    request_sha256="s",
    at="t1",
)
WAITING = replace(
    PLAN, workflow_id="w-2", issue_id="x-2", agent_id=None, idempotency_key=None, at="t2"
)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Database]:
    handlers = {**store.HANDLERS, **assigning.HANDLERS}
    with open_database(tmp_path / "c.db", "storage.coordination", handlers) as database:
        database.run(RecordStart(plan=PLAN))
        yield database


def logged(fact_type: str, *, result: Result | None = None, **data: Any) -> Fact:
    return Fact(type=fact_type, workflow_id="w-1", at="t9", data=data, result=result)


def log(bridge: Database, *found: Fact) -> Any:
    after = queries.cursor(bridge.conn, "test")
    return bridge.run(LogFacts(moves=(Move("test", after, after + 1),), facts=found))


def mapping(bridge: Database, workflow_id: str = "w-1") -> dict[str, Any]:
    row = queries.mapping(bridge.conn, workflow_id)
    assert row is not None
    return dict(row)


def assignments(bridge: Database) -> list[tuple[Any, ...]]:
    return bridge.rows("SELECT workflow_id, agent_id, status FROM agent_assignments ORDER BY id")


# --- starts


def test_a_start_is_an_intent_a_mapping_and_an_assignment(bridge: Database) -> None:
    assert mapping(bridge)["beads_issue_id"] == "x-1"
    assert assignments(bridge) == [("w-1", "a-1", "assigned")]
    ((text,),) = bridge.rows("SELECT payload FROM intents")
    assert plan_from_text(text) == PLAN


def test_a_start_recorded_twice_is_one(bridge: Database) -> None:
    assert bridge.twice(RecordStart(plan=WAITING)) == [None, None]


def test_a_start_without_an_agent_has_no_assignment(bridge: Database) -> None:
    bridge.run(RecordStart(plan=replace(WAITING, agent_type=None)))
    assert [workflow_id for workflow_id, _, _ in assignments(bridge)] == ["w-1"]
    assert mapping(bridge, "w-2")["status"] == "active"


def test_a_start_that_waits_for_an_agent_is_queued(bridge: Database) -> None:
    bridge.run(RecordStart(plan=WAITING))
    assert mapping(bridge, "w-2")["status"] == "queued"
    assert assignments(bridge)[1] == ("w-2", None, "queued")


def test_the_same_request_under_its_key_answers_the_first_workflow(bridge: Database) -> None:
    again = replace(PLAN, workflow_id="w-3", issue_id="x-3")
    assert bridge.twice(RecordStart(plan=again)) == ["w-1", "w-1"]
    assert queries.mapping(bridge.conn, "w-3") is None


def test_another_request_under_a_used_key_is_refused(bridge: Database) -> None:
    other = replace(PLAN, workflow_id="w-3", issue_id="x-3", request_sha256="other")
    with pytest.raises(Conflict, match="w-1"):
        bridge.run(RecordStart(plan=other))


def test_the_same_request_with_the_same_id_answers_the_workflow_that_is_there(
    bridge: Database,
) -> None:
    again = replace(PLAN, issue_id="x-3", idempotency_key=None)
    assert bridge.twice(RecordStart(plan=again)) == ["w-1", "w-1"]
    other = replace(again, request_sha256="other")
    with pytest.raises(Conflict, match="this id started workflow w-1"):
        bridge.run(RecordStart(plan=other))
    assert mapping(bridge)["beads_issue_id"] == "x-1"


def test_a_start_retried_after_its_intent_was_closed_opens_no_new_one(bridge: Database) -> None:
    bridge.twice(CloseIntent(intent_id="w-1"))
    assert bridge.run(RecordStart(plan=PLAN)) is None
    assert bridge.rows("SELECT * FROM intents") == []


# --- assignments


def test_a_queued_assignment_is_given_to_one_agent(bridge: Database) -> None:
    bridge.run(RecordStart(plan=WAITING))
    assert bridge.twice(AssignQueued(workflow_id="w-2", agent_id="a-1", at="t3")) == [True, True]
    assert assignments(bridge)[1] == ("w-2", "a-1", "assigned")
    assert bridge.run(AssignQueued(workflow_id="w-2", agent_id="a-2", at="t4")) is False


def test_an_assignment_that_is_over_is_given_to_nobody(bridge: Database) -> None:
    bridge.run(RecordStart(plan=WAITING))
    over = Fact(type=facts.WORKFLOW_FAILED, workflow_id="w-2", at="t3", data={})
    log(bridge, over)
    assert bridge.run(AssignQueued(workflow_id="w-2", agent_id="a-1", at="t4")) is False


# --- the log


def test_a_stretch_of_an_outbox_is_logged_once(bridge: Database) -> None:
    command = LogFacts(moves=(Move("s", 0, 4),), facts=(logged("log"), logged("log")))
    first, second = bridge.twice(command)
    assert [fact.seq for fact in first] == [1, 2]
    assert second is None
    assert queries.cursor(bridge.conn, "s") == 4


def test_outboxes_have_cursors_of_their_own(bridge: Database) -> None:
    bridge.run(LogFacts(moves=(Move("s", 0, 4),), facts=()))
    logged_here = bridge.run(LogFacts(moves=(Move("t", 0, 1),), facts=(logged("log"),)))
    assert [fact.seq for fact in logged_here] == [1]
    assert bridge.run(LogFacts(moves=(Move("s", 3, 5),), facts=(logged("log"),))) is None


def test_a_fact_of_a_workflow_learns_its_issue_and_the_other_way_round(bridge: Database) -> None:
    of_issue = Fact(type=facts.ISSUE_UPDATED, workflow_id=None, issue_id="x-1", at="t")
    of_nothing = Fact(type="log", workflow_id=None, at="t")
    elsewhere = Fact(type=facts.ISSUE_UPDATED, workflow_id=None, issue_id="y-1", at="t")
    found = log(bridge, logged("log"), of_issue, of_nothing, elsewhere)
    assert [(fact.workflow_id, fact.issue_id) for fact in found] == [
        ("w-1", "x-1"),
        ("w-1", "x-1"),
        (None, None),
        (None, "y-1"),
    ]


@pytest.mark.parametrize(
    ("fact", "status", "error", "completed_at"),
    [
        (logged(facts.WORKFLOW_RESUMED), "active", (None, None), None),
        (logged(facts.WORKFLOW_RESUMED, queued=False), "active", (None, None), None),
        (logged(facts.WORKFLOW_RESUMED, queued=True), "queued", (None, None), None),
        (logged(facts.WORKFLOW_PAUSED, reason=""), "paused", (None, None), None),
        (logged(facts.WORKFLOW_CANCEL_REQUESTED, resumes=True), "active", (None, None), None),
        (logged(facts.WORKFLOW_CANCELLED, reason=""), "cancelled", (None, None), "t9"),
        (logged(facts.WORKFLOW_TERMINATED, reason=""), "terminated", (None, None), "t9"),
        (logged(facts.WORKFLOW_STALLED, code="c", message="m"), "stalled", ("c", "m"), None),
        (logged(facts.WORKFLOW_COMPLETED), "completed", (None, None), "t9"),
        (logged(facts.WORKFLOW_FAILED, code="c", message="m"), "failed", ("c", "m"), "t9"),
        (logged(facts.WORKFLOW_FAILED), "failed", ("unknown", ""), "t9"),
        (
            logged(facts.WORKFLOW_DEAD_LETTERED, code="c", message="m"),
            "dead_letter",
            ("c", "m"),
            None,
        ),
    ],
)
def test_the_mapping_follows_the_log(
    bridge: Database,
    fact: Fact,
    status: str,
    error: tuple[str | None, str | None],
    completed_at: str | None,
) -> None:
    log(bridge, fact)
    row = mapping(bridge)
    assert (row["status"], row["completed_at"]) == (status, completed_at)
    assert (row["error_code"], row["error_message"]) == error


def test_a_workflow_started_only_once(bridge: Database) -> None:
    log(bridge, logged(facts.WORKFLOW_STARTED)._replace(at="t5"))
    log(bridge, logged(facts.WORKFLOW_STARTED)._replace(at="t6"))
    assert (mapping(bridge)["status"], mapping(bridge)["started_at"]) == ("active", "t5")


def test_a_cancellation_that_is_only_requested_leaves_the_workflow_as_it_is(
    bridge: Database,
) -> None:
    log(bridge, logged(facts.WORKFLOW_STALLED, code="c", message="m"))
    log(bridge, logged(facts.WORKFLOW_CANCEL_REQUESTED, reason="r"))
    assert mapping(bridge)["status"] == "stalled"


def test_a_workflow_that_gets_its_agent_while_it_is_paused_stays_paused(bridge: Database) -> None:
    log(bridge, logged(facts.WORKFLOW_PAUSED, reason=""))
    log(bridge, logged(facts.WORKFLOW_STARTED, paused=True))
    assert mapping(bridge)["status"] == "paused"


def test_a_workflow_that_goes_on_has_no_error_any_more(bridge: Database) -> None:
    log(bridge, logged(facts.WORKFLOW_STALLED, code="c", message="m"))
    log(bridge, logged(facts.WORKFLOW_RESUMED))
    assert mapping(bridge)["error_code"] is None


@pytest.mark.parametrize("end", sorted(facts.ENDS))
def test_the_end_of_a_workflow_ends_its_assignment(bridge: Database, end: str) -> None:
    log(bridge, logged(end, code="c", message="m"))
    assert assignments(bridge) == [("w-1", "a-1", "completed")]


def test_a_step_that_is_done_once_more_has_one_result_more(bridge: Database) -> None:
    result = Result(
        step="1",
        result_type="dig",
        agent_type="a",
        agent_id="a-1",
        value=payload.encode({"found": 1}),
        confidence_score=0.5,
    )
    log(bridge, logged(facts.STEP_COMPLETED, result=result))
    log(
        bridge,
        logged(facts.STEP_COMPLETED, result=result._replace(value=payload.encode("another"))),
    )
    stored = bridge.rows("SELECT result_data FROM workflow_results ORDER BY id")
    assert [payload.decode(text) for (text,) in stored] == [{"found": 1}, "another"]


def test_what_a_child_does_is_logged_under_its_id_and_stored_nowhere_else(bridge: Database) -> None:
    result = Result(
        step="output",
        result_type="output",
        agent_type=None,
        agent_id=None,
        value=payload.encode(1),
        confidence_score=None,
    )
    ended = logged(facts.WORKFLOW_COMPLETED, result=result)._replace(workflow_id="w-1.2")
    (found,) = log(bridge, ended)
    assert (found.workflow_id, found.issue_id) == ("w-1.2", None)
    assert bridge.rows("SELECT * FROM workflow_results") == []
    assert mapping(bridge)["status"] == "active"


# --- whose it is


def test_the_first_to_claim_a_database_owns_it(bridge: Database) -> None:
    first = claim_home(bridge.conn, home="home-1", repository="/a")
    second = claim_home(bridge.conn, home="home-2", repository="/b")
    assert first == second
    assert (first.home, first.repository) == ("home-1", "/a")


def test_a_claim_that_was_cut_off_is_made_again(bridge: Database) -> None:
    queries.set_meta(bridge.conn, "repository", "/a")
    assert claim_home(bridge.conn, home="home-2", repository="/b").repository == "/b"
