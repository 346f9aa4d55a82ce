"""Merging whole files: every issue of both sides, and nothing lost that could not be read."""

import pytest

from actors.issues.merging.decisions import Decision
from actors.issues.merging.files import NotIssuesError, merge_files
from storage.issues import jsonl
from tests.actors.issues.test_collisions import data, issue, titles
from tests.actors.issues.test_merge_laws import EXCERPT

A, B = issue("x-a", "A"), issue("x-b", "B")
LATER = "2026-01-02T00:00:00Z"


def test_the_real_file_merged_with_itself_is_itself() -> None:
    real = (EXCERPT / "tracker-300.jsonl").read_bytes()
    assert merge_files(real, real, real).data == real
    assert merge_files(b"", real, b"").data == real


def test_edits_of_the_real_file_on_both_sides_are_both_there() -> None:
    real = (EXCERPT / "tracker-300.jsonl").read_bytes()
    rows = [jsonl.parse(line) for line in real.splitlines()]
    ours = [row | {"notes": "ours"} if n % 7 == 0 else row for n, row in enumerate(rows)]
    theirs = [row | {"owner": "theirs"} if n % 5 == 0 else row for n, row in enumerate(rows)]
    merged = merge_files(real, data(*ours), data(*theirs))
    assert merged.data == merge_files(real, data(*theirs), data(*ours)).data
    both = zip(ours, theirs, strict=True)
    assert merged.data == data(*(mine | {"owner": yours.get("owner")} for mine, yours in both))


def test_the_result_is_sorted_by_the_bytes_of_the_ids() -> None:
    found = [issue(name, "T") for name in ("x-a.2", "x-é", "x-a.10", "x-Z")]
    merged = merge_files(b"", data(*found[:2]), data(*found[2:]))
    assert list(titles(merged.data)) == ["x-Z", "x-a.10", "x-a.2", "x-é"]


def test_a_line_that_is_no_issue_is_handed_back_once_and_named() -> None:
    damaged = b'{"id":"x-b","title\n'
    merged = merge_files(data(A), data(A) + damaged, data(A) + damaged + b"[1]\n")
    assert merged.data == data(A)
    assert merged.kept_aside == (damaged.strip(), b"[1]")
    told = {side: [line.line for line in lines] for side, lines in merged.unreadable.items()}
    assert told == {"ours": [2], "theirs": [2, 3]}


def test_a_side_with_a_damaged_line_removes_nothing() -> None:
    merged = merge_files(data(A, B), data(A) + b'{"id":"x-b","ti\n', data(A, B))
    assert titles(merged.data) == {"x-a": "A", "x-b": "B"}
    assert titles(merge_files(data(A, B), data(A), data(A, B)).data) == {"x-a": "A"}


def test_an_empty_side_removes_nothing() -> None:
    assert merge_files(data(A, B), b"", data(A, B)).data == data(A, B)


def test_a_side_without_any_issue_is_refused() -> None:
    with pytest.raises(NotIssuesError, match="no line of theirs is an issue: line 1"):
        merge_files(data(A), data(A), b"%PDF-1.7\n\x00\n")


def test_conflict_markers_in_a_side_are_resolved() -> None:
    mine, yours = A | {"notes": "mine"}, A | {"owner": "bob"}
    marked = b"<<<<<<< HEAD\n" + data(mine) + b"=======\n" + data(yours) + b">>>>>>> them\n"
    merged = merge_files(data(A), marked, data(A))
    assert merged.data == data(mine | yours)
    assert merged.conflict_markers == 3


def test_issues_with_one_title_are_two_issues() -> None:
    twin = A | {"id": "x-c"}
    merged = merge_files(data(A), data(A), data(A, twin))
    assert titles(merged.data) == {"x-a": "A", "x-c": "A"}


def test_lines_of_any_length_are_merged() -> None:
    long = A | {"description": "x" * 200_000}
    merged = merge_files(data(A), data(long), data(A | {"owner": "bob"}))
    assert merged.data == data(long | {"owner": "bob"})


def decided(base: bytes, ours: bytes, theirs: bytes) -> dict[tuple[str, str], Decision]:
    told = merge_files(base, ours, theirs, explain=True).decisions
    return {(one.issue_id, one.field): one for one in told}


def test_each_decision_is_told_with_its_reason() -> None:
    ours = A | {"title": "O", "owner": "o", "labels": ["o"], "design": "O", "updated_at": LATER}
    theirs = A | {"title": "T", "priority": 0, "labels": ["t"], "design": "T"}
    told = decided(data(A | {"priority": 2}), data(ours | {"priority": 2}), data(theirs))
    assert told["x-a", "title"] == Decision(
        "x-a", "title", "A", "O", "T", "O", "both changed it: ours was written later"
    )
    assert {field: one.why for (_, field), one in told.items() if field != "title"} == {
        "owner": "only ours changed it",
        "priority": "only theirs changed it",
        "labels": "both changed it: what either added, without what either removed",
        "design": "both changed it: ours was written later",
        "updated_at": "only ours changed it",
        "comments": "the texts that lost are kept as comments",
    }


def test_decisions_about_whole_issues_are_told() -> None:
    gone, edited, new = issue("x-g", "G"), issue("x-e", "E"), issue("x-n", "N")
    told = decided(data(A, gone, edited), data(A, gone, edited | {"notes": "n"}), data(A, new))
    assert {issue_id: one.why for (issue_id, _), one in told.items()} == {
        "x-g": "removed by theirs, untouched by ours",
        "x-e": "removed by theirs, edited by ours: an edit beats a deletion",
        "x-n": "added by theirs",
    }


def test_an_edit_that_outlives_a_tombstone_is_told() -> None:
    tombstone = A | {"status": "tombstone", "deleted_at": LATER, "updated_at": LATER}
    told = decided(data(A), data(tombstone), data(A | {"notes": "n"}))
    assert told["x-a", "status"].chosen is None
    assert (
        told["x-a", "status"].why == "deleted by ours, edited by theirs: an edit beats a deletion"
    )


def test_a_renamed_issue_is_told() -> None:
    later = issue("x-a", "Other", 5)
    told = decided(b"", data(later), data(A))
    assert told["x-a", "id"].theirs == "x-a"
    assert told["x-a", "id"].ours == told["x-a", "id"].chosen
    assert "another issue made earlier has it" in told["x-a", "id"].why


def test_what_is_told_of_the_real_merges_is_what_was_chosen() -> None:
    real = (EXCERPT / "tracker-300.jsonl").read_bytes()
    rows = [jsonl.parse(line) for line in real.splitlines()]
    theirs = data(*(row | {"status": "closed", "closed_at": LATER} for row in rows))
    merged = merge_files(real, real, theirs, explain=True)
    chosen = {row["id"]: row for row in map(jsonl.parse, merged.data.splitlines())}
    assert len(merged.decisions) >= 300
    for one in merged.decisions:
        assert chosen[one.issue_id].get(one.field) == one.chosen
