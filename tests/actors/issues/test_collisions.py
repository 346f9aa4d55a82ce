"""Two issues with one id: one keeps it, the other is called the same by every clone."""

from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.issues.merging.collisions import new_ids, settle_collisions
from actors.issues.merging.files import merge_files
from storage.issues import jsonl
from storage.issues.jsonl import Row

Rows = dict[str, Row]


def issue(issue_id: str, title: str, minute: int = 0, by: str = "ada", **more: Any) -> Row:
    at = f"2026-01-01T00:{minute:02}:00Z"
    return {
        "id": issue_id,
        "title": title,
        "created_at": at,
        "created_by": by,
        "updated_at": at,
        **more,
    }


def rows(*found: Row) -> Rows:
    return {row["id"]: row for row in found}


def data(*found: Row) -> bytes:
    return b"".join(jsonl.encode(row) + b"\n" for row in found)


def titles(merged: bytes) -> dict[str, str]:
    parsed = map(jsonl.parse, merged.splitlines())
    return {row["id"]: row["title"] for row in parsed}


def edge(source: str, target: str) -> Row:
    at = "2026-01-01T00:00:00Z"
    return {"issue_id": source, "depends_on_id": target, "type": "blocks", "created_at": at}


EPIC = issue("x-1", "Epic")
FIRST, SECOND = issue("x-1.1", "First", 1), issue("x-1.1", "Second", 2)
NEW = next(new_ids(SECOND))


def test_the_issue_created_first_keeps_the_id_on_whichever_side_it_is() -> None:
    for ours, theirs, side in ((FIRST, SECOND, "theirs"), (SECOND, FIRST, "ours")):
        settled = settle_collisions({}, rows(ours), rows(theirs))
        assert [(one.side, one.old, one.new) for one in settled.renamed] == [(side, "x-1.1", NEW)]
        assert {**settled.ours, **settled.theirs}["x-1.1"]["title"] == "First"


def test_a_renamed_child_stays_a_child_with_a_number_from_1000_on() -> None:
    parent, _, number = NEW.rpartition(".")
    assert parent == "x-1"
    assert 1000 <= int(number) < 10_000


def test_a_renamed_top_level_issue_gets_another_hash() -> None:
    one, two = issue("x-a1b", "A", 1), issue("x-a1b", "B", 2)
    settled = settle_collisions({}, rows(one), rows(two))
    (new,) = settled.theirs
    assert new.startswith("x-")
    assert len(new) == len("x-a1b")
    assert new != "x-a1b"


def test_people_who_create_at_one_instant_are_told_apart() -> None:
    settled = settle_collisions({}, rows(issue("x-1", "A", by="bob")), rows(issue("x-1", "B")))
    assert [one.side for one in settled.renamed] == ["ours"]


def test_the_same_creation_is_the_same_issue_whatever_else_differs() -> None:
    west = FIRST | {"created_at": "2025-12-31T16:01:00.000-08:00", "title": "Renamed"}
    assert not settle_collisions({}, rows(FIRST), rows(west)).renamed


def test_references_of_its_side_follow_a_renamed_issue() -> None:
    theirs = rows(
        EPIC | {"dependencies": [edge("x-1", "x-1.1")]},
        SECOND | {"comments": [{"id": 1, "issue_id": "x-1.1", "text": "see x-1.1"}]},
        issue("x-1.1.1", "Below", 3, dependencies=[edge("x-1.1.1", "x-1.1")]),
        issue("x-1.10", "Another", 3),
    )
    settled = settle_collisions({}, rows(EPIC, FIRST), theirs)
    assert set(settled.theirs) == {"x-1", NEW, f"{NEW}.1", "x-1.10"}
    assert settled.theirs["x-1"]["dependencies"] == [edge("x-1", NEW)]
    assert settled.theirs[f"{NEW}.1"]["dependencies"] == [edge(f"{NEW}.1", NEW)]
    assert settled.theirs[NEW]["comments"] == [{"id": 1, "issue_id": NEW, "text": "see x-1.1"}]
    assert settled.ours == rows(EPIC, FIRST)


def test_an_id_that_another_issue_has_already_is_passed_over() -> None:
    other = issue(NEW, "In the way", 5)
    settled = settle_collisions({}, rows(FIRST, other), rows(SECOND))
    (new,) = settled.theirs
    assert int(new.rpartition(".")[2]) == int(NEW.rpartition(".")[2]) + 1


def test_a_clone_that_edits_its_issue_after_another_renamed_it_keeps_the_edit() -> None:
    base = data(EPIC, SECOND)
    met = merge_files(data(EPIC), base, data(EPIC, FIRST)).data
    edited = SECOND | {"title": "Edited", "updated_at": "2026-01-01T01:00:00Z"}
    waiting = issue("x-2", "Waits for the second", 9, dependencies=[edge("x-2", "x-1.1")])
    for merged in (
        merge_files(base, data(EPIC, edited, waiting), met).data,
        merge_files(base, met, data(EPIC, edited, waiting)).data,
    ):
        expected = {"x-1": "Epic", "x-1.1": "First", NEW: "Edited"}
        assert titles(merged) == expected | {"x-2": "Waits for the second"}
        assert edge("x-2", NEW) in jsonl.parse(merged.splitlines()[-1])["dependencies"]


def test_a_creation_time_that_a_program_wrote_anew_makes_no_second_issue() -> None:
    anew = FIRST | {"created_at": "2026-01-01T05:00:00Z", "status": "closed"}
    settled = settle_collisions(rows(FIRST), rows(FIRST | {"notes": "n"}), rows(anew))
    assert not settled.renamed


def test_an_id_given_again_after_its_issue_was_removed_is_another_issue() -> None:
    settled = settle_collisions(rows(FIRST), rows(FIRST | {"notes": "n"}), rows(SECOND))
    assert [one.side for one in settled.renamed] == ["theirs"]


def test_a_tombstone_without_title_and_time_is_that_of_the_issue() -> None:
    gone = issue("x-1.1", "(deleted)", 30, status="tombstone")
    settled = settle_collisions(rows(FIRST), rows(FIRST | {"notes": "n"}), rows(gone))
    assert not settled.renamed


def test_two_issues_of_one_id_in_one_file_are_both_there() -> None:
    union = data(EPIC, FIRST, SECOND)
    merged = merge_files(data(EPIC), union, data(EPIC))
    assert titles(merged.data) == {"x-1": "Epic", "x-1.1": "First", NEW: "Second"}
    assert merge_files(data(EPIC), data(EPIC), data(EPIC, SECOND, FIRST)).data == merged.data


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["x-1.1", "x-1.2", "x-1.1.1"]), st.integers(0, 9)), max_size=12
    )
)
def test_three_clones_call_every_issue_the_same_in_any_order(
    made: list[tuple[str, int]],
) -> None:
    clones: list[Rows] = [{"x-1": EPIC} for _ in range(3)]
    for number, (issue_id, minute) in enumerate(made):
        clone = clones[number % 3]
        if issue_id.rpartition(".")[0] not in clone:
            continue
        clone[issue_id] = issue(issue_id, f"{number}", minute, by="abc"[number % 3])
    base, *sides = (data(*rows(EPIC).values()), *(data(*clone.values()) for clone in clones))
    found = {
        merge_files(base, merge_files(base, a, b).data, c).data for a, b, c in permutations(sides)
    }
    assert len(found) == 1
    assert found.pop().count(b"\n") == 1 + sum(len(clone) - 1 for clone in clones)
