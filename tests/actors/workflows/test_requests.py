"""What others ask of a workflow: what it comes to in every status, and for its children."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.errors import Conflict, NotFound
from actors.workflows import requests as requests_room
from actors.workflows.history import CLOSED, Kind, NewEvent, Status
from actors.workflows.messages import (
    ActivateInstance,
    AddSignal,
    AppendHistory,
    CompleteInstance,
    CreateInstance,
    NewChild,
    NewTask,
    Park,
    PauseInstance,
    RequestCancel,
    ResumeInstance,
    RetryInstance,
    SetAside,
    SetPriority,
    StartTask,
    TerminateInstance,
    Unpark,
    WakeDue,
)
from actors.workflows.store import HANDLERS
from actors.writer import Command
from storage import payload
from storage.workflows import queries
from storage.workflows import waiting as standing
from storage.workflows.records import InstanceRow
from tests.support.database import Database, open_database

ENDS = {
    Status.STALLED: Kind.WORKFLOW_STALLED,
    Status.COMPLETED: Kind.WORKFLOW_COMPLETED,
    Status.FAILED: Kind.WORKFLOW_FAILED,
    Status.CANCELLED: Kind.WORKFLOW_CANCELLED,
}
PAUSED_QUEUED = "paused and queued"
PARKED = "parked"
IN_EVERY_STATUS = [*Status, PAUSED_QUEUED, PARKED]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "tempolite.db", "storage.workflows", HANDLERS) as database:
        yield database


def create(
    engine: Database, workflow_id: str = "w-1", *, queued: bool = False, priority: int = 2
) -> None:
    engine.run(
        CreateInstance(
            workflow_id=workflow_id,
            issue_id="x-1",
            name="flow",
            version=1,
            variables=payload.encode({}),
            agent_type="helper" if queued else None,
            agent_id=None,
            queued=queued,
            at="t1",
            priority=priority,
        )
    )


def append(engine: Database, workflow_id: str, kind: Kind, **more: Any) -> Any:
    after = queries.last_seq(engine.conn, workflow_id)
    text = payload.encode({"reason": "r", "code": "c", "message": "m"})
    event = NewEvent(kind=kind, op=more.pop("op", ""), at="t2", payload=text)
    command = AppendHistory(workflow_id=workflow_id, after=after, events=(event,), **more)
    return engine.run(command)


def bring(engine: Database, status: str, workflow_id: str = "w-1") -> None:
    """Make an instance that is in a status."""
    create(engine, workflow_id, queued=status in (Status.QUEUED, PAUSED_QUEUED))
    match status:
        case Status.PAUSED | "paused and queued":
            engine.run(replace(PAUSE, workflow_id=workflow_id))
        case Status.TERMINATED:
            engine.run(replace(TERMINATE, workflow_id=workflow_id))
        case Status.DEAD_LETTER:
            engine.run(SetAside(workflow_id=workflow_id, reason="r", at="t"))
        case "parked":
            engine.run(Park(workflow_id=workflow_id, seq=1, position=0, wake_at=None))
        case Status.QUEUED | Status.RUNNING:
            pass
        case _:
            append(engine, workflow_id, ENDS[Status(status)])
    wanted = {PAUSED_QUEUED: Status.PAUSED, PARKED: Status.RUNNING}.get(status, status)
    assert row(engine, workflow_id).status == wanted


def row(engine: Database, workflow_id: str = "w-1") -> InstanceRow:
    found = queries.instance(engine.conn, workflow_id)
    assert found is not None
    return found


def statuses(engine: Database) -> dict[str, str]:
    return dict(engine.rows("SELECT workflow_id, status FROM instances"))  # type: ignore[arg-type]


def kinds(engine: Database, workflow_id: str = "w-1") -> list[str]:
    sql = "SELECT kind FROM history WHERE workflow_id = ? ORDER BY seq"
    return [kind for (kind,) in engine.rows(sql, workflow_id)]


def child(workflow_id: str, policy: str = "terminate") -> NewChild:
    return NewChild(
        workflow_id=workflow_id,
        op="1",
        name="small",
        version=1,
        variables=payload.encode({}),
        agent_type=None,
        on_parent_close=policy,
    )


def adopt(engine: Database, parent: str, workflow_id: str, policy: str = "terminate") -> Any:
    new = (child(workflow_id, policy),)
    return append(engine, parent, Kind.CHILD_STARTED, children=new)


SIGNAL = AddSignal(workflow_id="w-1", message_id="m-1", name="go", value=payload.encode(1), at="t3")
CANCEL = RequestCancel(workflow_id="w-1", reason="not wanted", at="t3")
PAUSE = PauseInstance(workflow_id="w-1", reason="wait", at="t3")
RESUME = ResumeInstance(workflow_id="w-1", at="t4")
TERMINATE = TerminateInstance(workflow_id="w-1", reason="enough", at="t3")
PRIORITY = SetPriority(workflow_id="w-1", priority=0, at="t3")
COMPLETE = CompleteInstance(
    workflow_id="w-1", output=payload.encode({"a": 1}), author="ann", at="t3"
)
RETRY = RetryInstance(workflow_id="w-1", author="ann", at="t5")
REQUESTS = [SIGNAL, CANCEL, PAUSE, RESUME, TERMINATE, COMPLETE]


# --- all of them


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_a_workflow_that_does_not_exist_is_asked_for_nothing(
    engine: Database, request_: Command[Any]
) -> None:
    with pytest.raises(NotFound):
        engine.run(request_)


@pytest.mark.parametrize("status", sorted(CLOSED))
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_a_closed_workflow_is_asked_for_nothing_more(
    engine: Database, request_: Command[Any], status: str
) -> None:
    bring(engine, status)
    stored = engine.dump()
    is_done = {RequestCancel: Status.CANCELLED, TerminateInstance: Status.TERMINATED}
    if is_done.get(type(request_)) == status:
        engine.run(request_)
    else:
        with pytest.raises(Conflict) as refused:
            engine.run(request_)
        assert refused.value.code == "workflow_closed"
    assert engine.dump() == stored


AFTERWARDS: dict[type, dict[str, tuple[str, str]]] = {
    CompleteInstance: {
        status: ("completed", "workflow_completed_by_hand")
        for status in (*Status, PAUSED_QUEUED, PARKED)
        if status not in CLOSED
    },
    RequestCancel: {
        Status.QUEUED: ("cancelled", "workflow_cancelled"),
        Status.RUNNING: ("running", "workflow_cancel_requested"),
        PARKED: ("running", "workflow_cancel_requested"),
        Status.PAUSED: ("running", "workflow_cancel_requested"),
        PAUSED_QUEUED: ("cancelled", "workflow_cancelled"),
        Status.STALLED: ("cancelled", "workflow_cancelled"),
        Status.DEAD_LETTER: ("cancelled", "workflow_cancelled"),
    },
    PauseInstance: {
        Status.QUEUED: ("paused", "workflow_paused"),
        Status.RUNNING: ("paused", "workflow_paused"),
        PARKED: ("paused", "workflow_paused"),
        Status.PAUSED: ("paused", "workflow_paused"),
        PAUSED_QUEUED: ("paused", "workflow_paused"),
    },
    ResumeInstance: {
        Status.QUEUED: ("queued", "workflow_started"),
        Status.RUNNING: ("running", "workflow_started"),
        PARKED: ("running", "workflow_started"),
        Status.PAUSED: ("running", "workflow_resumed"),
        PAUSED_QUEUED: ("queued", "workflow_resumed"),
        Status.STALLED: ("stalled", "workflow_stalled"),
        Status.DEAD_LETTER: ("dead_letter", "workflow_dead_lettered"),
    },
    TerminateInstance: {
        status: ("terminated", "workflow_terminated")
        for status in IN_EVERY_STATUS
        if status not in CLOSED
    },
    AddSignal: {
        status: (
            {PAUSED_QUEUED: "paused", PARKED: "running"}.get(status, status),
            "workflow_signaled",
        )
        for status in IN_EVERY_STATUS
        if status not in CLOSED
    },
}
"""What each request makes of a workflow: its status, and the last event of its history."""


@pytest.mark.parametrize(
    ("request_", "status"),
    [(request, status) for request in REQUESTS for status in AFTERWARDS[type(request)]],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_request_does_in_every_status_what_it_should_and_twice_does_no_more(
    engine: Database, request_: Command[Any], status: str
) -> None:
    bring(engine, status)
    first, second = engine.twice(request_)
    wanted, last = AFTERWARDS[type(request_)][status]
    assert (row(engine).status, kinds(engine)[-1]) == (wanted, last)
    if row(engine).status == Status.RUNNING or type(request_) is not AddSignal:
        assert "w-1" in first
    assert set(first) <= set(second)
    if type(request_) is not ResumeInstance:
        assert row(engine).parked == 0


@pytest.mark.parametrize("status", [Status.STALLED, Status.DEAD_LETTER])
def test_what_does_nothing_is_not_paused(engine: Database, status: str) -> None:
    bring(engine, status)
    with pytest.raises(Conflict, match="does nothing"):
        engine.run(PAUSE)


# --- signals


def waiting(engine: Database) -> list[tuple[str, str, Any]]:
    found = queries.waiting_messages(engine.conn, "w-1", 0)
    return [(m.message_id, m.name, payload.decode(m.payload)) for m in found]


def test_signals_wait_in_the_order_in_which_they_came(engine: Database) -> None:
    create(engine)
    for number, name in enumerate(["b", "a", "b"]):
        text = payload.encode(number)
        engine.run(replace(SIGNAL, message_id=f"m-{9 - number}", name=name, value=text))
    assert waiting(engine) == [("m-9", "b", 0), ("m-8", "a", 1), ("m-7", "b", 2)]


@pytest.mark.parametrize("other", [{"name": "stop"}, {"value": payload.encode(2)}])
def test_another_signal_with_a_message_id_that_is_known_is_refused(
    engine: Database, other: dict[str, str]
) -> None:
    create(engine)
    engine.run(SIGNAL)
    with pytest.raises(Conflict, match="another signal 'm-1'"):
        engine.run(replace(SIGNAL, **other))
    assert waiting(engine) == [("m-1", "go", 1)]


def consume(engine: Database) -> None:
    append(engine, "w-1", Kind.SIGNAL_CONSUMED, messages=(("m-1", "1"),))


def test_a_signal_that_was_taken_is_known_when_it_comes_again_and_waits_no_more(
    engine: Database,
) -> None:
    create(engine)
    engine.run(SIGNAL)
    consume(engine)
    stored = engine.dump()
    assert engine.run(SIGNAL) == ("w-1",)
    assert (waiting(engine), engine.dump()) == ([], stored)
    with pytest.raises(Conflict):
        engine.run(replace(SIGNAL, name="stop"))


def test_a_signal_that_comes_again_after_the_end_was_taken(engine: Database) -> None:
    create(engine)
    engine.run(SIGNAL)
    append(engine, "w-1", Kind.WORKFLOW_COMPLETED)
    stored = engine.dump()
    engine.run(SIGNAL)
    assert engine.dump() == stored


def test_no_more_signals_wait_than_may_and_one_that_was_taken_makes_room(
    engine: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests_room, "WAITING_LIMIT", 2)
    create(engine)
    engine.run(SIGNAL)
    engine.run(replace(SIGNAL, message_id="m-2"))
    third = replace(SIGNAL, message_id="m-3")
    with pytest.raises(Conflict) as refused:
        engine.run(third)
    assert refused.value.code == "too_many_signals"
    engine.run(SIGNAL)  # one that is known needs no room
    consume(engine)
    engine.run(third)
    assert [message_id for message_id, *_ in waiting(engine)] == ["m-2", "m-3"]


def test_the_same_message_id_for_another_workflow_is_another_message(engine: Database) -> None:
    for workflow_id in ("w-1", "w-2"):
        create(engine, workflow_id)
        engine.run(replace(SIGNAL, workflow_id=workflow_id))
    assert engine.rows("SELECT count(*) FROM inbox") == [(2,)]


# --- waiting as a row


def park(seq: int = 1, position: int = 0, wake_at: str | None = None) -> Park:
    return Park(workflow_id="w-1", seq=seq, position=position, wake_at=wake_at)


@pytest.mark.parametrize(
    "news", [SIGNAL, CANCEL, PAUSE, TERMINATE], ids=lambda news: type(news).__name__
)
def test_a_workflow_that_has_news_does_not_wait_as_its_row(
    engine: Database, news: Command[Any]
) -> None:
    create(engine)
    engine.run(news)
    assert engine.twice(park()) == [False, False]
    assert row(engine).parked == 0


def test_a_signal_that_its_actor_has_seen_is_no_news(engine: Database) -> None:
    create(engine)
    engine.run(SIGNAL)
    assert engine.run(park(seq=2, position=0)) is False
    assert engine.twice(park(seq=2, position=1)) == [True, True]
    assert row(engine).parked == 1


def test_whoever_waits_as_a_row_is_not_among_those_to_be_run(engine: Database) -> None:
    create(engine)
    engine.run(park())
    assert queries.live_instances(engine.conn) == []
    engine.twice(Unpark(workflow_id="w-1"))
    assert [found.workflow_id for found in queries.live_instances(engine.conn)] == ["w-1"]


def test_timers_wake_whom_it_is_time_for_the_earliest_first(engine: Database) -> None:
    for workflow_id, wake_at in {"w-1": "t7", "w-2": "t5", "w-3": "t9", "w-4": None}.items():
        create(engine, workflow_id)
        engine.run(replace(park(wake_at=wake_at), workflow_id=workflow_id))
    assert queries.next_wake(engine.conn) == "t5"
    assert engine.run(WakeDue(until="t4", limit=9)) == ()
    assert engine.run(WakeDue(until="t7", limit=1)) == ("w-2",)
    assert engine.run(WakeDue(until="t7", limit=9)) == ("w-1",)
    assert queries.next_wake(engine.conn) == "t9"
    assert [row(engine, f"w-{number}").parked for number in (1, 2, 3, 4)] == [0, 0, 1, 1]


# --- queued and paused


def test_a_workflow_paused_in_the_queue_gets_its_agent_and_stays_paused(engine: Database) -> None:
    bring(engine, PAUSED_QUEUED)
    activate = ActivateInstance(workflow_id="w-1", agent_id="a-1", at="t")
    assert engine.twice(activate) == [True, False]
    assert row(engine).status == Status.PAUSED
    engine.twice(RESUME)
    assert row(engine).status == Status.RUNNING


def test_a_workflow_resumed_in_the_queue_waits_for_its_agent_again(engine: Database) -> None:
    bring(engine, PAUSED_QUEUED)
    engine.run(RESUME)
    assert engine.twice(ActivateInstance(workflow_id="w-1", agent_id="a", at="t")) == [True, False]
    assert row(engine).status == Status.RUNNING


def test_a_cancellation_that_comes_again_after_a_pause_resumes(engine: Database) -> None:
    create(engine)
    for request in (CANCEL, PAUSE, CANCEL):
        engine.twice(request)
    assert row(engine).status == Status.RUNNING


# --- children


@pytest.fixture
def family(engine: Database) -> Database:
    """w-1 has the child w-2, that one w-3; w-1 has left w-4, which has w-5, to itself."""
    create(engine)
    adopt(engine, "w-1", "w-2")
    adopt(engine, "w-2", "w-3")
    adopt(engine, "w-1", "w-4", "abandon")
    adopt(engine, "w-4", "w-5")
    return engine


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (CANCEL, "workflow_cancel_requested"),
        (PAUSE, "workflow_paused"),
        (TERMINATE, "workflow_terminated"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_request_reaches_all_below_but_those_left_to_themselves(
    family: Database, request_: Command[Any], kind: str
) -> None:
    first, second = family.twice(request_)
    reached = {w for w in ("w-1", "w-2", "w-3", "w-4", "w-5") if kind in kinds(family, w)}
    assert reached == {"w-1", "w-2", "w-3"}
    assert reached <= set(first)
    assert reached <= set(second)


def test_those_paused_with_their_parent_resume_with_it(family: Database) -> None:
    family.run(PAUSE)
    family.run(RESUME)
    assert set(statuses(family).values()) == {"running"}


def test_a_child_resumed_alone_leaves_its_parent_paused(family: Database) -> None:
    family.run(PAUSE)
    family.run(replace(RESUME, workflow_id="w-2"))
    found = statuses(family)
    assert (found["w-1"], found["w-2"], found["w-3"]) == ("paused", "running", "running")


def test_a_child_that_waits_as_its_row_is_to_be_run_when_it_is_cancelled(
    family: Database,
) -> None:
    family.run(Park(workflow_id="w-3", seq=1, position=0, wake_at=None))
    assert "w-3" in family.run(CANCEL)
    assert row(family, "w-3").parked == 0


@pytest.mark.parametrize(
    ("policy", "status", "last"),
    [
        ("terminate", "terminated", "workflow_terminated"),
        ("cancel", "running", "workflow_cancel_requested"),
        ("abandon", "running", "workflow_started"),
    ],
)
@pytest.mark.parametrize(
    "end", [Kind.WORKFLOW_COMPLETED, Kind.WORKFLOW_FAILED, Kind.WORKFLOW_CANCELLED]
)
def test_what_becomes_of_a_child_when_its_parent_closes_is_as_it_was_started(
    engine: Database, end: Kind, policy: str, status: str, last: str
) -> None:
    create(engine)
    adopt(engine, "w-1", "w-2", policy)
    woken = append(engine, "w-1", end).woken
    assert (row(engine, "w-2").status, kinds(engine, "w-2")[-1]) == (status, last)
    assert ("w-2" in woken) == (policy != "abandon")


def test_a_child_that_closed_already_is_left_alone(family: Database) -> None:
    append(family, "w-2", Kind.WORKFLOW_COMPLETED)
    assert row(family, "w-3").status == Status.TERMINATED
    family.run(TERMINATE)
    assert row(family, "w-2").status == Status.COMPLETED


def test_a_parent_that_waits_as_its_row_is_to_be_run_when_its_child_closes(
    engine: Database,
) -> None:
    create(engine)
    adopt(engine, "w-1", "w-2")
    engine.run(Park(workflow_id="w-1", seq=2, position=0, wake_at=None))
    event = NewEvent(kind=Kind.WORKFLOW_COMPLETED, at="t")
    command = AppendHistory(workflow_id="w-2", after=1, events=(event,))
    for answer in engine.twice(command):
        assert "w-1" in answer.woken
    assert row(engine).parked == 0


def test_a_parent_whose_child_has_closed_does_not_wait_as_its_row(engine: Database) -> None:
    """Its actor may be about to learn of it, and be killed before it has."""
    create(engine)
    adopt(engine, "w-1", "w-2")
    park = Park(workflow_id="w-1", seq=2, position=0, wake_at=None, children=("w-2",))
    assert engine.run(park) is True
    append(engine, "w-2", Kind.WORKFLOW_COMPLETED)
    assert engine.twice(park) == [False, False]
    assert row(engine).parked == 0


def test_a_child_that_is_started_twice_is_one_and_to_be_run_both_times(engine: Database) -> None:
    create(engine)
    event = NewEvent(kind=Kind.CHILD_STARTED, at="t")
    command = AppendHistory(workflow_id="w-1", after=1, events=(event,), children=(child("w-2"),))
    assert [answer.woken for answer in engine.twice(command)] == [("w-2",), ("w-2",)]
    assert kinds(engine, "w-2") == ["workflow_started"]


def test_a_child_whose_operation_was_cancelled_is_asked_to_end(family: Database) -> None:
    answer = append(family, "w-1", Kind.OPERATION_CANCELLED, cancelled_children=("1",))
    assert {"w-2", "w-3"} <= set(answer.woken)
    assert kinds(family, "w-3")[-1] == "workflow_cancel_requested"


def test_a_child_that_begins_under_a_paused_parent_is_paused(engine: Database) -> None:
    """The parent's actor has recorded it before it heard of the pause."""
    create(engine)
    engine.run(PAUSE)
    event = NewEvent(kind=Kind.CHILD_STARTED, at="t")
    new = (child("w-2"), child("w-3", "abandon"))
    command = AppendHistory(workflow_id="w-1", after=1, events=(event,), children=new)
    engine.twice(command)
    assert row(engine, "w-2").status == Status.PAUSED
    assert row(engine, "w-3").status == Status.RUNNING
    engine.run(RESUME)
    assert row(engine, "w-2").status == Status.RUNNING


