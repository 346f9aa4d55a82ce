"""How the engine's commands change its database; each of them may come twice."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.errors import Conflict
from actors.workflows.history import Kind, NewEvent
from actors.workflows.messages import (
    ActivateInstance,
    Appended,
    AppendHistory,
    BeginLife,
    CreateInstance,
    EndAttempt,
    EndLife,
    Life,
    NewChild,
    NewTask,
    RequestCancel,
    StartTask,
    TrySuspects,
)
from actors.workflows.store import HANDLERS
from storage import payload
from storage.workflows import queries, waiting
from storage.workflows.records import TaskRow
from tests.support.database import Database, open_database

CREATE = CreateInstance(
    workflow_id="w-1",
    issue_id="x-1",
    name="flow",
    version=1,
    variables=payload.encode({}),
    agent_type=None,
    agent_id=None,
    queued=False,
    at="t1",
)
TASK = NewTask(
    op="1",
    agent_type="a",
    activity="dig",
    input=payload.encode(1),
    policy=payload.encode({}),
)
START = StartTask(workflow_id="w-1", op="1", agent_id="a-1", fence=0, at="t3")


def event(kind: Kind, **more: Any) -> NewEvent:
    return NewEvent(kind=kind, **{"at": "t2", **more})


def append(after: int, *events: NewEvent, **more: Any) -> AppendHistory:
    return AppendHistory(workflow_id="w-1", after=after, events=events, **more)


SCHEDULE = append(1, event(Kind.ACTIVITY_SCHEDULED, op="1", name="dig"), tasks=(TASK,))


def end(state: str = "done", *, fence: int = 1, outcome: str | None = "[1,null]") -> EndAttempt:
    return EndAttempt(workflow_id="w-1", op="1", fence=fence, state=state, outcome=outcome, at="t4")


def begin(incarnation: str, limit: int = 2) -> BeginLife:
    return BeginLife(incarnation=incarnation, recovery_limit=limit, at="t5")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "tempolite.db", "storage.workflows", HANDLERS) as database:
        database.run(CREATE)
        yield database


def status(engine: Database, workflow_id: str = "w-1") -> str | None:
    return queries.status(engine.conn, workflow_id)


def task(engine: Database) -> TaskRow:
    row = queries.task(engine.conn, "w-1", "1")
    assert row is not None
    return row


def kinds(engine: Database, workflow_id: str = "w-1") -> list[str]:
    sql = "SELECT kind FROM history WHERE workflow_id = ? ORDER BY seq"
    return [kind for (kind,) in engine.rows(sql, workflow_id)]


# --- instances


def test_a_new_instance_is_a_row_and_the_first_event_of_its_history(engine: Database) -> None:
    assert status(engine) == "running"
    assert kinds(engine) == ["workflow_started"]


def test_an_instance_created_twice_is_one(engine: Database) -> None:
    assert engine.twice(replace(CREATE, workflow_id="w-2")) == [None, None]


def test_a_queued_instance_runs_once_it_is_activated(engine: Database) -> None:
    engine.run(replace(CREATE, workflow_id="w-2", queued=True))
    assert status(engine, "w-2") == "queued"
    activate = ActivateInstance(workflow_id="w-2", agent_id="a-1", at="t2")
    assert engine.twice(activate) == [True, False]
    assert status(engine, "w-2") == "running"
    assert kinds(engine, "w-2") == ["workflow_started", "workflow_activated"]


def test_an_instance_that_does_not_exist_is_not_activated(engine: Database) -> None:
    assert engine.run(ActivateInstance(workflow_id="w-9", agent_id="a-1", at="t2")) is False


# --- history


def test_an_append_twice_is_one_append(engine: Database) -> None:
    assert engine.twice(SCHEDULE) == [Appended(seq=2), Appended(seq=2)]
    assert kinds(engine) == ["workflow_started", "activity_scheduled"]
    assert (task(engine).state, task(engine).attempt, task(engine).fence) == ("ready", 0, 0)


@pytest.mark.parametrize(
    "other",
    [
        append(1, event(Kind.ACTIVITY_SCHEDULED, op="1", name="another")),
        append(1, event(Kind.ACTIVITY_SCHEDULED, op="1.0.1", name="dig")),
        append(1, event(Kind.WORKFLOW_FAILED, op="1", name="dig")),
        append(1, event(Kind.ACTIVITY_SCHEDULED, op="1", name="dig", payload="[1,2]")),
        append(
            1,
            event(Kind.ACTIVITY_SCHEDULED, op="1", name="dig"),
            event(Kind.WORKFLOW_COMPLETED),
        ),
    ],
)
def test_another_event_where_one_is_stored_is_refused(
    engine: Database, other: AppendHistory
) -> None:
    engine.run(SCHEDULE)
    stored = engine.dump()
    with pytest.raises(Conflict, match="another incarnation"):
        engine.run(other)
    assert engine.dump() == stored


def test_an_append_that_leaves_a_gap_is_refused(engine: Database) -> None:
    with pytest.raises(Conflict, match="ends at 1, an event 3 cannot follow"):
        engine.run(append(2, event(Kind.WORKFLOW_COMPLETED)))


def test_the_same_events_at_another_time_are_the_same_append(engine: Database) -> None:
    engine.run(SCHEDULE)
    later = append(1, event(Kind.ACTIVITY_SCHEDULED, op="1", name="dig", at="t9"), tasks=(TASK,))
    engine.run(later)
    assert len(kinds(engine)) == 2


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.WORKFLOW_STALLED, "stalled"),
        (Kind.WORKFLOW_COMPLETED, "completed"),
        (Kind.WORKFLOW_FAILED, "failed"),
        (Kind.WORKFLOW_DEAD_LETTERED, "dead_letter"),
        (Kind.SIDE_EFFECT_RECORDED, "running"),
    ],
)
def test_the_status_follows_the_history(engine: Database, kind: Kind, expected: str) -> None:
    engine.run(append(1, event(kind)))
    assert status(engine) == expected


def test_an_outcome_that_the_history_holds_leaves_its_row_without_its_bulk(
    engine: Database,
) -> None:
    engine.run(SCHEDULE)
    engine.run(START)
    engine.run(end())
    assert queries.ended_tasks(engine.conn) == [("w-1", "1")]
    engine.twice(append(2, event(Kind.ACTIVITY_COMPLETED, op="1", name="dig"), consumed=("1",)))
    assert (task(engine).state, task(engine).input, task(engine).outcome) == ("consumed", "", None)
    assert queries.ended_tasks(engine.conn) == []


# --- attempts


def test_each_attempt_has_the_next_fence(engine: Database) -> None:
    engine.run(SCHEDULE)
    first = engine.run(START)
    second = engine.run(replace(START, fence=1, agent_id="a-2"))
    assert (first.attempt, first.fence, first.agent_id) == (1, 1, "a-1")
    assert (second.attempt, second.fence, second.agent_id) == (2, 2, "a-2")


def test_a_start_twice_is_one_attempt(engine: Database) -> None:
    engine.run(SCHEDULE)
    first, second = engine.twice(START)
    assert first == second
    assert first.attempt == 1


def test_a_start_that_was_overtaken_by_another_agents_is_not_made(engine: Database) -> None:
    engine.run(SCHEDULE)
    engine.run(START)
    assert engine.run(replace(START, agent_id="a-2")) is None
    engine.run(end())
    assert engine.run(START) is None
    assert task(engine).attempt == 1


def test_a_task_that_is_not_there_or_over_is_not_started(engine: Database) -> None:
    assert engine.run(START) is None
    engine.run(SCHEDULE)
    engine.run(START)
    engine.run(end("failed"))
    assert engine.run(replace(START, fence=1)) is None


@pytest.mark.parametrize("state", ["done", "failed", "ready"])
def test_an_end_twice_is_one_end(engine: Database, state: str) -> None:
    engine.run(SCHEDULE)
    engine.run(START)
    assert engine.twice(end(state, outcome=None)) == [True, True]
    assert task(engine).state == state


def test_an_end_with_an_old_fence_is_refused(engine: Database) -> None:
    engine.run(SCHEDULE)
    engine.run(START)
    engine.run(replace(START, fence=1))
    stored = engine.dump()
    for state in ("done", "failed", "ready"):
        assert engine.run(end(state, fence=1)) is False
    assert engine.dump() == stored
    assert engine.run(end(fence=2)) is True


def test_an_end_that_says_otherwise_than_the_first_is_refused(engine: Database) -> None:
    engine.run(SCHEDULE)
    engine.run(START)
    engine.run(end("done"))
    assert engine.run(end("failed")) is False
    assert task(engine).state == "done"


def test_an_end_whose_outcome_was_consumed_meanwhile_was_accepted(engine: Database) -> None:
    engine.run(SCHEDULE)
    engine.run(START)
    engine.run(end())
    engine.run(append(2, event(Kind.ACTIVITY_COMPLETED, op="1", name="dig"), consumed=("1",)))
    assert engine.run(end("done")) is True
    assert engine.run(end("ready")) is False


def test_an_end_of_a_task_that_is_not_there_is_refused(engine: Database) -> None:
    assert engine.run(end()) is False


def test_a_task_waits_for_agents_of_its_type_until_one_has_it(engine: Database) -> None:
    engine.run(SCHEDULE)
    assert list(waiting.line(engine.conn, "a", "t9")) == ["w-1"]
    ((op, priority, _),) = waiting.first(engine.conn, "a", "w-1", at="t9", limit=10)
    assert (op, priority) == ("1", 2)
    assert waiting.line(engine.conn, "b", "t9") == {}
    engine.run(START)
    assert waiting.line(engine.conn, "a", "t9") == {}


# --- lives of the process


def unclean_lives(engine: Database, count: int, limit: int = 2) -> Life:
    for number in range(count):
        life = engine.run(begin(f"life-{number}", limit))
        engine.run(TrySuspects(workflow_ids=()))
    assert isinstance(life, Life)
    return life


def recoveries(engine: Database, workflow_id: str = "w-1") -> int:
    row = queries.instance(engine.conn, workflow_id)
    assert row is not None
    return row.recoveries


def test_the_first_life_follows_no_bad_end(engine: Database) -> None:
    assert engine.run(begin("a")) == Life(epoch=1, clean=True, dead_letters=())
    assert recoveries(engine) == 0


def test_a_life_begun_twice_counts_once(engine: Database) -> None:
    engine.run(begin("a"))
    first, second = engine.twice(begin("b"))
    assert (first.epoch, second.epoch) == (2, 2)
    assert recoveries(engine) == 1


def test_a_clean_end_is_no_recovery(engine: Database) -> None:
    for incarnation in ("a", "b", "c", "d"):
        assert engine.run(begin(incarnation)).clean
        engine.twice(EndLife(incarnation=incarnation))
    assert recoveries(engine) == 0


def test_an_engine_restarted_within_its_life_ends_badly_all_the_same(engine: Database) -> None:
    engine.run(begin("a"))
    engine.run(EndLife(incarnation="a"))
    engine.run(begin("a"))
    assert not engine.run(begin("b")).clean
    assert recoveries(engine) == 1


def test_the_end_of_a_former_life_says_nothing_about_this_one(engine: Database) -> None:
    engine.run(begin("a"))
    engine.run(begin("b"))
    engine.run(EndLife(incarnation="a"))
    assert not engine.run(begin("c")).clean


def test_a_workflow_that_was_live_in_too_many_bad_ends_is_set_aside(engine: Database) -> None:
    assert unclean_lives(engine, 3).dead_letters == ()
    last = engine.run(begin("one more"))
    assert last.dead_letters == ("w-1",)
    assert status(engine) == "dead_letter"
    assert kinds(engine)[-1] == "workflow_dead_lettered"
    assert engine.run(begin("and another")).dead_letters == ()


def test_a_workflow_that_gets_further_starts_to_count_again(engine: Database) -> None:
    unclean_lives(engine, 3)
    engine.run(append(1, event(Kind.SIDE_EFFECT_RECORDED, op="1"), is_progress=True))
    assert recoveries(engine) == 0
    assert engine.run(begin("one more")).dead_letters == ()


def test_a_bad_end_while_suspects_are_tried_counts_against_those_that_ran(engine: Database) -> None:
    for name in ("w-2", "w-3"):
        engine.run(replace(CREATE, workflow_id=name))
    unclean_lives(engine, 3, limit=9)
    engine.run(replace(CREATE, workflow_id="w-4"))
    engine.run(begin("suspects are there", 9))
    assert [recoveries(engine, f"w-{number}") for number in (1, 2, 3, 4)] == [3, 3, 3, 1]
    engine.run(TrySuspects(workflow_ids=("w-2",)))
    engine.run(begin("w-2 was tried", 9))
    assert [recoveries(engine, f"w-{number}") for number in (1, 2, 3, 4)] == [3, 4, 3, 2]
    engine.run(begin("nobody was tried", 9))
    assert [recoveries(engine, f"w-{number}") for number in (1, 2, 3, 4)] == [3, 4, 3, 2]


def test_only_what_ran_is_counted(engine: Database) -> None:
    engine.run(append(1, event(Kind.WORKFLOW_STALLED)))
    engine.run(replace(CREATE, workflow_id="w-2", queued=True))
    assert unclean_lives(engine, 9, limit=0).dead_letters == ()


# --- requests


@pytest.mark.parametrize("kind", [Kind.WORKFLOW_STALLED, Kind.WORKFLOW_DEAD_LETTERED])
def test_one_that_no_longer_runs_its_code_ends_when_it_is_cancelled_once_more(
    engine: Database, kind: Kind
) -> None:
    cancel = RequestCancel(workflow_id="w-1", reason="enough", at="t3")
    engine.run(cancel)
    text = payload.encode({"code": "c", "message": "m"})
    engine.run(append(1, event(kind, payload=text)))
    engine.twice(cancel)
    assert status(engine) == "cancelled"
    assert kinds(engine)[1:] == ["workflow_cancel_requested", str(kind), "workflow_cancelled"]


def test_a_child_that_starts_while_its_parent_is_asked_to_end_is_asked_too(
    engine: Database,
) -> None:
    engine.run(CREATE)
    engine.run(RequestCancel(workflow_id="w-1", reason="enough", at="t2"))
    started = event(Kind.CHILD_STARTED, op="1")
    children = [
        NewChild(
            workflow_id=f"w-1.{policy}",
            op="1",
            name="flow",
            version=1,
            variables=payload.encode({}),
            agent_type=None,
            on_parent_close=policy,
        )
        for policy in ("terminate", "abandon")
    ]
    answer = engine.run(append(1, started, children=tuple(children)))
    assert answer.woken == ("w-1.terminate", "w-1.abandon", "w-1.terminate")
    asked = engine.rows(
        "SELECT workflow_id, payload FROM history WHERE kind = ?",
        str(Kind.WORKFLOW_CANCEL_REQUESTED),
    )
    assert asked == [
        ("w-1", payload.encode({"reason": "enough"})),
        ("w-1.terminate", payload.encode({"reason": "enough"})),
    ]
