"""The issue's own rules."""

import hashlib
from copy import deepcopy
from typing import Any

import pytest

from actors.errors import Conflict, ValidationError
from actors.issues import issue
from actors.issues.messages import AddComment, Assign, ChangeLabels, SetStatus, SetWork
from storage.issues import instants, jsonl
from storage.issues.jsonl import Row

AT = "2026-01-01T00:00:00Z"
LATER = "2026-01-02T00:00:00.5Z"


def new(**more: Any) -> Row:
    return issue.new_issue(
        **{"issue_id": "x-1", "title": "T", "created_at": AT, "created_by": "me", **more}
    )


def test_a_new_issue_is_written_as_bd_would_write_it() -> None:
    row = new(
        labels=("b", "a"),
        work={"home": "h", "agent_id": None},
        created_at="2026-01-01T00:00:00.500000Z",
    )
    assert jsonl.encode_text(row) == (
        '{"id":"x-1","title":"T","status":"open","priority":2,"issue_type":"task",'
        '"created_at":"2026-01-01T00:00:00.5Z","created_by":"me",'
        '"updated_at":"2026-01-01T00:00:00.5Z","metadata":{"beadflow":{"home":"h"}},'
        '"labels":["a","b"]}'
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"title": "é" * 251}, "title"),
        ({"priority": 5}, "priority"),
        ({"priority": -1}, "priority"),
        ({"priority": True}, "priority"),
        ({"status": "tombstone"}, "status"),
        ({"status": "closed"}, "closed_at"),
        ({"created_at": "now"}, "created_at"),
        ({"labels": [" "]}, "labels"),
    ],
)
def test_a_row_that_may_not_be_written_is_refused_with_its_field(
    wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        new(**wrong)
    assert refusal.value.field == field


def test_a_title_of_five_hundred_bytes_is_allowed() -> None:
    assert new(title="é" * 250)["title"] == "é" * 250


def test_closing_notes_when_and_why_and_reopening_forgets_both() -> None:
    closed = issue.set_status(new(), "closed", LATER, "Completed")
    assert (closed["closed_at"], closed["close_reason"]) == (LATER, "Completed")
    issue.check(closed)
    reopened = issue.set_status(closed, "in_progress", LATER)
    assert not {"closed_at", "close_reason"} & reopened.keys()


def test_closing_without_a_reason_gives_the_usual_one() -> None:
    assert issue.set_status(new(), "closed", LATER)["close_reason"] == "Closed"


def test_closing_twice_changes_nothing_but_another_reason_does() -> None:
    closed = issue.set_status(new(), "closed", AT, "Completed")
    assert issue.set_status(closed, "closed", LATER) is closed
    assert issue.set_status(closed, "closed", LATER, "Completed") is closed
    again = issue.set_status(closed, "closed", LATER, "Failed: x")
    assert (again["closed_at"], again["close_reason"]) == (AT, "Failed: x")


def test_a_status_moves_the_time_of_the_last_update_on_whatever_the_clock_says() -> None:
    assert issue.set_status(new(), "blocked", LATER)["updated_at"] == LATER
    ahead = new() | {"updated_at": "2030-01-01T00:00:00Z"}
    after = "2030-01-01T00:00:00.000001Z"
    assert issue.set_status(ahead, "blocked", LATER)["updated_at"] == after
    same = issue.set_status(new(), "blocked", AT)
    assert same["updated_at"] == instants.just_after(AT)


def test_labels_and_comments_do_not_touch_the_time_of_the_last_update() -> None:
    row = issue.add_comment(issue.set_labels(new(), ["a"]), "me", "hello", LATER)
    assert row["updated_at"] == AT


def test_a_comments_number_follows_from_what_it_says_where_by_whom_and_when() -> None:
    row = issue.add_comment(new(), "me", "hello", LATER)
    number = issue.comment_id("x-1", "me", LATER, "hello")
    assert row["comments"] == [
        {"id": number, "issue_id": "x-1", "author": "me", "text": "hello", "created_at": LATER}
    ]
    assert number == issue.comment_id("x-1", "me", "2026-01-02T01:00:00.500+01:00", "hello")
    others = [("x-2", "me", LATER, "hello"), ("x-1", "you", LATER, "hello")]
    others += [("x-1", "me", AT, "hello"), ("x-1", "me", LATER, "hallo")]
    assert len({number, *(issue.comment_id(*other) for other in others)}) == 5


def test_a_comments_number_is_the_first_53_bits_of_its_hash() -> None:
    said = '["x-1","mé","2026-01-02T00:00:00.5Z","a \\"b\\""]'
    bits = "".join(f"{byte:08b}" for byte in hashlib.sha256(said.encode()).digest())
    assert issue.comment_id("x-1", "mé", LATER, 'a "b"') == int(bits[:53], 2)


def test_a_comment_is_said_once_and_says_something() -> None:
    row = issue.add_comment(new(), "me", "hello", LATER)
    assert issue.add_comment(row, "me", "hello", "2026-01-02T01:00:00.500+01:00") is row
    with pytest.raises(ValidationError):
        issue.add_comment(row, "me", "\n", LATER)


def test_work_is_set_key_by_key_beside_the_metadata_of_others() -> None:
    row = new(work={"workflow_id": "w", "step": "a"}) | {}
    row["metadata"]["other"] = {"kept": True}
    row = issue.set_work(row, {"step": None, "agent_id": "r1"}, LATER)
    assert row["metadata"] == {
        "beadflow": {"workflow_id": "w", "agent_id": "r1"},
        "other": {"kept": True},
    }
    assert issue.set_work(row, {"agent_id": "r1"}, LATER) is row


def test_metadata_that_is_no_object_is_not_overwritten() -> None:
    with pytest.raises(Conflict):
        issue.set_work(new() | {"metadata": [1]}, {"step": "a"}, LATER)
    assert issue.work_of(new() | {"metadata": [1]}) == {}


@pytest.mark.parametrize(
    "change",
    [
        SetStatus(status="blocked"),
        AddComment(author="a", text="t"),
        SetWork(fields={"step": "s"}),
        Assign(assignee="agent"),
        ChangeLabels(add=("a",)),
    ],
)
def test_a_change_leaves_the_row_it_is_given_alone_and_is_idempotent(change: Any) -> None:
    row = new(labels=["z"])
    before = deepcopy(row)
    once = issue.apply(row, change, LATER)
    assert row == before != once
    assert issue.apply(once, change, LATER) == once


def test_an_assignee_is_set_and_taken_away() -> None:
    row = issue.assign(new(), "agent", LATER)
    assert row["assignee"] == "agent"
    assert "assignee" not in issue.assign(row, "", LATER)


def test_labels_are_added_and_removed() -> None:
    row = issue.apply(new(labels=("a", "b")), ChangeLabels(add=("c",), remove=("a", "x")), AT)
    assert row["labels"] == ["b", "c"]
    assert "labels" not in issue.apply(row, ChangeLabels(remove=("b", "c")), AT)


@pytest.mark.parametrize("status", ["tombstone", "deleted"])
def test_a_deleted_issue_is_not_changed(status: str) -> None:
    with pytest.raises(Conflict):
        issue.apply(new() | {"status": status}, Assign(assignee="x"), LATER)


def test_a_reader_sees_defaults_where_a_foreign_row_has_nothing() -> None:
    seen = issue.view({"id": "x-1", "priority": None, "labels": None})
    assert (seen.status, seen.priority, seen.labels, seen.work) == ("open", 0, (), {})
