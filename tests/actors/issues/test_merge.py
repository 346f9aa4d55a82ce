"""Merging: the same from both sides, the same twice, and nothing lost."""

import hashlib
from typing import Any

import pytest

from actors.issues.merging.comment_ids import comment_id
from actors.issues.merging.merge import merge
from storage.issues import jsonl
from storage.issues.jsonl import Row

EARLY, LATE = "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"


def row(**more: Any) -> Row:
    at = "2026-01-01T00:00:00Z"
    return {
        "id": "x-1",
        "title": "T",
        "status": "open",
        "priority": 2,
        "created_at": at,
        "updated_at": at,
        **more,
    }


def both_ways(base: Row | None, ours: Row | None, theirs: Row | None) -> Row:
    """Merge, having checked that swapping the sides gives the same bytes."""
    merged, swapped = merge(base, ours, theirs), merge(base, theirs, ours)
    assert merged is not None
    assert swapped is not None
    assert jsonl.encode(merged) == jsonl.encode(swapped)
    return merged


def closed(at: str, reason: str = "Closed") -> Row:
    return row(status="closed", closed_at=at, close_reason=reason, updated_at=at)


def comment(number: int, text: str, at: str = EARLY) -> Row:
    return {"id": number, "issue_id": "x-1", "author": "a", "text": text, "created_at": at}


def edge(target: str, kind: str = "blocks", at: str = EARLY) -> Row:
    return {"issue_id": "x-1", "depends_on_id": target, "type": kind, "created_at": at}


def test_edits_of_different_fields_are_both_kept() -> None:
    merged = both_ways(row(), row(title="New"), row(notes="N", updated_at=LATE))
    assert (merged["title"], merged["notes"], merged["updated_at"]) == ("New", "N", LATE)


def test_the_later_row_wins_a_field_that_both_changed() -> None:
    merged = both_ways(row(), row(title="A", updated_at=LATE), row(title="B", updated_at=EARLY))
    assert merged["title"] == "A"


def test_later_is_told_by_the_instant_not_by_the_text() -> None:
    west = row(title="A", updated_at="2026-01-02T20:00:00-08:00")
    assert both_ways(row(), west, row(title="B", updated_at=LATE))["title"] == "A"


def test_between_equal_times_the_larger_text_wins() -> None:
    merged = both_ways(row(), row(title="A", updated_at=LATE), row(title="B", updated_at=LATE))
    assert merged["title"] == "B"


def test_a_reopening_is_kept_when_the_other_side_did_nothing() -> None:
    assert both_ways(closed(EARLY), row(updated_at=LATE), closed(EARLY))["status"] == "open"


def test_a_newer_reopening_beats_another_closing_with_all_that_goes_with_it() -> None:
    merged = both_ways(closed(EARLY), row(updated_at=LATE), closed("2026-01-02T12:00:00Z", "Other"))
    assert merged["status"] == "open"
    assert not {"closed_at", "close_reason"} & merged.keys()


def test_priority_zero_is_a_value_like_any_other() -> None:
    merged = both_ways(row(), row(priority=0, updated_at=LATE), row(priority=3, updated_at=EARLY))
    assert merged["priority"] == 0
    assert both_ways(row(), row(priority=0), row(title="B"))["priority"] == 0


def test_a_cleared_date_stays_cleared() -> None:
    merged = both_ways(row(defer_until=LATE), row(), row(defer_until=LATE, title="B"))
    assert "defer_until" not in merged


def test_labels_added_on_both_sides_are_there_and_a_removed_one_is_gone() -> None:
    merged = both_ways(
        row(labels=["gone", "kept"]),
        row(labels=["kept", "mine"]),
        row(labels=["gone", "kept", "new"]),
    )
    assert merged["labels"] == ["kept", "mine", "new"]


def test_the_last_label_can_be_removed() -> None:
    assert "labels" not in both_ways(row(labels=["a"]), row(), row(labels=["a"], title="B"))


def test_comments_with_the_same_number_are_different_comments() -> None:
    merged = both_ways(
        row(), row(comments=[comment(1, "ours")]), row(comments=[comment(1, "theirs")])
    )
    said = [(c["id"], c["text"]) for c in merged["comments"]]
    assert said == [(1, "ours"), (comment_id("x-1", "a", EARLY, "theirs"), "theirs")]


