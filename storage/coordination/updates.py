"""The SQL of changes to a workflow's title, priority and variables."""

import json
import sqlite3
from collections.abc import Sequence

OPEN_UPDATE = "SELECT id FROM intents WHERE workflow_id = ? AND kind = 'update' LIMIT 1"
UPDATE = """
    UPDATE workflow_mappings SET title = ?, priority = ?, metadata = ?, updated_at = ?
    WHERE tempolite_workflow_id = ?"""
SET_PRIORITY = """
    UPDATE agent_assignments SET priority = ?
    WHERE workflow_id = ? AND status IN ('queued', 'assigned')"""
OF_ISSUES = """
    SELECT m.beads_issue_id, m.tempolite_workflow_id, m.title, m.priority, m.metadata, m.updated_at
    FROM json_each(?) CROSS JOIN workflow_mappings m ON m.beads_issue_id = value"""


def open_update(connection: sqlite3.Connection, workflow_id: str) -> str | None:
    """The change of a workflow that is decided and not made yet."""
    row = connection.execute(OPEN_UPDATE, (workflow_id,)).fetchone()
    return row[0] if row else None


def update(
    connection: sqlite3.Connection,
    workflow_id: str,
    *,
    title: str,
    priority: int,
    variables: str,
    at: str,
) -> None:
    connection.execute(UPDATE, (title, priority, variables, at, workflow_id))
    connection.execute(SET_PRIORITY, (priority, workflow_id))


def of_issues(connection: sqlite3.Connection, issue_ids: Sequence[str]) -> dict[str, sqlite3.Row]:
    """What the mappings of these issues say, by issue."""
    rows = connection.execute(OF_ISSUES, (json.dumps(issue_ids),))
    return {row["beads_issue_id"]: row for row in rows}
