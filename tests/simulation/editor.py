"""Somebody who writes into the published file by hand, or with another program, meanwhile.

They make issues, put labels on those of workflows, comment on them, and put rows back to what they
were in an older file. They take no row out: that would mean it, and cancel a workflow.
Each time they read the file as it is, which may be behind, and put a whole new one in its place.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

import trio

from actors.clock import rfc3339
from actors.issues.issue import new_issue
from storage.issues import jsonl
from storage.issues.file import PUBLISHED
from storage.issues.jsonl import Row
from tests.simulation.time import now

NAME = "hand"


@dataclass(slots=True)
class Editor:
    """Remembers what it wrote, since nothing of that may get lost.

    Args:
        pause_s: the longest pause between two edits; 0 for nobody.
        issues: what it made, by id.
        words: what it put on issues, as labels and as comments: (issue id, word).
    """

    chance: random.Random
    pause_s: float
    issues: dict[str, str] = field(default_factory=dict)
    words: list[tuple[str, str]] = field(default_factory=list)
    _last: bytes = b""
    _older: bytes = b""
    _stale: bool = False

    async def run(self, repo: Path, until_s: float) -> None:
        while self.pause_s and trio.current_time() < until_s:
            await trio.sleep(self.chance.uniform(0.0, self.pause_s))
            self._edit(repo / PUBLISHED)

    def _edit(self, path: Path) -> None:
        data = path.read_bytes() if path.exists() else b""
        if self._stale and data == self._last:
            return  # an edit of an older file, made now, would mean that all of it is meant
        self._stale = False
        rows = {row["id"]: row for row in map(jsonl.parse, data.splitlines())}
        match self.chance.choice(["make", "label", "comment", "check out"]):
            case "make":
                self._make(rows)
            case "label" if rows:
                self._put_on("labels", self._any(rows))
            case "comment" if rows:
                self._put_on("comments", self._any(rows))
            case "check out" if data != self._last:  # else it would undo itself, unseen
                self._older, older = data, self._older
                rows |= {row["id"]: row for row in map(jsonl.parse, older.splitlines())}
                self._write(path, _file(rows))
                self._stale = True
                return
            case _:
                return
        self._write(path, _file(rows))

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        self._last = data

    def _any(self, rows: dict[str, Row]) -> Row:
        row = rows[self.chance.choice(sorted(rows))]
        row["updated_at"] = rfc3339(now())
        return row

    def _make(self, rows: dict[str, Row]) -> None:
        number = len(self.issues)
        # no id that the tracker could choose as well: two programs that do are not looked at here
        issue_id, title = f"{NAME}{number:03}-note", f"by hand {number}"
        self.issues[issue_id] = title
        rows[issue_id] = new_issue(
            issue_id=issue_id, title=title, created_at=rfc3339(now()), created_by=NAME
        )

    def _put_on(self, what: str, row: Row) -> None:
        word = f"word-{len(self.words)}"
        self.words.append((row["id"], word))
        if what == "labels":
            row["labels"] = sorted([*row.get("labels", ()), word])
            return
        comments = row.setdefault("comments", [])
        number = max((comment["id"] for comment in comments), default=0) + 1
        comment = {"id": number, "issue_id": row["id"], "author": NAME, "text": word}
        comments.append({**comment, "created_at": row["updated_at"]})


def _file(rows: dict[str, Row]) -> bytes:
    return b"".join(jsonl.encode(rows[name]) + b"\n" for name in sorted(rows))
