"""What clones lose in the original, they keep here: real clones, real merges, our driver.

Each clone edits its own file and commits; Git merges with the driver configured as the
documentation says. The letters of the originals' losses stand in no name: each test says its own.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.merge_driver import ATTRIBUTE, DRIVER
from storage.issues import jsonl
from storage.issues.jsonl import Row
from tests.actors.issues.lost import lost
from tests.actors.issues.test_collisions import data, edge, issue
from tests.actors.issues.test_merge_laws import EXCERPT, triples
from tests.cli.run import Run
from tests.storage.repositories import git, make

FILE = ".beads/issues.jsonl"
EPIC = issue("x-1", "Epic", issue_type="epic", status="open", priority=2)
LATER, LATEST = "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"


class Clone:
    """A clone whose issues are edited as another program would."""

    def __init__(self, place: Path) -> None:
        self.place = place
        beadflow = Path(sys.executable).with_name("beadflow")
        git(place, "config", "merge.beadflow.driver", DRIVER.replace("beadflow", str(beadflow), 1))
        (place / ".git" / "info" / "attributes").write_text(ATTRIBUTE + "\n")

    @property
    def file(self) -> Path:
        return self.place / FILE

    def rows(self) -> dict[str, Row]:
        return {row["id"]: row for row in map(jsonl.parse, self.file.read_bytes().splitlines())}

    def commit(self, *rows: Row) -> None:
        """Replaces or adds these rows, and commits."""
        kept = (
            {**self.rows(), **{row["id"]: row for row in rows}}
            if self.file.exists()
            else {row["id"]: row for row in rows}
        )
        self.write(data(*(kept[issue_id] for issue_id in sorted(kept))))

    def write(self, content: bytes) -> None:
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_bytes(content)
        git(self.place, "add", FILE)
        git(self.place, "commit", "--quiet", "-m", "Edit issues")

    def merge(self, other: "Clone") -> None:
        git(self.place, "fetch", "--quiet", str(other.place), "main")
        git(self.place, "merge", "--quiet", "--no-edit", "--no-ff", "FETCH_HEAD")


Clones = Callable[..., tuple[Clone, ...]]


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    """Makes clones of a repository that begins with some rows."""

    def begin(*rows: Row, count: int = 2) -> tuple[Clone, ...]:
        first = Clone(make(tmp_path / "origin"))
        first.commit(*rows)
        made = []
        for number in range(count):
            place = tmp_path / f"clone{number}"
            git(tmp_path, "clone", "--quiet", str(first.place), str(place))
            made.append(Clone(place))
        return tuple(made)

    return begin


def merged_both_ways(one: Clone, other: Clone) -> dict[str, Row]:
    """Has each merge the other at once, and returns what both have then."""
    git(one.place, "branch", "was")
    git(other.place, "fetch", "--quiet", str(one.place), "was")
    one.merge(other)
    git(other.place, "merge", "--quiet", "--no-edit", "FETCH_HEAD")
    assert one.file.read_bytes() == other.file.read_bytes()
    return one.rows()


def comment(text: str, by: str) -> Row:
    return {"id": 1, "issue_id": "x-1", "author": by, "text": text, "created_at": LATER}


def test_a_child_a_comment_and_a_label_of_each_clone_are_all_kept(clones: Clones) -> None:
    ada, bob = clones(EPIC)
    for clone, name, minute in ((ada, "ada", 1), (bob, "bob", 2)):
        child = issue("x-1.1", f"Child of {name}", minute, by=name)
        parent = edge("x-1.1", "x-1") | {"type": "parent-child"}
        said = {"comments": [comment(f"{name} was here", name)], "labels": [name]}
        clone.commit(EPIC | said, child | {"dependencies": [parent]})
    rows = merged_both_ways(ada, bob)
    assert sorted(row["title"] for row in rows.values()) == ["Child of ada", "Child of bob", "Epic"]
    assert rows["x-1"]["labels"] == ["ada", "bob"]
    assert [c["text"] for c in rows["x-1"]["comments"]] == ["ada was here", "bob was here"]
    assert len({c["id"] for c in rows["x-1"]["comments"]}) == 2
    for issue_id in rows.keys() - {"x-1"}:
        (parent,) = rows[issue_id]["dependencies"]
        assert (parent["issue_id"], parent["depends_on_id"]) == (issue_id, "x-1")


def test_issues_with_the_same_title_are_all_there(clones: Clones) -> None:
    ada, bob = clones(EPIC)
    ada.commit(issue("x-2", "Fix lint", 1), issue("x-3", "Fix lint", 1))
    bob.commit(issue("x-4", "Fix lint", 1))
    assert merged_both_ways(ada, bob).keys() == {"x-1", "x-2", "x-3", "x-4"}


def test_a_reopened_issue_stays_open(clones: Clones) -> None:
    closed = EPIC | {"status": "closed", "closed_at": LATER, "close_reason": "Done"}
    ada, bob = clones(closed)
    ada.commit(EPIC | {"updated_at": LATER})
    bob.commit(closed | {"notes": "Still closed here", "updated_at": LATEST})
    (row,) = merged_both_ways(ada, bob).values()
    assert (row["status"], row["notes"]) == ("open", "Still closed here")
    assert not {"closed_at", "close_reason"} & row.keys()


def test_the_most_urgent_priority_is_a_priority(clones: Clones) -> None:
    ada, bob = clones(EPIC)
    ada.commit(EPIC | {"priority": 0, "updated_at": LATEST})
    bob.commit(EPIC | {"priority": 3, "updated_at": LATER})
    assert merged_both_ways(ada, bob)["x-1"]["priority"] == 0


def test_a_line_of_more_than_64_kib_is_merged(clones: Clones) -> None:
    ada, bob = clones(EPIC)
    ada.commit(EPIC | {"description": "long " * 20_000})
    bob.commit(EPIC | {"assignee": "bob"})
    row = merged_both_ways(ada, bob)["x-1"]
    assert (len(row["description"]), row["assignee"]) == (100_000, "bob")


def test_what_was_removed_or_cleared_stays_so(clones: Clones) -> None:
    full: dict[str, Any] = {
        "defer_until": LATEST,
        "labels": ["only"],
        "dependencies": [edge("x-1", "x-2")],
    }
    ada, bob = clones(EPIC | full, issue("x-2", "Other"), issue("x-3", "Deferred") | full)
    ada.commit(
        EPIC | {"updated_at": LATER}, issue("x-3", "Deferred") | full | {"defer_until": LATER}
    )
    bob.commit(EPIC | full | {"title": "Great epic", "updated_at": LATEST})
    rows = merged_both_ways(ada, bob)
    assert rows["x-1"]["title"] == "Great epic"
    assert not full.keys() & rows["x-1"].keys()
    assert rows["x-3"]["defer_until"] == LATER


def test_real_merges_give_the_same_bytes_twice_and_from_either_side(clones: Clones) -> None:
    """All triples of the excerpt at once: the driver is asked four times for one result."""
    sides: list[dict[str, Row]] = [{}, {}, {}]
    for number, triple in enumerate(triples(EXCERPT / "triples-60.jsonl")):
        for side, row in zip(sides, triple, strict=True):
            if row is not None:
                side[f"t-{number}"] = row | {"id": f"t-{number}"}
    base, ours, theirs = ([side[key] for key in sorted(side)] for side in sides)
    outcomes = set()
    ada, bob, cyd, dan = clones(*base, count=4)
    for left, right, mine, yours in ((ada, bob, ours, theirs), (cyd, dan, theirs, ours)):
        left.write(data(*mine))
        right.write(data(*yours))
        merged_both_ways(left, right)
        outcomes.add(left.file.read_bytes())
    assert len(outcomes) == 1
    assert_nothing_lost(sides, ada.rows())


def assert_nothing_lost(sides: list[dict[str, Row]], rows: dict[str, Row]) -> None:
    known = sides[0].keys() | sides[1].keys() | sides[2].keys()
    renamed = {row["created_at"]: row for key, row in rows.items() if key not in known}
    for key in known:
        base, *both = (side.get(key) for side in sides)
        for number, row in enumerate(both):
            if row is not None and row["created_at"] in renamed:
                assert renamed[row["created_at"]]["title"] == row["title"]
                both[number] = None
        assert lost(base, *both, rows.get(key)) == []


def test_clones_that_merged_each_other_at_once_merge_again(clones: Clones) -> None:
    ada, bob = clones(EPIC | {"labels": ["old"]})
    ada.commit(EPIC)
    bob.commit(EPIC | {"labels": ["new", "old"]})
    merged_both_ways(ada, bob)
    ada.commit(ada.rows()["x-1"] | {"labels": ["new", "old"], "updated_at": LATER})
    bob.commit(bob.rows()["x-1"] | {"title": "Great epic", "updated_at": LATER})
    bases = git(ada.place, "fetch", str(bob.place), "main") or git(
        ada.place, "merge-base", "--all", "HEAD", "FETCH_HEAD"
    )
    assert len(bases.split()) == 2
    row = merged_both_ways_again(ada, bob)["x-1"]
    assert (row["title"], row["labels"]) == ("Great epic", ["new", "old"])


def merged_both_ways_again(one: Clone, other: Clone) -> dict[str, Row]:
    git(one.place, "branch", "--delete", "--force", "was")
    return merged_both_ways(one, other)


def test_a_side_that_is_no_issues_leaves_a_conflict_and_loses_nothing(clones: Clones) -> None:
    ada, bob = clones(EPIC)
    ada.commit(EPIC | {"notes": "mine"})
    bob.write(b"<html>not found</html>\n")
    git(ada.place, "fetch", "--quiet", str(bob.place), "main")
    with pytest.raises(Exception, match="returned non-zero exit status 1"):
        git(ada.place, "merge", "--quiet", "FETCH_HEAD")
    assert "UU .beads/issues.jsonl" in git(ada.place, "status", "--short")
    assert ada.rows()["x-1"]["notes"] == "mine"
    assert os.listdir(ada.file.parent) == ["issues.jsonl"]  # noqa: PTH208 - names are enough


def test_children_of_one_id_are_in_both_clones_after_they_pulled_and_pushed(
    tmp_path: Path, beadflow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(clone: Clone, *command: str) -> str:
        monkeypatch.chdir(clone.place)
        monkeypatch.setenv("BEADFLOW_ACTOR", clone.place.name)
        ran = beadflow(*command)
        assert (ran.code, ran.err) == (0, "")
        return ran.out

    def titles(clone: Clone) -> dict[str, str]:
        run(clone, "issue", "list")
        return {issue_id: row["title"] for issue_id, row in clone.rows().items()}

    def commit_and_pull(clone: Clone) -> None:
        if git(clone.place, "status", "--short", "--", FILE):
            git(clone.place, "commit", "--quiet", "-m", "Edit issues", "--", FILE)
        git(clone.place, "pull", "--quiet", "--no-rebase", "--no-edit")

    first = Clone(make(tmp_path / "first"))
    first.commit(EPIC)
    origin = tmp_path / "origin.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(first.place), str(origin))
    for name in ("ada", "bob"):
        git(tmp_path, "clone", "--quiet", str(origin), str(tmp_path / name))
    ada, bob = Clone(tmp_path / "ada"), Clone(tmp_path / "bob")
    for clone in (ada, bob):
        made = run(clone, "issue", "create", f"Of {clone.place.name}", "--parent", "x-1", "-q")
        assert made.strip() == "x-1.1"
    commit_and_pull(ada)
    git(ada.place, "push", "--quiet")
    run(bob, "issue", "comment", "x-1.1", "Still mine")
    commit_and_pull(bob)
    merged = {issue_id: row["title"] for issue_id, row in bob.rows().items()}
    assert sorted(merged.values()) == ["Epic", "Of ada", "Of bob"]
    assert merged["x-1.1"] == "Of ada"
    assert titles(bob) == merged
    assert not git(bob.place, "status", "--short", "--", FILE), "the file is as the merge left it"
    git(bob.place, "push", "--quiet")
    commit_and_pull(ada)
    assert titles(ada) == merged
    (moved,) = merged.keys() - {"x-1", "x-1.1"}
    assert [one["text"] for one in ada.rows()[moved]["comments"]] == ["Still mine"]
    assert ada.rows()["x-1.1"].get("comments") is None
