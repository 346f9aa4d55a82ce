"""What several events say of an issue is one change of it, and each of them counts by itself."""

from pathlib import Path

import pytest

from actors.issues import issue
from actors.issues.messages import (
    AddComment,
    ApplyChange,
    ApplyChanges,
    Change,
    CreateIssue,
    Position,
    SetStatus,
    SetWork,
)
from actors.issues.store import HANDLERS
from storage.issues import queries
from tests.support.database import Database, open_database

AT = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:00:01Z"
LAST = "2026-01-01T00:00:02Z"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    with open_database(tmp_path / "x.db", "storage.issues", HANDLERS) as opened:
        for number in (1, 2):
            row = issue.new_issue(
                issue_id=f"x-{number}", title="An issue", created_at=AT, created_by="me"
            )
            opened.run(CreateIssue(row=row))
        yield opened  # type: ignore[misc]


def change(seq: int, *changes: Change, issue_id: str = "x-1", at: str = LATER) -> ApplyChange:
    source = Position(consumer="feed", seq=seq)
    return ApplyChange(issue_id=issue_id, changes=changes, at=at, source=source)


def test_events_of_one_command_are_one_entry_with_all_they_say(database: Database) -> None:
    changes = (
        change(1, SetStatus(status="in_progress")),
        change(2, SetStatus(status="blocked"), issue_id="x-2"),
        change(3, SetWork(fields={"agent_id": "a-1"}), at=LAST),
    )
    assert database.run(ApplyChanges(changes=changes)) == ()
    entries = [e for e in queries.read_journal(database.conn, 0, 10) if e.kind == "changed"]
    assert [(e.issue_id, e.at) for e in entries] == [("x-1", LAST), ("x-2", LATER)]
    assert entries[0].detail["fields"] == ["metadata", "status", "updated_at"]
    assert entries[0].detail["status_before"] == "open"
    assert entries[0].detail["automatic"] is True
    assert queries.cursor(database.conn, "feed") == 3


def test_events_that_come_again_change_nothing(database: Database) -> None:
    changes = (change(1, SetStatus(status="in_progress")), change(2, SetStatus(status="blocked")))
    database.run(ApplyChanges(changes=changes))
    before = database.rows("SELECT * FROM journal")
    assert database.run(ApplyChanges(changes=changes)) == ()
    assert database.rows("SELECT * FROM journal") == before


def test_one_that_is_refused_leaves_the_others_of_its_issue(database: Database) -> None:
    changes = (
        change(1, SetStatus(status="in_progress")),
        change(2, SetStatus(status="no such status")),
        change(3, AddComment(author="me", text="still said"), at=LAST),
        change(4, SetStatus(status="blocked"), issue_id="x-9"),
    )
    refusals = database.run(ApplyChanges(changes=changes))
    assert [why.partition(":")[0] for why in refusals] == ["x-1", "x-9"]
    (line,) = database.rows("SELECT line FROM issues WHERE id = 'x-1'")[0]
    assert '"status":"in_progress"' in line
    assert "still said" in line
    assert queries.cursor(database.conn, "feed") == 3


def test_one_that_cannot_be_written_leaves_the_others_of_its_issue(database: Database) -> None:
    changes = (
        change(1, SetStatus(status="in_progress")),
        change(2, AddComment(author="me", text="half of a pair \ud800"), at=LAST),
        change(3, SetWork(fields={"agent_id": "a-1"})),
        change(4, SetStatus(status="blocked"), issue_id="x-2"),
    )
    (refusal,) = database.run(ApplyChanges(changes=changes))
    assert "no Unicode" in refusal
    lines = dict(database.rows("SELECT id, line FROM issues"))
    assert '"status":"in_progress"' in lines["x-1"]
    assert '"agent_id":"a-1"' in lines["x-1"]
    assert '"status":"blocked"' in lines["x-2"]
    assert queries.cursor(database.conn, "feed") == 4


def test_what_the_same_command_closed_was_closed_by_nobody_else(database: Database) -> None:
    """Taking back answers a close by hand: one that only followed from an event is none."""
    taking = ApplyChange(
        issue_id="x-1", changes=(SetStatus(status="in_progress"),), at=LAST, takes_back=True
    )
    database.run(ApplyChanges(changes=(change(1, SetStatus(status="closed")), taking)))
    (status,) = database.rows("SELECT status FROM issues WHERE id = 'x-1'")[0]
    assert status == "closed"
