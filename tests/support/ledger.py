"""What a process acknowledged, and whether its stores still hold it.

The oracle of every suite that kills, cuts the power, or breaks the disk. It asks only for what
holds system-wide, whatever happened: what was acknowledged is there, nothing is there by half,
nothing twice, and the published file is one that the database knows of.
"""

import contextlib
import hashlib
import json
import random
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from actors.stores import Stores, open_stores
from storage.home import DataDir
from storage.issues.file import PUBLISHED

_OBJECT = re.compile(rb"\{.*\}", re.DOTALL)


@dataclass
class Ledger:
    """Acknowledgements, by what they promise."""

    started: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    flushed_seq: int = 0
    looked: dict[str, tuple[str, str, int | None]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, lines: Iterable[bytes]) -> Self:
        ledger = cls()
        ledger.hear(lines)
        return ledger

    def hear(self, lines: Iterable[bytes]) -> None:
        """Takes what `tests.support.life` said, or a server; the last may have been cut off."""
        for line in lines:
            if found := _OBJECT.search(line):
                with contextlib.suppress(ValueError):
                    self.add(json.loads(found[0]))

    def add(self, said: dict[str, Any]) -> None:
        match said:
            case {"started": workflow_id}:
                self.started[workflow_id] = said
            case {"ended": workflow_id, "status": status}:
                self.ended[workflow_id] = status
            case {"looked": workflow_id, "issue": issue_id, "title": title, "output": output}:
                number = output["number"] if output else None
                self.looked[workflow_id] = (issue_id, title, number)
            case {"unread": what}:
                self.unread.add(what)
            case {"flushed": seq}:
                self.flushed_seq = max(self.flushed_seq, seq)
            case {"id": workflow_id, "beads_issue_id": issue_id, "title": title}:  # a server's body
                number = said["variables"]["number"]
                self.started[workflow_id] = {"issue": issue_id, "title": title, "number": number}
                if said["status"] == "completed":
                    self.ended[workflow_id] = "completed"

    def __str__(self) -> str:
        return (
            f"acknowledged: {len(self.started)} starts {list(self.started)},"
            f" {len(self.ended)} ends {list(self.ended)}, a flush up to {self.flushed_seq}"
        )


async def losses(repo: Path, ledger: Ledger, settled: bool = False) -> list[str]:
    """Opens the stores as the program does, and lists everything that is not as it must be.

    Args:
        settled: the system was stopped in order, so the issues of what has ended are closed.

    Raises:
        StorageError: they cannot be opened.
    """
    with DataDir.resolve(repo, repo / ".beadflow") as data:
        opened = open_stores(data, chance=random.Random(1), observe=_unobserved, inline=True)
        async with opened as stores:
            found = [*_found(stores, repo, ledger)]
            return [*found, *_unclosed(stores, ledger)] if settled else found


def _found(stores: Stores, repo: Path, ledger: Ledger) -> Iterator[str]:
    for readers in (stores.coordination, stores.tempolite, stores.beads):
        yield from _damage(readers.path.name, readers.inline)
    yield from _lost(stores, ledger)
    yield from _strays(stores)
    yield from _halves(stores.tempolite.inline)
    yield from _misread(stores)
    yield from _published(stores.beads.inline, repo / PUBLISHED, ledger)


def _damage(name: str, database: sqlite3.Connection) -> Iterator[str]:
    for (line,) in database.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"{name}: {line}"
    for row in database.execute("PRAGMA foreign_key_check"):
        yield f"{name}: a row of {row[0]} refers to nothing"


def _lost(stores: Stores, ledger: Ledger) -> Iterator[str]:
    """Each start is in all three databases from its answer on, or in an intent that makes it."""
    coordination = stores.coordination.inline
    mapped = _pairs(
        coordination, "SELECT tempolite_workflow_id, beads_issue_id, title FROM workflow_mappings"
    )
    instances = _pairs(stores.tempolite.inline, "SELECT workflow_id, input FROM instances")
    issues = _pairs(stores.beads.inline, "SELECT id, title FROM issues")
    for workflow_id, said in ledger.started.items():
        expected = (said["issue"], said["title"])
        if mapped.get(workflow_id) != expected:
            yield f"{workflow_id}: acknowledged as {expected}, mapped {mapped.get(workflow_id)}"
        if workflow_id not in instances:
            yield f"{workflow_id}: acknowledged, and no instance"
        elif f'"number":{said["number"]}' not in instances[workflow_id][0].replace(" ", ""):
            yield f"{workflow_id}: its input is {instances[workflow_id][0]}"
        if issues.get(said["issue"]) != (said["title"],):
            yield f"{workflow_id}: acknowledged, its issue is {issues.get(said['issue'])}"
    ended = _pairs(
        stores.tempolite.inline,
        "SELECT workflow_id, kind FROM history WHERE kind = 'workflow_completed'",
    )
    for workflow_id in ledger.ended:  # the log of events follows the history
        if workflow_id not in ended:
            yield f"{workflow_id}: told as ended, and its history has no end"


