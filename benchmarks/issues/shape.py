"""Issues in the shape of a real tracker's file: 5,722 rows of agents' and people's work.

Shares of statuses, types, priorities, labels, edges and lengths of texts are that file's; ids,
texts and times are made up. Edges lead to earlier issues, so there is no circle, and some lead
nowhere.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from storage.issues import instants, jsonl

__all__ = ["file_of"]

BEGAN = datetime(2025, 10, 1, tzinfo=UTC)
SPAN_S = 9_700_000
STATUSES = {"tombstone": 3319, "closed": 2259, "open": 131, "hooked": 13}
TYPES = {
    "task": 4745, "bug": 371, "feature": 197, "epic": 113, "merge-request": 102, "convoy": 47,
    "chore": 38, "molecule": 35, "agent": 34, "message": 19, "event": 16, "gate": 5,
}  # fmt: skip
PRIORITIES = {0: 119, 1: 822, 2: 4494, 3: 241, 4: 46}
EDGES = {"blocks": 453, "parent-child": 436, "discovered-from": 70, "tracks": 52, "related": 13}
EDGES_OF_ONE = {0: 5031, 1: 456, 2: 193, 3: 23, 4: 9, 7: 10}
LABELS_OF_ONE = {0: 4723, 1: 280, 2: 459, 3: 260}
DANGLING = 55 / 1024
CHILD = 219 / 5722
ASSIGNED = 862 / 5722
DESCRIPTION = (19, 24, 33, 40, 59, 107, 230, 491, 910, 5500)
"""Lengths at the tenths: half are short, a tenth is long."""
WORDS = ("the", "agent", "closes", "an", "issue", "and", "syncs", "its", "branch", "before", "gate")
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def file_of(count: int, seed: int = 1) -> bytes:
    """Return the published file of so many issues."""
    rows = sorted(_rows(count, random.Random(seed)), key=lambda row: row["id"].encode())
    return b"".join(jsonl.encode(row) + b"\n" for row in rows)


def _rows(count: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    ids: list[str] = []
    taken: set[str] = set()
    for number in range(count):
        issue_id = _id(ids, taken, chance)
        taken.add(issue_id)
        yield _row(issue_id, ids, number / count, chance)
        ids.append(issue_id)


def _id(ids: list[str], taken: set[str], chance: random.Random) -> str:
    while True:
        made = f"bd-{''.join(chance.choices(DIGITS, k=6))}"
        if ids and chance.random() < CHILD:
            made = f"{chance.choice(ids).partition('.')[0]}.{chance.randrange(1, 40)}"
        if made not in taken:
            return made


def _row(issue_id: str, ids: list[str], age: float, chance: random.Random) -> dict[str, Any]:
    created = BEGAN + timedelta(seconds=SPAN_S * age)
    ended = created + timedelta(seconds=chance.expovariate(1 / 90_000))
    status = _one(STATUSES, chance)
    row: dict[str, Any] = {
        "id": issue_id,
        "title": _text(chance.randrange(20, 60), chance),
        "description": _text(chance.randrange(10, chance.choice(DESCRIPTION)), chance),
        "status": status,
        "priority": _one(PRIORITIES, chance),
        "issue_type": _one(TYPES, chance),
        "created_at": instants.from_datetime(created),
        "updated_at": instants.from_datetime(ended),
        "labels": sorted({f"from:{_text(9, chance)}" for _ in range(_one(LABELS_OF_ONE, chance))}),
        "dependencies": _edges(issue_id, ids, created, chance),
    }
    if chance.random() < ASSIGNED:
        row["assignee"] = f"crew/{chance.choice(WORDS)}"
    if status == "closed":
        row |= {"closed_at": row["updated_at"], "close_reason": _text(22, chance)}
    if status == "tombstone":
        row |= {
            "deleted_at": row["updated_at"],
            "deleted_by": "batch delete",
            "delete_reason": "batch delete",
            "original_type": row["issue_type"],
        }
    return row


def _edges(
    issue_id: str, ids: list[str], created: datetime, chance: random.Random
) -> list[dict[str, Any]]:
    count = min(_one(EDGES_OF_ONE, chance), len(ids))
    targets = [
        f"bd-gone{n}" if chance.random() < DANGLING else chance.choice(ids) for n in range(count)
    ]
    return [
        {
            "issue_id": issue_id,
            "depends_on_id": target,
            "type": _one(EDGES, chance),
            "created_at": instants.from_datetime(created),
            "created_by": "crew",
        }
        for target in dict.fromkeys(targets)
    ]


def _one(shares: dict[Any, int], chance: random.Random) -> Any:
    return chance.choices(list(shares), weights=list(shares.values()))[0]


def _text(length: int, chance: random.Random) -> str:
    words = " ".join(chance.choices(WORDS, k=length // 4 + 1))
    return words[:length].strip() or "x"
