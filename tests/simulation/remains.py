"""What a simulation's last life left in its databases, read as somebody would who comes later."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.home import DataDir

Rows = list[dict[str, Any]]

QUERIES = {
    "mappings": "SELECT * FROM workflow_mappings",
    "assignments": "SELECT * FROM agent_assignments",
    "results": "SELECT * FROM workflow_results",
    "intents": "SELECT * FROM intents",
    "events": "SELECT * FROM events ORDER BY seq",
    "cursors": "SELECT * FROM outbox_cursors",
    "instances": "SELECT * FROM instances",
    "history": "SELECT * FROM history ORDER BY position",
    "tasks": "SELECT * FROM tasks",
    "journal": "SELECT * FROM journal ORDER BY seq",
    "lines": "SELECT line FROM issues ORDER BY id",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """Rows, each as {column: value}; `issues` are rows of the published form."""

    mappings: Rows
    assignments: Rows
    results: Rows
    intents: Rows
    events: Rows
    cursors: Rows
    instances: Rows
    history: Rows
    tasks: Rows
    journal: Rows
    lines: Rows

    @property
    def issues(self) -> Rows:
        return [json.loads(row["line"]) for row in self.lines]

    @classmethod
    def of(cls, repo: Path) -> "Remains":
        data = DataDir.resolve(repo)
        with closing(
            sqlite3.connect(f"file:{data.coordination_db}?mode=ro", uri=True)
        ) as all_of_it:
            for path in (data.tempolite_db, data.beads_db):
                all_of_it.execute(f"ATTACH 'file:{path}?mode=ro' AS {path.stem}")
            all_of_it.row_factory = sqlite3.Row
            return cls(**{
                name: [dict(row) for row in all_of_it.execute(sql)]
                for name, sql in QUERIES.items()
            })  # fmt: skip
