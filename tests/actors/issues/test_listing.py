"""Filters, pages, counts, trees and circles."""

import random
from typing import Any

import pytest

from actors.errors import ValidationError
from actors.issues.questions import IssueFilter
from actors.issues.reading import counting, filters, listing, walks
from storage.issues.jsonl import Row
from tests.actors.issues.board import EARLIER, LATER, Board, drive, row

SOME = [
    row("x-1", priority=0, assignee="ada", labels=["a", "b"], created_by="bob"),
    row("x-2", "in_progress", issue_type="bug", labels=["b"], updated_at=LATER),
    row("x-3", "closed", priority=1, assignee="ada"),
    row("x-4", "tombstone"),
    row("x-5", "review", needs=["parent-child:x-1"], created_at="2026-01-01T00:00:00Z"),
]


def listed(*rows: Row, closed: bool = False, **wanted: Any) -> list[str]:
    board = Board(*(rows or SOME))
    asked = IssueFilter(**wanted)
    filters.check(asked, board.graph)
    under = board.graph.descendants(asked.parent) if asked.parent else None
    nodes = listing.candidates(board.graph, asked, closed=closed)
    fits = filters.accepts(asked, under=under)
    return list(drive(listing.page(nodes, fits, sort="id", limit=100)).ids)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["x-1", "x-2", "x-5"]),
        ({"closed": True}, ["x-1", "x-2", "x-3", "x-5"]),
        ({"status": ("closed",)}, ["x-3"]),
        ({"status": ("tombstone", "open")}, ["x-1", "x-4"]),
        ({"status": ("review",)}, ["x-5"]),
        ({"issue_type": ("bug", "epic")}, ["x-2"]),
        ({"priority": (0, 1), "closed": True}, ["x-1", "x-3"]),
        ({"assignee": "ada"}, ["x-1"]),
        ({"assignee": ""}, ["x-2", "x-5"]),
        ({"created_by": "bob"}, ["x-1"]),
        ({"labels": ("a", "b")}, ["x-1"]),
        ({"any_labels": ("a", "b")}, ["x-1", "x-2"]),
        ({"without_labels": ("a",)}, ["x-2", "x-5"]),
        ({"parent": "x-1"}, ["x-5"]),
        ({"updated_after": EARLIER}, ["x-2"]),
        ({"updated_before": LATER}, ["x-1", "x-5"]),
        ({"assignee": "ada", "labels": ("c",)}, []),
    ],
)
def test_each_field_of_a_filter_must_hold(wanted: dict[str, Any], found: list[str]) -> None:
    assert listed(**wanted) == found


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"status": ("opened",)}, "status"),
        ({"status": ("open,closed",)}, "status"),
        ({"issue_type": ("bugs",)}, "type"),
        ({"priority": (5,)}, "priority"),
        ({"updated_after": "yesterday"}, "updated_after"),
        ({"updated_before": "2026-13-01T00:00:00Z"}, "updated_before"),
        ({"updated_after": LATER, "updated_before": EARLIER}, "updated_after"),
    ],
)
def test_a_filter_that_nothing_could_fit_is_refused(wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        listed(**wanted)
    assert refused.value.field == field


def test_a_type_that_an_issue_has_is_known() -> None:
    assert listed(row("x-1", issue_type="own"), issue_type=("own",)) == ["x-1"]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("id", ["x-1", "x-2", "x-5"]),
        ("updated", ["x-2", "x-1", "x-5"]),
        ("created", ["x-1", "x-2", "x-5"]),
        ("priority", ["x-1", "x-5", "x-2"]),
    ],
)
def test_a_list_has_the_order_that_was_asked_for(sort: str, order: list[str]) -> None:
    nodes = listing.candidates(Board(*SOME).graph, IssueFilter(), closed=False)
    page = drive(listing.page(nodes, None, sort=sort, limit=9))
    assert list(page.ids) == order
    backwards = drive(listing.page(nodes, None, sort=sort, limit=9, reverse=True))
    assert list(backwards.ids) == order[::-1]


