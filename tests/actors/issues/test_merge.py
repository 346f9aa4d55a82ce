"""Merging: the same from both sides, the same twice, and nothing lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.issues.merge import merge
from storage.issues import instants, jsonl
from storage.issues.jsonl import Row

DATA = Path(__file__).parents[4] / "shared" / "data" / "beads"
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
    assert [(c["id"], c["text"]) for c in merged["comments"]] == [(1, "ours"), (2, "theirs")]


def test_the_same_comment_with_two_numbers_is_one_comment() -> None:
    merged = both_ways(
        row(),
        row(comments=[comment(7, "both"), comment(8, "ours", LATE)]),
        row(comments=[comment(3, "both")], title="B"),
    )
    assert [c["text"] for c in merged["comments"]] == ["both", "ours"]


def test_comments_that_were_only_numbered_anew_are_not_changed() -> None:
    base = row(comments=[comment(1, "a")])
    renumbered, added = [comment(9, "a")], [comment(1, "a"), comment(2, "b")]
    merged = both_ways(base, row(comments=renumbered), row(comments=added, title="B"))
    assert merged["comments"] == added
    merged = both_ways(base, row(comments=renumbered), row(comments=[comment(5, "a")], title="B"))
    assert merged["comments"] == renumbered


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


def test_a_clock_turned_back_does_not_lose_a_field_on_a_second_merge() -> None:
    base, back, ahead = (
        row(updated_at=LATE, title="0"),
        row(updated_at=EARLY, title="old", notes="n"),
        row(updated_at=LATE, title="new"),
    )
    merged = both_ways(base, back, ahead)
    assert both_ways(base, back, merged) == merged


def content(merged: Row | None) -> Any:
    """Return what a row says: any merge may number comments anew and put a list in order."""
    if merged is None:
        return None
    said_by = jsonl.shape(merged)
    for name in ("labels", "waiters", "dependencies"):
        said_by[name] = sorted(said_by.get(name, ()), key=json.dumps)
    said_by["comments"] = {said(part) for part in said_by.get("comments", ())}
    return said_by


def check_properties(base: Row | None, ours: Row | None, theirs: Row | None) -> None:
    merged = merge(base, ours, theirs)
    assert_same(merged, merge(base, theirs, ours))
    for again in (
        merge(base, merged, merged),
        merge(base, merged, theirs),
        merge(base, ours, merged),
    ):
        assert content(again) == content(merged)
    if ours is not None and theirs is not None:
        assert merged is not None
        assert_nothing_lost(base or {}, ours, theirs, merged)


def assert_same(one: Row | None, other: Row | None) -> None:
    assert (one and jsonl.encode(one)) == (other and jsonl.encode(other))


STATE = {"status", "closed_at", "close_reason", "closed_by_session", "deleted_at", "deleted_by"}
STATE |= {"delete_reason", "original_type"}
BLOCKS = STATE | {"compaction_level", "compacted_at", "compacted_at_commit", "original_size"}


SETS = {"labels", "waiters", "dependencies", "comments", "metadata"}


def assert_nothing_lost(base: Row, ours: Row, theirs: Row, merged: Row) -> None:
    base, ours, theirs = map(jsonl.shape, (base, ours, theirs))
    for name in (ours.keys() | theirs.keys()) - BLOCKS - SETS:
        removed = name in base and (name not in ours or name not in theirs)
        assert name in merged or removed, name
    for name, key in (("labels", str), ("comments", said), ("dependencies", target)):
        was, mine, yours = ({key(x) for x in side.get(name, ())} for side in (base, ours, theirs))
        added = (mine | yours) - was
        assert added <= {key(x) for x in merged.get(name, ())}, name


def said(part: Row) -> tuple[int, str, str]:
    return instants.to_ns(part["created_at"]), part["author"], part["text"]


def target(part: Row) -> str:
    return str(part["depends_on_id"])


def test_the_properties_hold_for_every_real_merge() -> None:
    file = DATA / "merge-triples.jsonl"
    if not file.exists():
        pytest.skip(f"the real data is not at {file}")
    for line in file.read_text(encoding="utf-8").splitlines():
        triple = json.loads(line)
        check_properties(triple["base"], triple["left"], triple["right"])


TIMES = st.sampled_from([EARLY, LATE, "2026-01-02T16:00:00-08:00", "2026-01-02T12:00:00.25Z"])
WORDS = st.sampled_from(["a", "b", "c"])
ROWS = st.fixed_dictionaries(
    {"id": st.just("x-1"), "title": WORDS, "created_at": st.just(EARLY), "updated_at": TIMES},
    optional={
        "status": st.sampled_from(["open", "closed", "tombstone", "in_progress"]),
        "closed_at": TIMES,
        "priority": st.integers(0, 4),
        "notes": WORDS | st.just(""),
        "pinned": st.booleans(),
        "defer_until": TIMES | st.none(),
        "metadata": st.dictionaries(WORDS, st.integers(0, 2), max_size=2) | st.just([1]),
        "labels": st.lists(WORDS, max_size=3),
        "waiters": st.lists(WORDS, max_size=2),
        "dependencies": st.lists(st.builds(edge, WORDS, WORDS, TIMES), max_size=3),
        "comments": st.lists(st.builds(comment, st.integers(1, 3), WORDS, TIMES), max_size=3),
        "legacy": st.none() | st.integers(0, 2) | st.dictionaries(WORDS, st.just(1), max_size=2),
        "other": WORDS,
    },
)


@settings(max_examples=150, deadline=None)
@given(base=st.none() | ROWS, ours=st.none() | ROWS, theirs=st.none() | ROWS)
def test_the_properties_hold_for_any_three_rows(
    base: Row | None, ours: Row | None, theirs: Row | None
) -> None:
    check_properties(base, ours, theirs)
