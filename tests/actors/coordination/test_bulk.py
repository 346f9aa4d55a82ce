"""Starts that are recorded at once come to what they come to one by one: the same rows, answers."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.batch import LEFT, Batches, Bounds
from actors.coordination import repeats
from actors.coordination.bulk import GROUPS
from actors.coordination.messages import CloseIntent, RecordStart, StartPlan
from actors.coordination.store import HANDLERS
from storage import payload
from tests.support.database import Database, open_database


def start(number: int, *, key: str | None = None, request: str = "r", **more: Any) -> RecordStart:
    given: dict[str, Any] = {"agent_type": None, "agent_id": None, **more}
    plan = StartPlan(
        workflow_id=f"w-{number}",
        issue_id=f"x-{number}",
        workflow_type="flow",
        version=1,
        title="A flow",
        priority=2,
        variables=payload.encode({}),
        issue={"id": f"x-{number}", "title": "A flow"},
        idempotency_key=key,
        request_sha256=request,
        at="2026-01-01T00:00:00.000000Z",
        **given,
    )
    return RecordStart(plan=plan)


def run(database: Database, commands: Sequence[object], *, at_once: bool) -> list[str]:
    groups = GROUPS if at_once else {}
    bounds = Bounds(seconds=60.0)
    batches = Batches(HANDLERS, "coordination", lambda *_: None, bounds, groups=groups)
    answers: list[object] = []
    while len(answers) < len(commands):
        answers += batches.commit(database.conn, commands[len(answers) :])
    return [str(answer) for answer in answers]


def rows(database: Database) -> list[list[tuple[Any, ...]]]:
    return [
        database.rows("SELECT * FROM workflow_mappings ORDER BY beads_issue_id"),
        database.rows("SELECT * FROM intents ORDER BY id"),
        database.rows("SELECT * FROM agent_assignments ORDER BY workflow_id"),
    ]


@pytest.mark.parametrize("seed", range(12))
def test_random_starts_come_to_the_same_at_once_as_one_by_one(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    commands: list[object] = []
    for _ in range(60):
        number = chance.randrange(40)
        agent: dict[str, Any] = chance.choice(
            ({}, {"agent_type": "a"}, {"agent_type": "a", "agent_id": "a-1"})
        )
        key = chance.choice((None, None, "k-1", "k-2", f"k-{number}"))
        if chance.random() < 0.2:
            commands.append(CloseIntent(intent_id=f"w-{number}"))
        else:
            commands.append(start(number, key=key, request=chance.choice("rs"), **agent))
    found = []
    for at_once in (False, True):
        where = tmp_path / f"{at_once}.db"
        with open_database(where, "storage.coordination", HANDLERS) as database:
            answers = run(database, commands, at_once=at_once)
            found.append((answers, rows(database)))
    assert found[0] == found[1]
    assert {"None"} < set(found[0][0])


def test_a_key_that_two_starts_of_a_group_use_is_the_first_ones(tmp_path: Path) -> None:
    with open_database(tmp_path / "x.db", "storage.coordination", HANDLERS) as database:
        commands = [start(1, key="k"), start(2, key="k"), start(3, key="k", request="other")]
        assert list(GROUPS[RecordStart].run(database.conn, commands)) == [None, LEFT, LEFT]
        answers = run(database, commands[1:], at_once=True)
        assert answers[0] == "w-1"
        assert "use a new idempotency key" in answers[1]


def test_a_key_that_came_with_something_else_starts_nothing(tmp_path: Path) -> None:
    with open_database(tmp_path / "x.db", "storage.coordination", HANDLERS) as database:
        repeats.remember(database.conn, "k", "r", answer={}, at="t")
        assert list(GROUPS[RecordStart].run(database.conn, [start(1, key="k")])) == [LEFT]
        for at_once in (False, True):
            (answer,) = run(database, [start(1, key="k")], at_once=at_once)
            assert "came with another request" in answer
        assert rows(database)[0] == []


def test_what_was_started_before_is_left_alone(tmp_path: Path) -> None:
    with open_database(tmp_path / "x.db", "storage.coordination", HANDLERS) as database:
        run(database, [start(1)], at_once=True)
        assert list(GROUPS[RecordStart].run(database.conn, [start(1), start(2)])) == [LEFT, None]
