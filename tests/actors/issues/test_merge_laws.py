"""What holds for every merge: real ones, and any that can be thought of.

The number of thought-up merges is HYPOTHESIS_PROFILE's: over 10,000 by default, 30 times as many
with `soak`.
"""

import json
import os
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.issues.merging.merge import merge
from storage.issues import jsonl
from storage.issues.fields import ISSUE
from storage.issues.jsonl import Row
from tests.actors.issues.lineage import History
from tests.actors.issues.lost import lost
from tests.actors.issues.test_merge import EARLY, LATE, comment, edge

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

EXCERPT = Path(__file__).parent / "data"
DATA = Path(__file__).parents[4] / "shared" / "data" / "beads"
FACTOR = 30 if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else 1

Family = tuple[Row | None, Row | None, Row | None, Row | None]
"""A base and what three clones made of it."""


def triples(file: Path) -> Iterator[tuple[Row | None, Row | None, Row | None]]:
    for line in file.read_text(encoding="utf-8").splitlines():
        triple = json.loads(line)
        yield triple["base"], triple["left"], triple["right"]


def whole(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"the real data is not at {DATA}")
    return DATA / name


def encoded(row: Row | None) -> bytes | None:
    return None if row is None else jsonl.encode(row)


def check(base: Row | None, ours: Row | None, theirs: Row | None) -> None:
    merged = merge(base, ours, theirs)
    assert encoded(merge(base, ours, theirs)) == encoded(merged)
    assert encoded(merge(base, theirs, ours)) == encoded(merged)
    assert encoded(merge(base, merged, merged)) == encoded(merged)
    assert lost(base, ours, theirs, merged) == []


def test_the_laws_hold_for_the_real_merges_of_the_excerpt() -> None:
    for base, ours, theirs in triples(EXCERPT / "triples-60.jsonl"):
        check(base, ours, theirs)


def test_the_laws_hold_for_every_real_merge() -> None:
    found = list(triples(whole("merge-triples.jsonl")))
    for base, ours, theirs in found:
        check(base, ours, theirs)
    assert len(found) == 600


@pytest.mark.parametrize("whole_file", [False, True])
def test_a_merged_real_row_merges_with_either_side_to_itself(*, whole_file: bool) -> None:
    file = whole("merge-triples.jsonl") if whole_file else EXCERPT / "triples-60.jsonl"
    for base, ours, theirs in triples(file):
        merged = merge(base, ours, theirs)
        assert encoded(merge(base, merged, theirs)) == encoded(merged)
        assert encoded(merge(base, ours, merged)) == encoded(merged)


def test_every_row_of_the_excerpt_is_written_as_it_was_read() -> None:
    lines = (EXCERPT / "tracker-300.jsonl").read_bytes().splitlines()
    assert [jsonl.encode(jsonl.parse(line)) for line in lines] == lines
    assert len(lines) == 300


def test_the_excerpt_has_every_key_of_the_whole_file() -> None:
    def keys(file: Path) -> set[str]:
        return {key for line in file.read_text("utf-8").splitlines() for key in json.loads(line)}

    assert keys(EXCERPT / "tracker-300.jsonl") == keys(whole("tracker-5722.jsonl"))


TIMES = st.sampled_from([EARLY, LATE, "2026-01-02T16:00:00-08:00", "2026-01-02T12:00:00.25Z"])
WORDS = st.sampled_from(["a", "b", "c"])
RECORDS = st.lists(st.fixed_dictionaries({"validator": WORDS}), max_size=2)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "owner": WORDS,
    "status": st.sampled_from(["open", "closed", "tombstone", "in_progress"]),
    "closed_at": TIMES,
    "priority": st.integers(0, 4),
    "description": WORDS | st.just(""),
    "notes": WORDS | st.just(""),
    "assignee": WORDS,
    "pinned": st.booleans(),
    "defer_until": TIMES | st.none(),
    "estimated_minutes": st.integers(0, 1),
    "metadata": st.dictionaries(WORDS, st.integers(0, 2), max_size=2) | st.just([1]),
    "compaction_level": st.integers(0, 2),
    "labels": st.lists(WORDS, max_size=3),
    "waiters": st.lists(WORDS, max_size=2),
    "validations": RECORDS,
    "dependencies": st.lists(st.builds(edge, WORDS, WORDS, TIMES), max_size=3),
    "comments": st.lists(st.builds(comment, st.integers(1, 3), WORDS, TIMES), max_size=3),
    "legacy": st.none() | st.integers(0, 2) | st.dictionaries(WORDS, st.just(1), max_size=2),
    "other": WORDS,
}
ROWS = st.fixed_dictionaries(
    {"id": st.just("x-1"), "title": WORDS, "created_at": st.just(EARLY), "updated_at": TIMES},
    optional=VALUES,
)


