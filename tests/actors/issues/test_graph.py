"""The index of all issues: records, edges both ways, children, and ids by their beginning."""

import random

import pytest

from actors.errors import NotFound
from actors.issues.reading.graph import Graph, Link, node_of, to_us
from actors.issues.reading.names import Names
from actors.issues.verbs import AmbiguousId
from storage.issues import instants
from tests.actors.issues.board import row


def graph(*rows: dict[str, object]) -> Graph:
    made = Graph()
    for record in rows:
        made.put(node_of(record))
    return made


def test_a_row_that_lacks_nearly_everything_reads_as_its_defaults() -> None:
    node = node_of({"id": "x-1"})
    assert (node.status, node.priority, node.issue_type) == ("open", 0, "task")
    assert (node.created_us, node.links, node.labels) == (to_us(instants.ZERO), (), ())


def test_an_old_files_deleted_issue_is_a_tombstone() -> None:
    assert node_of(row("x-1", "deleted")).deleted


def test_an_old_files_wisp_is_ephemeral() -> None:
    assert node_of(row("x-1", wisp=True)).ephemeral


@pytest.mark.parametrize(
    "metadata", ["", "{", "[1]", '{"spawner_id":3}', '{"gate":"none"}', "[" * 100_000]
)
def test_metadata_of_a_gate_that_says_nothing_waits_for_all_children(metadata: str) -> None:
    node = node_of(row("x-1", needs=[f"waits-for:x-2|{metadata}"]))
    assert node.links == (Link("waits-for", "x-2", "x-2", any_child=False),)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02t03:04:05z",
        "2026-01-02T03:04:05.123456789-08:00",
        "2026-01-02T03:04:05.1+05:30",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999999Z",
    ],
)
def test_times_are_read_as_the_codec_reads_them(text: str) -> None:
    assert to_us(text) == instants.to_ns(text) // 1000


def test_edges_are_known_from_both_ends_and_children_apart() -> None:
    made = graph(
        row("x-1", needs=["blocks:x-2", "parent-child:x-3"]),
        row("x-4", needs=['waits-for:x-2|{"spawner_id":"x-3"}']),
    )
    assert list(made.dependents("x-2")) == ["x-1", "x-4"]
    assert list(made.dependents("x-3")) == ["x-4"]
    assert list(made.children("x-3")) == ["x-1"]


def test_descendants_are_all_below_and_a_circle_ends() -> None:
    made = graph(
        row("x-1"),
        row("x-2", needs=["parent-child:x-1", "parent-child:x-3"]),
        row("x-3", needs=["parent-child:x-2"]),
    )
    assert made.descendants("x-1") == {"x-2", "x-3"}
    assert made.descendants("x-2") == {"x-2", "x-3"}


@pytest.mark.parametrize("seed", range(10))
def test_after_any_edits_the_index_is_that_of_the_rows(seed: int) -> None:
    chance = random.Random(seed)
    names = [f"x-{n}" for n in range(6)]
    made, rows = Graph(), dict[str, dict[str, object]]()
    for _ in range(200):
        name = chance.choice(names)
        if chance.random() < 0.2:
            made.remove(name)
            rows.pop(name, None)
            continue
        kinds = ("blocks", "parent-child", "waits-for")
        needs = [
            f"{chance.choice(kinds)}:{chance.choice(names)}"
            for _ in range(chance.choice([0, 1, 3]))
        ]
        labels = chance.choice([[], ["provides:a"]])
        rows[name] = row(name, chance.choice(["open", "closed"]), needs, labels=labels)
        made.put(node_of(rows[name]))
    afresh = graph(*rows.values())
    for name in names:
        assert set(made.children(name)) == set(afresh.children(name))
        assert set(made.dependents(name)) == set(afresh.dependents(name))
    assert set(made.providers("a")) == set(afresh.providers("a"))
    by_status = [
        {status: set(nodes) for status, nodes in each.statuses().items()} for each in (made, afresh)
    ]
    assert by_status[0] == by_status[1]


# --- ids by their beginning --------------------------------------------------------------------


def names_of(*issue_ids: str) -> Names:
    names = Names()
    for _ in names.fill(issue_ids):
        pass
    return names


def resolve(names: Names, partial: str, *deleted: str) -> str:
    return names.resolve(partial, lambda name: name in deleted)


PUBLISHED = names_of("bd-1", "bd-10", "offlinebrew-3d0", "offlinebrew-3d0.1")


@pytest.mark.parametrize(
    ("partial", "issue_id"),
    [
        ("bd-1", "bd-1"),
        ("1", "bd-1"),
        ("10", "bd-10"),
        ("3d0", "offlinebrew-3d0"),
        ("3d0.", "offlinebrew-3d0.1"),
        ("3d0.1", "offlinebrew-3d0.1"),
        ("offlinebrew-3d0", "offlinebrew-3d0"),
    ],
)
def test_an_id_is_found_by_its_beginning_with_or_without_the_prefix(
    partial: str, issue_id: str
) -> None:
    assert resolve(PUBLISHED, partial) == issue_id


@pytest.mark.parametrize("partial", ["bd-999", "", "d0", "0", "BD-1", "-", "\U0010ffff"])
def test_nothing_is_found_by_its_middle_or_by_nothing(partial: str) -> None:
    with pytest.raises(NotFound):
        resolve(PUBLISHED, partial)


def test_several_that_begin_so_are_named() -> None:
    many = names_of(*(f"x-ab{n}" for n in range(9)))
    with pytest.raises(AmbiguousId, match=r"9 issues begin with ab: x-ab0, .* and 4 more"):
        resolve(many, "ab")


def test_the_same_hash_under_two_prefixes_is_ambiguous() -> None:
    with pytest.raises(AmbiguousId, match="a-1, b-1"):
        resolve(names_of("a-1", "b-1"), "1")


def test_an_issue_that_is_there_beats_one_that_was_deleted() -> None:
    names = names_of("x-ab1", "x-ab2")
    assert resolve(names, "ab", "x-ab1") == "x-ab2"
    assert resolve(names, "x-ab1", "x-ab1") == "x-ab1"
    assert resolve(names_of("x-ab1"), "ab", "x-ab1") == "x-ab1"


def test_ids_come_and_go() -> None:
    names = names_of("x-a")
    names.add("x-ab")
    assert resolve(names, "a") == "x-a"
    names.remove("x-a")
    assert resolve(names, "a") == "x-ab"


def test_many_ids_are_sorted_in_steps() -> None:
    names = Names()
    assert sum(1 for _ in names.fill(f"x-{n:05}" for n in range(10_000, 0, -1))) > 10
    assert resolve(names, "10000") == "x-10000"
