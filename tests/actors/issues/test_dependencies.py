"""Edges: what one may be, and which would close a circle."""

from typing import Any

import pytest

from actors.errors import Conflict, NotFound, ValidationError
from actors.issues.verbs import DependencyCycle
from actors.issues.writing import dependencies
from storage.issues.jsonl import Row

AT = "2026-01-01T00:00:00Z"


def edge(issue_id: str = "a", target: str = "b", kind: str = "blocks", **more: str) -> Row:
    return dependencies.edge(issue_id=issue_id, target=target, kind=kind, at=AT, actor="me", **more)


def issue(issue_id: str, *targets: str, kind: str = "blocks", **more: Any) -> Row:
    edges = [edge(issue_id, target, kind) for target in targets]
    return {"id": issue_id, "status": "open", "issue_type": "task", "dependencies": edges, **more}


class Rows(dict[str, Row]):
    """Some issues, and how often the edges of each were asked for."""

    def __init__(self, *rows: Row) -> None:
        super().__init__({row["id"]: row for row in rows})
        self.asked: list[str] = []

    def follow(self, issue_id: str) -> list[Row]:
        self.asked.append(issue_id)
        return dependencies.edges_of(self.get(issue_id, {}))

    def add(self, made: Row) -> Row:
        row, target = self[made["issue_id"]], self.get(made["depends_on_id"])
        return dependencies.added(row, made, target, self.follow)


def test_an_edge_is_written_as_bd_writes_it() -> None:
    assert edge(metadata='{"gate":"any-children"}', kind="waits-for") == {
        "issue_id": "a",
        "depends_on_id": "b",
        "type": "waits-for",
        "created_at": AT,
        "created_by": "me",
        "metadata": '{"gate":"any-children"}',
    }
    bare = dependencies.edge(issue_id="a", target="b", kind="x" * 50, at=AT, actor="")
    assert bare.keys() == {"issue_id", "depends_on_id", "type", "created_at"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": ""}, "type"),
        ({"kind": " "}, "type"),
        ({"kind": "x" * 51}, "type"),
        ({"kind": "nul\0"}, "type"),
        ({"kind": 5}, "type"),
        ({"target": ""}, "depends_on_id"),
        ({"target": "half \ud83d"}, "depends_on_id"),
        ({"target": "a"}, "depends_on_id"),
        ({"target": "external:project"}, "depends_on_id"),
        ({"target": "external::capability"}, "depends_on_id"),
        ({"target": "external:p:c", "kind": "parent-child"}, "depends_on_id"),
        ({"metadata": "{"}, "metadata"),
        ({"metadata": "[" * 100_000}, "metadata"),
        ({"metadata": "\0"}, "metadata"),
        ({"metadata": '{"x": NaN}'}, "metadata"),
        ({"metadata": "[1e999]"}, "metadata"),
        ({"metadata": '"\\ud83d"'}, "metadata"),
        ({"metadata": '{"gate":"some"}', "kind": "waits-for"}, "metadata"),
        ({"metadata": "[]", "kind": "waits-for"}, "metadata"),
    ],
)
def test_what_is_no_edge_is_refused_with_its_field(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        edge(**wrong)
    assert refusal.value.field == field


def test_both_ends_exist_and_live_unless_the_other_is_elsewhere() -> None:
    rows = Rows(issue("a"), issue("gone", status="tombstone"), issue("old", status="deleted"))
    assert rows.add(edge(target="external:p:c"))["dependencies"]
    with pytest.raises(NotFound, match="b"):
        rows.add(edge())
    for deleted in ("gone", "old"):
        with pytest.raises(Conflict, match="deleted"):
            rows.add(edge(target=deleted))


def test_between_two_issues_there_is_one_edge() -> None:
    rows = Rows(issue("a", "b"), issue("b"))
    assert rows.add(edge()) is rows["a"]
    with pytest.raises(Conflict, match="by blocks"):
        rows.add(edge(kind="related"))


def test_an_issue_has_one_parent() -> None:
    rows = Rows(issue("a", "b", kind="parent-child"), issue("b"), issue("c"))
    with pytest.raises(Conflict, match="b"):
        rows.add(edge(target="c", kind="parent-child"))
    assert dependencies.parents(rows["a"]) == ["b"]


def test_an_epic_is_the_child_of_an_epic_only() -> None:
    rows = Rows(issue("a", issue_type="epic"), issue("b"), issue("c", issue_type="epic"))
    with pytest.raises(Conflict, match="epic"):
        rows.add(edge(kind="parent-child"))
    rows.add(edge(target="c", kind="parent-child"))
    rows.add(edge("b", "c", "parent-child"))


@pytest.mark.parametrize("last", ["blocks", "parent-child", "waits-for", "related", "own"])
def test_a_circle_is_refused_whatever_its_edges_are(last: str) -> None:
    rows = Rows(issue("a", "b", kind="discovered-from"), issue("b", "c"), issue("c"))
    with pytest.raises(DependencyCycle) as refusal:
        rows.add(edge("c", "a", last))
    assert f"c -{last}-> a -discovered-from-> b -blocks-> c" in str(refusal.value)


def test_relates_to_leads_anywhere() -> None:
    rows = Rows(issue("a", "b"), issue("b"))
    assert rows.add(edge("b", "a", "relates-to"))["dependencies"]


def test_a_circle_shown_is_a_shortest_one() -> None:
    rows = Rows(issue("a", "b", "d"), issue("b", "c"), issue("c", "d"), issue("d"))
    with pytest.raises(DependencyCycle, match=r"d -blocks-> a -blocks-> d$"):
        rows.add(edge("d", "a"))


def test_circles_that_are_there_already_and_missing_ends_are_no_trouble() -> None:
    rows = Rows(issue("a"), issue("b", "c", "nowhere"), issue("c", "b"))
    assert rows.add(edge())["dependencies"]


def test_an_edge_filed_under_another_issue_is_followed_from_where_it_stands() -> None:
    strange = {"id": "b", "status": "open", "dependencies": [edge("elsewhere", "a")]}
    rows = Rows(issue("a"), strange)
    with pytest.raises(DependencyCycle, match=r"a -blocks-> b -blocks-> a$"):
        rows.add(edge())


def test_diamonds_on_diamonds_are_walked_once() -> None:
    """2 to the power of 2,000 ways lead to the end."""
    rows = Rows(issue("a"), issue("l2000"), issue("r2000"))
    for n in range(2000):
        for side in "lr":
            rows[f"{side}{n}"] = issue(f"{side}{n}", f"l{n + 1}", f"r{n + 1}")
    rows.add(edge("a", "l0"))
    assert len(rows.asked) == len(set(rows.asked)) == 4001


def test_a_very_long_way_back_is_found_and_shown() -> None:
    rows = Rows(*(issue(f"n{n}", f"n{n + 1}") for n in range(5000)), issue("n5000"))
    with pytest.raises(DependencyCycle) as refusal:
        rows.add(edge("n5000", "n0"))
    shown = str(refusal.value)
    assert "n5000 -blocks-> n0 -blocks-> n1" in shown
    assert "-blocks-> n19 … 4961 more … -blocks-> n4981" in shown
    assert shown.endswith("-blocks-> n4999 -blocks-> n5000")


def test_an_edge_is_removed_by_its_target() -> None:
    row = issue("a", "b", "c")
    assert dependencies.removed(row, "b")["dependencies"] == [edge(target="c")]
    assert "dependencies" not in dependencies.removed(issue("a", "b"), "b")
    with pytest.raises(NotFound):
        dependencies.removed(row, "d")
    assert len(row["dependencies"]) == 2