def _strays(stores: Stores) -> Iterator[str]:
    """No workflow is known to some databases only, unless an intent will make it whole."""
    mapped = _pairs(
        stores.coordination.inline,
        "SELECT tempolite_workflow_id, beads_issue_id FROM workflow_mappings",
    )
    intended = {row[0] for row in stores.coordination.inline.execute(
        "SELECT workflow_id FROM intents"
    )}  # fmt: skip
    own = "SELECT workflow_id, name FROM instances WHERE parent_id IS NULL"  # no child is mapped
    instances = set(_pairs(stores.tempolite.inline, own))
    issues = set(_pairs(stores.beads.inline, "SELECT id, title FROM issues"))
    for workflow_id, (issue_id,) in mapped.items():
        if workflow_id not in intended:
            if workflow_id not in instances:
                yield f"{workflow_id}: mapped, and neither intended nor an instance"
            if issue_id not in issues:
                yield f"{workflow_id}: mapped, and neither intended nor an issue"
    for workflow_id in instances - set(mapped):
        yield f"{workflow_id}: an instance that is not mapped"
    for issue_id in issues - {issue_id for (issue_id,) in mapped.values()}:
        yield f"{issue_id}: an issue that is not mapped"


def _halves(tempolite: sqlite3.Connection) -> Iterator[str]:
    """A history has no gaps and no result twice; an instance has a history, and says its end."""
    for workflow_id, last, count in tempolite.execute(
        "SELECT i.workflow_id, max(h.seq), count(h.seq) FROM instances i"
        " LEFT JOIN history h USING (workflow_id) GROUP BY 1"
    ):
        if not count or last != count:
            yield f"{workflow_id}: {count} records up to number {last}"
    for workflow_id, op, count in tempolite.execute(
        "SELECT workflow_id, op, count(*) FROM history WHERE kind = 'activity_completed'"
        " GROUP BY 1, 2 HAVING count(*) > 1"
    ):
        yield f"{workflow_id}: the result of {op} is recorded {count} times"
    for workflow_id, status in tempolite.execute(
        "SELECT workflow_id, status FROM instances i WHERE (status = 'completed') <> EXISTS"
        " (SELECT 1 FROM history h WHERE h.workflow_id = i.workflow_id"
        "  AND h.kind = 'workflow_completed')"
    ):
        yield f"{workflow_id}: it is {status}, its history says otherwise"


def _misread(stores: Stores) -> Iterator[str]:
    """Nobody has read on from what is not there; nothing was logged twice."""
    coordination, tempolite, beads = (
        readers.inline for readers in (stores.coordination, stores.tempolite, stores.beads)
    )
    cursors = dict(coordination.execute("SELECT source, position FROM outbox_cursors").fetchall())
    ends = {
        "tempolite": _number(tempolite, "SELECT max(position) FROM history"),
        "beads": _number(beads, "SELECT max(seq) FROM journal"),
    }
    for source, position in cursors.items():
        if position > ends.get(source, position):
            yield f"the bus has read {source} up to {position} of {ends[source]}"
    applied = _number(beads, "SELECT max(position) FROM cursors WHERE consumer NOT GLOB 'file:*'")
    if applied > (last := _number(coordination, "SELECT max(seq) FROM events")):
        yield f"events were applied up to {applied} of {last}"
    for workflow_id, count in coordination.execute(
        "SELECT workflow_id, count(*) FROM events WHERE type = 'workflow_completed'"
        " GROUP BY 1 HAVING count(*) > 1"
    ):
        yield f"{workflow_id}: it ended {count} times"


def _published(beads: sqlite3.Connection, path: Path, ledger: Ledger) -> Iterator[str]:
    """The file is the one that was flushed, or the one that was about to be, whole."""
    row = beads.execute("SELECT * FROM publication").fetchone()
    if row["flushed_seq"] < ledger.flushed_seq:
        yield f"a flush up to {ledger.flushed_seq} was acknowledged, {row['flushed_seq']} is known"
    data = path.read_bytes() if path.exists() else b""  # no file is needed for no issues
    never = row["flushed_sha256"] is None and not data
    if not never and _sha256(data) not in {row["flushed_sha256"], row["intended_sha256"]}:
        yield f"{path.name} has {len(data)} bytes, and is neither the flushed nor the intended one"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _unclosed(stores: Stores, ledger: Ledger) -> Iterator[str]:
    """The issue of a workflow that has ended is closed, with its summary said once."""
    issues = _pairs(stores.beads.inline, "SELECT id, line FROM issues")
    for workflow_id in ledger.ended.keys() & ledger.started.keys():
        row = json.loads(issues.get(ledger.started[workflow_id]["issue"], ("{}",))[0])
        comments = [comment["text"] for comment in row.get("comments", ())]
        if row.get("status") != "closed" or len(comments) != 1:
            yield f"{workflow_id} has ended, its issue is {row.get('status')} with {comments}"


def _pairs(database: sqlite3.Connection, sql: str) -> dict[str, tuple[Any, ...]]:
    return {row[0]: tuple(row)[1:] for row in database.execute(sql)}


def _number(database: sqlite3.Connection, sql: str) -> int:
    return int(database.execute(sql).fetchone()[0] or 0)


def _unobserved(database: str, operation: str, seconds: float) -> None:
    del database, operation, seconds
