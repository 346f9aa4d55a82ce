"""Any sequence of verbs, each command given twice, leaves issues that hang together."""

import os
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors.errors import Conflict, NotFound, ValidationError
from actors.issues import issue
from actors.issues.writing import dependencies
from actors.issues.writing.edits import (
    AddEdge,
    BuryIssues,
    Close,
    Comment,
    Defer,
    EditIssue,
    InsertIssue,
    RemoveEdge,
    Reopen,
    Restore,
    SetFields,
)
from storage.issues import instants, jsonl, queries
from storage.issues.jsonl import Row
from tests.actors.issues.world import World

KINDS = ("blocks", "parent-child", "related", "waits-for", "conditional-blocks", "relates-to")
STATUSES = ("open", "in_progress", "blocked", "deferred", "closed", "pinned")
STEPS = 250
START = datetime(2026, 1, 1, tzinfo=UTC)
SEEDS = range(int(os.environ.get("BEADFLOW_SEEDS", "6")))


class Script:
    """Makes up commands, and remembers what there is."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.ids = ["x-0"]
        self.number = 0

    def one(self) -> str:
        return self.chance.choice(self.ids)

    def command(self) -> Any:
        self.number += 1
        at = instants.from_datetime(START + timedelta(seconds=self.number))
        given: dict[str, Any] = {"actor": "me", "at": at}
        kind = self.chance.random()
        if kind < 0.3:
            return self.new(given)
        request = f"r{self.number}"
        if kind < 0.4:
            flag = self.chance.choice(["cascade", "force", "neither"])
            more = {flag: True} if flag != "neither" else {}
            return BuryIssues(issue_id=self.one(), request=request, **given, **more)
        return EditIssue(issue_id=self.one(), edit=self.edit(), request=request, **given)

    def new(self, given: dict[str, Any]) -> InsertIssue:
        kind = self.chance.choice(["epic", "task", "task"])
        where: dict[str, Any] = {"issue_id": f"x-{self.number}"}
        if self.chance.random() < 0.5:
            where = {"parent": self.one()}
        edges = tuple(
            (self.chance.choice(KINDS), self.one()) for _ in range(self.chance.randrange(3))
        )
        fields = {"title": f"T{self.number}", "issue_type": kind}
        key = f"k{self.number}"
        return InsertIssue(fields=fields, key=key, depends_on=edges, **where, **given)

    def edit(self) -> Any:
        chance = self.chance
        return chance.choice(
            [
                SetFields(fields={"status": chance.choice(STATUSES)}),
                SetFields(fields={"issue_type": chance.choice(["epic", "task"])}),
                SetFields(fields={}, parent=chance.choice(["", self.one()])),
                SetFields(fields={"notes": None}, add_labels=("l",), append_notes="n"),
                Close(force=chance.random() < 0.3),
                Reopen(reason=chance.choice(["", "why"])),
                Defer(until=chance.choice([None, "2027-01-01T00:00:00Z"])),
                Restore(),
                *[AddEdge(depends_on_id=self.one(), type=chance.choice(KINDS))] * 3,
                RemoveEdge(depends_on_id=self.one()),
                Comment(text="hello"),
            ]
        )


def outcome(world: World, command: object) -> object:
    try:
        return world.run(command)
    except (Conflict, NotFound, ValidationError):
        return None


def check(rows: dict[str, Row]) -> None:
    for name, row in rows.items():
        assert jsonl.encode(jsonl.parse(jsonl.encode(row))) == jsonl.encode(row)
        assert (row["status"] == "closed") == ("closed_at" in row)
        assert (row["status"] == "tombstone") == ("deleted_at" in row)
        edges = dependencies.edges_of(row)
        assert all(edge["issue_id"] == name for edge in edges)
        targets = [edge["depends_on_id"] for edge in edges]
        assert len(set(targets)) == len(targets)
        assert set(targets) <= rows.keys() - {name}
        above = dependencies.parents(row)
        assert len(above) <= 1
        if above and row["issue_type"] == "epic" and not issue.is_deleted(row):
            assert rows[above[0]]["issue_type"] == "epic"
    assert circle(rows) is None


def circle(rows: dict[str, Row]) -> object:
    """Look for a circle among living issues, `relates-to` apart."""

    def follow(issue_id: str) -> list[Row]:
        row = rows[issue_id]
        found = [] if issue.is_deleted(row) else dependencies.edges_of(row)
        return [edge for edge in found if edge["type"] != "relates-to"]

    for name in rows:
        for edge in follow(name):
            if dependencies.path(edge["depends_on_id"], name, follow) is not None:
                return name, edge
    return None


@pytest.mark.parametrize("seed", SEEDS)
def test_any_sequence_of_verbs_leaves_issues_that_hang_together(world: World, seed: int) -> None:
    world.create("x-0")
    script = Script(seed)
    carried_out = 0
    for step in range(STEPS):
        command = script.command()
        before = queries.last_seq(world.conn)
        first = outcome(world, command)
        changed = queries.last_seq(world.conn)
        if changed > before:
            carried_out += 1
            assert outcome(world, command) == first
            assert queries.last_seq(world.conn) == changed
        elif isinstance(command, InsertIssue):
            assert first is None  # refused, and nothing of it stored
        script.ids = queries.all_ids(world.conn)
        if step % 10 == 0:
            check({name: world.row(name) for name in script.ids})
    assert carried_out > STEPS / 10
