"""The truth table of readiness, row by row, and that it stays true after any change."""

import random

import pytest

from actors.issues.reading.graph import FAILURES, Graph, Node, node_of, to_us
from actors.issues.reading.ranking import Ranking
from actors.issues.reading.ready import HANDED_DOWN, OPENISH, UNASKED, Readiness
from storage.issues.jsonl import Row
from tests.actors.issues.board import EARLIER, LATER, NOW, Board, row

STATUSES = [*sorted(OPENISH), "closed", "tombstone", "deleted", "pinned", "review"]


# --- blocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
def test_blocks_holds_while_the_other_is_open_in_some_way(status: str) -> None:
    board = Board(row("x-a", status), row("x-b", needs=["blocks:x-a"]))
    assert ("x-b" not in board.ready()) == (status in OPENISH)
    assert ("x-b" not in board.classic()) == (status in OPENISH)


def test_closing_the_blocker_makes_it_ready_and_reopening_takes_it_back() -> None:
    board = Board(row("x-a"), row("x-b", needs=["blocks:x-a"]))
    assert board.ready() == ["x-a"]
    board.put(row("x-a", "closed"))
    assert board.ready() == ["x-b"]
    board.put(row("x-a"))
    assert board.ready() == ["x-a"]


def test_one_open_blocker_of_several_is_enough() -> None:
    board = Board(row("x-a", "closed"), row("x-b"), row("x-c", needs=["blocks:x-a", "blocks:x-b"]))
    assert board.ready() == ["x-b"]


def test_what_is_not_here_holds_nothing_until_it_comes() -> None:
    board = Board(row("x-b", needs=["blocks:x-a", "conditional-blocks:x-c", "waits-for:x-d"]))
    assert board.ready() == ["x-b"]
    board.put(row("x-a"))
    assert board.ready() == ["x-a"]
    board.remove("x-a")
    assert board.ready() == ["x-b"]


@pytest.mark.parametrize("kind", ["related", "discovered-from", "tracks", "relates-to", "until"])
def test_other_edges_hold_nothing(kind: str) -> None:
    board = Board(row("x-a"), row("x-b", needs=[f"{kind}:x-a"]))
    assert board.ready() == board.classic() == ["x-a", "x-b"]


# --- conditional-blocks ------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
def test_what_is_to_be_done_on_failure_is_held_while_the_other_may_succeed(status: str) -> None:
    board = Board(row("x-a", status), row("x-b", needs=["conditional-blocks:x-a"]))
    held = status in OPENISH or status == "closed"
    assert ("x-b" not in board.ready()) == held
    assert ("x-b" not in board.classic()) == (held and status != "hooked")


def test_what_is_to_be_done_on_failure_is_held_for_ever_by_a_success() -> None:
    board = Board(
        row("x-a", "closed", close_reason="all done"),
        row("x-b", needs=["conditional-blocks:x-a"]),
    )
    assert board.ready() == board.classic() == []


@pytest.mark.parametrize("word", FAILURES)
def test_what_is_to_be_done_on_failure_is_ready_after_one(word: str) -> None:
    board = Board(
        row("x-a", "closed", close_reason=f"It {word.upper()}: see the log"),
        row("x-b", needs=["conditional-blocks:x-a"]),
    )
    assert board.ready() == board.classic() == ["x-b"]


# --- waits-for ---------------------------------------------------------------------------------

ANY = '{"gate":"any-children"}'


def spawned(metadata: str, *children: str) -> Board:
    rows = [row(f"x-c{n}", status, ["parent-child:x-s"]) for n, status in enumerate(children)]
    waiting = row("x-w", needs=[f"waits-for:x-s|{metadata}"])
    return Board(row("x-s", "in_progress"), waiting, *rows)