# --- priority


def priorities(engine: Database) -> dict[str, int]:
    found = engine.rows("SELECT workflow_id, priority FROM instances")
    found += engine.rows("SELECT workflow_id || '/' || op, priority FROM tasks")
    return dict(found)  # type: ignore[arg-type]


def schedule(engine: Database, workflow_id: str, op: str) -> None:
    task = NewTask(op=op, agent_type="a", activity="dig", input="", policy="")
    append(engine, workflow_id, Kind.ACTIVITY_SCHEDULED, op=op, tasks=(task,))


def test_tasks_and_children_are_as_urgent_as_their_workflow(engine: Database) -> None:
    create(engine, priority=1)
    schedule(engine, "w-1", "1")
    adopt(engine, "w-1", "w-1.2")
    schedule(engine, "w-1.2", "1")
    assert priorities(engine) == {"w-1": 1, "w-1/1": 1, "w-1.2": 1, "w-1.2/1": 1}


def test_a_new_priority_reaches_tasks_and_live_children(engine: Database) -> None:
    create(engine)
    schedule(engine, "w-1", "1")
    adopt(engine, "w-1", "w-1.2")
    adopt(engine, "w-1.2", "w-1.2.1")
    adopt(engine, "w-1", "w-1.3", "abandon")
    adopt(engine, "w-1", "w-1.4")
    append(engine, "w-1.4", Kind.WORKFLOW_COMPLETED)
    for _ in range(2):
        engine.run(PRIORITY)
        assert priorities(engine) == {
            "w-1": 0,
            "w-1/1": 0,
            "w-1.2": 0,
            "w-1.2.1": 0,
            "w-1.3": 2,
            "w-1.4": 2,
        }
    schedule(engine, "w-1", "5")
    assert priorities(engine)["w-1/5"] == 0
    with pytest.raises(NotFound):
        engine.run(replace(PRIORITY, workflow_id="w-9"))