@pytest.mark.parametrize("sort", list(listing.SORTS))
@pytest.mark.parametrize("reverse", [False, True])
def test_the_pages_together_are_the_whole_list(sort: str, reverse: bool) -> None:
    chance = random.Random(4)
    rows = [
        row(
            f"x-{n}",
            priority=chance.randrange(5),
            created_at=f"2026-01-0{chance.randrange(1, 9)}T00:00:00Z",
            updated_at=f"2026-01-0{chance.randrange(1, 9)}T00:00:00Z",
        )
        for n in range(57)
    ]
    nodes = listing.candidates(Board(*rows).graph, IssueFilter(), closed=False)
    whole = drive(listing.page(nodes, None, sort=sort, reverse=reverse, limit=100))
    found, cursor, pages = list[str](), None, 0
    while pages == 0 or cursor is not None:
        page = drive(listing.page(nodes, None, sort=sort, reverse=reverse, limit=10, cursor=cursor))
        found += page.ids
        cursor, pages = page.next_cursor, pages + 1
        assert page.total == 57
    assert (tuple(found), pages, whole.next_cursor) == (whole.ids, 6, None)


@pytest.mark.parametrize("cursor", ["", "%", "AAAA", "W10", "bnVsbA", "WyJpZCIsZmFsc2UsM10"])
def test_a_cursor_that_is_none_of_the_lists_is_refused(cursor: str) -> None:
    with pytest.raises(ValidationError):
        drive(listing.page([], None, sort="updated", limit=1, cursor=cursor))


def test_a_cursor_of_another_order_is_refused() -> None:
    nodes = listing.candidates(Board(*SOME).graph, IssueFilter(), closed=False)
    cursor = drive(listing.page(nodes, None, sort="id", limit=1)).next_cursor
    assert cursor is not None
    for sort, reverse in (("updated", False), ("id", True)):
        with pytest.raises(ValidationError):
            drive(listing.page(nodes, None, sort=sort, reverse=reverse, limit=1, cursor=cursor))


def test_an_unknown_order_or_policy_is_refused() -> None:
    with pytest.raises(ValidationError, match="updated, created, priority, id"):
        drive(listing.page([], None, sort="size", limit=1))
    with pytest.raises(ValidationError, match="hybrid, priority, oldest"):
        Board().ready("best")


def test_ready_work_is_found_beyond_what_is_looked_at_in_one_step() -> None:
    rows = [row(f"x-{n}", labels=["last"] if n == 2999 else []) for n in range(3000)]
    board = Board(*rows)
    fits = filters.accepts(IssueFilter(labels=("last",)))
    steps = listing.offered(board.readiness, IssueFilter(), fits, policy="oldest", limit=1)
    assert [node.id for node in drive(steps)] == ["x-2999"]


def test_a_list_of_many_gives_way_in_between() -> None:
    board = Board(*(row(f"x-{n}") for n in range(5000)))
    nodes = listing.candidates(board.graph, IssueFilter(), closed=False)
    assert sum(1 for _ in listing.page(nodes, None, sort="updated", limit=10)) >= 4
    assert sum(1 for _ in counting.count(board.readiness)) >= 4


def test_the_waiting_are_listed_by_urgency() -> None:
    board = Board(
        row("x-a", "blocked", priority=3),
        row("x-b", priority=1, needs=["blocks:x-a"]),
        row("x-c", "closed", needs=["blocks:x-a"]),
        row("x-d", pinned=True, needs=["blocks:x-a"]),
    )
    nodes = drive(listing.waiting(board.readiness, IssueFilter(), None, limit=9))
    assert [node.id for node in nodes] == ["x-b", "x-a"]
    asked = IssueFilter(status=("blocked",))
    nodes = drive(listing.waiting(board.readiness, asked, None, limit=9))
    assert [node.id for node in nodes] == ["x-a"]


# --- counts ------------------------------------------------------------------------------------


def test_counts_leave_out_what_was_deleted_but_under_its_status() -> None:
    counts = drive(counting.count(Board(*SOME).readiness))
    assert counts.total == 4
    assert counts.by_status == {
        "closed": 1, "in_progress": 1, "open": 1, "review": 1, "tombstone": 1,
    }  # fmt: skip
    assert counts.by_type == {"bug": 1, "task": 3}
    assert counts.by_priority == {0: 1, 1: 1, 2: 2}
    assert (counts.ready, counts.blocked) == (0, 0)


def test_the_lead_time_is_the_mean_of_what_was_closed() -> None:
    hours = [("2026-02-01T02:00:00Z", 2), ("2026-02-01T04:00:00Z", 4)]
    rows = [row(f"x-{h}", "closed", closed_at=at) for at, h in hours]
    assert drive(counting.count(Board(*rows, row("x-o")).readiness)).lead_time_h == 3.0
    assert drive(counting.count(Board(row("x-o")).readiness)).lead_time_h is None