@pytest.mark.parametrize(
    ("metadata", "children", "held"),
    [
        ("", (), False),
        ("", ("open",), True),
        ("", ("in_progress",), True),
        ("", ("pinned",), True),
        ("", ("closed",), False),
        ("", ("closed", "tombstone"), False),
        ("", ("closed", "open"), True),
        ('{"gate":"all-children"}', ("closed", "open"), True),
        ("no JSON", ("open",), True),
        ("[]", ("closed",), False),
        (ANY, (), True),
        (ANY, ("open",), True),
        (ANY, ("open", "closed"), False),
        (ANY, ("closed",), False),
    ],
)
def test_waits_for_looks_at_the_children(
    metadata: str, children: tuple[str, ...], held: bool
) -> None:
    board = spawned(metadata, *children)
    assert ("x-w" not in board.ready()) == held
    assert ("x-w" not in board.classic()) == held


def test_a_child_that_comes_later_is_waited_for() -> None:
    board = spawned("")
    assert "x-w" in board.ready()
    board.put(row("x-late", needs=["parent-child:x-s"]))
    assert "x-w" not in board.ready()
    board.put(row("x-late"))
    assert "x-w" in board.ready()


def test_the_children_of_whom_the_metadata_names_are_waited_for() -> None:
    board = Board(
        row("x-s", "closed"),
        row("x-t"),
        row("x-c", needs=["parent-child:x-t"]),
        row("x-w", needs=['waits-for:x-s|{"spawner_id":"x-t"}']),
    )
    assert "x-w" not in board.ready()
    board.put(row("x-c", "closed", ["parent-child:x-t"]))
    assert "x-w" in board.ready()


@pytest.mark.parametrize("status", ["tombstone", "deleted"])
def test_the_children_of_a_deleted_issue_are_not_waited_for(status: str) -> None:
    board = spawned(ANY)
    board.put(row("x-s", status))
    assert "x-w" in board.ready()


# --- external ----------------------------------------------------------------------------------


def test_an_external_capability_of_this_project_holds_until_an_issue_provides_it() -> None:
    board = Board(row("x-b", needs=["blocks:external:x:login"]))
    assert board.ready() == board.classic() == []
    board.put(row("x-a", "in_progress", labels=["provides:login"]))
    assert board.ready() == []
    board.put(row("x-a", "closed", labels=["provides:login"]))
    assert board.ready() == board.classic() == ["x-b"]
    board.put(row("x-a", "closed"))
    assert board.ready() == []


@pytest.mark.parametrize("target", ["external:y:login", "external:x", "external:x:", "external:"])
def test_what_cannot_be_seen_from_here_holds(target: str) -> None:
    board = Board(
        row("x-a", "closed", labels=["provides:login"]), row("x-b", needs=[f"blocks:{target}"])
    )
    assert board.ready() == []
    assert board.why("x-b") == [("external", ("x-b", target))]


def test_an_external_blocker_holds_the_children_too_but_not_in_the_classic_set() -> None:
    board = Board(
        row("x-p", issue_type="epic", needs=["blocks:external:y:z"]),
        row("x-c", needs=["parent-child:x-p"]),
    )
    assert board.ready() == []
    assert board.classic() == ["x-c"]


# --- from parents to children ------------------------------------------------------------------


def family(*needs: str, **more: str) -> list[Row]:
    return [
        row("x-p", issue_type="epic", needs=needs, **more),
        row("x-c", needs=["parent-child:x-p"]),
        row("x-g", needs=["parent-child:x-c"]),
    ]


def test_a_blocked_parent_holds_its_children_and_theirs() -> None:
    board = Board(row("x-a"), *family("blocks:x-a"))
    assert board.ready() == board.classic() == ["x-a"]
    board.put(row("x-a", "closed"))
    assert board.ready() == ["x-g"]
    assert board.classic() == ["x-c", "x-g", "x-p"]


def test_of_several_parents_one_that_is_blocked_is_enough() -> None:
    board = Board(
        row("x-a"),
        row("x-p"),
        row("x-q", needs=["blocks:x-a"]),
        row("x-c", needs=["parent-child:x-p", "parent-child:x-q"]),
    )
    assert "x-c" not in board.ready()
    assert "x-c" not in board.classic()