def test_what_waits_says_how_urgent_it_is(engine: Database) -> None:
    create(engine, "w-late", priority=4)
    create(engine, "w-soon", priority=0)
    for workflow_id in ("w-late", "w-soon"):
        schedule(engine, workflow_id, "1")
    line = standing.line(engine.conn, "a", "t9")
    assert {workflow_id: urgency for workflow_id, (urgency, _) in line.items()} == {
        "w-late": 4,
        "w-soon": 0,
    }


# --- complete


def test_a_live_workflow_is_completed_by_hand(engine: Database) -> None:
    for status in (*(s for s in Status if s not in CLOSED), PAUSED_QUEUED, PARKED):
        workflow_id = f"w-{status}"
        bring(engine, status, workflow_id)
        command = replace(COMPLETE, workflow_id=workflow_id)
        for _ in range(2):
            assert engine.run(command) == (workflow_id,)
            assert row(engine, workflow_id).status == Status.COMPLETED
        assert kinds(engine, workflow_id).count(Kind.WORKFLOW_COMPLETED_BY_HAND) == 1
        with pytest.raises(Conflict):
            engine.run(replace(command, author="bob"))


def test_what_was_completed_by_hand_ends_its_children_and_tasks_and_takes_no_more(
    engine: Database,
) -> None:
    create(engine)
    schedule(engine, "w-1", "1")
    adopt(engine, "w-1", "w-1.2")
    adopt(engine, "w-1", "w-1.3", "abandon")
    after = queries.last_seq(engine.conn, "w-1")
    assert set(engine.run(COMPLETE)) == {"w-1", "w-1.2"}
    assert statuses(engine) == {"w-1": "completed", "w-1.2": "terminated", "w-1.3": "running"}
    assert engine.rows("SELECT state FROM tasks") == [("cancelled",)]
    event = NewEvent(kind=Kind.ACTIVITY_COMPLETED, op="1", at="t9")
    with pytest.raises(Conflict, match="has ended"):
        engine.run(AppendHistory(workflow_id="w-1", after=after, events=(event,)))