def test_the_same_comment_with_two_numbers_is_one_comment() -> None:
    merged = both_ways(
        row(),
        row(comments=[comment(7, "both"), comment(8, "ours", LATE)]),
        row(comments=[comment(3, "both")], title="B"),
    )
    assert [c["text"] for c in merged["comments"]] == ["both", "ours"]


def test_numbers_that_do_not_clash_stay_as_they_were_read() -> None:
    ours, theirs = row(comments=[comment(7, "ours")]), row(comments=[comment(3, "theirs", LATE)])
    assert [c["id"] for c in both_ways(row(), ours, theirs)["comments"]] == [7, 3]
    renumbered = row(comments=[comment(9, "a")])
    assert both_ways(
        row(comments=[comment(1, "a")]), renumbered, row(comments=[comment(1, "a")], title="B")
    )["comments"] == [comment(9, "a")]


def test_a_comment_with_two_numbers_gets_the_one_of_its_content() -> None:
    base = row(comments=[comment(1, "a")])
    added = row(comments=[comment(1, "a"), comment(2, "b")])
    merged = both_ways(base, row(comments=[comment(9, "a")]), added)
    assert [c["id"] for c in merged["comments"]] == [comment_id("x-1", "a", EARLY, "a"), 2]


def test_the_number_of_a_comment_has_53_bits_and_knows_the_instant_only() -> None:
    number = comment_id("x-1", "a", "2026-01-02T00:00:00Z", "text")
    text = '["x-1","a","2026-01-02T00:00:00Z","text"]'
    assert number == int.from_bytes(hashlib.sha256(text.encode()).digest()) >> 203
    assert number == comment_id("x-1", "a", "2026-01-01T16:00:00.000-08:00", "text")


def test_a_comment_with_unknown_keys_of_its_own_keeps_them() -> None:
    plain, marked = comment(1, "a"), comment(1, "a") | {"source": "mail"}
    merged = both_ways(None, row(comments=[plain]), row(comments=[marked, comment(2, "b")]))
    assert [part.get("source") for part in merged["comments"]] == ["mail", None]
    signed = row(comments=[comment(1, "a") | {"source": "web"}])
    assert both_ways(row(comments=[plain]), signed, row(comments=[])) == signed


def test_saying_the_same_twice_in_one_second_is_saying_it_once() -> None:
    twice = [comment(1, "same"), comment(2, "same")]
    merged = both_ways(row(), row(comments=twice), row(comments=[comment(1, "other")]))
    assert [part["text"] for part in merged["comments"]] == ["other", "same"]


def test_dependencies_are_merged_by_their_target() -> None:
    merged = both_ways(
        row(dependencies=[edge("a"), edge("b")]),
        row(dependencies=[edge("b", "related"), edge("c", at=LATE)]),
        row(dependencies=[edge("a"), edge("b"), edge("d")]),
    )
    found = [(e["depends_on_id"], e["type"]) for e in merged["dependencies"]]
    assert found == [("b", "related"), ("d", "blocks"), ("c", "blocks")]


def test_an_edge_that_one_side_removed_and_the_other_changed_is_kept() -> None:
    merged = both_ways(
        row(dependencies=[edge("a")]), row(), row(dependencies=[edge("a", "related")])
    )
    assert [e["type"] for e in merged["dependencies"]] == ["related"]


def test_an_edge_that_both_changed_takes_the_one_made_later() -> None:
    merged = both_ways(
        row(dependencies=[edge("a")]),
        row(dependencies=[edge("a", "related", LATE)]),
        row(dependencies=[edge("a", "tracks", EARLY)]),
    )
    assert [e["type"] for e in merged["dependencies"]] == ["related"]


def test_two_edges_to_one_target_are_compared_in_any_order() -> None:
    two = [edge("a", at=LATE), edge("a", at=EARLY)]
    ours = row(dependencies=[edge("a", at="2026-01-02T16:00:00-08:00")])
    merged = both_ways(None, ours, row(dependencies=two))
    assert both_ways(None, ours, merged) == merged


def test_metadata_is_merged_by_its_keys() -> None:
    merged = both_ways(
        row(metadata={"a": 1, "gone": 1}),
        row(metadata={"a": 1, "beadflow": {"step": "s"}}, updated_at=LATE),
        row(metadata={"a": 2, "gone": 1}),
    )
    assert merged["metadata"] == {"a": 2, "beadflow": {"step": "s"}}


def test_metadata_that_is_no_object_is_taken_whole() -> None:
    merged = both_ways(row(), row(metadata=[1], updated_at=LATE), row(metadata={"a": 1}))
    assert merged["metadata"] == [1]


