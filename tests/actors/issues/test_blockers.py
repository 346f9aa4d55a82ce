"""What keeps an issue from being closed, edge by edge."""

from typing import Any

import pytest

from actors.issues.writing import blockers
from storage.issues.jsonl import Row


def issue(issue_id: str, status: str | None = "open", *edges: tuple[str, str], **more: Any) -> Row:
    metadata = more.pop("metadata", "")
    made = [
        {"issue_id": issue_id, "depends_on_id": target, "type": kind, "metadata": metadata}
        for kind, target in edges
    ]
    return {"id": issue_id, "status": status, "dependencies": made, **more}


def blocking(row: Row, *others: Row, find: Any = None) -> list[str]:
    rows = {other["id"]: other for other in others}

    def children(parent: str) -> list[Row]:
        return [one for one in others if ("parent-child", parent) in edges(one)]

    return blockers.blocking(row, find or rows.get, children)


def edges(row: Row) -> list[tuple[str, str]]:
    return [(edge["type"], edge["depends_on_id"]) for edge in row["dependencies"]]


@pytest.mark.parametrize("kind", ["blocks", "conditional-blocks"])
@pytest.mark.parametrize(
    ("status", "holds"),
    [
        ("open", True),
        ("in_progress", True),
        ("blocked", True),
        ("deferred", True),
        ("hooked", True),
        (None, True),
        ("closed", False),
        ("tombstone", False),
        ("pinned", False),
        ("parked", False),
    ],
)
def test_an_open_blocker_holds_and_a_closed_deleted_or_strange_one_does_not(
    kind: str, status: str | None, holds: bool
) -> None:
    found = blocking(issue("a", "open", (kind, "b")), issue("b", status))
    assert bool(found) is holds
    assert not found or f"b ({kind}, " in found[0]


@pytest.mark.parametrize("kind", ["related", "discovered-from", "parent-child", "tracks", ""])
def test_other_edges_hold_nothing(kind: str) -> None:
    assert blocking(issue("a", "open", (kind, "b")), issue("b")) == []


def test_what_is_not_here_holds_nothing() -> None:
    row = issue("a", "open", ("blocks", "b"), ("blocks", "external:p:c"), ("waits-for", "b"))
    assert blocking(row) == []


def test_a_condition_that_succeeded_lets_the_issue_be_closed() -> None:
    succeeded = issue("b", "closed", close_reason="all done")
    assert blocking(issue("a", "open", ("conditional-blocks", "b")), succeeded) == []


@pytest.mark.parametrize(
    ("metadata", "children", "held"),
    [
        ("", [], []),
        ("", ["open"], ["c0"]),
        ("", ["closed", "parked"], ["c1"]),
        ("", ["closed", "tombstone"], []),
        ('{"gate":"any-children"}', [], ["b"]),
        ('{"gate":"any-children"}', ["open"], ["b"]),
        ('{"gate":"any-children"}', ["open", "closed"], []),
        ('{"spawner_id":"other"}', ["open"], []),
        ('{"spawner_id":7}', ["open"], ["c0"]),
        ("no json", ["open"], ["c0"]),
        ("[]", ["open"], ["c0"]),
    ],
)
def test_children_are_waited_for_all_or_any(
    metadata: str, children: list[str], held: list[str]
) -> None:
    row = issue("a", "open", ("waits-for", "b"), metadata=metadata)
    born = [issue(f"c{n}", status, ("parent-child", "b")) for n, status in enumerate(children)]
    found = blocking(row, issue("b"), issue("other"), *born)
    assert [text.partition(" ")[0] for text in found] == held


def test_children_of_what_was_deleted_are_not_waited_for() -> None:
    child = issue("c", "open", ("parent-child", "b"))
    row = issue("a", "open", ("waits-for", "b"))
    assert blocking(row, issue("b", "tombstone"), child) == []


def test_an_epic_waits_for_its_children_and_no_other_type_does() -> None:
    rows = [
        issue("c", "parked", ("parent-child", "a")),
        issue("d", "closed", ("parent-child", "a")),
    ]
    rows += [issue("e", "open", ("parent-child", "a"), pinned=True)]
    assert blocking(issue("a", issue_type="epic"), *rows) == ["c (open child)"]
    assert blocking(issue("a", issue_type="task"), *rows) == []


def test_a_note_is_pinned_by_its_flag_or_its_status() -> None:
    assert blockers.is_pinned(issue("a", pinned=True))
    assert blockers.is_pinned(issue("a", "pinned"))
    assert not blockers.is_pinned(issue("a"))