def test_a_child_that_is_completed_by_hand_wakes_its_parent(engine: Database) -> None:
    create(engine)
    adopt(engine, "w-1", "w-1.2")
    engine.run(Park(workflow_id="w-1", seq=2, position=0, wake_at=None, children=("w-1.2",)))
    assert set(engine.run(replace(COMPLETE, workflow_id="w-1.2"))) == {"w-1", "w-1.2"}
    assert not row(engine).parked


# --- retry


def fail(engine: Database, workflow_id: str = "w-1", **more: Any) -> None:
    body = {"code": "c", "message": "m", "attempts": 1, "failed": [], **more}
    event = NewEvent(kind=Kind.WORKFLOW_FAILED, at="t2", payload=payload.encode(body))
    after = queries.last_seq(engine.conn, workflow_id)
    engine.run(AppendHistory(workflow_id=workflow_id, after=after, events=(event,)))


@pytest.mark.parametrize("status", [Status.FAILED, Status.STALLED, Status.DEAD_LETTER])
def test_what_does_not_go_on_is_retried_once(engine: Database, status: str) -> None:
    bring(engine, status)
    engine.conn.execute("UPDATE instances SET recoveries = 3")
    assert engine.run(RETRY) == ("w-1",)
    for again in (RETRY, replace(RETRY, at="t6"), replace(RETRY, author="bob")):
        assert engine.run(again) == ("w-1",)
        assert (row(engine).status, row(engine).recoveries) == (Status.RUNNING, 0)
    assert kinds(engine).count(Kind.WORKFLOW_RETRIED) == 1


