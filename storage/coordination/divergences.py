"""What a look at everything reads of the bridge's database: stretches of ids, and whole rows."""

import json
import sqlite3
from collections.abc import Sequence

SEEN = """
    SELECT m.beads_issue_id AS issue_id, m.tempolite_workflow_id AS workflow_id, m.workflow_type,
        m.workflow_version, m.title, m.status, m.priority, m.agent_type, m.created_at,
        m.completed_at, m.error_code, a.id AS assignment_id, a.status AS assignment_status,
        a.agent_id, a.agent_type AS assigned_type,
        (SELECT min(i.created_at) FROM intents i WHERE i.workflow_id = m.tempolite_workflow_id)
            AS intent_at
    FROM json_each(?) CROSS JOIN workflow_mappings m ON m.tempolite_workflow_id = value
    LEFT JOIN agent_assignments a ON a.workflow_id = m.tempolite_workflow_id
        AND a.status IN ('queued', 'assigned')"""
OF_STATUS = """
    SELECT tempolite_workflow_id AS workflow_id FROM workflow_mappings WHERE status = ?"""
STRETCH = """
    WITH stretch AS MATERIALIZED (
        SELECT tempolite_workflow_id AS id, beads_issue_id, status, title, priority
        FROM workflow_mappings WHERE tempolite_workflow_id > ?
        ORDER BY tempolite_workflow_id LIMIT ?)
    SELECT max(id) AS last, json_group_array(id) AS ids,
        json_group_array(json_array(id, beads_issue_id, status, title, priority)) FILTER (
            WHERE status IN ('completed', 'failed', 'cancelled', 'terminated')
            AND NOT EXISTS (SELECT 1 FROM intents i WHERE i.workflow_id = stretch.id)
            AND NOT EXISTS (SELECT 1 FROM agent_assignments a WHERE a.workflow_id = stretch.id
                            AND a.status IN ('queued', 'assigned'))) AS over
    FROM stretch"""
UNMAPPED = """
    SELECT json_group_array(value) AS ids FROM json_each(?) WHERE NOT EXISTS
        (SELECT 1 FROM workflow_mappings WHERE tempolite_workflow_id = value)"""
CHANGED = "SELECT seq, workflow_id FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
OPEN_ASSIGNMENTS = """
    SELECT workflow_id FROM agent_assignments WHERE status IN ('queued', 'assigned')"""
WITH_RESULTS = """
    WITH stretch AS MATERIALIZED (
        SELECT DISTINCT workflow_id AS id FROM workflow_results
        WHERE workflow_id > ? ORDER BY workflow_id LIMIT ?)
    SELECT max(id) AS last, json_group_array(id) FILTER (WHERE NOT EXISTS
        (SELECT 1 FROM workflow_mappings WHERE tempolite_workflow_id = stretch.id)) AS ids
    FROM stretch"""
OPEN_INTENTS = "SELECT id, workflow_id, kind, created_at FROM intents"
ENDED_SINCE = """
    SELECT 1 FROM events WHERE workflow_id = ? AND seq > ? AND type IN
        ('workflow_completed', 'workflow_failed', 'workflow_cancelled', 'workflow_terminated')
    LIMIT 1"""
LOOKED_AT = "SELECT position FROM outbox_cursors WHERE source = ?"
LAST_EVENT = "SELECT max(seq) FROM events"
FOLLOW_ISSUE = """
    UPDATE workflow_mappings SET title = :title, priority = :priority, updated_at = :at
    WHERE tempolite_workflow_id = :workflow_id
        AND (title, priority) IS NOT (:title, :priority)"""
PRIORITY_OF_QUEUED = """
    UPDATE agent_assignments SET priority = :priority
    WHERE workflow_id = :workflow_id AND status IN ('queued', 'assigned')"""
QUEUE = """
    INSERT INTO agent_assignments
        (workflow_id, agent_type, agent_id, step_number, status, priority, reason, created_at)
    SELECT :workflow_id, :agent_type, NULL,
        coalesce((SELECT max(step_number) FROM agent_assignments
                  WHERE workflow_id = :workflow_id), 1),
        'queued', m.priority, :reason, :at
    FROM workflow_mappings m WHERE m.tempolite_workflow_id = :workflow_id
        AND NOT EXISTS (SELECT 1 FROM agent_assignments a WHERE a.workflow_id = :workflow_id
                        AND a.status IN ('queued', 'assigned'))"""


def follow_issue(
    connection: sqlite3.Connection, *, workflow_id: str, title: str, priority: int, at: str
) -> bool:
    """Call a workflow what its issue is called; False when it is called so."""
    values = {"workflow_id": workflow_id, "title": title, "priority": priority, "at": at}
    changed = connection.execute(FOLLOW_ISSUE, values).rowcount == 1
    if changed:
        connection.execute(PRIORITY_OF_QUEUED, values)
    return changed


def queue_assignment(
    connection: sqlite3.Connection, *, workflow_id: str, agent_type: str, reason: str, at: str
) -> bool:
    """Have a workflow wait for an agent, unless it waits or has one."""
    values = {"workflow_id": workflow_id, "agent_type": agent_type, "reason": reason, "at": at}
    return connection.execute(QUEUE, values).rowcount == 1


def set_back(connection: sqlite3.Connection, source: str, position: int) -> None:
    """Move a cursor that is beyond a position back to it."""
    connection.execute(
        "UPDATE outbox_cursors SET position = ? WHERE source = ? AND position > ?",
        (position, source, position),
    )


def seen(connection: sqlite3.Connection, workflow_ids: Sequence[str]) -> list[sqlite3.Row]:
    """The mappings of these workflows, each with its open assignment and its oldest intent."""
    return connection.execute(SEEN, (json.dumps(list(workflow_ids)),)).fetchall()
