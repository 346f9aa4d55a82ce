"""Commands that are run at once come to what they come to one by one: the same rows and answers."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.batch import LEFT, Batches, Bounds
from actors.workflows.bulk import GROUPS
from actors.workflows.history import Kind, NewEvent
from actors.workflows.messages import (
    Appended,
    AppendHistory,
    CreateInstance,
    NewChild,
    NewTask,
    RecordHeartbeat,
    RequestCancel,
)
from actors.workflows.store import HANDLERS
from storage import payload
from tests.support.database import Database, open_database

Commit = Callable[[Sequence[object]], list[object]]


def create(workflow_id: str, **more: Any) -> CreateInstance:
    given: dict[str, Any] = {
        "issue_id": "x-1",
        "name": "flow",
        "version": 1,
        "variables": payload.encode({}),
        "agent_type": None,
        "agent_id": None,
        "queued": False,
        "at": "t1",
    }
    return CreateInstance(workflow_id=workflow_id, **{**given, **more})


def append(workflow_id: str, after: int, *kinds: Kind, **more: Any) -> AppendHistory:
    events = tuple(NewEvent(kind=kind, op=str(after), at=f"t{after}") for kind in kinds)
    return AppendHistory(workflow_id=workflow_id, after=after, events=events, **more)


def batches(*, at_once: bool) -> Batches:
    groups = GROUPS if at_once else {}
    return Batches(HANDLERS, "tempolite", lambda *_: None, Bounds(seconds=60.0), groups=groups)


def history(database: Database) -> list[tuple[Any, ...]]:
    """Without the places in the outbox, which are the order in which the rows were made."""
    return database.rows(
        "SELECT workflow_id, seq, kind, op, name, payload, at FROM history ORDER BY 1, 2"
    )


def instances(database: Database) -> list[tuple[Any, ...]]:
    return database.rows("SELECT * FROM instances ORDER BY workflow_id")


def test_new_workflows_and_plain_appends_take_a_few_statements_in_all(tmp_path: Path) -> None:
    with open_database(tmp_path / "x.db", "storage.workflows", HANDLERS) as database:
        run = batches(at_once=True)
        names = [f"w-{number}" for number in range(64)]
        run.commit(database.conn, [create(name) for name in names])
        told: list[str] = []
        database.conn.set_trace_callback(told.append)
        done = Kind.ACTIVITY_COMPLETED
        answers = run.commit(database.conn, [append(name, 1, done) for name in names])
        assert answers == [Appended(seq=2)] * 64
        assert [text.split()[0] for text in told] == ["BEGIN", "SELECT", "INSERT", "COMMIT"]


def test_what_is_not_plain_is_left_alone(tmp_path: Path) -> None:
    with open_database(tmp_path / "x.db", "storage.workflows", HANDLERS) as database:
        batches(at_once=True).commit(database.conn, [create("w-1"), create("w-2"), create("w-3")])
        task = NewTask(op="1", agent_type="a", activity="dig", input="", policy="")
        commands = [
            append("w-1", 1, Kind.ACTIVITY_SCHEDULED, tasks=(task,)),
            append("w-2", 7, Kind.ACTIVITY_COMPLETED),
            append("w-3", 1, Kind.ACTIVITY_COMPLETED),
        ]
        answers = GROUPS[AppendHistory].run(database.conn, commands)
        assert list(answers) == [LEFT, LEFT, Appended(seq=2)]
        assert list(GROUPS[CreateInstance].run(database.conn, [create("w-1"), create("w-9")])) == [
            LEFT,
            None,
        ]


def test_a_second_command_for_one_workflow_is_run_after_the_first(tmp_path: Path) -> None:
    with open_database(tmp_path / "x.db", "storage.workflows", HANDLERS) as database:
        done = Kind.ACTIVITY_COMPLETED
        commands = [create("w-1"), append("w-1", 1, done), append("w-1", 2, done), create("w-2")]
        answers = batches(at_once=True).commit(database.conn, commands)
        assert answers == [None, Appended(seq=2), Appended(seq=3), None]


@pytest.mark.parametrize("seed", range(30))
def test_at_once_and_one_by_one_store_and_answer_the_same(tmp_path: Path, seed: int) -> None:
    """Random batches: repeated ones, ends, children, tasks, heartbeats, requests of others."""
    batch_of = [_random_batch(random.Random(f"{seed}/{number}")) for number in range(40)]
    found = []
    for at_once in (True, False):
        path = tmp_path / f"{at_once}.db"
        with open_database(path, "storage.workflows", HANDLERS) as database:
            run = batches(at_once=at_once)
            answers = [_plain(run.commit(database.conn, batch)) for batch in batch_of if batch]
            found.append((answers, history(database), instances(database)))
    assert found[0] == found[1]
    assert any("Conflict" in str(answer) for answer in found[0][0])  # also what is refused


def _plain(answers: Sequence[object]) -> list[str]:
    return [f"{type(a).__name__}: {a}" if isinstance(a, Exception) else repr(a) for a in answers]


def _random_batch(chance: random.Random) -> list[object]:
    return [_random_command(chance) for _ in range(chance.randint(1, 12))]


def _random_command(chance: random.Random) -> object:
    workflow_id, after = f"w-{chance.randint(1, 6)}", chance.randint(1, 5)
    step, end = Kind.ACTIVITY_COMPLETED, Kind.WORKFLOW_COMPLETED
    match chance.randint(1, 12):
        case 1 | 2 | 3:
            return create(workflow_id, queued=chance.random() < 0.2)
        case 4:
            return append(workflow_id, after, end)
        case 5:
            return append(workflow_id, after, step, end, is_progress=True)
        case 6:
            child = NewChild(
                workflow_id=f"{workflow_id}-child",
                op=str(after),
                name="flow",
                version=1,
                variables="",
                agent_type=None,
                on_parent_close=chance.choice(["terminate", "cancel", "abandon"]),
            )
            return append(workflow_id, after, Kind.CHILD_STARTED, children=(child,))
        case 7:
            task = NewTask(op=str(after), agent_type="a", activity="dig", input="", policy="")
            return append(workflow_id, after, Kind.ACTIVITY_SCHEDULED, tasks=(task,))
        case 8:
            return RequestCancel(workflow_id=workflow_id, reason="r", at="t")
        case 9:
            return RecordHeartbeat(
                workflow_id=workflow_id, op=str(after), attempt=1, details="1", at="t"
            )
        case 10:
            return append(f"{workflow_id}-child", after, end)
        case _:
            return append(workflow_id, after, step)