@st.composite
def families(draw: st.DrawFn) -> Family:
    """Draw a base that three clones edited a little, removed, or found in none of the others."""
    base = draw(ROWS)
    clones = [_edited(draw, base) for _ in range(3)]
    return (base if draw(st.integers(0, 9)) else None, *clones)  # type: ignore[return-value]


def _edited(draw: st.DrawFn, base: Row) -> Row | None:
    if not draw(st.integers(0, 9)):
        return None
    edits = draw(st.fixed_dictionaries({"updated_at": TIMES}, optional=VALUES))
    cleared = draw(st.sets(st.sampled_from(sorted(VALUES)), max_size=2))
    kept = {name: value for name, value in base.items() if name not in cleared}
    touched = draw(st.sets(st.sampled_from(sorted(edits)), max_size=5))
    return kept | {name: edits[name] for name in touched}


@settings(max_examples=500 * FACTOR, deadline=None)
@given(families())
def test_the_laws_hold_for_any_rows(family: Family) -> None:
    base, *clones = family
    for ours, theirs in permutations(clones, 2):
        check(base, ours, theirs)
        merged = merge(base, ours, theirs)
        assert encoded(merge(base, merged, theirs)) == encoded(merged)


@settings(max_examples=150 * FACTOR, deadline=None)
@given(families())
def test_three_clones_that_tell_one_time_merge_to_the_same_in_any_order(family: Family) -> None:
    """All but the numbers of comments, which only settle when the clones meet once more."""
    base, *clones = (row and row | {"updated_at": EARLY} for row in family)
    orders = [merge(base, merge(base, a, b), c) for a, b, c in permutations(clones)]
    assert len({encoded(_without_numbers(row)) for row in orders}) == 1


def _without_numbers(row: Row | None) -> Row | None:
    if row is None or "comments" not in row:
        return row
    return row | {"comments": [comment | {"id": 0} for comment in row["comments"]]}


SETS = ("labels", "waiters", "validations")


@settings(max_examples=150 * FACTOR, deadline=None)
@given(families())
def test_what_is_in_a_set_does_not_depend_on_the_order(family: Family) -> None:
    base, *clones = family
    orders = [merge(base, merge(base, a, b), c) for a, b, c in permutations(clones)]
    assert len({_content(row) for row in orders}) == 1


def _content(row: Row | None) -> str:
    """Return what is in the sets of words and records; and of comments, what was not lost text."""
    if row is None:
        return "no issue"
    said = [c for c in row.get("comments", ()) if c["author"] != "beadflow"]
    texts = sorted({(c["created_at"], c["text"]) for c in said})
    targets = sorted({e["depends_on_id"] for e in row.get("dependencies", ())})
    return json.dumps(
        [[sorted(map(json.dumps, row.get(name, ()))) for name in SETS], texts, targets]
    )


@settings(max_examples=250 * FACTOR, deadline=None)
@given(families(), st.lists(st.booleans(), min_size=6, max_size=6))
def test_three_clones_that_merge_each_other_at_once_converge(
    family: Family, turned: list[bool]
) -> None:
    """All merge the other two at once, each in its own order: twice, and all have the same."""
    base, *clones = family
    history: History[Row | None] = History(merge, None)
    root = history.commit(base)
    heads = [history.commit(row, root) for row in clones]
    for around in range(2):
        heads = _merged_at_once(history, heads, turned[3 * around :])
    assert len({encoded(history.read(head)) for head in heads}) == 1


def _merged_at_once(
    history: History[Row | None], heads: Sequence[str], turned: Sequence[bool]
) -> list[str]:
    after = []
    for me, head in enumerate(heads):
        others = [heads[me - 1], heads[me - 2]]
        for other in reversed(others) if turned[me] else others:
            head = history.forced(head, other)  # noqa: PLW2901 - one commit upon the other
        after.append(head)
    return after


def test_a_base_of_two_bases_does_not_bring_back_what_one_of_them_removed() -> None:
    history: History[Row | None] = History(merge, None)
    row: Row = {"id": "x-1", "title": "T", "created_at": EARLY, "updated_at": EARLY}
    root = history.commit(row | {"labels": ["old"]})
    one = history.commit(row, root)
    two = history.commit(row | {"labels": ["old", "new"]}, root)
    left, right = history.forced(one, two), history.forced(two, one)
    again = history.commit(row | {"labels": ["new", "old"]}, left)
    assert history.merge_bases(again, [right]) == {one, two}
    merged = history.read(history.merged(again, right))
    assert merged is not None
    assert merged["labels"] == ["new", "old"]


def test_the_made_up_rows_have_fields_of_the_format_and_two_that_are_not() -> None:
    assert set(VALUES) - set(ISSUE) == {"legacy", "other"}