def test_the_same_retry_that_comes_late_is_not_another_one(engine: Database) -> None:
    bring(engine, Status.FAILED)
    engine.run(RETRY)
    fail(engine)
    assert engine.run(RETRY) == ("w-1",)
    assert row(engine).status == Status.FAILED
    engine.run(replace(RETRY, at="t7"))
    assert row(engine).status == Status.RUNNING


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.COMPLETED, "workflow_closed"),
        (Status.CANCELLED, "workflow_closed"),
        (Status.TERMINATED, "workflow_closed"),
        (Status.QUEUED, "not_retryable"),
        (Status.RUNNING, "not_retryable"),
        (Status.PAUSED, "not_retryable"),
    ],
)
def test_what_has_not_failed_is_not_retried(engine: Database, status: str, code: str) -> None:
    bring(engine, status)
    stored = engine.dump()
    with pytest.raises(Conflict) as refused:
        engine.run(RETRY)
    assert refused.value.code == code
    assert "is running" not in refused.value.message
    assert engine.dump() == stored
    with pytest.raises(NotFound):
        engine.run(replace(RETRY, workflow_id="w-9"))


def test_a_failed_child_is_retried_by_its_parent_alone(engine: Database) -> None:
    create(engine)
    for name, policy in (("w-1.2", "terminate"), ("w-1.3", "abandon")):
        adopt(engine, "w-1", name, policy)
        fail(engine, name)
        with pytest.raises(Conflict) as refused:
            engine.run(replace(RETRY, workflow_id=name))
        assert refused.value.code == "not_retryable"
    engine.run(TERMINATE)
    engine.run(replace(RETRY, workflow_id="w-1.3"))
    assert statuses(engine)["w-1.3"] == Status.RUNNING  # nobody will hear how it ends