def test_unknown_keys_are_merged_and_null_is_one_of_their_values() -> None:
    merged = both_ways(row(odd=1), row(odd=1, mine=None), row(odd=2, theirs=[]))
    assert (merged["odd"], merged["mine"], merged["theirs"]) == (2, None, [])


@pytest.mark.parametrize("gone", [None, row(status="tombstone", deleted_at=LATE, updated_at=LATE)])
def test_an_edit_beats_a_deletion_of_either_kind(gone: Row | None) -> None:
    merged = both_ways(row(), gone, row(notes="edited", updated_at=EARLY))
    assert (merged["status"], merged["notes"]) == ("open", "edited")


def test_a_deletion_of_what_nobody_touched_stands() -> None:
    tombstone = row(status="tombstone", deleted_at=LATE, updated_at=LATE)
    assert merge(row(), None, row()) is None
    assert merge(row(pinned=False), row(), None) is None
    assert both_ways(row(), tombstone, row(updated_at=EARLY))["status"] == "tombstone"


def test_an_issue_that_only_one_side_has_is_kept() -> None:
    assert merge(None, row(), None) == row()
    assert merge(None, None, row()) == row()
    assert merge(row(), None, None) is None


def test_two_rows_without_a_base_keep_what_either_has() -> None:
    merged = both_ways(None, row(labels=["a"], notes="n"), row(labels=["b"], design="d"))
    assert (merged["labels"], merged["notes"], merged["design"]) == (["a", "b"], "n", "d")


@pytest.mark.parametrize("name", ["description", "design", "acceptance_criteria", "notes"])
def test_a_long_text_that_loses_is_kept_as_a_comment(name: str) -> None:
    ours, theirs = row(updated_at=LATE), row(updated_at="2026-01-02T01:00:00+01:00")
    merged = both_ways(row(), ours | {name: "mine"}, theirs | {name: "yours"})
    assert merged[name] == "mine"
    text = f"A merge replaced this {name}:\n\nyours"
    number = comment_id("x-1", "beadflow", EARLY, text)
    assert merged["comments"] == [comment(number, text) | {"author": "beadflow"}]


def test_a_text_is_kept_once_however_often_it_is_merged() -> None:
    ours, theirs = row(notes="mine", updated_at=LATE), row(notes="yours", updated_at=EARLY)
    merged = both_ways(row(), ours, theirs)
    assert both_ways(row(), merged, theirs) == merged
    assert both_ways(row(), merged, ours) == merged
    later = both_ways(row(), row(notes="yours", updated_at="2026-01-02T12:00:00Z"), ours)
    assert both_ways(row(), merged, later) == merged


def test_a_text_that_was_cleared_leaves_no_comment() -> None:
    ours, theirs = row(updated_at=LATE), row(notes="edited", updated_at=EARLY)
    merged = both_ways(row(notes="old"), ours, theirs)
    assert "notes" not in merged
    assert [c["text"] for c in merged["comments"]] == ["A merge replaced this notes:\n\nedited"]
    assert "comments" not in both_ways(row(notes="old"), theirs | {"updated_at": LATE}, row())


def test_a_title_that_loses_is_not_kept() -> None:
    merged = both_ways(row(), row(title="A", updated_at=LATE), row(title="B"))
    assert "comments" not in merged


def test_validations_of_both_sides_are_kept() -> None:
    one, two = {"validator": "a", "outcome": "accepted"}, {"validator": "b", "outcome": "rejected"}
    assert both_ways(row(), row(validations=[two]), row(validations=[one]))["validations"] == [
        one,
        two,
    ]


def test_a_revived_tombstone_lives() -> None:
    gone = row(status="tombstone", deleted_at=EARLY)
    assert both_ways(gone, row(updated_at=LATE), gone)["status"] == "open"


def test_a_label_is_an_edit_that_beats_a_deletion() -> None:
    tombstone = row(status="tombstone", deleted_at=LATE, updated_at=LATE)
    assert both_ways(row(), tombstone, row(labels=["a"]))["status"] == "open"
    assert both_ways(row(), None, row(labels=["a"]))["labels"] == ["a"]


def test_a_clock_turned_back_does_not_lose_a_field_on_a_second_merge() -> None:
    base, back, ahead = (
        row(updated_at=LATE, title="0"),
        row(updated_at=EARLY, title="old", notes="n"),
        row(updated_at=LATE, title="new"),
    )
    merged = both_ways(base, back, ahead)
    assert both_ways(base, back, merged) == merged
