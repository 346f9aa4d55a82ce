"""What the verbs do to rows, also to rows that others wrote and no verb would."""

from typing import Any

import pytest

from actors.errors import Conflict, ValidationError
from actors.issues.writing import revision
from actors.issues.writing.edits import SetFields
from storage.issues import instants, jsonl
from storage.issues.jsonl import Row

AT = "2026-01-01T00:00:00Z"
LATER = "2026-01-02T00:00:00Z"


def row(**more: Any) -> Row:
    usual = {"id": "x-1", "title": "T", "status": "open", "priority": 2, "issue_type": "task"}
    return {**usual, "created_at": AT, "updated_at": AT, **more}


def update(before: Row, at: str = LATER, **fields: Any) -> Row:
    return revision.set_fields(before, SetFields(fields=fields), at)


def test_a_field_that_is_not_named_stays_also_one_nobody_knows() -> None:
    before = row(strange={"kept": 1}, notes="n")
    assert update(before, title="New") == before | {"title": "New", "updated_at": LATER}
    assert before["title"] == "T"


def test_leaving_a_deferral_takes_its_end_away_unless_another_is_given() -> None:
    deferred = row(status="deferred", defer_until="2026-02-01T00:00:00Z")
    assert "defer_until" not in update(deferred, status="open")
    given = "2026-03-01T00:00:00Z"
    assert update(deferred, status="open", defer_until=given)["defer_until"] == given
    assert "defer_until" in update(deferred, title="New")


def test_closing_by_a_field_notes_when_and_why_and_leaving_it_forgets() -> None:
    closed = update(row(), status="closed", close_reason="Done")
    assert (closed["closed_at"], closed["close_reason"]) == (LATER, "Done")
    assert update(row(), status="closed")["close_reason"] == "Closed"
    assert not {"closed_at", "close_reason"} & update(closed, status="blocked").keys()
    assert update(closed, close_reason="Better")["close_reason"] == "Better"


def test_an_issue_is_not_born_without_a_title() -> None:
    with pytest.raises(ValidationError) as refusal:
        revision.born({"title": ""}, issue_id="x-1", actor="me", at=AT)
    assert refusal.value.field == "title"


@pytest.mark.parametrize("field", ["close_reason", "closed_by_session"])
def test_what_tells_of_a_closing_belongs_to_a_closed_issue(field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        update(row(), **{field: "text"})
    assert refusal.value.field == field
    assert update(row(), **{field: None}) == row()


@pytest.mark.parametrize(
    "strange",
    [
        {"labels": [" ", "b", "a", "a"]},
        {"status": None},
        {"status": "closed"},
        {"status": "parked"},
        {"metadata": [1]},
        {"title": ""},
        {"priority": 9},
        {"updated_at": "9999-12-31T23:59:59.999999999Z"},
    ],
)
def test_a_row_that_others_wrote_can_be_edited_whatever_it_holds(strange: Row) -> None:
    before = row(**strange)
    after = update(before, notes="n")
    free = {"notes": None, "updated_at": None}
    assert jsonl.encode(after | free) == jsonl.encode(before | free)
    added = revision.set_fields(before, SetFields(fields={}, add_labels=("new",)), LATER)
    assert "new" in added["labels"]


def test_every_change_is_later_than_what_it_changes() -> None:
    ahead = row(updated_at="2030-01-01T00:00:00Z")
    assert update(ahead, notes="n")["updated_at"] == "2030-01-01T00:00:00.000001Z"


def test_a_tombstone_keeps_what_restoring_needs() -> None:
    edge = {"issue_id": "x-1", "depends_on_id": "x-2", "type": "blocks", "created_at": AT}
    before = row(issue_type="bug", labels=["l"], dependencies=[edge], defer_until=LATER)
    buried = revision.bury(before, reason="dup", actor="ann", at=LATER)
    assert buried["delete_reason"] == "dup"
    assert revision.bury(buried, reason="again", actor="bob", at=LATER) is buried
    restored = revision.restore(buried, LATER)
    assert (restored["labels"], restored["dependencies"]) == (["l"], [edge])
    assert instants.to_ns(restored["updated_at"]) > instants.to_ns(buried["updated_at"])


def test_a_tombstone_of_older_files_is_restored_too() -> None:
    old = row(status="deleted", deleted_at=AT, closed_at=AT, close_reason="Closed")
    assert revision.restore(old, LATER) == row(updated_at=LATER)


def test_a_closed_issue_is_not_deferred() -> None:
    with pytest.raises(Conflict, match="closed"):
        revision.defer(row(status="closed", closed_at=AT), None, LATER)


def test_deferring_again_in_the_same_way_changes_nothing() -> None:
    deferred = revision.defer(row(), "2026-02-01T00:00:00Z", LATER)
    assert revision.defer(deferred, "2026-02-01T00:00:00Z", LATER) is deferred
    for_good = revision.defer(row(), None, LATER)
    assert revision.defer(for_good, None, LATER) is for_good


def test_an_update_is_expected_by_its_instant_not_by_its_text() -> None:
    zoned = row(updated_at="2026-01-01T01:00:00.000+01:00")
    revision.require_update(zoned, AT)
    revision.require_update(row(), None)
    with pytest.raises(Conflict):
        revision.require_update(zoned, LATER)