def test_a_child_that_moves_away_from_a_blocked_parent_is_free() -> None:
    board = Board(row("x-a"), *family("blocks:x-a"))
    board.put(row("x-c"))
    assert "x-g" in board.ready()


def test_parents_in_a_circle_hold_one_another_only_while_something_holds_one() -> None:
    board = Board(
        row("x-a"),
        row("x-p", needs=["parent-child:x-q", "blocks:x-a"]),
        row("x-q", needs=["parent-child:x-p"]),
    )
    assert board.classic() == ["x-a"]
    board.put(row("x-a", "closed"))
    assert board.classic() == ["x-p", "x-q"]


def test_an_open_child_does_not_block_its_parent_but_is_the_work() -> None:
    board = Board(*family())
    assert board.ready() == ["x-g"]
    assert board.classic() == ["x-c", "x-g", "x-p"]
    assert board.waiting() == []


def test_an_epic_without_children_and_one_whose_children_are_done_are_offered() -> None:
    board = Board(
        row("x-e", issue_type="epic"),
        row("x-f", issue_type="epic"),
        row("x-c", "closed", ["parent-child:x-f"]),
        row("x-d", "tombstone", ["parent-child:x-f"]),
    )
    assert board.ready() == ["x-e", "x-f"]


# --- deferral ----------------------------------------------------------------------------------


def test_a_deferred_issue_is_ready_from_its_time_on() -> None:
    board = Board(row("x-a", defer_until=LATER), row("x-b", "deferred", defer_until=LATER))
    assert board.ready() == board.classic() == []
    board.settle(LATER)
    assert board.ready() == ["x-a", "x-b"]
    assert board.classic() == ["x-a"]


def test_a_deferred_issue_without_a_time_waits_until_it_is_reopened() -> None:
    board = Board(row("x-a", "deferred"))
    board.settle(LATER)
    assert (board.ready(), board.waiting()) == ([], ["x-a"])
    board.put(row("x-a"))
    assert board.ready() == ["x-a"]


def test_a_time_that_has_passed_defers_nothing() -> None:
    assert Board(row("x-a", defer_until=EARLIER)).ready() == ["x-a"]


def test_a_clock_that_is_set_back_defers_again() -> None:
    board = Board(row("x-a", defer_until=LATER), now=LATER)
    assert board.ready() == ["x-a"]
    board.settle(NOW)
    assert board.ready() == []
    board.settle(LATER)
    assert board.ready() == ["x-a"]


def test_a_deferred_parent_hides_its_children_but_not_in_the_classic_set() -> None:
    board = Board(*family(defer_until=LATER))
    assert board.ready() == []
    assert board.classic() == ["x-c", "x-g"]
    board.settle(LATER)
    assert board.ready() == ["x-g"]


def test_a_closed_parent_hides_no_child() -> None:
    board = Board(row("x-p", "closed", defer_until=LATER), row("x-c", needs=["parent-child:x-p"]))
    assert board.ready() == ["x-c"]


# --- what is work ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "open"])
def test_only_what_is_open_is_offered(status: str) -> None:
    board = Board(row("x-a", status))
    assert board.classic() == []
    assert board.ready() == []


@pytest.mark.parametrize("flag", ["pinned", "ephemeral", "wisp"])
def test_notes_and_wisps_are_not_offered(flag: str) -> None:
    board = Board(row("x-a", **{flag: True}))
    assert board.ready() == board.classic() == []


def test_a_template_is_offered_in_the_classic_set_only() -> None:
    board = Board(row("x-a", is_template=True))
    assert (board.ready(), board.classic()) == ([], ["x-a"])


@pytest.mark.parametrize("issue_id", ["x-mol-1", "x-wisp-1"])
def test_ids_of_molecules_and_wisps_are_not_offered(issue_id: str) -> None:
    board = Board(row(issue_id))
    assert board.ready() == board.classic() == []


@pytest.mark.parametrize("issue_type", sorted(UNASKED))
def test_types_of_agents_are_offered_only_to_who_asks_for_them(issue_type: str) -> None:
    board = Board(row("x-a", issue_type=issue_type), row("x-b"))
    assert board.ready() == board.classic() == ["x-b"]
    for classic in (False, True):
        assert "x-a" in board.ready(classic=classic, issue_type=(issue_type,))


