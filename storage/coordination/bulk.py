"""Statements of coordination.db that are about many starts at once."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from storage.rows import insert_rows

STARTED: Final = """
SELECT tempolite_workflow_id FROM json_each(?)
CROSS JOIN workflow_mappings ON tempolite_workflow_id = value
"""
USED_KEYS: Final = """
SELECT idempotency_key FROM json_each(:keys)
CROSS JOIN workflow_mappings ON idempotency_key = value
UNION ALL
SELECT k.key FROM json_each(:keys) AS asked
CROSS JOIN idempotency_keys AS k ON k.key = asked.value
"""
DELETE_INTENTS: Final = "DELETE FROM intents WHERE id IN (SELECT value FROM json_each(?))"

_MAPPING: Final = (
    "beads_issue_id, tempolite_workflow_id, workflow_type, workflow_version, title, status,"
    " priority, agent_type, metadata, created_at, idempotency_key, request_sha256"
)


def started(connection: sqlite3.Connection, workflow_ids: Sequence[str]) -> set[str]:
    """Give those of these workflows that were decided here."""
    return {row[0] for row in connection.execute(STARTED, (json.dumps(workflow_ids),))}


def used_keys(connection: sqlite3.Connection, keys: Sequence[str]) -> set[str]:
    """Give those of these idempotency keys that a request has used."""
    return {row[0] for row in connection.execute(USED_KEYS, {"keys": json.dumps(keys)})}


def insert_mappings(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Rows hold what `_MAPPING` names, in that order."""
    insert_rows(connection, "workflow_mappings", _MAPPING, rows)


def insert_intents(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Rows: id, workflow_id, kind, payload, at."""
    insert_rows(connection, "intents", "id, workflow_id, kind, payload, created_at", rows)


def delete_intents(connection: sqlite3.Connection, intent_ids: Sequence[str]) -> None:
    connection.execute(DELETE_INTENTS, (json.dumps(intent_ids),))


def insert_assignments(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Rows: workflow_id, agent_type, agent_id, step_number, status, assigned_at, priority, at."""
    columns = (
        "workflow_id, agent_type, agent_id, step_number, status, assigned_at, priority, created_at"
    )
    insert_rows(connection, "agent_assignments", columns, rows)
