"""Issues that are created at once come to what they come to one by one: the same rows, answers."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.batch import LEFT, Batches, Bounds
from actors.issues import issue
from actors.issues.bulk import GROUPS
from actors.issues.messages import Created, CreateIssue
from actors.issues.store import HANDLERS
from tests.support.database import Database, open_database

AT = "2026-01-01T00:00:00Z"


def create(number: int, *, key: str = "", **more: Any) -> CreateIssue:
    row = issue.new_issue(
        issue_id=f"x-{number}",
        title=f"Issue {number}",
        created_at=AT,
        created_by="me",
        work={"workflow_id": key} if key else None,
    )
    return CreateIssue(row=row | more, key=key)


def run(database: Database, commands: Sequence[object], *, at_once: bool) -> list[str]:
    groups = GROUPS if at_once else {}
    batches = Batches(HANDLERS, "beads", lambda *_: None, Bounds(seconds=60.0), groups=groups)
    answers: list[object] = []
    while len(answers) < len(commands):
        answers += batches.commit(database.conn, commands[len(answers) :])
    return [str(answer) for answer in answers]


@pytest.mark.parametrize("seed", range(12))
def test_random_creations_come_to_the_same_at_once_as_one_by_one(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    odd: tuple[dict[str, Any], ...] = (
        {"priority": 9},
        {"title": " "},
        {"title": "\ud800"},
        {"ephemeral": True},
        {"created_by": "you"},
    )
    commands = [
        create(
            chance.randrange(40),
            key=chance.choice(("", "w-1", "w-2")),
            **(chance.choice(odd) if chance.random() < 0.3 else {}),
        )
        for _ in range(60)
    ]
    found = []
    for at_once in (False, True):
        with open_database(tmp_path / f"{at_once}.db", "storage.issues", HANDLERS) as database:
            answers = run(database, commands, at_once=at_once)
            issues = database.rows("SELECT * FROM issues ORDER BY id")
            journal = database.rows("SELECT issue_id, kind, detail, base, at FROM journal")
            refusals = [answer.partition("seq=")[0] for answer in answers]
            found.append((refusals, issues, sorted(journal)))
    assert found[0] == found[1]


def test_creations_are_answered_with_the_numbers_of_their_own_entries(tmp_path: Path) -> None:
    with open_database(tmp_path / "x.db", "storage.issues", HANDLERS) as database:
        answers = GROUPS[CreateIssue].run(database.conn, [create(n) for n in range(100)])
        seqs = dict(database.rows("SELECT issue_id, seq FROM journal"))
        assert list(answers) == [Created(issue_id=f"x-{n}", seq=seqs[f"x-{n}"]) for n in range(100)]


def test_an_issue_that_is_there_and_one_that_may_not_be_written_are_left_alone(
    tmp_path: Path,
) -> None:
    with open_database(tmp_path / "x.db", "storage.issues", HANDLERS) as database:
        run(database, [create(1)], at_once=True)
        commands = [create(1), create(2, priority=9), create(3)]
        answers = GROUPS[CreateIssue].run(database.conn, commands)
        assert list(answers[:2]) == [LEFT, LEFT]
        assert database.rows("SELECT id FROM issues ORDER BY id") == [("x-1",), ("x-3",)]