# --- the table of bd v0.49.6, as it was observed -----------------------------------------------


def test_an_epic_that_is_blocked_deferred_or_free() -> None:
    blocked = [
        row("x-e", issue_type="epic", needs=["blocks:x-x"]),
        row("x-k", needs=["parent-child:x-e"]),
    ]
    assert Board(row("x-x"), *blocked).classic() == ["x-x"]
    assert Board(row("x-x", "closed"), *blocked).classic() == ["x-e", "x-k"]
    deferred = row("x-e", issue_type="epic", defer_until=LATER)
    assert Board(deferred, blocked[1]).classic() == ["x-k"]


@pytest.mark.parametrize("status", ["in_progress", "blocked"])
def test_a_blocker_that_is_worked_on_or_blocked_itself_still_holds(status: str) -> None:
    board = Board(row("x-y", status), row("x-z", needs=["blocks:x-y"]))
    assert board.ready() == board.classic() == []


# --- sort policies -----------------------------------------------------------------------------

AGED = [
    row("x-new-low", priority=4, created_at="2026-02-28T01:00:00Z"),
    row("x-new-high", priority=0, created_at="2026-02-28T02:00:00Z"),
    row("x-old-low", priority=3, created_at="2026-01-01T00:00:00Z"),
    row("x-old-high", priority=1, created_at="2026-01-02T00:00:00Z"),
]


DAYS = [f"2026-02-{day:02}T00:00:00Z" for day in range(1, 29)]


@pytest.mark.parametrize(
    ("policy", "order"),
    [
        ("hybrid", ["x-new-high", "x-new-low", "x-old-low", "x-old-high"]),
        ("priority", ["x-new-high", "x-old-high", "x-old-low", "x-new-low"]),
        ("oldest", ["x-old-low", "x-old-high", "x-new-low", "x-new-high"]),
    ],
)
def test_each_policy_has_its_order(policy: str, order: list[str]) -> None:
    board = Board(*AGED)
    assert board.ready(policy) == order
    assert board.ready(policy, limit=2) == order[:2]


@pytest.mark.parametrize("policy", ["hybrid", "priority", "oldest"])
def test_types_that_were_asked_for_are_sorted_in(policy: str) -> None:
    gates = [{**record, "issue_type": "gate"} for record in AGED[::2]]
    types = ("gate", "task")
    assert Board(*AGED, *gates).ready(policy, issue_type=types) == Board(*AGED).ready(policy)


def test_times_are_compared_as_instants_in_whatever_zone() -> None:
    board = Board(
        row("x-second", created_at="2026-01-01T01:00:00+05:00"),
        row("x-first", created_at="2025-12-31T11:00:00-08:00"),
        row("x-third", created_at="2025-12-31T20:00:00.000000001Z"),
    )
    assert board.ready("oldest") == ["x-first", "x-second", "x-third"]


@pytest.mark.parametrize("seed", range(5))
def test_a_ranking_is_sorted_after_few_changes_and_after_many(seed: int) -> None:
    chance = random.Random(seed)
    ranking, there = Ranking(), dict[str, Node]()
    for _ in range(30):
        changes: dict[str, Node | None] = {}
        for n in chance.sample(range(500), chance.choice([1, 5, 300])):
            made = row(f"x-{n}", priority=chance.randrange(5), created_at=chance.choice(DAYS))
            changes[f"x-{n}"] = chance.choice([None, node_of(made)])
        ranking.update(changes)
        there = {**there, **changes}  # type: ignore[dict-item]
        there = {name: node for name, node in there.items() if node is not None}
        nodes = sorted(there.values(), key=lambda node: (node.created_us, node.id))
        assert list(ranking.in_order("oldest", 0)) == [node.id for node in nodes]
        nodes.sort(key=lambda node: node.priority)
        assert list(ranking.in_order("priority", 0)) == ranking.ids() == [n.id for n in nodes]
        assert len(ranking) == len(nodes)