def test_a_start_that_could_not_be_made_is_not_retried(engine: Database) -> None:
    create(engine)
    body = payload.encode({"code": "start_failed", "message": "taken", "attempts": 1})
    event = NewEvent(kind=Kind.WORKFLOW_FAILED, at="t2", payload=body)
    engine.run(AppendHistory(workflow_id="w-1", after=1, events=(event,)))
    with pytest.raises(Conflict, match="never begun"):
        engine.run(RETRY)


def test_a_history_that_is_being_archived_is_not_retried(engine: Database) -> None:
    bring(engine, Status.FAILED)
    engine.conn.execute("DELETE FROM history WHERE seq = 1")
    with pytest.raises(Conflict, match="archived"):
        engine.run(RETRY)


@pytest.mark.parametrize("status", [Status.FAILED, Status.DEAD_LETTER])
def test_a_workflow_with_a_type_of_agent_is_queued_when_it_is_retried(
    engine: Database, status: str
) -> None:
    create(engine, queued=True)
    engine.run(ActivateInstance(workflow_id="w-1", agent_id="helper-1", at="t2"))
    if status == Status.FAILED:
        fail(engine)
    else:
        engine.run(SetAside(workflow_id="w-1", reason="r", at="t"))
    engine.run(RETRY)
    assert row(engine).status == Status.QUEUED
    engine.run(PAUSE)
    engine.run(RESUME)
    assert row(engine).status == Status.QUEUED
    assert engine.run(ActivateInstance(workflow_id="w-1", agent_id="helper-2", at="t6"))
    assert row(engine).status == Status.RUNNING
    engine.run(PAUSE)
    engine.run(RESUME)
    assert row(engine).status == Status.RUNNING