def test_an_epic_may_be_closed_when_it_has_children_and_all_are_closed() -> None:
    board = Board(
        row("x-a", issue_type="epic"),
        row("x-b", issue_type="epic"),
        row("x-b.1", "closed", ["parent-child:x-b"]),
        row("x-b.2", "tombstone", ["parent-child:x-b"]),
        row("x-c", issue_type="epic"),
        row("x-c.1", "closed", ["parent-child:x-c"]),
        row("x-c.2", needs=["parent-child:x-c"]),
        row("x-d", "closed", issue_type="epic"),
        row("x-d.1", "closed", ["parent-child:x-d"]),
    )
    assert drive(counting.count(board.readiness)).epics_to_close == 1


# --- trees and circles -------------------------------------------------------------------------


def shape(branch: walks.Branch) -> Any:
    below = [shape(child) for child in branch.below]
    return branch.id + ("*" if branch.seen else ""), *([below] if below else [])


DIAMOND = [
    row("x-1", needs=["blocks:x-2", "related:x-3"]),
    row("x-2", needs=["blocks:x-4"]),
    row("x-3", needs=["blocks:x-4", "blocks:x-gone"]),
    row("x-4", needs=["parent-child:x-5"]),
]


def test_a_tree_shows_what_is_below_each_issue_once() -> None:
    tree = drive(walks.tree(Board(*DIAMOND).graph, "x-1", up=False, depth=9))
    assert shape(tree) == (
        "x-1",
        [("x-2", [("x-4", [("x-5",)])]), ("x-3", [("x-4*",), ("x-gone",)])],
    )


def test_a_tree_upwards_shows_who_depends_on_it_and_its_children() -> None:
    tree = drive(walks.tree(Board(*DIAMOND).graph, "x-5", up=True, depth=9))
    assert shape(tree) == ("x-5", [("x-4", [("x-2", [("x-1",)]), ("x-3", [("x-1*",)])])])


def test_a_tree_has_no_more_levels_than_asked_for() -> None:
    tree = drive(walks.tree(Board(*DIAMOND).graph, "x-1", up=False, depth=1))
    assert shape(tree) == ("x-1", [("x-2",), ("x-3",)])


def test_a_tree_of_a_circle_ends() -> None:
    board = Board(row("x-1", needs=["blocks:x-2"]), row("x-2", needs=["blocks:x-1"]))
    tree = drive(walks.tree(board.graph, "x-1", up=False, depth=50))
    assert shape(tree) == ("x-1", [("x-2", [("x-1*",)])])


def circles(**edges: str) -> tuple[tuple[str, ...], ...]:
    needs = {name: [f"blocks:x-{target}" for target in targets] for name, targets in edges.items()}
    return drive(walks.circles(Board(*(row(f"x-{n}", needs=e) for n, e in needs.items())).graph))


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ({"a": "b", "b": "c", "c": "d", "d": ""}, ()),
        ({"a": "bc", "b": "d", "c": "d", "d": ""}, ()),
        ({"a": "a"}, (("x-a",),)),
        ({"c": "a", "a": "b", "b": "c"}, (("x-a", "x-b", "x-c"),)),
        ({"a": "b", "b": "a", "c": "d", "d": "c"}, (("x-a", "x-b"), ("x-c", "x-d"))),
        ({"a": "b", "b": "ac", "c": "b"}, (("x-a", "x-b"), ("x-b", "x-c"))),
    ],
)
def test_each_circle_is_found_once_its_smallest_id_first(
    edges: dict[str, str], found: tuple[tuple[str, ...], ...]
) -> None:
    assert circles(**edges) == found


def test_issues_that_relate_to_each_other_are_no_circle() -> None:
    board = Board(row("x-1", needs=["relates-to:x-2"]), row("x-2", needs=["relates-to:x-1"]))
    assert drive(walks.circles(board.graph)) == ()


def test_a_chain_of_thousands_is_walked() -> None:
    chain = [row(f"x-{n}", needs=[f"blocks:x-{n + 1}"]) for n in range(5000)]
    assert drive(walks.circles(Board(*chain).graph)) == ()
    closed = [*chain, row("x-5000", needs=["blocks:x-0"])]
    (circle,) = drive(walks.circles(Board(*closed).graph))
    assert len(circle) == 5001


def test_a_knot_in_which_all_depend_on_all_shows_some_of_its_circles() -> None:
    names = [f"x-{n}" for n in range(40)]
    rows = [row(name, needs=[f"blocks:{other}" for other in names]) for name in names]
    found = drive(walks.circles(Board(*rows).graph))
    assert 0 < len(found) <= walks.MAX_CIRCLES