# --- after any change --------------------------------------------------------------------------

SEEDS = range(30)
KINDS = ["blocks", "conditional-blocks", "waits-for", "parent-child", "parent-child", "related"]


def random_row(chance: random.Random, names: list[str]) -> Row:
    issue_id = chance.choice(names)
    needs = []
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
        kind = chance.choice(KINDS)
        target = chance.choice([*names, "x-nobody", "external:x:cap", "external:y:cap"])
        spawner = f'"spawner_id":"{chance.choice(names)}"'
        metadata = chance.choice(["", "", ANY, f"{{{spawner}}}"])
        needs.append(f"{kind}:{target}" + (f"|{metadata}" if kind == "waits-for" else ""))
    more = {
        "priority": chance.randrange(5),
        "issue_type": chance.choice(["task", "task", "epic", "gate"]),
        "created_at": f"2026-02-{chance.randrange(1, 29):02}T00:00:00Z",
        "labels": chance.choice([[], [], ["provides:cap"]]),
    }
    if chance.random() < 0.2:
        more["defer_until"] = f"2026-03-{chance.randrange(1, 29):02}T00:00:00Z"
    if chance.random() < 0.1:
        more[chance.choice(["pinned", "ephemeral", "is_template"])] = True
    made = row(issue_id, chance.choice(["open", "open", *STATUSES]), needs, **more)
    if made["status"] == "closed":
        made["close_reason"] = chance.choice(["done", "failed"])
    return made


def state(readiness: Readiness) -> dict[str, object]:
    rankings = ("ready", "ready_unasked", "classic", "classic_unasked", "waiting")
    found: dict[str, object] = {
        f"{name} by {policy}": list(getattr(readiness, name).in_order(policy, readiness.now_us))
        for name in rankings
        for policy in ("hybrid", "priority", "oldest")
    }
    for node in readiness.graph.nodes():
        holds = readiness.own_holds(node.id), readiness.inherited_holds(node.id)
        found[node.id] = (*holds, sorted(readiness.graph.children(node.id)))
    return found


def from_above(readiness: Readiness, issue_id: str) -> int:
    """What the ancestors hold, looked up one by one."""
    ahead, seen, holds = [issue_id], set(), 0
    while ahead:
        node = readiness.graph.get(ahead.pop())
        for parent in node.parents if node is not None else ():
            if parent not in seen:
                seen.add(parent)
                ahead.append(parent)
                holds |= readiness.own_holds(parent) & HANDED_DOWN
    return holds


@pytest.mark.parametrize("seed", SEEDS)
def test_after_any_changes_all_is_as_if_worked_out_from_scratch(seed: int) -> None:
    chance = random.Random(seed)
    names = [f"x-{n}" for n in range(chance.choice([3, 8, 25]))]
    board = Board()
    for _ in range(60):
        for _ in range(chance.choice([1, 1, 4])):
            if chance.random() < 0.1:
                board.readiness.remove(chance.choice(names))
            else:
                board.readiness.put(node_of(random_row(chance, names)))
        board.settle(f"2026-03-{chance.randrange(1, 29):02}T00:00:00Z")
        afresh = Readiness(Graph(), "x")
        for node in sorted(board.graph.nodes(), key=lambda node: node.id):
            afresh.put(node)
        for _ in afresh.settle(to_us(board.now)):
            pass
        assert state(board.readiness) == state(afresh)
        for node in board.graph.nodes():
            board.causes(node.id)
            assert board.readiness.inherited_holds(node.id) == from_above(afresh, node.id)


def test_a_change_of_ten_thousand_children_is_worked_out_in_steps() -> None:
    children = [row(f"x-p.{n}", needs=["parent-child:x-p"]) for n in range(10_000)]
    board = Board(row("x-a"), row("x-p", needs=["blocks:x-a"]), *children)
    board.readiness.put(node_of(row("x-a", "closed")))
    steps = sum(1 for _ in board.readiness.settle(to_us(NOW)))
    assert steps > 100
    assert len(board.readiness.ready) == 10_000
