"""Three clones, random edits, real Git: in the end all hold the same bytes, and nothing is lost.

`BEADFLOW_SYNC_ROUNDS` and `BEADFLOW_SYNC_SEED` make it longer, or the same again.
"""

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.issues.ids import RENAMED
from actors.issues.messages import (
    AddComment,
    ApplyChange,
    Assign,
    ChangeLabels,
    CreateIssue,
    SetStatus,
)
from storage.issues import jsonl
from tests.actors.issues.clones import Clone, all_opened, remote_and_clones
from tests.actors.issues.world import make
from tests.storage.repositories import git

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

ROUNDS = int(os.environ.get("BEADFLOW_SYNC_ROUNDS", "60"))
SEED = int(os.environ.get("BEADFLOW_SYNC_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
STATUSES = ("open", "in_progress", "blocked", "closed", "deferred")


class Storm:
    """Makes edits, and remembers what must be there in the end."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.titles: set[str] = set()
        self.comments: set[str] = set()
        self._minute = 0

    def now(self) -> str:
        """A time that goes on, mostly; clocks of clones differ."""
        self._minute += self.chance.choice((0, 1, 1, 2))
        behind = max(0, self._minute - self.chance.choice((0, 0, 0, 30)))
        return f"2026-02-{1 + behind // 1440:02}T{behind // 60 % 24:02}:{behind % 60:02}:00Z"

    async def edit(self, clone: Clone) -> None:
        mine = sorted(clone.rows())
        if not mine or self.chance.random() < 0.2:
            await self._create(clone)
            return
        if self.chance.random() < 0.1:
            await self._edit_by_hand(clone)
            return
        name = self.chance.choice(mine)
        change = self._change(clone)
        await clone.run(ApplyChange(issue_id=name, changes=(change,), at=self.now()))

    async def _create(self, clone: Clone) -> None:
        """Often a child with the number that another clone may choose as well."""
        there = clone.rows()
        number, parent = len(self.titles), f"x-{self.chance.randrange(3):03}"
        name = f"x-{number:03}"
        if parent in there and self.chance.random() < 0.4:
            name = f"{parent}.{1 + max(_numbers(parent, there), default=0)}"
        title = f"{number} of {clone.place.name}"
        self.titles.add(title)
        row = make(name, title=title, created_at=self.now(), created_by=clone.place.name)
        await clone.run(CreateIssue(row=row))

    def _change(self, clone: Clone) -> Any:
        kind = self.chance.randrange(4)
        if kind == 0:
            text = f"{clone.place.name} {self.chance.random()}"
            self.comments.add(text)
            return AddComment(author=clone.place.name, text=text)
        if kind == 1:
            words = self.chance.sample("abcdef", 3)
            return ChangeLabels(add=tuple(words[:2]), remove=tuple(words[2:]))
        if kind == 2:
            return SetStatus(status=self.chance.choice(STATUSES))
        return Assign(assignee=self.chance.choice(("", "ann", "bob")))

    async def _edit_by_hand(self, clone: Clone) -> None:
        """As bd or an editor would: the file, and keys that we do not know."""
        await clone.flush()
        lines = clone.path.read_bytes().splitlines()
        at = self.chance.randrange(len(lines))
        row = jsonl.parse(lines[at])
        row |= {"priority": self.chance.randrange(5), "x_team": self.chance.choice("pqr")}
        row["updated_at"] = max(row["updated_at"], self.now())
        lines[at] = jsonl.encode(row)
        clone.path.write_bytes(b"\n".join(lines) + b"\n")


def _numbers(parent: str, rows: Iterable[str]) -> Iterator[int]:
    """The numbers of a parent's children, apart from those that were renamed."""
    for name in rows:
        above, _, number = name.rpartition(".")
        if above == parent and int(number) < RENAMED:
            yield int(number)


async def converge(clones: Sequence[Clone]) -> None:
    """Each meets the remote twice: the first time brings all there, the second time back."""
    for clone in (*clones, *clones):
        await clone.sync()


async def test_clones_that_edit_at_random_come_to_the_same_bytes(tmp_path: Path) -> None:
    print(f"BEADFLOW_SYNC_SEED={SEED} BEADFLOW_SYNC_ROUNDS={ROUNDS}")
    storm = Storm(SEED)
    bare, places = remote_and_clones(tmp_path, "a", "b", "c")
    async with all_opened(*places) as clones:
        before = [clone.footprint() for clone in clones]
        for number in range(ROUNDS):
            for clone in clones:
                for _ in range(storm.chance.randrange(4)):
                    await storm.edit(clone)
            chosen = storm.chance.choice(clones)
            if storm.chance.random() < 0.3:
                await chosen.record()
            await storm.chance.choice(clones).sync()
            if number % 20 == 19:
                await converge(clones)
                assert len({clone.path.read_bytes() for clone in clones}) == 1, number
        await converge(clones)
        assert len({clone.path.read_bytes() for clone in clones}) == 1
        rows = clones[0].rows()
        assert sorted(row["title"] for row in rows.values()) == sorted(storm.titles)
        said = (one for row in rows.values() for one in row.get("comments") or ())
        assert {one["text"] for one in said} == storm.comments
        assert (
            len(
                {clone.tip() for clone in clones} | {git(bare, "rev-parse", "refs/beadflow/issues")}
            )
            == 1
        )
        assert [clone.footprint() for clone in clones] == before
