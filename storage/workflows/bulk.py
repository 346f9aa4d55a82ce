"""The engine's statements for many workflows at once: one for a whole batch of commands.

Lists go in as JSON, which costs a little more time in SQLite than parameters, and far less waiting
for the interpreter's lock than one statement for each.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from storage.rows import insert_rows

PRESENT = """
SELECT workflow_id FROM json_each(?) CROSS JOIN instances ON workflow_id = value
"""
ELSEWHERE = """
SELECT key FROM json_each(?)
WHERE (SELECT max(seq) FROM history WHERE workflow_id = key) IS NOT value
"""
TIED = """
SELECT value FROM json_each(?) WHERE
    (SELECT parent_id FROM instances WHERE workflow_id = value) IS NOT NULL
    OR EXISTS (SELECT 1 FROM instances WHERE parent_id = value)
    OR EXISTS (SELECT 1 FROM tasks WHERE workflow_id = value)
    OR EXISTS (SELECT 1 FROM heartbeats WHERE workflow_id = value)
"""
RUNS = """
SELECT key, seq, kind, op, name, payload, at
FROM json_each(?) CROSS JOIN history ON workflow_id = key AND seq >= value
WHERE (SELECT max(seq) FROM history WHERE workflow_id = key) < value + ?
"""
VISITED = """
SELECT value FROM json_each(?) WHERE
    EXISTS (SELECT 1 FROM inbox WHERE workflow_id = value AND consumed_by IS NULL)
    OR EXISTS (SELECT 1 FROM heartbeats WHERE workflow_id = value)
"""
SET_STATUSES = """
UPDATE instances SET status = value ->> 1, updated_at = value ->> 2, parked = 0, wake_at = NULL
FROM json_each(?) WHERE workflow_id = value ->> 0
"""
NOTE_PROGRESS = """
UPDATE instances SET recoveries = 0 FROM json_each(?)
WHERE workflow_id = value AND recoveries <> 0
"""


def present(connection: sqlite3.Connection, workflow_ids: Sequence[str]) -> set[str]:
    """Which of these instances exist."""
    return {row[0] for row in connection.execute(PRESENT, (json.dumps(workflow_ids),))}


def elsewhere(connection: sqlite3.Connection, ends: Mapping[str, int]) -> set[str]:
    """The workflows whose last event has another number than is given."""
    return {row[0] for row in connection.execute(ELSEWHERE, (json.dumps(ends),))}


def tied(connection: sqlite3.Connection, workflow_ids: Sequence[str]) -> set[str]:
    """Those with a parent, children, tasks or heartbeats."""
    return {row[0] for row in connection.execute(TIED, (json.dumps(workflow_ids),))}


def runs(
    connection: sqlite3.Connection, begins: Mapping[str, int], most: int
) -> dict[str, list[tuple[Any, ...]]]:
    """The events of each run that has fewer than `most`, as `queries.RUN` selects them.

    `begins` gives the number of each run's first event.
    """
    found: dict[str, list[tuple[Any, ...]]] = {}
    for workflow_id, *event in connection.execute(RUNS, (json.dumps(begins), most)):
        found.setdefault(workflow_id, []).append(tuple(event))
    for events in found.values():
        events.sort()  # they come in order, and SQLite promises it only with a sort of its own
    return found


def visited(connection: sqlite3.Connection, workflow_ids: Sequence[str]) -> set[str]:
    """Those for which signals wait, or whose attempts have said how far they were."""
    return {row[0] for row in connection.execute(VISITED, (json.dumps(workflow_ids),))}


def insert_instances(
    connection: sqlite3.Connection, rows: Sequence[tuple[str, str, int, str, str, str, str, int]]
) -> None:
    """Rows: workflow_id, name, version, status, input, created_at, updated_at, priority."""
    columns = "workflow_id, name, version, status, input, created_at, updated_at, priority"
    insert_rows(connection, "instances", columns, rows)


def insert_events(
    connection: sqlite3.Connection, rows: Sequence[tuple[str, int, str, str, str, str, str]]
) -> None:
    """Rows: workflow_id, seq, kind, op, name, payload, at."""
    insert_rows(connection, "history", "workflow_id, seq, kind, op, name, payload, at", rows)


def set_statuses(connection: sqlite3.Connection, statuses: Iterable[tuple[str, str, str]]) -> None:
    """Each is (workflow_id, status, at)."""
    connection.execute(SET_STATUSES, (json.dumps(list(statuses)),))


def note_progress(connection: sqlite3.Connection, workflow_ids: Sequence[str]) -> None:
    """Forget earlier recoveries of workflows that have got further."""
    connection.execute(NOTE_PROGRESS, (json.dumps(workflow_ids),))