def test_a_task_that_is_done_again_has_new_attempts_and_a_new_fence(engine: Database) -> None:
    create(engine)
    schedule(engine, "w-1", "1")
    task = {"workflow_id": "w-1", "op": "1", "at": "t"}
    for fence in range(3):
        engine.run(StartTask(**task, agent_id="a-1", fence=fence))  # type: ignore[arg-type]
    fail(engine, failed=["1"])
    engine.run(RETRY)
    schedule(engine, "w-1", "1")
    assert engine.rows("SELECT state, attempt, fence, agent_id FROM tasks") == [
        ("ready", 0, 4, None)
    ]


def test_an_actor_from_before_a_retry_says_nothing_more(engine: Database) -> None:
    bring(engine, Status.DEAD_LETTER)
    engine.run(RETRY)
    event = NewEvent(kind=Kind.ACTIVITY_COMPLETED, op="1", at="t9")
    for after, refused in ((1, True), (3, False)):
        command = AppendHistory(workflow_id="w-1", after=after, events=(event,))
        if refused:
            with pytest.raises(Conflict):
                engine.run(command)
            assert not engine.run(Park(workflow_id="w-1", seq=2, position=0, wake_at=None))
        else:
            engine.run(command)


def test_a_retried_workflow_can_be_cancelled_again(engine: Database) -> None:
    create(engine)
    engine.run(CANCEL)
    fail(engine)
    engine.run(RETRY)
    engine.run(CANCEL)
    assert kinds(engine).count(Kind.WORKFLOW_CANCEL_REQUESTED) == 2


def test_a_failure_that_an_older_program_recorded_is_found_by_its_words(engine: Database) -> None:
    create(engine)
    body = {"code": "c", "message": "no", "attempts": 1}
    for op in ("1", "2"):
        event = NewEvent(kind=Kind.ACTIVITY_FAILED, op=op, at="t", payload=payload.encode(body))
        after = queries.last_seq(engine.conn, "w-1")
        engine.run(AppendHistory(workflow_id="w-1", after=after, events=(event,)))
        body = {**body, "message": "never"}
    message = "activity 'dig' failed with c: never"
    text = payload.encode({"code": "c", "message": message, "attempts": 1})
    event = NewEvent(kind=Kind.WORKFLOW_FAILED, at="t", payload=text)
    engine.run(AppendHistory(workflow_id="w-1", after=3, events=(event,)))
    engine.run(RETRY)
    _, said = queries.last_of_kind(engine.conn, "w-1", Kind.WORKFLOW_RETRIED) or ("", "")
    found = {"after": ["2"], "author": "ann", "from": 3, "queued": False}
    assert payload.decode(said) == found
